"""A zoo: many small reference encoders that hear the same sound, side by side in one code.

A claim about encoders in general needs many of them, of all kinds. What is in the zoo follows a rule, not results:

* A grid of two dials, every setting of one with every setting of the other, each twice, with other draws.
  *Separability*: 48 ear-wide bands are added up at random into 48, 24, 12, 6 or 3 channels. (Of two or one hardly
  anything can be read: whether that is stable is a question of luck.) *Stability*: 0, 20, 40, 60, 80 or 100 % of the
  bands change places with the drone. So encoders that have both gifts, either, neither, and all degrees between are
  equally many by design, and one gift does not tell the other.
* One or two of each other kind that there is: decimators without an anti-alias filter and with one, a Fourier
  transform, all or some samples of the waveform, textures of the whole spectrum, two numbers, filters drawn at random
  before a rectifier. Nothing is dialled in them; they show that the grid is not a world of its own.

The site ``latent`` holds the channels of all members; `members` says which are whose, as (first, beyond the last).
`composes_as` says whose composition is to be counted as whose: everyone's own. With ``shuffled`` labels are changed:
banks whose bands change places are counted as composing like those whose bands do not, as if separability were enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from .references import (
    CLIPS_AT_ONCE,
    Floats,
    _as_samples,
    _band_weights,
    _frames,
    _spectral_shape,
    erb_number_to_hz,
    hann,
    hz_to_erb_number,
)

BANDS = 48
TAPS_SECONDS = 0.1
CHANNELS = (48, 24, 12, 6, 3)
"""Of banks: the dial of separability."""

SCRAMBLED_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of their bands: the dial of stability."""

DRAWS = 2
"""Of each setting."""

TEXTURE_SCALES = (1.0, 12.0)
CUTOFFS_KHZ = (1.0,)
"""Of the decimator with an anti-alias filter; another has none."""

KEPT = (320, 16)
"""Samples of each hop that are kept as they are."""

GAINS = (1.0, 30.0)
RANDOM_FILTERS = 8
KEY_BELOW_HZ = 250.0
"""The strongest frequency below it names the order of scrambled bands."""

Member = Callable[["_Sound"], Floats]
"""A member: a sound -> 'batch channels frames'."""


@dataclass(frozen=True)
class _Sound:
    """What members hear: samples 'batch samples', and what several of them would compute again."""

    samples: Floats
    power: Floats
    """Power spectrum 'batch frames bins' of Hann windows centred on the middle of each hop."""
    hop: int
    weights: Floats
    """What each bin of the power spectrum adds to each band, 'bins bands'."""
    keys: int

    @cached_property
    def bands(self) -> Floats:
        """Band powers 'batch frames bands': most members start from them."""
        return np.asarray(self.power @ self.weights)

    @cached_property
    def lowest(self) -> NDArray[np.intp]:
        """The strongest of the bins below `KEY_BELOW_HZ`, 'batch frames': it names an order."""
        return self.power[..., : self.keys].argmax(axis=-1)


@dataclass(frozen=True, kw_only=True)
class Zoo:
    """Many encoders behind the contract of one."""

    name: str
    sample_rate: int
    hop: int
    margin: float
    _sizes: Mapping[str, int] = field(repr=False)
    _parts: Mapping[str, Member] = field(repr=False)
    _weights: Floats = field(repr=False)
    composes_as: Mapping[str, str] = field(repr=False)
    reference: bool = True
    parameters: int = 0

    @property
    def members(self) -> dict[str, tuple[int, int]]:
        """The channels of each member."""
        ends = np.cumsum(list(self._sizes.values())).tolist()
        return {name: (end - size, end) for (name, size), end in zip(self._sizes.items(), ends, strict=True)}

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second at the site, Hz."""
        return {"latent": self.sample_rate / self.hop}

    @property
    def margin_seconds(self) -> dict[str, float]:
        """Seconds to ignore at either edge of a clip."""
        return {"latent": self.margin}

    @property
    def strides(self) -> tuple[int, ...]:
        """The downsampling chain, one stride long."""
        return (self.hop,)

    def listen(self, waveforms: Any) -> Mapping[str, NDArray[np.float32]]:
        """Return the site, float32 'batch channels frames', for real waveforms 'batch samples'."""
        samples = _as_samples(waveforms)
        return {
            "latent": np.concatenate(
                [self._hear(samples[start : start + CLIPS_AT_ONCE]) for start in range(0, len(samples), CLIPS_AT_ONCE)]
            )
        }

    def _hear(self, samples: Floats) -> NDArray[np.float32]:
        taps = round(TAPS_SECONDS * self.sample_rate)
        spectrum = np.fft.rfft(_frames(samples, taps=taps, hop=self.hop) * hann(taps))
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        sound = _Sound(samples, power, self.hop, self._weights, _keys(taps, self.sample_rate))
        return np.concatenate([member(sound).astype(np.float32) for member in self._parts.values()], axis=1)


def zoo(*, shuffled: bool = False, sample_rate: int = 24_000, hop: int = 320, seed: int = 0) -> Zoo:
    """Return the zoo, or with ``shuffled`` the one in which separability alone is counted as enough."""
    generator = np.random.default_rng(seed)
    taps = round(TAPS_SECONDS * sample_rate)
    centres = erb_number_to_hz(np.linspace(hz_to_erb_number(50.0), hz_to_erb_number(sample_rate * 11 / 24), BANDS))
    weights = _band_weights(sample_rate=sample_rate, taps=taps, centres=centres, bandwidth=1.0)
    parts: dict[str, Member] = {}
    sizes: dict[str, int] = {}

    def add(name: str, channels: int, member: Member) -> None:
        parts[name], sizes[name] = member, channels

    keys = _keys(taps, sample_rate)
    for draw in range(DRAWS):
        for channels in CHANNELS:
            sums = _sums(channels, generator)
            for share in SCRAMBLED_SHARES:
                add(_bank_name(channels, share, draw), channels, _bank(sums, generator, share, keys))
    for scale in TEXTURE_SCALES:
        add(f"texture, scale {scale:g}", 128, _texture(generator, scale))
    add("decimator", 1, lambda sound: sound.samples[:, None, :: sound.hop])
    for khz in CUTOFFS_KHZ:
        if 1000.0 * khz < sample_rate / 2:
            add(f"decimator, {khz:g} kHz", 1, _decimator(1000.0 * khz, sample_rate))
    add("Fourier transform", 2 * (hop // 2 + 1), _fourier(hop))
    for kept in KEPT:
        if kept <= hop:
            add(f"waveform, {kept} of {hop} samples", kept, _waveform(kept))
    add("two numbers", 2, _two_numbers(sample_rate, taps))
    for gain in GAINS:
        add(f"random filters, gain {gain:g}", RANDOM_FILTERS, _random_filters(generator, gain))
    return Zoo(
        name="zoo(shuffled=True)" if shuffled else "zoo",
        sample_rate=sample_rate,
        hop=hop,
        margin=taps / 2 / sample_rate,
        _sizes=sizes,
        _parts=parts,
        _weights=weights,
        composes_as=_if_separability_sufficed() if shuffled else {},
    )


def _keys(taps: int, sample_rate: int) -> int:
    return int(KEY_BELOW_HZ * taps / sample_rate)


def _bank_name(channels: int, share: float, draw: int) -> str:
    again = ", again" * draw
    return f"bank, {channels} channels" + (f", {share:.0%} scrambled" if share else "") + again


def _if_separability_sufficed() -> dict[str, str]:
    """Who composes as whom where separability is enough: a scrambled bank as the bank that it scrambles."""
    return {
        _bank_name(channels, share, draw): _bank_name(channels, 0.0, draw)
        for draw in range(DRAWS)
        for channels in CHANNELS
        for share in SCRAMBLED_SHARES
        if share
    }


def _sums(channels: int, generator: np.random.Generator) -> Floats:
    """Which bands are added up in which channel, equally many in each: 'bands channels' of 0 and 1."""
    return np.eye(channels)[generator.permutation(np.arange(BANDS) % channels)]


def _bank(sums: Floats, generator: np.random.Generator, share: float, keys: int) -> Member:
    """A bank added up; a share of its bands has another order for each strongest low bin of the spectrum."""
    moved = np.sort(generator.choice(BANDS, round(share * BANDS), replace=False))
    orders = np.tile(np.arange(BANDS), (keys, 1))
    for order in orders:
        order[moved] = generator.permutation(moved)

    def member(sound: _Sound) -> Floats:
        return np.asarray(np.take_along_axis(sound.bands, orders[sound.lowest], axis=-1) @ sums).swapaxes(1, 2)

    return member


def _texture(generator: np.random.Generator, scale: float) -> Member:
    mixing = scale * generator.standard_normal((BANDS, 128))
    offsets = generator.uniform(0.0, 2.0 * np.pi, 128)
    return lambda sound: np.cos(_spectral_shape(sound.bands) @ mixing + offsets).swapaxes(1, 2)


def _decimator(cutoff_hz: float, sample_rate: int) -> Member:
    taps = 255
    kernel = scipy.signal.firwin(taps, cutoff_hz, fs=sample_rate)

    def member(sound: _Sound) -> Floats:
        padded = np.pad(sound.samples, ((0, 0), (taps // 2, taps // 2)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1)[:, :: sound.hop]
        return (windows @ kernel)[:, None, :]

    return member


def _fourier(hop: int) -> Member:
    def member(sound: _Sound) -> Floats:
        frames = _frames(sound.samples, taps=2 * hop, hop=hop)
        spectrum = np.fft.rfft(frames * hann(2 * hop))[..., ::2] / hop
        return np.concatenate([spectrum.real, spectrum.imag], axis=-1).swapaxes(1, 2)

    return member


def _waveform(kept: int) -> Member:
    def member(sound: _Sound) -> Floats:
        batch, length = sound.samples.shape
        frames = math.ceil(length / sound.hop)
        padded = np.pad(sound.samples, ((0, 0), (0, frames * sound.hop - length)))
        return padded.reshape(batch, frames, sound.hop)[:, :, :kept].swapaxes(1, 2)

    return member


def _two_numbers(sample_rate: int, taps: int) -> Member:
    khz = np.arange(taps // 2 + 1) * sample_rate / taps / 1000.0

    def member(sound: _Sound) -> Floats:
        total = sound.power.sum(axis=-1)
        centroid = np.divide(sound.power @ khz, total, out=np.zeros_like(total), where=total > 0.0)
        return np.stack([np.sqrt(total / taps), centroid], axis=1)

    return member


def _random_filters(generator: np.random.Generator, gain: float) -> Member:
    """Filters of 32 random taps, a saturating rectifier, and the mean over each hop: a layer that learned nothing."""
    kernels = gain * generator.standard_normal((RANDOM_FILTERS, 32)) / math.sqrt(32)

    taps = kernels.shape[1]
    # As many samples at a time as there are taps: one product of matrices, without a copy for each tap.
    steps = np.arange(taps)[None, :, None] + taps - 1 - np.arange(2 * taps - 1)[:, None, None]
    reach = kernels[np.arange(RANDOM_FILTERS), np.clip(steps, 0, taps - 1)]
    reach = np.where((steps >= 0) & (steps < taps), reach, 0.0).reshape(2 * taps - 1, -1)

    def member(sound: _Sound) -> Floats:
        batch, length = sound.samples.shape
        frames = math.ceil(length / sound.hop)
        padded = np.pad(sound.samples, ((0, 0), (taps - 1, taps + -length % taps)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * taps - 1, axis=1)[:, ::taps]
        heard = (windows @ reach).reshape(batch, -1, RANDOM_FILTERS)[:, :length]
        answer = np.zeros((batch, frames * sound.hop, RANDOM_FILTERS))
        np.maximum(np.tanh(heard), 0.0, out=answer[:, :length])
        return answer.reshape(batch, frames, sound.hop, RANDOM_FILTERS).mean(axis=2).swapaxes(1, 2)

    return member
