"""Tuning: how a unit's answer depends on the frequency of a tone, and how much of the ear's frequency axis it covers.

A unit is a channel at a site. Its tuning T(f) is the RMS of its answer to a tone of fixed amplitude, steady part and
oscillation together. Coverage is the participation ratio of T^2 over frequencies that stand evenly on the ERB-number
scale (Glasberg & Moore 1990)::

    B = (sum T^2)^2 / (N sum T^4)        1: all frequencies alike;  1 / N: one of N

Unlike a width at -3 dB it counts every lobe, and downsampled filters have a lobe for each alias.

A detector that squares looks narrower than the filter in front of it. So tones are played at two levels `STEP_DB`
apart, and a unit that grows with the p-th power of amplitude has T raised to 1 / p: tuning is stated as the amplitudes
that would give equal answers, as physiologists state it. A linear filter has p = 1, the power in a band p = 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import Stimulus, partial_tone
from testtone.stimuli.designs import erb_hz, erb_rate, hz_from_erb_rate

from .hearing import Ear
from .records import Effect
from .statistics import CONFIDENCE, jackknife, standard_error

STEP_DB = 6.0
AMPLITUDE = 0.05
LOW_HZ = 60.0
HIGH = 0.45
"""Highest frequency, re the sample rate."""

CLEAR_HZ = 4.0
"""Tones keep this far from multiples of half the frame rate, where their alias would stand still."""

SILENT = 1e-4
"""A unit whose largest answer is below this share of the site's largest is not tuned to anything."""

LEAST_POWER = 0.5
"""A unit that saturates beyond this is read as if it grew with this power of amplitude."""

BLOCKS = 12
FLOOR_DB = -60.0
"""What is softer is drawn as this."""

SIZES = {"quick": 96, "standard": 384, "thorough": 768}
FRAMES = 24


@dataclass(frozen=True)
class Tones:
    """The tones, at `AMPLITUDE` and `STEP_DB` below; `blocks` says which of them are left out together."""

    hz: NDArray[np.float64]
    loud: tuple[Stimulus, ...]
    soft: tuple[Stimulus, ...]
    blocks: NDArray[np.intp]


def tones(rng: np.random.Generator, *, count: int, seconds: float, sample_rate: int, frame_rates: list[float]) -> Tones:
    """Draw tones, one in each of `count` equal cells of the ERB-number scale."""
    low, high = erb_rate(LOW_HZ), erb_rate(HIGH * sample_rate)
    hz = []
    for cell in range(count):
        for _ in range(200):
            each = hz_from_erb_rate(low + (high - low) * (cell + rng.random()) / count)
            if all(abs(each - round(each / (rate / 2)) * rate / 2) >= CLEAR_HZ for rate in frame_rates if rate > 40.0):
                break
        hz.append(each)
    sounds = [
        Stimulus.of(
            partial_tone(each, amplitude=AMPLITUDE, phase=float(rng.uniform(0, 2 * np.pi))),
            seconds=seconds,
            label=f"{each:.0f} Hz",
        )
        for each in hz
    ]
    return Tones(
        np.array(hz), tuple(sounds), tuple(each.scaled(-STEP_DB) for each in sounds), np.arange(count) % BLOCKS
    )


def tones_for(ear: Ear, rng: np.random.Generator, effort: str) -> Tones:
    """Draw the tones that a probe of this effort plays to an encoder, long enough for all sites it looks at."""
    return tones(
        rng,
        count=SIZES[effort],
        seconds=ear.seconds(FRAMES),
        sample_rate=ear.sample_rate,
        frame_rates=[ear.frame_rates[site] for site in ear.sites],
    )


def iso_response(loud: NDArray[np.float64], soft: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared tuning 'units tones', stated as equal answers, largest 1; units without an answer are left out.

    Args:
        loud: 'tones units', mean square answers at `AMPLITUDE`.
        soft: the same, `STEP_DB` below.
    """
    loud, soft = loud.T, soft.T
    peak = loud.max(axis=1)
    tuned = peak > SILENT**2 * peak.max() if peak.size and peak.max() > 0 else np.zeros(len(peak), bool)
    loud, soft = loud[tuned], soft[tuned]
    # The exponent where a unit answers most: elsewhere both answers may be rounding.
    growth = 10.0 * np.log10(loud.sum(axis=1) / np.maximum(soft.sum(axis=1), 1e-300)) / STEP_DB
    relative = loud / loud.max(axis=1, keepdims=True)
    return relative ** (1.0 / np.maximum(growth, LEAST_POWER))[:, None]


def coverage_octaves(tuning: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log2 of the coverage of each unit that answers to any of the tones, for squared tuning 'units tones'."""
    answering = tuning[tuning.max(axis=1) > 0]
    return np.log2(answering.sum(axis=1) ** 2 / (tuning.shape[1] * np.square(answering).sum(axis=1)))


def curves(hz: NDArray[np.float64], tuning: NDArray[np.float64], *, points: int = 64) -> dict[str, Any]:
    """Return the tuning curves of the narrowest, the middle and the widest unit, for a picture.

    Args:
        hz: 'tones', frequencies that stand evenly on the ERB-number scale.
        tuning: 'units tones', squared, largest 1.
        points: at most so many tones; of neighbours that stand for one point the mean level is told.
    """
    answering = tuning[tuning.max(axis=1) > 0]
    order = np.argsort(coverage_octaves(answering), kind="stable")
    groups = np.array_split(np.arange(len(hz)), min(points, len(hz)))
    chosen = {"the narrowest channel": order[0], "the middle one": order[len(order) // 2], "the widest": order[-1]}
    decibels = 10.0 * np.log10(np.maximum(answering, 10.0 ** (FLOOR_DB / 10.0)))
    return {
        "hz": [float(hz[group].mean().round(1)) for group in groups],
        "channels": [
            {"name": name, "answer_db": [float(decibels[unit, group].mean().round(1)) for group in groups]}
            for name, unit in chosen.items()
        ],
    }


def ear_octaves(hz: NDArray[np.float64]) -> float:
    """Return the median log2 coverage of the ear's filters on a grid of tones: rounded exponentials, one ERB wide.

    Patterson et al. 1982, equation 3: |H|^2 = (1 + p g) exp(-p g), g = |f - centre| / centre, p = 4 centre / ERB.
    """
    centres = np.array([hz_from_erb_rate(e) for e in np.linspace(erb_rate(hz.min()), erb_rate(hz.max()), 128)[4:-4]])
    pg = 4.0 * np.abs(hz - centres[:, None]) / np.array([erb_hz(each) for each in centres])[:, None]
    return float(np.median(coverage_octaves((1.0 + pg) * np.exp(-pg))))


def mean_coverage(name: str, tuning: NDArray[np.float64], blocks: NDArray[np.intp], *, sign: float = 1.0) -> Effect:
    """Return the mean over units of `sign` times log2 coverage, with an interval over units and over blocks of tones.

    Both sources of chance count: variances add, with the fewer degrees of freedom. One unit leaves the tones alone.
    """
    by_tones = jackknife(
        lambda kept: sign * float(coverage_octaves(tuning[:, np.isin(blocks, kept)]).mean()),
        int(blocks.max()) + 1,
        name=name,
        unit="octaves",
    )
    if len(tuning) < 2:
        return by_tones
    values = sign * coverage_octaves(tuning)
    by_units = jackknife(lambda kept: float(values[kept].mean()), len(values), name=name, unit="octaves")
    return joined(by_tones.value, name, by_tones, by_units)


def joined(value: float, name: str, *terms: Effect) -> Effect:
    """Return an effect at `value` whose variance is the sum of the variances of independent terms."""
    n = min(term.n for term in terms)
    error = math.sqrt(sum(standard_error(term) ** 2 for term in terms))
    half = error * float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    return Effect(
        name=name, value=value, low=value - half, high=value + half, confidence=CONFIDENCE, unit=terms[0].unit, n=n
    )


def shifted(effect: Effect, by: float, *, name: str) -> Effect:
    """Return an effect moved by a constant."""
    return replace(effect, name=name, value=effect.value + by, low=effect.low + by, high=effect.high + by)
