"""An encoder halfway: neither keeps parts apart nor fuses them, so that no probe's numbers stand at an end of a scale.

The controls of a claim answer at the ends of its scale: an effect of 1, a p of 1 / draws. There a probe may do much
wrong before a number moves. This encoder is a chain of three strided convolutions with weights drawn by a seed, an
exponential unit behind each, a linear map, and a quantiser in steps whose entries are drawn as well. It has every site
and every attribute that a claim can ask for, another sample rate and another hop than the controls, and computes in
float64 with numpy alone. What it says is true of nothing: its numbers only stand still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAMPLE_RATE = 16_000
STRIDES = (4, 5, 8)
TAPS = (24, 12, 16)
LONG_TAPS = 320
MIXING = 2.0
"""Of the powers of clear filters, re the random weights."""

ENTRIES, CODEBOOKS = 32, 4


class Halfway:
    """See the module.

    Args:
        seed: draws the weights.
        channels: of each convolution.
        latent: channels of the latent.
        gain: of the waveform; at 12 sounds of RMS .05 reach where the units bend.
        clear: long filters whose powers are averaged and a little mixed, instead: partials can be read off them, which
            some claims want to see before they go on.
        white: first filters of noise, which miss no part of the spectrum.
        last: stride, of three.
        full_rate: no strides.
        linear: no units, and no quantiser.
    """

    name = "halfway"
    sample_rate = SAMPLE_RATE
    reference = True
    margin_seconds: ClassVar[dict[str, Any]] = {
        "first_conv": (0.0015, 0.0),
        "stack_end": (0.03, 0.0),
        "latent": (0.05, 0.0),
        "quantised": (0.05, 0.0),
    }

    def __init__(
        self,
        seed: int = 0,
        *,
        channels: tuple[int, int, int] = (12, 16, 24),
        latent: int = 16,
        gain: float = 12.0,
        clear: bool = False,
        white: bool = False,
        last: int = STRIDES[-1],
        full_rate: bool = False,
        linear: bool = False,
    ) -> None:
        self.settings: dict[str, Any] = {"seed": seed, "channels": channels, "latent": latent, "gain": gain}
        self.settings |= {"clear": clear, "white": white, "last": last}
        self.strides = (*STRIDES[:-1], last)
        self.gain, self.clear, self.full_rate, self.linear = gain, clear, full_rate, linear
        rng = np.random.default_rng(seed)
        shapes = zip(channels, (1, *channels), TAPS, strict=False)
        self.kernels = [rng.standard_normal((o, i, t)) / np.sqrt(i * t) for o, i, t in shapes]
        # A first layer of decaying tones, spread over the ear's range: its filters are narrow enough to tell pitches.
        hz = np.geomspace(150.0, 6000.0, channels[0])[:, None]
        taps = LONG_TAPS if clear else TAPS[0]
        tones = np.cos(2 * np.pi * hz * np.arange(taps) / SAMPLE_RATE + rng.uniform(0, 2 * np.pi, (channels[0], 1)))
        if not white:
            self.kernels[0] = (tones * np.hanning(taps + 2)[1:-1] * 0.3 * TAPS[0] / taps)[:, None]
        if clear:
            for place in (1, 2):
                mixing = np.eye(*self.kernels[place].shape[:2]) + MIXING * self.kernels[place].mean(axis=2)
                self.kernels[place] = np.repeat(mixing[:, :, None], TAPS[place], axis=2) / TAPS[place]
        self.after = rng.standard_normal((latent, channels[-1], 3)) / np.sqrt(channels[-1] * 3)
        self.codebooks = rng.standard_normal((CODEBOOKS, ENTRIES, latent)) * 0.5 ** np.arange(CODEBOOKS)[:, None, None]
        hop = int(np.prod(self.strides))
        hops = {"first_conv": STRIDES[0], "stack_end": hop, "latent": hop, "quantised": hop}
        self.frame_rates = {site: SAMPLE_RATE / (1 if full_rate else hop) for site, hop in hops.items()}

    @property
    def first_conv_filters(self) -> Floats:
        """Filters of the first convolution, 'channels taps', as correlations."""
        return self.kernels[0][:, 0, :]

    def ablated(self, *, full_rate: bool, linear: bool) -> Halfway:
        """The same weights without strides, or without units, or both."""
        return Halfway(**self.settings, full_rate=full_rate, linear=linear)

    def by_layer(self) -> Layers:
        """What each layer that strides gives."""
        return Layers(self)

    def layers(self, waveforms: Any) -> list[Floats]:
        """Outputs of the convolutions, 'batch channels frames', before their units."""
        values = self.gain * np.asarray(waveforms, dtype=np.float64)[:, None]
        found, spread = [], 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            values = _convolved(values, kernel, 1 if self.full_rate else stride, spread if self.full_rate else 1)
            found.append(values)
            first = len(found) == 1
            values = values if self.linear else np.square(values) if self.clear and first else _unit(values)
            spread *= stride
        return [*found, _convolved(values, self.after, 1, spread if self.full_rate else 1)]

    def listen(self, waveforms: Any) -> Mapping[str, Any]:
        """Return every site and the codes."""
        layers = self.layers(waveforms)
        sites = {"first_conv": layers[0], "stack_end": layers[2], "latent": layers[3]}
        if self.full_rate or self.linear:
            return sites
        codes = self._quantised(layers[3])
        return sites | {"quantised": self.dequantise(codes), "codes": codes}

    def _quantised(self, latent: Floats) -> NDArray[np.int64]:
        left, codes = latent.transpose(0, 2, 1).copy(), []
        for book in self.codebooks:
            far = np.square(book).sum(axis=1) - 2.0 * left @ book.T
            codes.append(far.argmin(axis=2))
            left -= book[codes[-1]]
        return np.stack(codes, axis=1)

    def dequantise(self, codes: Any) -> Floats:
        """Codes 'batch codebooks frames', any prefix of the codebooks -> 'batch channels frames'."""
        values = np.asarray(codes)
        return sum(book[values[:, i]] for i, book in enumerate(self.codebooks[: values.shape[1]])).transpose(0, 2, 1)


class Layers:
    """The strided layers of an encoder as sites."""

    name, sample_rate, strides = "halfway, by layer", SAMPLE_RATE, STRIDES
    frame_rates: ClassVar[dict[str, float]] = {
        f"layer {n}": SAMPLE_RATE / hop for n, hop in enumerate((4, 20, 160), start=1)
    }
    margin_seconds: ClassVar[dict[str, Any]] = {
        "layer 1": (0.0015, 0.0),
        "layer 2": (0.008, 0.0),
        "layer 3": (0.03, 0.0),
    }

    def __init__(self, inner: Halfway) -> None:
        self.inner = inner

    def listen(self, waveforms: Any) -> Mapping[str, Any]:
        """Return the output of each layer."""
        return {f"layer {n}": each for n, each in enumerate(self.inner.layers(waveforms)[:3], start=1)}


def _unit(values: Floats) -> Floats:
    return np.where(values > 0, values, np.expm1(np.minimum(values, 0.0)))


def _convolved(values: Floats, kernel: Floats, stride: int, spread: int) -> Floats:
    """Correlate 'batch in samples' with 'out in taps', causal, zeros before; a frame at each ``stride`` samples."""
    reach = (kernel.shape[2] - 1) * spread
    padded = np.pad(values, ((0, 0), (0, 0), (reach, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach + 1, axis=2)[:, :, ::stride, ::spread]
    return np.tensordot(windows, kernel, axes=([1, 3], [1, 2])).transpose(0, 2, 1)
