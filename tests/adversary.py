"""`challenge`: an encoder heard by an adversary, who draws sounds and batches until a promise breaks.

    from testtone.tests.adversary import challenge

    print(challenge("mine.py:build", effort="standard"))

`testtone.models.check` asks the same of noise at one level; here hypothesis draws notes, chords, mixtures, multisines
and noise at any level, puts them into batches, and shrinks what fails to the shortest batch of the plainest sounds.

=================  ===================================================================================================
`determinism`      a sound answers the same when it comes again, whatever came in between
`company`          a sound answers alone as it does in any place of any batch
`order`            a batch in another order gives its answers in that order
`silence`          nothing answers the same wherever it stands in a batch, and is finite
`shift`            a sound that comes one hop later gives the same frames one later; an encoder with a memory, or that
                   looks at a whole clip, need not do so: a note, never a fault
=================  ===================================================================================================

How many batches are drawn follows from the effort: 50, 200 or 2000 for all promises together. Differences up to
rounding, a thousandth of a frame's size and a quarter of the codes, are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from testtone.models.conformance import ROUNDING, TIPPED, Finding, Report
from testtone.models.listening import EncoderFault, Listener
from testtone.models.protocol import CODES, Encoder
from testtone.models.specs import resolve
from testtone.stimuli import Stimulus, strategies
from testtone.stimuli.strategies import bounds

SECONDS = 0.5
MOST_IN_A_BATCH = 4
Answer = Mapping[str, NDArray[Any]]


class _Broken(AssertionError):
    """A promise is broken; the message says where, and for what sounds."""


def challenge(encoder: Encoder | str, *, effort: str = "quick", seconds: float = SECONDS) -> Report:
    """Return what an adversary found, in the form of `testtone.models.check`.

    Args:
        encoder: an encoder, or a spec as after ``--encoder``.
        effort: ``"quick"``, ``"standard"`` or ``"thorough"``.
        seconds: length of the clips, where the encoder does not fix it.

    Raises:
        ValueError: for an encoder or an effort that there is not.
    """
    if effort not in strategies.profiles.EXAMPLES:
        raise ValueError(f"effort={effort!r} must be one of {', '.join(strategies.profiles.EXAMPLES)}")
    found: Any = resolve(encoder) if isinstance(encoder, str) else encoder
    said = encoder if isinstance(encoder, str) else str(getattr(found, "name", type(found).__name__))
    listener = Listener(found, spec=said)
    ring = _Ring(listener, seconds)
    budget = strategies.profiles.EXAMPLES[effort] // len(_PROMISES)
    findings = []
    for name, promise in _PROMISES.items():
        try:
            tried = _tried(promise, ring, budget)
        except _Broken as broken:
            findings.append(Finding(name, "note" if name == "shift" else "fault", str(broken)))
        except EncoderFault as fault:
            findings.append(Finding(name, "fault", str(fault).removeprefix(f"{said}: ")))
        else:
            findings.append(Finding(name, "ok", f"{tried} batches drawn, and none broke it"))
    return Report(said, tuple(findings))


@dataclass(frozen=True)
class _Ring:
    """The encoder, and the sounds that are drawn for it."""

    listener: Listener
    asked_seconds: float

    @property
    def seconds(self) -> float:
        fixed = self.listener.window_samples
        return self.asked_seconds if fixed is None else fixed / self.listener.sample_rate

    @property
    def sounds(self) -> SearchStrategy[Stimulus]:
        rate = self.listener.sample_rate
        # Eight harmonics of the highest pitch need not fit; the pitch itself must.
        high = min(84, math.floor(69 + 12 * math.log2(bounds.AUDIBLE * rate / 440.0)) - 1)
        options: dict[str, Any] = {"sample_rate": rate, "seconds": self.seconds}
        return st.one_of(
            strategies.notes(high_midi=high, **options),
            strategies.chords(high_midi=high, **options),
            strategies.multisines(high_midi=high, max_partials=4, **options),
            strategies.noises(seconds=self.seconds),
        )

    def batches(self, *, least: int = 1) -> SearchStrategy[list[Stimulus]]:
        return st.lists(self.sounds, min_size=least, max_size=MOST_IN_A_BATCH)

    def waves(self, sounds: list[Stimulus]) -> NDArray[np.float32]:
        return np.stack([each.render(self.listener.sample_rate) for each in sounds])

    def hear(self, waves: NDArray[np.float32]) -> Answer:
        return self.listener.ask(waves)


def _tried(promise: Callable[[_Ring, Any], None], ring: _Ring, examples: int) -> int:
    """Draw until the promise breaks, and raise the plainest failure; or return how often it was kept."""
    count = 0
    last: _Broken | None = None

    @settings(
        strategies.settings_for("quick"),
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
    )
    @given(st.data())
    def drawn(data: Any) -> None:
        nonlocal count, last
        count += 1
        try:
            promise(ring, data)
        except _Broken as broken:
            last = broken
            raise

    try:
        drawn()
    except Flaky:
        # An encoder with a memory fails once and not again: that is what is wrong with it.
        raise _Broken(f"{last or 'it raised'}; asked again, it did not") from None
    return count


def _determinism(ring: _Ring, data: Any) -> None:
    sound, between = data.draw(ring.sounds), data.draw(ring.sounds)
    once = ring.hear(ring.waves([sound]))
    ring.hear(ring.waves([between]))
    _same(once, ring.hear(ring.waves([sound])), [sound], f"after {between.label} it answers otherwise")


def _company(ring: _Ring, data: Any) -> None:
    sounds = data.draw(ring.batches(least=2))
    place = data.draw(st.integers(0, len(sounds) - 1))
    alone, together = ring.hear(ring.waves([sounds[place]])), ring.hear(ring.waves(sounds))
    _same(alone, _row(together, place), [sounds[place]], f"among {_listed(sounds)} it answers otherwise than alone")


def _order(ring: _Ring, data: Any) -> None:
    sounds = data.draw(ring.batches(least=2))
    order = data.draw(st.permutations(range(len(sounds))))
    one, other = ring.hear(ring.waves(sounds)), ring.hear(ring.waves([sounds[index] for index in order]))
    for place, index in enumerate(order):
        said = f"at place {place} of a batch it answers otherwise than at place {index}"
        _same(_row(one, index), _row(other, place), [sounds[index]], said)


def _silence(ring: _Ring, data: Any) -> None:
    sounds = data.draw(ring.batches())
    place = data.draw(st.integers(0, len(sounds)))
    waves = ring.waves(sounds)
    with_silence = np.insert(waves, place, 0.0, axis=0)
    alone = ring.hear(np.zeros_like(waves[:1]))
    said = f"beside {_listed(sounds)} silence answers otherwise than alone"
    _same(alone, _row(ring.hear(with_silence), place), [], said)


def _shift(ring: _Ring, data: Any) -> None:
    listener = ring.listener
    if listener.window_samples is not None:
        return
    sound = data.draw(ring.sounds)
    site = data.draw(st.sampled_from([each for each in listener.sites if each != CODES]))
    hop = listener.sample_rate / listener.frame_rates[site]
    if abs(hop - round(hop)) > 1e-6:
        return
    wave = ring.waves([sound])
    later = np.concatenate([np.zeros((1, round(hop)), np.float32), wave], axis=1)[:, : wave.shape[1]]
    before, after = (ring.hear(each)[site].astype(np.float64) for each in (wave, later))
    margin = listener.margins[site]
    first, last = margin.left, before.shape[2] - margin.right - 1
    if last - first < 2:
        return
    inside, moved = before[:, :, first:last], after[:, :, first + 1 : last + 1]
    _same({site: inside}, {site: moved}, [sound], f"one hop ({round(hop)} samples) later its frames are not one later")


_PROMISES: Mapping[str, Callable[[_Ring, Any], None]] = {
    "determinism": _determinism,
    "company": _company,
    "order": _order,
    "silence": _silence,
    "shift": _shift,
}


def _same(one: Answer, other: Answer, sounds: list[Stimulus], said: str) -> None:
    """Raise where two answers are further apart than rounding."""
    for site, first in one.items():
        second = other[site]
        if site == "quantised" and CODES in one:
            continue  # a code that tips moves it as far as entries are apart; the codes speak for both
        if first.shape != second.shape:
            raise _Broken(f"{_of(sounds)}{said}: {first.shape} and {second.shape} at {site}")
        if site == CODES:
            tipped = float((first != second).mean())
            if tipped > TIPPED:
                raise _Broken(f"{_of(sounds)}{said}: {100 * tipped:.0f} % of the codes")
            continue
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            raise _Broken(f"{_of(sounds)}{said}: not finite at {site}")
        first, second = first.astype(np.float64), second.astype(np.float64)
        size = float(np.sqrt(np.square(first).mean())) or 1.0
        apart = float(np.sqrt(np.square(first - second).mean(axis=1)).max()) / size
        if apart > ROUNDING:
            raise _Broken(f"{_of(sounds)}{said}: by {100 * apart:.2g} % of a frame's size at {site}")


def _row(answer: Answer, place: int) -> Answer:
    return {site: values[place : place + 1] for site, values in answer.items()}


def _of(sounds: list[Stimulus]) -> str:
    return f"{_listed(sounds)}: " if sounds else ""


def _listed(sounds: list[Stimulus]) -> str:
    return "; ".join(each.label for each in sounds)
