"""Likeness: how far apart two sounds are before any encoder hears them, as waveforms and as spectra.

`distance`          d = |x - x'| / sqrt(|x|^2 + |x'|^2), of waveforms or of codes: 0 for equal ones, 1 for independent
                    ones of equal power, .58 for a sound and the same with white noise as loud as itself, 1.41 for a
                    sound and its inverse
`ear_spectra`       power in bands as wide as the ear's filters (Glasberg & Moore 1990; Patterson et al. 1982)
`spectral_distance` 1 - cosine of two such spectra: 0 for equal ones whatever the phases, 1 where no band is shared

The ear's bands here are those of the stimulus: they are computed from its waveform, whatever an encoder makes of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli.designs import erb_hz, erb_rate, hz_from_erb_rate

Floats = NDArray[np.float64]

BANDS = 64
LOW_HZ = 50.0


def distance(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Return |x - x'| / sqrt(|x|^2 + |x'|^2) over the last axis, in [0, sqrt 2]; 0 where both are nothing."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    apart = np.square(first - second).sum(axis=-1)
    energy = np.square(first).sum(axis=-1) + np.square(second).sum(axis=-1)
    return np.sqrt(np.divide(apart, energy, out=np.zeros_like(apart), where=energy > 0))


def ear_spectra(waves: NDArray[Any], *, sample_rate: int) -> Floats:
    """Return power in `BANDS` bands, one ear-bandwidth wide and even on the ERB-number scale: '... bands'.

    Args:
        waves: '... samples'; a Hann window over all of them is applied.
        sample_rate: Hz.
    """
    waves = np.asarray(waves, np.float64)
    window, weights = _bank(waves.shape[-1], sample_rate)
    return np.asarray(np.square(np.abs(np.fft.rfft(waves * window))) @ weights)


def spectral_distance(first: Floats, second: Floats) -> Floats:
    """Return 1 - cosine over the last axis; 1 where either spectrum is nothing."""
    length = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    inner = (first * second).sum(axis=-1)
    return np.asarray(1.0 - np.divide(inner, length, out=np.zeros_like(inner), where=length > 0))


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return Spearman's rho; 0 where either side is all alike, since then nothing follows anything."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(stats.rankdata(first), stats.rankdata(second))[0, 1])


def partial_correlation(first_second: float, first_third: float, second_third: float) -> float:
    """Return the correlation of the first and the second with the third held constant; nan where nothing is left."""
    rest = (1.0 - first_third**2) * (1.0 - second_third**2)
    return float((first_second - first_third * second_third) / np.sqrt(rest)) if rest > 1e-12 else float("nan")


@lru_cache(maxsize=16)
def _bank(samples: int, sample_rate: int) -> tuple[Floats, Floats]:
    """A Hann window and the weights 'bins bands' of rounded exponentials, (1 + p g) exp(-p g), p = 4 centre / ERB."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(samples) + 0.5) / samples)
    bins = np.arange(samples // 2 + 1) * sample_rate / samples
    numbers = np.linspace(erb_rate(LOW_HZ), erb_rate(0.45 * sample_rate), BANDS)
    centres = np.array([hz_from_erb_rate(each) for each in numbers])
    widths = np.array([erb_hz(each) for each in centres])
    pg = 4.0 * np.abs(bins[:, None] - centres) / widths
    return window, (1.0 + pg) * np.exp(-pg) / np.square(window).sum() / samples
