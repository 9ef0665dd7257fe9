"""References whose filters tile the frequency axis, or do not: how evenly they stand is known in advance.

===================  ====================================================================================
`tiled_filters`      evenly on the ERB-number scale, and orthonormal: a tight frame
`clumped_filters`    in a few tight clumps, with nothing between
`spaced_filters`     at gaps whose coefficient of variation is as stated
===================  ====================================================================================

Each offers ``first_conv``, its filters at every sample, and ``stack_end``, the power in bands at the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .layered_references import TwoLayers, _first_layer
from .references import (
    Floats,
    ReferenceEncoder,
    _check_clock,
    _check_positive,
    _frames,
    _name,
    _power_of_bands,
    erb_hz,
    erb_number_to_hz,
    hz_to_erb_number,
)

LOW_HZ = 300.0
TAPS = 1024
"""At 24 kHz and in proportion: long enough for bands an ERB apart at `LOW_HZ` to have little in common."""


def tiled_filters(*, sample_rate: int = 24_000, bands: int = 30) -> TwoLayers:
    """Return filters evenly spaced on the ERB-number scale and orthonormal: each to itself, none twice.

    Cosines under a Hann window, brought to the nearest orthonormal set (Lowdin, J. Chem. Phys. 18 (1950)), which leaves
    each where it was.
    """
    _check_clock(sample_rate, 1)
    _check_positive(bands=bands)
    centres = _even(sample_rate, bands)
    taps = round(TAPS * sample_rate / 24_000)
    time = (np.arange(taps) - (taps - 1) / 2) / sample_rate
    window = 0.5 + 0.5 * np.cos(2 * np.pi * time * sample_rate / (taps + 1))
    left, _, right = np.linalg.svd(window * np.cos(2 * np.pi * centres[:, None] * time), full_matrices=False)
    return _layers("tiled-filters", left @ right, centres, sample_rate=sample_rate)


def clumped_filters(*, sample_rate: int = 24_000, bands: int = 30, clumps: int = 3, seed: int = 0) -> TwoLayers:
    """Return filters as wide as the ear's whose centres stand in a few clumps, a tenth of an ERB wide."""
    _check_clock(sample_rate, 1)
    _check_positive(bands=bands, clumps=clumps)
    low, high = hz_to_erb_number(LOW_HZ), hz_to_erb_number(sample_rate / 3)
    middle = low + (high - low) * (np.arange(clumps) + 0.5) / clumps
    places = np.sort(middle[np.arange(bands) % clumps] + np.random.default_rng(seed).uniform(-0.05, 0.05, bands))
    centres = erb_number_to_hz(places)
    return _layers(
        _name("clumped-filters", clumps=(clumps, 3), seed=(seed, 0)),
        _gammatones(centres, sample_rate),
        centres,
        sample_rate=sample_rate,
    )


def spaced_filters(*, sample_rate: int = 24_000, bands: int = 30, variation: float = 1.0, seed: int = 0) -> TwoLayers:
    """Return filters as wide as the ear's; the gaps between their centres, in ERB, have this coefficient of variation.

    Gaps are drawn from a gamma distribution and then brought to exactly this standard deviation over mean (by a power,
    so that none turns negative); 0 is a lattice, 1 about what centres at random have.
    """
    _check_clock(sample_rate, 1)
    _check_positive(bands=bands)
    if not 0 <= variation <= 2:
        raise ValueError(f"variation={variation} must lie in 0..2")
    gaps = np.random.default_rng(seed).exponential(size=bands - 1)
    low, high = 0.0, 8.0
    for _ in range(60):
        power = (low + high) / 2
        raised = gaps**power
        low, high = (power, high) if raised.std() < variation * raised.mean() else (low, power)
    raised = gaps**low
    bottom, top = hz_to_erb_number(LOW_HZ), hz_to_erb_number(sample_rate / 3)
    centres = erb_number_to_hz(bottom + (top - bottom) * np.concatenate([[0.0], np.cumsum(raised)]) / raised.sum())
    return _layers(
        _name("spaced-filters", variation=(variation, 1.0), seed=(seed, 0)),
        _gammatones(centres, sample_rate),
        centres,
        sample_rate=sample_rate,
    )


def _even(sample_rate: int, bands: int) -> Floats:
    places = np.linspace(hz_to_erb_number(LOW_HZ), hz_to_erb_number(sample_rate / 3), bands)
    return np.asarray(erb_number_to_hz(places))


def _gammatones(centres: Floats, sample_rate: int) -> Floats:
    """Return gammatones of order four, one ERB wide, 'channels taps'; see `layered_references.erb_filters`."""
    time = np.arange(round(0.1 * sample_rate)) / sample_rate
    decay = 2 * np.pi * 1.019 * erb_hz(centres)[:, None]
    return np.asarray(time**3 * np.exp(-decay * time) * np.cos(2 * np.pi * centres[:, None] * time))


def _layers(name: str, kernels: Floats, centres: Floats, *, sample_rate: int) -> TwoLayers:
    first = _first_layer(name, kernels, centres, sample_rate=sample_rate)
    hop = round(sample_rate / 75)
    taps = round(0.1 * sample_rate)
    power = _power_of_bands(sample_rate=sample_rate, taps=taps, centres=centres, bandwidth=1.0)

    def transform(samples: Floats) -> Floats:
        return power(_frames(samples, taps=taps, hop=hop)).swapaxes(1, 2)

    last = ReferenceEncoder(
        name=name,
        sample_rate=sample_rate,
        hop=hop,
        margin=taps / 2 / sample_rate,
        transform=transform,
        site="stack_end",
        centres_hz=tuple(float(hz) for hz in centres),
    )
    return TwoLayers(name=name, first=first, last=last)


BASIS_REFERENCES: Mapping[str, Callable[..., TwoLayers]] = {
    "tiled-filters": tiled_filters,
    "clumped-filters": clumped_filters,
    "spaced-filters": spaced_filters,
}
"""The references for claims about filters as a basis, by name."""
