"""Density: a partial that is there or not, in noise, among more and more companions.

=====================  ==============================================================================================
`spread_targets`       frequencies to listen for, one in each of many equal cells of the ERB-number scale
`crowd`                clips in which each target sounds or not, among so many companions
=====================  ==============================================================================================

Every second target is *in play* in a clip: it sounds with a chance of a half (less among few companions), whatever the
others do, and companions at random frequencies fill up to the number asked for. A clip is thus a trial for half of
the targets at once. Among no companions one target sounds, or none.

Levels make a lone partial equally audible wherever it lies. The power of white noise in an ear's filter grows with its
bandwidth W, and its average over T seconds scatters by 1 / sqrt(W T); so amplitudes grow with the fourth root of W, and
the noise's RMS with that of T. Its density does not depend on the sample rate. All sound within `LOW_HZ` and
`HIGH_HZ`, whatever the encoder, so that so many companions are equally dense for all.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli.designs import NoSuchDesignError, erb_hz, erb_rate, hz_from_erb_rate
from testtone.stimuli.sources import Noise, Partial, Tone
from testtone.stimuli.stimulus import Stimulus

LOW_HZ = 100.0
HIGH_HZ = 3360.0
"""0.42 of the lowest sample rate that encoders of music have, 8 kHz."""

AMPLITUDE = 0.0115
"""Of a partial at 1 kHz, re full scale 1."""

NOISE_RMS = 0.07
"""At 24 kHz where `NOISE_SECONDS` are heard, re full scale 1."""

NOISE_RATE = 24_000
NOISE_SECONDS = 0.16

NOISE_CLIPS = 2
"""Clips of noise alone for each lone sound of a target: they are trials for all targets, and cost little."""
ROVE_DB = 3.0
"""Every partial's level is drawn anew in every clip, uniformly within this much."""

APART_ERB = 1.0
CROWDED_ERB = 0.5
NEAREST_ERB = 0.1
"""Crowded companions keep this far from a target: nearer than a filter can part them, not the target itself."""

CLEAR_HZ = 4.0
"""Partials keep this far from multiples of half the frame rate, where their alias would stand still."""

_TRIES = 1000


@dataclass(frozen=True)
class Crowd:
    """Clips among so many companions; ``blocks`` are alike in all that is not drawn."""

    companions: int
    stimuli: tuple[Stimulus, ...]
    sounding: NDArray[np.bool_]
    """'clips targets': which targets sound."""
    judged: NDArray[np.bool_]
    """'clips targets': for which targets the clip is a trial."""
    blocks: NDArray[np.intp]
    """'clips'."""


def spread_targets(
    rng: np.random.Generator, count: int, *, sample_rate: int, frame_rates: Sequence[float]
) -> tuple[float, ...]:
    """Draw ``count`` frequencies, each about the middle of one of as many equal cells of the ERB-number scale."""
    low, high = erb_rate(LOW_HZ), erb_rate(_highest(sample_rate))
    cell = (high - low) / count
    if 2 * cell < 2 * APART_ERB + 0.6 * cell:
        raise NoSuchDesignError(f"count={count} targets leave companions no room {APART_ERB} ERB from each")
    return tuple(
        _clear(lambda: hz_from_erb_rate(low + cell * (k + rng.uniform(0.35, 0.65))), frame_rates)  # noqa: B023
        for k in range(count)
    )


def crowd(
    rng: np.random.Generator,
    targets: Sequence[float],
    companions: int,
    *,
    blocks: int,
    present: int,
    seconds: float,
    heard_seconds: float,
    sample_rate: int,
    frame_rates: Sequence[float],
    quiet_db: float = 0.0,
    crowded: bool = False,
    level: bool = False,
) -> Crowd:
    """Draw clips in which each target sounds ``present`` times a block, and as often or more does not.

    Args:
        rng: draws everything.
        targets: Hz, ascending.
        companions: of a target, in the mean over clips.
        blocks: alike in all that is not drawn.
        present: times that each target sounds in a block.
        seconds: length of a clip.
        heard_seconds: how much of it is heard free of edges.
        sample_rate: Hz.
        frame_rates: of the sites, Hz.
        quiet_db: by how much the noise is softer than for the ear, dB.
        crowded: companions lie within `CROWDED_ERB` of targets in play; else at least `APART_ERB` from all of these.
        level: bring every clip to the level of the noise and two partials.
    """
    count = len(targets)
    quiet = 10.0 ** (-quiet_db / 20.0)
    rms = quiet * NOISE_RMS * math.sqrt(sample_rate / NOISE_RATE) * (heard_seconds / NOISE_SECONDS) ** 0.25
    stimuli, sounding, judged, block_of = [], [], [], []

    def add(block: int, on: NDArray[np.bool_], trial: NDArray[np.bool_], fillers: Sequence[float]) -> None:
        hz = [*np.asarray(targets)[on].tolist(), *fillers]
        gains = 10.0 ** (rng.uniform(-ROVE_DB, ROVE_DB, len(hz)) / 20.0)
        phases = rng.uniform(0.0, 2 * math.pi, len(hz))
        tones = [
            Tone((Partial(f, AMPLITUDE * (erb_hz(f) / erb_hz(1000.0)) ** 0.25 * float(g), float(p)),))
            for f, g, p in zip(hz, gains, phases, strict=True)
        ]
        said = f"{len(hz)} partials in noise" if len(hz) != 1 else f"{hz[0]:.0f} Hz in noise"
        sound = Stimulus((*tones, Noise(int(rng.integers(2**31)), rms=rms)), seconds, label=said if hz else "noise")
        if level:
            power = rms**2 + sum(tone.rms**2 for tone in tones)
            sound = sound.scaled(10 * math.log10((rms**2 + AMPLITUDE**2) / power))
        stimuli.append(sound)
        sounding.append(on)
        judged.append(trial)
        block_of.append(block)

    for block in range(blocks):
        if companions == 0:
            for target in np.repeat(np.arange(count), present):
                alone = np.arange(count) == target
                add(block, alone, alone, ())
            for _ in range(NOISE_CLIPS * present):
                add(block, np.zeros(count, bool), np.ones(count, bool), ())
            continue
        for parity in (0, 1):
            playing = np.arange(parity, count, 2)
            others = len(playing) - 1
            chance = min(0.5, companions / others)
            clips = round(present / chance)
            order = np.stack([rng.permutation(clips) < present for _ in playing], axis=1)
            fill = max(0.0, companions - others * chance)
            for row in order:
                on, trial = np.zeros(count, bool), np.zeros(count, bool)
                on[playing[row]], trial[playing] = True, True
                number = int(fill) + int(rng.random() < fill - int(fill))
                near = np.array([erb_rate(targets[int(index)]) for index in playing])
                fillers = [
                    _filler(rng, near, crowded=crowded, sample_rate=sample_rate, frame_rates=frame_rates)
                    for _ in range(number)
                ]
                add(block, on, trial, fillers)
    return Crowd(companions, tuple(stimuli), np.array(sounding), np.array(judged), np.array(block_of))


def _filler(
    rng: np.random.Generator,
    targets: NDArray[np.float64],
    *,
    crowded: bool,
    sample_rate: int,
    frame_rates: Sequence[float],
) -> float:
    """Draw the frequency of a companion, Hz; targets in ERB numbers."""
    low, high = erb_rate(LOW_HZ), erb_rate(_highest(sample_rate))

    def draw() -> float:
        if crowded:
            away = rng.uniform(NEAREST_ERB, CROWDED_ERB) * (1 if rng.random() < 0.5 else -1)
            return hz_from_erb_rate(float(rng.choice(targets)) + float(away))
        for _ in range(_TRIES):
            each = rng.uniform(low, high)
            if np.abs(targets - each).min() >= APART_ERB:
                return hz_from_erb_rate(float(each))
        raise NoSuchDesignError(f"no companion fits {APART_ERB} ERB from each of {len(targets)} targets")

    return _clear(draw, frame_rates)


def _clear(draw: Callable[[], float], frame_rates: Sequence[float]) -> float:
    """Draw until clear of multiples of half the frame rates; slow ones leave no room and are let be."""
    for _ in range(_TRIES):
        hz = float(draw())
        if all(abs(hz - round(hz / (rate / 2)) * rate / 2) >= CLEAR_HZ for rate in frame_rates if rate > 40.0):
            break
    return hz


def _highest(sample_rate: int) -> float:
    return min(HIGH_HZ, 0.42 * sample_rate)
