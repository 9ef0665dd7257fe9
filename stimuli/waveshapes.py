"""Waveshapes: designs in which waveform and spectrum vary apart.

`phase_factorial`  magnitude spectra x phase patterns x start offsets: one spectrum, many waveforms
`neighbours`       a tone and its neighbours: with noise, shifted in time, one partial turned; from very near to far
`disguises`        another waveform that some encoder might take for the same sound

What a design must know of an encoder comes in as numbers: sample rate, frame rate.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from testtone.stimuli import pitch
from testtone.stimuli.complexes import harmonic_complex
from testtone.stimuli.designs import LEVEL
from testtone.stimuli.sources import TWO_PI, Partial, Tone
from testtone.stimuli.stimulus import Stimulus

LOWEST_F0_HZ, HIGHEST_F0_HZ = 70.0, 420.0
FUNDAMENTALS = 4
"""Fundamentals that a factorial wants at least."""

HARMONICS = 8
"""The first eight are resolved by the ear: their relative phases are nearly inaudible to it."""

PATTERNS = ("sine", "schroeder+", "random", "random", "cosine", "schroeder-", "random", "random")
"""Phase patterns in the order in which a smaller design leaves them out, last first."""

_RMS = 2 * LEVEL


def fundamentals(frame_rate: float) -> tuple[int, tuple[float, ...]]:
    """Return (n, fundamentals in Hz): multiples of an n-th of the frame rate, n the least that gives enough of them.

    With n = 1 every frame sees the same piece of the waveform; else every n-th frame does.
    """
    for n in range(1, 1000):
        step = frame_rate / n
        first, last = math.ceil(LOWEST_F0_HZ / step - 1e-9), math.floor(HIGHEST_F0_HZ / step + 1e-9)
        if last - first + 1 >= FUNDAMENTALS:
            return n, tuple(step * k for k in range(first, last + 1))
    raise ValueError(f"frame_rate={frame_rate} Hz leaves no fundamentals between {LOWEST_F0_HZ} and {HIGHEST_F0_HZ} Hz")


@dataclass(frozen=True)
class PhaseFactorial:
    """``stimuli[spectrum][pattern][offset]``; sounds of one spectrum have the same partials and other start phases."""

    f0_hz: tuple[float, ...]
    patterns: tuple[str, ...]
    repeat: int
    """Frames after which every waveform stands to the frames as before."""
    stimuli: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Spectrum by spectrum, pattern by pattern, offset by offset."""
        return tuple(each for spectrum in self.stimuli for pattern in spectrum for each in pattern)


def phase_factorial(
    rng: np.random.Generator,
    *,
    spectra: int,
    patterns: int,
    offsets: int,
    seconds: float,
    sample_rate: int,
    frame_rate: float,
) -> PhaseFactorial:
    """Cross ``spectra`` magnitude spectra with ``patterns`` phase patterns and ``offsets`` start offsets.

    A spectrum is a fundamental (in turn from those that fit the frame rate, in an order drawn anew) and an envelope of
    harmonics 1 to 8: a tilt and one resonance, both drawn. All have one RMS. Phase patterns are sine, cosine, both
    Schroeder phases and random ones, the random ones drawn for each spectrum. An offset moves a sound in time; it is
    the same for all sounds of a block.
    """
    repeat, grid = fundamentals(frame_rate)
    order = np.concatenate([rng.permutation(len(grid)) for _ in range(-(-spectra // len(grid)))])[:spectra]
    f0_hz = tuple(grid[index] for index in order)
    names = PATTERNS[:patterns]
    shifts = rng.uniform(0.0, repeat / frame_rate, offsets)
    stimuli = []
    for number, f0 in enumerate(f0_hz):
        tilt = float(rng.uniform(-9.0, 0.0))
        centre = float(np.exp(rng.uniform(np.log(300.0), np.log(2400.0))))
        tones = [
            harmonic_complex(
                f0,
                harmonics=HARMONICS,
                tilt_db_per_octave=tilt,
                formant_hz=((centre, 0.4 * centre),),
                phases=name,
                rng=rng,
                rms=_RMS,
                max_hz=0.45 * sample_rate,
            )
            for name in names
        ]
        stimuli.append(
            tuple(
                tuple(
                    Stimulus.of(
                        moved(tone, shift), seconds=seconds, label=f"{f0:.0f} Hz, envelope {number + 1}, {name} phase"
                    )
                    for shift in shifts
                )
                for name, tone in zip(names, tones, strict=True)
            )
        )
    return PhaseFactorial(f0_hz, names, repeat, tuple(stimuli))


def moved(tone: Tone, seconds: float) -> Tone:
    """Return the tone as it would sound had it begun ``seconds`` earlier, by its phases; exact between samples too."""
    return dataclasses.replace(
        tone,
        partials=tuple(
            Partial(each.hz, each.amplitude, math.remainder(each.phase + TWO_PI * each.hz * seconds, TWO_PI))
            for each in tone.partials
        ),
    )
