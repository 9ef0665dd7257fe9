"""References with layers: what their filters do is known at the first layer, at the end, and in between.

===================  ====================================================================================
`erb_filters`        a first layer of filters as wide as the ear's, or wider in a stated proportion
`short_filters`      a first layer of a few taps: wide, however they are chosen
`narrowing`          short filters first, ear-wide bands at the end
`wide_throughout`    every sample first, every hop-th at the end
===================  ====================================================================================

They are made of those in `references`, and offer ``first_conv``, ``stack_end`` or both. A filter hears what came before
its frame, so that only the beginning of a clip has a margin to speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from .references import (
    Floats,
    ReferenceEncoder,
    _check_clock,
    _check_positive,
    _name,
    bare_decimator,
    erb_hz,
    erb_number_to_hz,
    hz_to_erb_number,
    power_filterbank,
)


def erb_filters(
    *, sample_rate: int = 24_000, bandwidth: float = 1.0, bands: int = 32, low_hz: float = 200.0
) -> ReferenceEncoder:
    """Return a first layer of filters as wide as the ear's: gammatones of order four, at every sample.

    Patterson et al., An efficient auditory filterbank based on the gammatone function, 1987: with a decay of 1.019 ERB
    the equivalent noise bandwidth is one ERB. `bandwidth` multiplies it. They stand evenly on the ERB-number scale, up
    to 2/3 of the Nyquist frequency, and last 0.1 s.
    """
    _check_clock(sample_rate, 1)
    _check_positive(bandwidth=bandwidth, bands=bands, low_hz=low_hz)
    top_hz = sample_rate / 3
    centres = erb_number_to_hz(np.linspace(hz_to_erb_number(low_hz), hz_to_erb_number(top_hz), bands))
    time = np.arange(round(0.1 * sample_rate)) / sample_rate
    decay = 2 * np.pi * 1.019 * bandwidth * erb_hz(centres)[:, None]
    kernels = time**3 * np.exp(-decay * time) * np.cos(2 * np.pi * centres[:, None] * time)
    return _first_layer(_name("erb-filters", bandwidth=(bandwidth, 1.0)), kernels, centres, sample_rate=sample_rate)


def short_filters(*, sample_rate: int = 24_000, taps: int = 7, bands: int = 32) -> ReferenceEncoder:
    """Return a first layer of a few taps: cosines under a Hann window, evenly on the ERB-number scale.

    However they are chosen, filters of so few taps are at least sample_rate / (2 taps) wide.
    """
    _check_clock(sample_rate, 1)
    _check_positive(taps=taps, bands=bands)
    centres = erb_number_to_hz(np.linspace(hz_to_erb_number(100.0), hz_to_erb_number(sample_rate / 3), bands))
    time = (np.arange(taps) - (taps - 1) / 2) / sample_rate
    window = 0.5 + 0.5 * np.cos(2 * np.pi * time * sample_rate / (taps + 1))
    kernels = window * np.cos(2 * np.pi * centres[:, None] * time)
    return _first_layer(_name("short-filters", taps=(taps, 7)), kernels, centres, sample_rate=sample_rate)


def _first_layer(name: str, kernels: Floats, centres: Floats, *, sample_rate: int) -> ReferenceEncoder:
    """Return an encoder of one linear layer: causal filters 'channels taps', first tap first, unit peak gain."""
    taps = kernels.shape[1]
    unit = kernels / np.abs(np.fft.rfft(kernels, 4 * max(taps, 1024))).max(axis=1, keepdims=True)

    def transform(samples: Floats) -> Floats:
        return scipy.signal.oaconvolve(samples[:, None], unit[None], axes=2)[..., : samples.shape[1]]

    return ReferenceEncoder(
        name=name,
        sample_rate=sample_rate,
        hop=1,
        margin=taps / sample_rate,
        transform=transform,
        site="first_conv",
        centres_hz=tuple(float(hz) for hz in centres),
    )


@dataclass(frozen=True, kw_only=True)
class TwoLayers:
    """Two reference encoders that hear the same sound, behind one contract: one is its first layer, one its last."""

    name: str
    first: ReferenceEncoder
    last: ReferenceEncoder
    reference: bool = True
    parameters: int = 0

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.first.sample_rate

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at both sites, Hz."""
        return self.first.frame_rates | self.last.frame_rates

    @property
    def margin_seconds(self) -> dict[str, float]:
        """Seconds to ignore at either edge of a clip."""
        return self.first.margin_seconds | self.last.margin_seconds

    @property
    def strides(self) -> tuple[int, ...]:
        """The downsampling chain of the last layer."""
        return self.last.strides

    def listen(self, waveforms: Any) -> Mapping[str, NDArray[np.float32]]:
        """Return both sites, float32 'batch channels frames', for real waveforms 'batch samples'."""
        return {**self.first.listen(waveforms), **self.last.listen(waveforms)}


def narrowing(*, bandwidth: float = 1.0) -> TwoLayers:
    """Return filters of seven taps first, and ear-wide bands at the end: selectivity that grows with depth."""
    last = replace(power_filterbank(bandwidth=bandwidth), site="stack_end")
    return TwoLayers(name=_name("narrowing", bandwidth=(bandwidth, 1.0)), first=short_filters(), last=last)


def wide_throughout() -> TwoLayers:
    """Return every sample first, and every 320th at the end: no frequency is preferred anywhere."""
    first = replace(bare_decimator(hop=1), site="first_conv")
    return TwoLayers(name="wide-throughout", first=first, last=replace(bare_decimator(), site="stack_end"))


LAYERED_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder | TwoLayers]] = {
    "erb-filters": erb_filters,
    "short-filters": short_filters,
    "narrowing": narrowing,
    "wide-throughout": wide_throughout,
}
"""The references with layers by name."""
