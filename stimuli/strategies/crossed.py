"""Whole designs, small ones: crossed factors and matched controls as the claims use them, each a `Design`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from testtone.stimuli import designs as made
from testtone.stimuli.folding import Chain
from testtone.stimuli.sources import Partial, Tone
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.strategies import bounds
from testtone.stimuli.strategies.sounds import SAMPLE_RATE, SECONDS

KINDS = ("presence factorial", "pitches in contexts", "alias pairs", "alias battery")
LEAST_RATE = 10.0


@dataclass(frozen=True)
class Design:
    """A design as `testtone.stimuli.designs` makes it, what it was asked for, and all of its sounds in order."""

    kind: str
    asked: tuple[tuple[str, int], ...]
    seed: int
    made: Any
    stimuli: tuple[Stimulus, ...]

    @property
    def label(self) -> str:
        """As a person would say it."""
        return f"{self.kind}: {', '.join(f'{count} {what}' for what, count in self.asked)}, seed {self.seed}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"<Design {self.label}>")


def designs(
    *,
    hop: int = 320,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
    kinds: tuple[str, ...] = KINDS,
    programs: bool = False,
) -> SearchStrategy[Design]:
    """Whole designs for an encoder of ``hop`` samples per frame, of few sounds each.

    Args:
        hop: samples per frame; a frame rate of 10 Hz at least, and of an eighth of the sample rate at most.
        sample_rate: of the encoder, Hz.
        seconds: length of a sound.
        kinds: which designs, among `KINDS`.
        programs: whether pitches in contexts may be drawn: a third of its notes is played by FluidSynth.

    Raises:
        ValueError: for an unknown kind or none, or a frame rate out of range.
    """
    bounds.whole(hop, "hop", least=8)
    bounds.whole(sample_rate, "sample_rate", least=8000)
    bounds.seconds(seconds)
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds={kind!r} is unknown; known: {', '.join(KINDS)}")
    drawn = [each for each in kinds if programs or each != "pitches in contexts"]
    if not drawn:
        raise ValueError(f"kinds={kinds} leaves no design" + ("" if programs else "; programs=False leaves some out"))
    chain = Chain(sample_rate, (hop,))
    if chain.rate < LEAST_RATE:
        raise ValueError(f"hop={hop} at sample_rate={sample_rate} gives {chain.rate:g} frames a second; at least 10")
    harmonics_below_hz = bounds.AUDIBLE * sample_rate

    @st.composite
    def design(draw: DrawFn) -> Design:
        kind = draw(st.sampled_from(drawn))
        seed = draw(st.integers(0, 2**16))
        rng = np.random.default_rng(seed)
        match kind:
            case "presence factorial":
                asked = {"partials": draw(st.integers(1, 3)), "tokens": draw(st.integers(1, 2))}
                factorial = made.presence_factorial(rng, sets=1, seconds=seconds, chain=chain, **asked)
                return Design(kind, tuple(asked.items()), seed, factorial, factorial.flat)
            case "pitches in contexts":
                asked = {"pitches": draw(st.integers(1, 3)), "contexts": draw(st.integers(1, 4))}
                crossed = made.pitches_in_contexts(
                    rng, tokens=2, seconds=seconds, frame_rate=chain.rate, crossed=draw(st.booleans()),
                    harmonics_below_hz=harmonics_below_hz, pitches=asked["pitches"], contexts=asked["contexts"],
                )  # fmt: skip
                return Design(kind, tuple(asked.items()), seed, crossed, crossed.stimuli)
            case "alias pairs":
                asked = {"sets": draw(st.integers(1, 3))}
                sets = made.alias_sets(rng, chain=chain, **asked)
                hz = [each for kinds in sets for pair in kinds.values() for each in (*pair.alias_hz, *pair.control_hz)]
                tones = [
                    Stimulus((Tone((Partial(each, made.LEVEL),)),), seconds, label=f"{each:.2f} Hz") for each in hz
                ]
                return Design(kind, tuple(asked.items()), seed, sets, tuple(tones))
            case _:
                asked = {"lines": draw(st.integers(1, 3))}
                aliases, clips = made.alias_battery(rng, seconds=seconds, chain=chain, **asked)
                return Design(kind, tuple(asked.items()), seed, aliases, clips)

    return design()
