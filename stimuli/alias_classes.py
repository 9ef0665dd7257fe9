"""Whole alias classes at once: dense sounds whose partials fold onto a few lines, and the same partials one by one.

An alias class holds all frequencies that a hop folds onto one line; `classes` of them, at lines spread over half the
frame rate, stand in one sound without ever meeting. Every frequency is a multiple of frame rate / `FRAMES`: a clip's
`FRAMES` frames are one period of it, and each class stands on a line of its own, exactly.

=================  =====================================================================================================
`draw_classes`     which classes, and which members of each
`dense`            all members of all classes sound: one performance a clip, amplitudes complex normal
`lone`             one member of each class a clip, all members in turn
`FAMILIES`         how loud the members are: flat, pink, or like the harmonics of a note
=================  =====================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli.folding import Chain
from testtone.stimuli.multisines import LineSpectrum, Multisine
from testtone.stimuli.stimulus import Stimulus

FRAMES = 32
"""Frames in a period: alias lines are multiples of frame rate / 32."""

CLEAR = 2
"""Lines at either end that stay free: a line at 0, or at half the frame rate, does not turn."""

MOST_CLASSES = FRAMES // 2 - 2 * CLEAR + 1

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class AliasClasses:
    """``harmonics[class, member]``, in multiples of ``fundamental_hz``; ``lines[class]`` likewise."""

    chain: Chain
    lines: tuple[int, ...]
    harmonics: NDArray[np.intp]

    @property
    def fundamental_hz(self) -> float:
        """The grid on which all partials and all alias lines stand."""
        return self.chain.rate / FRAMES

    @property
    def hz(self) -> Floats:
        """Frequencies, ``'classes members'``."""
        return np.asarray(self.harmonics * self.fundamental_hz, dtype=np.float64)

    @property
    def mirrored(self) -> NDArray[np.bool_]:
        """Which members lie below a multiple of the frame rate, ``'classes members'``: their phase runs backwards."""
        return self.harmonics % FRAMES != np.array(self.lines)[:, None]

    def at_the_line(self, drawn: Complex) -> Complex:
        """Complex amplitudes ``'... classes members'`` as a linear encoder sees them at their alias line."""
        return np.where(self.mirrored, drawn.conj(), drawn)


def draw_classes(rng: np.random.Generator, *, chain: Chain, classes: int, members: int) -> AliasClasses:
    """Draw alias classes, and up to ``members`` of each at random: all of them where there are no more."""
    if not 1 <= classes <= MOST_CLASSES:
        raise ValueError(f"classes={classes} must lie in 1..{MOST_CLASSES}")
    lines = np.sort(rng.choice(np.arange(CLEAR, FRAMES // 2 - CLEAR + 1), classes, replace=False))
    folds = np.arange(chain.hop + 1) * FRAMES
    rows = []
    for line in lines:
        every = np.sort(np.concatenate([folds + line, folds - line]))
        every = every[(every > 0) & (2 * every < chain.hop * FRAMES)]
        rows.append(np.sort(rng.choice(every, min(members, len(every)), replace=False)))
    fewest = min(len(row) for row in rows)
    return AliasClasses(chain, tuple(int(line) for line in lines), np.stack([row[:fewest] for row in rows]))


def _flat(hz: Floats, rng: np.random.Generator, chain: Chain) -> Floats:
    return np.ones_like(hz)


def _pink(hz: Floats, rng: np.random.Generator, chain: Chain) -> Floats:
    return 1.0 / hz


def _harmonic(hz: Floats, rng: np.random.Generator, chain: Chain) -> Floats:
    """Power along a note: 3 dB less per octave, and 20 dB less half way between two harmonics.

    Each class has a note of its own: classes do not meet, so that each is another draw.
    """
    count = (len(hz), 1)
    slow = 2 * chain.rate <= 150.0
    f0 = rng.uniform(150.0, 400.0, count) if slow else chain.rate * rng.uniform(2.0, 5.0, count)
    apart = 2 * np.abs(hz / f0 - np.round(hz / f0))
    return 10.0 ** (-2.0 * apart) / np.maximum(hz, f0)


FAMILIES: Mapping[str, Callable[[Floats, np.random.Generator, Chain], Floats]] = {
    "flat": _flat,
    "harmonic": _harmonic,
    "pink": _pink,
}
"""Families of dense sounds: power of each partial up to a common factor."""


def amplitudes(family: str, classes: AliasClasses, rng: np.random.Generator, *, rms: float) -> Floats:
    """Return the amplitude of each partial, ``'classes members'``, for a sound of ``rms`` re full scale 1."""
    power = FAMILIES[family](classes.hz, rng, classes.chain)
    return np.sqrt(power / power.sum() * 2.0) * rms


@dataclass(frozen=True)
class Performances:
    """Sounds, and what was drawn for them: ``amplitudes`` as a linear encoder sees them, 'sounds classes members'."""

    stimuli: tuple[Stimulus, ...]
    drawn: Complex
    power: Floats
    """Mean square of the amplitudes, 'classes members'."""


def dense(
    rng: np.random.Generator, classes: AliasClasses, *, family: str, tokens: int, seconds: float, rms: float
) -> Performances:
    """Return ``tokens`` performances of all members of all classes together, as loud as ``family`` has them."""
    size = amplitudes(family, classes, rng, rms=rms)
    spectrum = LineSpectrum(classes.fundamental_hz, tuple(classes.harmonics.ravel().tolist()), tuple(size.ravel()))
    count = size.size
    sources = [Multisine(spectrum, int(seed)) for seed in rng.integers(2**31, size=tokens)]
    label = f"{count} partials of {len(classes.lines)} alias classes, {family}"
    stimuli = tuple(Stimulus((source,), seconds, label=label) for source in sources)
    drawn = np.stack([source.drawn.reshape(size.shape) for source in sources]) * size
    return Performances(stimuli, classes.at_the_line(drawn), size**2)


@dataclass(frozen=True)
class Alone:
    """Clips of one member of each class: clip i holds ``members[class, i]`` with amplitude ``drawn[class, i]``."""

    stimuli: tuple[Stimulus, ...]
    members: NDArray[np.intp]
    drawn: Complex

    def scaled(self, db: float) -> tuple[Stimulus, ...]:
        """The clips, louder by so many dB."""
        return tuple(each.scaled(db) for each in self.stimuli)

    def louder(self, db: float) -> Alone:
        """The same, louder by so many dB."""
        return Alone(self.scaled(db), self.members, self.drawn * 10.0 ** (db / 20.0)) if db else self

    def inverted(self) -> tuple[Stimulus, ...]:
        """The clips upside down."""
        return tuple(
            Stimulus(
                tuple(s.inverted() for s in each.sources if isinstance(s, Multisine)), each.seconds, label=each.label
            )
            for each in self.stimuli
        )

    def together(self) -> tuple[Stimulus, ...]:
        """Each clip with the next one, the last with the first."""
        return tuple(
            Stimulus(
                each.sources + self.stimuli[(index + 1) % len(self.stimuli)].sources, each.seconds, label=each.label
            )
            for index, each in enumerate(self.stimuli)
        )

    def first(self, count: int) -> Alone:
        """The first few clips."""
        return Alone(self.stimuli[:count], self.members[:, :count], self.drawn[:, :count])


def lone(rng: np.random.Generator, classes: AliasClasses, *, seconds: float, rms: float) -> Alone:
    """Return one clip per member, each with one member of every class, classes in orders of their own."""
    count, members = classes.harmonics.shape
    order = np.stack([rng.permutation(members) for _ in range(count)])
    size = rms * math.sqrt(2.0 / count)
    stimuli, drawn = [], np.empty((count, members), dtype=np.complex128)
    rows = np.arange(count)
    seeds = np.asarray(rng.integers(2**31, size=members))
    for index in range(members):
        spectrum = LineSpectrum(
            classes.fundamental_hz, tuple(classes.harmonics[rows, order[:, index]].tolist()), (size,) * count
        )
        source = Multisine(spectrum, int(seeds[index]), sized=False)
        stimuli.append(Stimulus((source,), seconds, label=f"{count} soft partials, one of each alias class"))
        turned = classes.mirrored[rows, order[:, index]]
        drawn[:, index] = size * np.where(turned, source.drawn.conj(), source.drawn)
    return Alone(tuple(stimuli), order, drawn)
