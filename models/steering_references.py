"""References for steering: codes in which brightness has a direction of its own, and partials have none, or a share.

====================  =================================================================================
`two_numbers`         level and spectral centroid: brightness is one of two axes, partials share both
`partly_two_numbers`  the two numbers beside a filterbank or a Fourier transform, in a stated proportion
====================  =================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from .references import (
    Floats,
    ReferenceEncoder,
    _check_clock,
    _check_positive,
    _frames,
    _name,
    hann,
    linear_stft,
    power_filterbank,
)

BESIDE: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "power-filterbank": power_filterbank,
    "linear-stft": linear_stft,
}


def two_numbers(
    *,
    sample_rate: int = 24_000,
    hop: int = 320,
    window_seconds: float = 0.1,
    rms_unit: float = 0.1,
    centroid_unit_hz: float = 1000.0,
) -> ReferenceEncoder:
    """Return two channels: RMS, and the spectral centroid of the power spectrum (0 for silence).

    Args:
        sample_rate: Hz.
        hop: samples from frame to frame.
        window_seconds: length of the Hann window.
        rms_unit: RMS re full scale that reads 1.
        centroid_unit_hz: centroid in Hz that reads 1.
    """
    _check_clock(sample_rate, hop)
    _check_positive(window_seconds=window_seconds, rms_unit=rms_unit, centroid_unit_hz=centroid_unit_hz)
    taps = round(window_seconds * sample_rate)
    window = hann(taps)
    bins = np.arange(taps // 2 + 1) * sample_rate / taps
    # Parseval: the one-sided power spectrum of a steady sound sums to its mean square.
    one_sided = np.full(len(bins), 2.0)
    one_sided[0] = 1.0
    if taps % 2 == 0:
        one_sided[-1] = 1.0
    one_sided /= taps * np.square(window).sum()

    def transform(samples: Floats) -> Floats:
        spectrum = np.fft.rfft(_frames(samples, taps=taps, hop=hop) * window)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)) * one_sided
        total = power.sum(axis=-1)
        centroid = np.divide(power @ bins, total, out=np.zeros_like(total), where=total > 0.0)
        return np.stack([np.sqrt(total) / rms_unit, centroid / centroid_unit_hz], axis=1)

    return ReferenceEncoder(
        name=_name("two-numbers", rms_unit=(rms_unit, 0.1), centroid_unit_hz=(centroid_unit_hz, 1000.0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=taps / 2 / sample_rate,
        transform=transform,
    )


def partly_two_numbers(
    *, weight: float = 1.0, beside: str = "power-filterbank", sample_rate: int = 24_000, hop: int = 320
) -> ReferenceEncoder:
    """Return `two_numbers` and another reference side by side.

    The two numbers are multiplied by sqrt(weight). The other is scaled so that its code of a 1 kHz partial at an RMS of
    0.1 has unit length in the middle of a clip.
    """
    if beside not in BESIDE:
        raise ValueError(f"beside={beside!r} must be one of {', '.join(BESIDE)}")
    _check_positive(weight=weight)
    numbers = two_numbers(sample_rate=sample_rate, hop=hop)
    other = BESIDE[beside](sample_rate=sample_rate, hop=hop)
    time = np.arange(round(0.5 * sample_rate)) / sample_rate
    partial = other.transform(0.1 * math.sqrt(2.0) * np.cos(2 * np.pi * 1000.0 * time)[None])[0]
    unit = float(np.linalg.norm(partial[:, partial.shape[1] // 2]))

    def transform(samples: Floats) -> Floats:
        return np.concatenate([math.sqrt(weight) * numbers.transform(samples), other.transform(samples) / unit], axis=1)

    name = _name("partly-two-numbers", weight=(weight, 1.0))
    return replace(
        numbers,
        name=name if beside == "power-filterbank" else f"{name} beside {beside}",
        margin=max(numbers.margin, other.margin),
        transform=transform,
    )


STEERING_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "two-numbers": two_numbers,
    "partly-two-numbers": partly_two_numbers,
}
"""The references for steering by name."""
