"""What a sound looks like, in a few digits: for pages that show sounds, on paper and on phones.

A *portrait* of a sound holds its spectrogram as rows of hexadecimal digits (a band each, the lowest first; digit f is
the loudest place, digit 0 lies `RANGE_DB` or more below) on the ERB-number scale (Glasberg & Moore 1990), and a few
milliseconds of its waveform as pairs of lowest and highest value. `opening` is what one needs to hear of a long sound.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from .designs import erb_rate, hz_from_erb_rate

BANDS = 48
FRAMES = 96
LOW_HZ = 50.0
RANGE_DB = 60.0
WINDOW_SECONDS = 0.046

WAVEFORM_SECONDS = 0.02
COLUMNS = 180
FINER = 4
LARGEST = 99
"""Of the waveform; the whole sound's peak is drawn as this."""

OPENING_SECONDS = 0.6
FADE_SECONDS = 0.01

MIXTURE_HZ = 220.0
MIXTURE_AMPLITUDES = (1.0, 0.6, 0.45, 0.3, 0.2)
MIXTURE_POINTS = 181

_DIGITS = "0123456789abcdef"


def portrait(samples: NDArray[np.floating], sample_rate: int) -> dict[str, Any]:
    """Return the spectrogram and the waveform of a sound, as plain numbers and digits.

    Args:
        samples: 'samples', mono.
        sample_rate: Hz.

    Raises:
        ValueError: if there are no samples.
    """
    sound = np.asarray(samples, dtype=np.float64)
    if sound.ndim != 1 or not sound.size:
        raise ValueError(f"samples of shape {sound.shape} are no sound; it must be one channel of at least one sample")
    return {
        "spectrogram": {
            "rows": spectrogram(sound, sample_rate),
            "scale": "ERB",
            "low_hz": LOW_HZ,
            "high_hz": sample_rate / 2,
            "range_db": RANGE_DB,
        },
        "waveform": waveform(sound, sample_rate),
    }


def spectrogram(samples: NDArray[np.float64], sample_rate: int) -> list[str]:
    """Return `BANDS` rows of `FRAMES` digits, the lowest band first."""
    size = 1 << round(math.log2(WINDOW_SECONDS * sample_rate))
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(samples, size // 2)
    starts = np.round((np.arange(FRAMES) + 0.5) / FRAMES * samples.size).astype(int)
    power = np.array([np.square(np.abs(np.fft.rfft(window * padded[at : at + size]))) for at in starts])
    hz = np.arange(size // 2 + 1) * sample_rate / size
    edges = [hz_from_erb_rate(e) for e in np.linspace(erb_rate(LOW_HZ), erb_rate(sample_rate / 2), BANDS + 1)]
    bands = np.empty((BANDS, FRAMES))
    for band, (low, high) in enumerate(pairwise(edges)):
        inside = (hz >= low) & (hz < high)
        # Where bands are narrower than bins, a band has the power at its centre.
        centre = (low + high) / 2
        bands[band] = (
            power[:, inside].max(axis=1) if inside.any() else [np.interp(centre, hz, frame) for frame in power]
        )
    loudest = bands.max()
    if loudest <= 0:
        return ["0" * FRAMES] * BANDS
    db = 10 * np.log10(np.maximum(bands / loudest, 1e-30))
    # Rounded first: the last bits of a transform differ between machines, and must not decide a digit.
    shades = np.clip(np.round((db.round(6) + RANGE_DB) / RANGE_DB * (len(_DIGITS) - 1)), 0, len(_DIGITS) - 1)
    return ["".join(_DIGITS[int(shade)] for shade in row) for row in shades]


def waveform(samples: NDArray[np.float64], sample_rate: int) -> dict[str, Any]:
    """Return the lowest and highest value of each of `COLUMNS` moments: of the middle, or about a short event."""
    count = min(samples.size, round(WAVEFORM_SECONDS * sample_rate))
    start = (samples.size - count) // 2
    peak = float(np.abs(samples).max())
    if peak > 0 and np.abs(samples[start : start + count]).max() < 0.1 * peak:
        start = int(np.clip(np.abs(samples).argmax() - count // 2, 0, samples.size - count))
    # Between samples a high tone swings further than at them.
    before = min(start, 32)
    fine = signal.resample_poly(samples[start - before : start + count + 32], FINER, 1)
    shown = fine[before * FINER : (before + count) * FINER] / (peak or 1.0)
    # Neighbours share a value, so that their outlines touch.
    edges = np.linspace(0, shown.size - 1, COLUMNS + 1).round().astype(int)
    columns = [shown[left : right + 1] for left, right in pairwise(edges)]
    low, high = (" ".join(str(round(LARGEST * float(edge(each)))) for each in columns) for edge in (np.min, np.max))
    return {"from_seconds": start / sample_rate, "seconds": count / sample_rate, "low": low, "high": high}


def opening(samples: NDArray[np.floating], sample_rate: int) -> NDArray[np.float64] | None:
    """Return the first `OPENING_SECONDS` of a longer sound, faded out at the end; None where the whole is no longer."""
    count = round(OPENING_SECONDS * sample_rate)
    if samples.size <= count:
        return None
    fade = round(FADE_SECONDS * sample_rate)
    opened = np.array(samples[:count], dtype=np.float64)
    opened[count - fade :] *= 0.5 * (1 + np.cos(np.pi * (np.arange(fade) + 1) / fade))
    return opened


def mixture() -> dict[str, Any]:
    """Return three periods of a wave, and those of the partials that it is the sum of; values within -1 and 1."""
    seconds = 3 / MIXTURE_HZ
    time = np.linspace(0.0, seconds, MIXTURE_POINTS)
    curves = [
        amplitude * np.sin(2 * np.pi * MIXTURE_HZ * order * time)
        for order, amplitude in enumerate(MIXTURE_AMPLITUDES, start=1)
    ]
    whole = np.sum(curves, axis=0)
    peak = float(np.abs(whole).max())
    return {
        "seconds": seconds,
        "points": (whole / peak).round(3).tolist(),
        "partials": [
            {"hz": MIXTURE_HZ * order, "amplitude": amplitude, "points": (curve / peak).round(3).tolist()}
            for order, (amplitude, curve) in enumerate(zip(MIXTURE_AMPLITUDES, curves, strict=True), start=1)
        ],
    }
