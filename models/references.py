"""Reference encoders: what they do to a sound is known in advance, so they put the probes on trial.

=========================  ===================================================================================
`power_filterbank`         power in ear-wide bands: additive, stable and selective, blind to phase
`linear_stft`              real and imaginary part of a short Fourier transform: linear and lossless
`bare_decimator`           every hop-th sample: linear, and all frequencies of one alias class are one
`polyphase`                the samples of each hop as channels: the waveform itself; or the first few of them
`holistic_features`        a random saturating function of the whole spectrum: no part can be read off
`partly_holistic`          the filterbank and the saturating features side by side, in a stated proportion
`ideal_lowpass_decimator`  low-pass before decimation: what would alias is gone instead
=========================  ===================================================================================

Each is a function of the waveform alone, in float64, cast to float32 at the end. Each offers the one site ``latent``,
'batch channels frames', with ceil(samples / hop) frames: a last partial hop counts as a frame and is filled with zeros.
A window stands centred on the middle of its hop; beyond the clip it sees zeros, for `margin_seconds` at either edge.
The defaults are those of 24 kHz codecs: 320 samples a hop, 75 frames a second.

Sources: Glasberg & Moore, Derivation of auditory filter shapes from notched-noise data, Hearing Research 47 (1990),
equations 3 and 4, for bandwidths and their scale; Patterson et al., J. Acoust. Soc. Am. 72 (1982), equation 3, for the
rounded exponential; Rahimi & Recht, Random features for large-scale kernel machines, NIPS 2007, for the random cosines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLIPS_AT_ONCE = 4
"""Clips per pass: the frames of 4 short clips fit a processor's cache. With 8 or 16 a bank took twice as long."""

FLOOR_DB = -80.0
"""Where `holistic_features` stops listening, relative to the strongest band of the frame."""

FEATURE_SCALE = 12.0
"""Sharpness of `holistic_features`: the kernel of two unit spectra falls to 1/e at a distance of sqrt(2) / 12."""

GRADED_AMPLITUDE = 0.05
"""Amplitude of the partial that `partly_holistic` weighs its features against."""


@dataclass(frozen=True, kw_only=True)
class ReferenceEncoder:
    """An encoder of one site made of one function: float64 'batch samples' -> 'batch channels frames'."""

    name: str
    sample_rate: int
    hop: int
    margin: float
    """Seconds at either edge in which a window reaches beyond the clip."""
    transform: Callable[[Floats], Floats] = field(repr=False)
    site: str = "latent"
    centres_hz: tuple[float, ...] | None = field(default=None, repr=False)
    """Centre frequency of each channel in Hz, where a channel has one."""
    reference: bool = True
    parameters: int = 0
    strided_kernels: tuple[Floats, ...] | None = field(default=None, repr=False)
    """What is heard before the stride, 'out in taps', where that is all there is to it."""

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at the site, Hz."""
        return {self.site: self.sample_rate / self.hop}

    @property
    def margin_seconds(self) -> dict[str, float]:
        """Seconds to ignore at either edge of a clip."""
        return {self.site: self.margin}

    @property
    def strides(self) -> tuple[int, ...]:
        """The downsampling chain, one stride long."""
        return (self.hop,)

    def listen(self, waveforms: Any) -> Mapping[str, NDArray[np.float32]]:
        """Return the site, float32 'batch channels frames', for real waveforms 'batch samples'.

        Raises:
            ValueError: if the waveforms are not a non-empty 'batch samples'.
        """
        samples = _as_samples(waveforms)
        parts = [
            self.transform(samples[start : start + CLIPS_AT_ONCE]).astype(np.float32)
            for start in range(0, len(samples), CLIPS_AT_ONCE)
        ]
        return {self.site: np.concatenate(parts)}


def power_filterbank(
    *,
    sample_rate: int = 24_000,
    hop: int = 320,
    bandwidth: float = 1.0,
    bands: int = 128,
    low_hz: float = 50.0,
    high_hz: float | None = None,
    window_seconds: float = 0.1,
) -> ReferenceEncoder:
    """Return the power in `bands` auditory bands, spaced evenly on the ERB-number scale.

    A channel is the power spectrum of a Hann-windowed frame, weighted by a rounded exponential of unit peak: a steady
    tone of amplitude A at the centre of a band reads about A^2 / 2 there, and powers of tones with random phases add.

    Args:
        sample_rate: Hz.
        hop: samples from frame to frame.
        bandwidth: width of each band in equivalent rectangular bandwidths of the ear; larger is duller.
        bands: number of channels.
        low_hz: centre of the lowest band, Hz.
        high_hz: centre of the highest band, Hz; 11 kHz, or 11/12 of the Nyquist frequency where that is lower.
        window_seconds: length of the Hann window.
    """
    top_hz = min(11_000.0, sample_rate / 2 * 11 / 12) if high_hz is None else high_hz
    _check_clock(sample_rate, hop)
    _check_positive(bandwidth=bandwidth, bands=bands, low_hz=low_hz, window_seconds=window_seconds)
    if not low_hz < top_hz <= sample_rate / 2:
        raise ValueError(
            f"high_hz={top_hz} must lie above low_hz={low_hz} and not above Nyquist "
            f"({sample_rate / 2} Hz at sample_rate={sample_rate})"
        )
    centres = erb_number_to_hz(np.linspace(hz_to_erb_number(low_hz), hz_to_erb_number(top_hz), bands))
    taps = round(window_seconds * sample_rate)
    power = _power_of_bands(sample_rate=sample_rate, taps=taps, centres=centres, bandwidth=bandwidth)

    def transform(samples: Floats) -> Floats:
        return power(_frames(samples, taps=taps, hop=hop)).swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name("power-filterbank", bandwidth=(bandwidth, 1.0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=taps / 2 / sample_rate,
        transform=transform,
        centres_hz=tuple(float(hz) for hz in centres),
    )


def linear_stft(*, sample_rate: int = 24_000, hop: int = 320, taps: int | None = None) -> ReferenceEncoder:
    """Return the real and imaginary parts of a short-time Fourier transform with a Hann window.

    Channels: real parts of the bins from 0 Hz to Nyquist, then imaginary parts of the bins between (those of 0 Hz and
    Nyquist are zero for every real sound). A tone of amplitude A at a bin has magnitude A. The window is two hops long
    unless `taps` says otherwise (an even number of samples, at least two hops, so that nothing is lost).
    """
    _check_clock(sample_rate, hop)
    width = 2 * hop if taps is None else taps
    if width < 2 * hop or width % 2:
        raise ValueError(f"taps={taps} must be even and at least two hops ({2 * hop} samples at hop={hop})")
    window = hann(width)
    scale = 2.0 / window.sum()

    def transform(samples: Floats) -> Floats:
        spectrum = np.fft.rfft(_frames(samples, taps=width, hop=hop) * window) * scale
        return np.concatenate([spectrum.real, spectrum.imag[..., 1:-1]], axis=-1).swapaxes(1, 2)

    bins = np.arange(width // 2 + 1) * sample_rate / width
    return ReferenceEncoder(
        name="linear-stft",
        sample_rate=sample_rate,
        hop=hop,
        margin=width / 2 / sample_rate,
        transform=transform,
        centres_hz=tuple(float(hz) for hz in (*bins, *bins[1:-1])),
    )


def bare_decimator(*, sample_rate: int = 24_000, hop: int = 320) -> ReferenceEncoder:
    """Return every hop-th sample, one channel: frequencies that differ by a multiple of the frame rate are the same."""
    _check_clock(sample_rate, hop)
    return ReferenceEncoder(
        name="bare-decimator",
        sample_rate=sample_rate,
        hop=hop,
        margin=0.0,
        transform=lambda samples: samples[:, None, ::hop],
    )


def polyphase(*, sample_rate: int = 24_000, hop: int = 320, keep: int | None = None) -> ReferenceEncoder:
    """Return the samples of each hop as channels: channel c of frame m is sample m * hop + c. Nothing is lost.

    With ``keep`` only the first samples of each hop are channels. Two tones that alias by k frame rates then have the
    coherence |sin(pi keep k / hop) / (keep sin(pi k / hop))|, the Dirichlet kernel: 1 for one channel, 0 for all.
    """
    _check_clock(sample_rate, hop)
    kept = hop if keep is None else keep
    if not 1 <= kept <= hop:
        raise ValueError(f"keep={keep} must be from 1 to hop={hop} samples of each hop")

    def transform(samples: Floats) -> Floats:
        batch, length = samples.shape
        frames = math.ceil(length / hop)
        padded = np.pad(samples, ((0, 0), (0, frames * hop - length)))
        return padded.reshape(batch, frames, hop)[:, :, :kept].swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name("polyphase", keep=(kept, hop)), sample_rate=sample_rate, hop=hop, margin=0.0, transform=transform
    )


def holistic_features(
    *,
    sample_rate: int = 24_000,
    hop: int = 320,
    features: int = 256,
    scale: float = FEATURE_SCALE,
    seed: int = 0,
) -> ReferenceEncoder:
    """Return cos(scale * W s + b): random saturating features of the whole spectrum s.

    s is the logarithm of the band powers of `power_filterbank`, floored `FLOOR_DB` below the frame's strongest band,
    centred over the bands and brought to unit length; so level does not count. Digital silence has s = 0. W is Gaussian
    and b uniform on the circle, both from `seed`. Spectra that differ by more than a fraction of 1 / scale give
    unrelated features: what a partial does to them depends on everything else that sounds.
    """
    _check_positive(features=features, scale=scale)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    generator = np.random.default_rng(seed)
    weights = scale * generator.standard_normal((128, features))
    offsets = generator.uniform(0.0, 2.0 * np.pi, features)

    def transform(samples: Floats) -> Floats:
        shape = _spectral_shape(bank.transform(samples).swapaxes(1, 2))
        return np.cos(shape @ weights + offsets).swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name("holistic-features", features=(features, 256), scale=(scale, FEATURE_SCALE), seed=(seed, 0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=bank.margin,
        transform=transform,
    )


def partly_holistic(
    *, weight: float = 1.0, sample_rate: int = 24_000, hop: int = 320, seed: int = 0
) -> ReferenceEncoder:
    """Return `power_filterbank` and `holistic_features` side by side: a code whose share of texture is known.

    The filterbank is scaled so that a 1 kHz partial of amplitude `GRADED_AMPLITUDE` adds a vector of unit length; the
    features so that two unrelated spectra lie sqrt(2 weight) apart. Any change of the code then has an additive part
    that follows from the powers of the partials, and a part of expected energy 2 weight that is unrelated to any other.
    """
    _check_positive(weight=weight)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    texture = holistic_features(sample_rate=sample_rate, hop=hop, seed=seed)
    time = np.arange(round(0.5 * sample_rate)) / sample_rate
    partial = bank.transform(GRADED_AMPLITUDE * np.cos(2 * np.pi * 1000.0 * time)[None])[0]
    unit = float(np.linalg.norm(partial[:, partial.shape[1] // 2]))

    def transform(samples: Floats) -> Floats:
        features = texture.transform(samples)
        # A random cosine has variance 1/2.
        scaled = features * math.sqrt(2 * weight / features.shape[1])
        return np.concatenate([bank.transform(samples) / unit, scaled], axis=1)

    return ReferenceEncoder(
        name=_name("partly-holistic", weight=(weight, 1.0), seed=(seed, 0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=bank.margin,
        transform=transform,
    )


def ideal_lowpass_decimator(*, sample_rate: int = 24_000, hop: int = 320) -> ReferenceEncoder:
    """Return every hop-th sample of what is left below half the frame rate, one channel.

    The low-pass is a sinc under a Kaiser window, 24 hops long: above half the frame rate (37.5 Hz) it is 80 dB down,
    below three tenths of the frame rate (22 Hz) it is flat. It stands centred on the sample that is kept.
    """
    _check_clock(sample_rate, hop)
    half = 12 * hop
    # Kaiser's design rule: 80 dB need a transition of 72 / (2.285 taps) radians, here 0.21 of the frame rate. The
    # cutoff sits half a transition below half the frame rate.
    cutoff = 0.5 - 0.5 * 72.0 / (2.285 * 2 * half) * hop / (2 * np.pi)
    time = np.arange(-half, half + 1) / hop
    kernel = np.sinc(2 * cutoff * time) * np.kaiser(2 * half + 1, 7.857)
    kernel /= kernel.sum()

    def transform(samples: Floats) -> Floats:
        padded = np.pad(samples, ((0, 0), (half, half)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=1)[:, ::hop]
        return (windows @ kernel)[:, None, :]

    return ReferenceEncoder(
        name="ideal-lowpass-decimator",
        sample_rate=sample_rate,
        hop=hop,
        margin=half / sample_rate,
        transform=transform,
    )


REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "power-filterbank": power_filterbank,
    "linear-stft": linear_stft,
    "bare-decimator": bare_decimator,
    "polyphase": polyphase,
    "holistic-features": holistic_features,
    "partly-holistic": partly_holistic,
    "ideal-lowpass-decimator": ideal_lowpass_decimator,
}
"""The reference encoders by name."""


def erb_hz(hz: Any) -> Any:
    """Return the equivalent rectangular bandwidth of the ear at `hz`, in Hz (Glasberg & Moore 1990, equation 3)."""
    return 24.7 * (4.37e-3 * np.asarray(hz, dtype=np.float64) + 1.0)


def hz_to_erb_number(hz: Any) -> Any:
    """Return the number of equivalent rectangular bandwidths below `hz` (Glasberg & Moore 1990, equation 4)."""
    return 21.4 * np.log10(4.37e-3 * np.asarray(hz, dtype=np.float64) + 1.0)


def erb_number_to_hz(number: Any) -> Any:
    """Return the frequency in Hz below which `number` equivalent rectangular bandwidths lie."""
    return (10.0 ** (np.asarray(number, dtype=np.float64) / 21.4) - 1.0) / 4.37e-3


def hann(taps: int) -> Floats:
    """Return a periodic Hann window of `taps` samples."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(taps) / taps)


def _power_of_bands(*, sample_rate: int, taps: int, centres: Floats, bandwidth: float) -> Callable[[Floats], Floats]:
    """Return a function: frames '... taps' -> band powers '... bands'."""
    window = hann(taps)
    weights = _band_weights(sample_rate=sample_rate, taps=taps, centres=centres, bandwidth=bandwidth)

    def power(frames: Floats) -> Floats:
        spectrum = np.fft.rfft((frames * window).reshape(-1, taps))
        bands = (np.square(spectrum.real) + np.square(spectrum.imag)) @ weights
        powers: Floats = bands.reshape(*frames.shape[:-1], -1)
        return powers

    return power


def _band_weights(*, sample_rate: int, taps: int, centres: Floats, bandwidth: float) -> Floats:
    """Return 'bins bands': what each bin of the power spectrum of a Hann-windowed frame adds to each band."""
    window = hann(taps)
    bins = np.arange(taps // 2 + 1) * sample_rate / taps
    # Patterson's roex(p): (1 + p g) exp(-p g), g the distance from the centre as a fraction of it. Its equivalent
    # rectangular bandwidth is 4 centre / p, so p g is four times the distance in bandwidths.
    distance = 4.0 * np.abs(bins[:, None] - centres) / (bandwidth * erb_hz(centres))
    weights = (1.0 + distance) * np.exp(-distance)
    # Parseval: scaled like this, the one-sided power spectrum of a steady sound sums to its mean square.
    one_sided = np.full(len(bins), 2.0)
    one_sided[0] = 1.0
    if taps % 2 == 0:
        one_sided[-1] = 1.0
    weights *= (one_sided / (taps * np.square(window).sum()))[:, None]
    return weights


def _spectral_shape(power: Floats) -> Floats:
    """Return log band powers '... bands', floored, centred, of unit length; zero where all bands are alike."""
    peak = power.max(axis=-1, keepdims=True)
    floored = np.maximum(power, peak * 10.0 ** (FLOOR_DB / 10.0))
    level = np.log(np.where(peak > 0.0, floored, 1.0))
    level = level - level.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(level, axis=-1, keepdims=True)
    shape: Floats = level / np.where(length > 1e-9, length, np.inf)
    return shape


def _frames(samples: Floats, *, taps: int, hop: int) -> Floats:
    """Return windows 'batch frames taps' centred on the middle of each hop; outside the clip are zeros."""
    length = samples.shape[1]
    frames = math.ceil(length / hop)
    start = hop // 2 - taps // 2
    left = max(0, -start)
    right = max(0, start + (frames - 1) * hop + taps - length)
    padded = np.pad(samples, ((0, 0), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1)
    frames_of_taps: Floats = windows[:, max(0, start) :: hop][:, :frames]
    return frames_of_taps


def _as_samples(waveforms: Any) -> Floats:
    """Return float64 'batch samples' of a tensor or an array."""
    if hasattr(waveforms, "detach"):
        waveforms = waveforms.detach().cpu()
    samples = np.asarray(waveforms, dtype=np.float64)
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(f"waveforms of shape {samples.shape} must be 'batch samples', neither of them zero")
    return samples


def _check_clock(sample_rate: int, hop: int) -> None:
    _check_positive(sample_rate=sample_rate, hop=hop)
    if hop != int(hop):
        raise ValueError(f"hop={hop} must be a whole number of samples")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < math.inf:
            raise ValueError(f"{name}={value!r} must be a positive number")


def _name(base: str, **settings: tuple[float, float]) -> str:
    """Return `base`, followed by each (value, default) that is not at its default."""
    changed = [f"{name}={value:g}" for name, (value, default) in settings.items() if value != default]
    return f"{base}({', '.join(changed)})" if changed else base
