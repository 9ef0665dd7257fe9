"""References that know waveforms, or what a waveform means: near from far, waveform from spectrum, note from note.

======================  ================================================================================
`waveform_features`     a saturating function of the waveform of each hop: near waveforms are near, far ones unrelated
`waveform_and_power`    the samples of each hop and the powers of ear-wide bands side by side, in a stated proportion
`oracle_chroma`         which pitch classes sound, in whatever octave and timbre
`chroma_and_spectrum`   the same and a spectrum side by side, in a stated proportion
======================  ================================================================================

Each is a function of the waveform alone and offers the site ``latent``, as those in `references` do.

Sources: Rahimi & Recht, Random features for large-scale kernel machines, NIPS 2007; Lee & Seung, Algorithms for
non-negative matrix factorization, NIPS 2000; Klapuri, Multiple fundamental frequency estimation by summing harmonic
amplitudes, ISMIR 2006; Fujishima, Realtime chord recognition of musical sound, ICMC 1999.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping

import numpy as np

from .references import (
    Floats,
    ReferenceEncoder,
    _check_clock,
    _check_positive,
    _frames,
    _name,
    _spectral_shape,
    hann,
    polyphase,
    power_filterbank,
)

KERNEL_SCALE = 6.0
"""Sharpness of `waveform_features`: two hops a relative distance of d apart have the kernel exp(-(6 d)^2)."""

CHROMA_SECONDS = 0.25
CHROMA_LOW_HZ, CHROMA_HIGH_HZ = 120.0, 3200.0
CHROMA_KEYS = (48, 91)
CHROMA_HARMONICS = 8
CHROMA_STEPS = 12
CHROMA_NOISE = 0.1
"""Length of the noise in `oracle_chroma`, re that of the chroma."""


def waveform_features(
    *,
    sample_rate: int = 24_000,
    hop: int = 320,
    features: int = 1024,
    scale: float = KERNEL_SCALE,
    samples_too: float = 0.0,
    seed: int = 0,
) -> ReferenceEncoder:
    """Return cos(scale * W u + b): random saturating features of the waveform u of each hop, brought to unit length.

    W is Gaussian and b uniform on the circle, both from `seed`. For |u - u'|^2 = 2 d^2 the mean product of two codes
    about their mean is that of a Gaussian kernel, exp(-(scale d)^2) / 2: similar waveforms have similar codes, and
    beyond a distance of some 2 / scale all waveforms are equally unlike. With `samples_too` the waveform u itself
    stands beside them, of that energy re the features': the order of far waveforms comes back with it.
    """
    _check_clock(sample_rate, hop)
    _check_positive(features=features, scale=scale)
    samples_of = polyphase(sample_rate=sample_rate, hop=hop)
    generator = np.random.default_rng(seed)
    weights = scale * generator.standard_normal((hop, features))
    offsets = generator.uniform(0.0, 2.0 * np.pi, features)

    def transform(samples: Floats) -> Floats:
        waves = samples_of.transform(samples).swapaxes(1, 2)
        length = np.linalg.norm(waves, axis=-1, keepdims=True)
        unit = waves / np.where(length > 1e-9, length, np.inf)
        code = np.cos(unit @ weights + offsets)
        if samples_too:
            # A random cosine has variance 1/2.
            code = np.concatenate([code, math.sqrt(samples_too * features / 2) * unit], axis=-1)
        return code.swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name(
            "waveform-features",
            features=(features, 1024),
            scale=(scale, KERNEL_SCALE),
            samples_too=(samples_too, 0.0),
            seed=(seed, 0),
        ),
        sample_rate=sample_rate,
        hop=hop,
        margin=0.0,
        transform=transform,
    )


def waveform_and_power(*, weight: float = 1.0, sample_rate: int = 24_000, hop: int = 320) -> ReferenceEncoder:
    """Return `polyphase` and `power_filterbank` side by side: a code whose share of waveform is known.

    The filterbank is scaled so that a 440 Hz tone of RMS .1 has a code of unit length; the samples so that any sound of
    RMS .1 has one of length sqrt(weight).
    """
    _check_positive(weight=weight)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    samples_of = polyphase(sample_rate=sample_rate, hop=hop)
    time = np.arange(round(0.5 * sample_rate)) / sample_rate
    tone = bank.transform(0.1 * math.sqrt(2.0) * np.cos(2 * np.pi * 440.0 * time)[None])[0]
    unit = float(np.linalg.norm(tone[:, tone.shape[1] // 2]))
    gain = math.sqrt(weight / hop) / 0.1

    def transform(samples: Floats) -> Floats:
        return np.concatenate([gain * samples_of.transform(samples), bank.transform(samples) / unit], axis=1)

    return ReferenceEncoder(
        name=_name("waveform-and-power", weight=(weight, 1.0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=bank.margin,
        transform=transform,
    )


def oracle_chroma(
    *, sample_rate: int = 24_000, hop: int = 320, noise: float = CHROMA_NOISE, seed: int = 0
) -> ReferenceEncoder:
    """Return how strongly each of the twelve pitch classes sounds, whatever the octave and the timbre.

    The magnitude spectrum of a quarter of a second, compressed, is explained as a non-negative sum of harmonic
    templates of all keys (Lee & Seung's update for the Kullback-Leibler divergence); the strengths of the keys are
    folded to pitch classes and brought to unit length. Beside it stands `noise` of that length, drawn from a hash of
    the clip and `seed`: nothing about the sound.
    """
    chroma = _chroma(sample_rate=sample_rate, hop=hop)

    def transform(samples: Floats) -> Floats:
        return chroma(samples) + _hash_noise(samples, hop=hop, channels=12, size=noise, seed=seed)

    return ReferenceEncoder(
        name=_name("oracle-chroma", noise=(noise, CHROMA_NOISE), seed=(seed, 0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=CHROMA_SECONDS / 2,
        transform=transform,
    )


def chroma_and_spectrum(*, weight: float = 1.0, sample_rate: int = 24_000, hop: int = 320) -> ReferenceEncoder:
    """Return the chroma of `oracle_chroma`, without noise, and a spectrum side by side.

    Both have unit length, the chroma times sqrt(weight): squared distances between codes are weight times those of
    chroma plus those of spectra (the logarithm of ear-wide powers, centred).
    """
    _check_positive(weight=weight)
    chroma = _chroma(sample_rate=sample_rate, hop=hop)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)

    def transform(samples: Floats) -> Floats:
        spectrum = _spectral_shape(bank.transform(samples).swapaxes(1, 2)).swapaxes(1, 2)
        return np.concatenate([math.sqrt(weight) * chroma(samples), spectrum], axis=1)

    return ReferenceEncoder(
        name=_name("chroma-and-spectrum", weight=(weight, 1.0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=CHROMA_SECONDS / 2,
        transform=transform,
    )


def _chroma(*, sample_rate: int, hop: int) -> Callable[[Floats], Floats]:
    """Return a function: samples 'batch samples' -> strengths of pitch classes 'batch 12 frames', of unit length."""
    _check_clock(sample_rate, hop)
    taps = round(CHROMA_SECONDS * sample_rate)
    window = hann(taps)
    hz = np.arange(taps // 2 + 1) * sample_rate / taps
    heard = (hz > CHROMA_LOW_HZ) & (hz < min(CHROMA_HIGH_HZ, 0.45 * sample_rate))
    keys = np.arange(CHROMA_KEYS[0], CHROMA_KEYS[1] + 1)
    f0 = 440.0 * 2.0 ** ((keys - 69) / 12.0)
    # A harmonic is as wide as the window's main lobe, or as the tuning of the key is free.
    templates = np.zeros((len(keys), int(heard.sum())))
    for harmonic in range(1, CHROMA_HARMONICS + 1):
        centre = harmonic * f0[:, None]
        width = np.maximum(1.2 / CHROMA_SECONDS, 0.008 * centre)
        templates += 0.7 ** (harmonic - 1) * np.exp(-0.5 * np.square((hz[heard] - centre) / width))
    templates /= templates.sum(axis=1, keepdims=True)
    fold = (keys[:, None] % 12 == np.arange(12)).astype(np.float64)

    def chroma(samples: Floats) -> Floats:
        frames = _frames(samples, taps=taps, hop=hop)
        found = np.empty((len(samples), frames.shape[1], 12))
        for clip, clip_frames in enumerate(frames):
            spectrum = np.sqrt(np.abs(np.fft.rfft(clip_frames * window))[:, heard])
            strength = np.ones((len(spectrum), len(keys))) * spectrum.sum(axis=1, keepdims=True) / len(keys)
            for _ in range(CHROMA_STEPS):
                strength *= (spectrum / np.maximum(strength @ templates, 1e-12)) @ templates.T
            found[clip] = np.square(strength) @ fold
        length = np.linalg.norm(found, axis=-1, keepdims=True)
        return (found / np.where(length > 1e-9, length, np.inf)).swapaxes(1, 2)

    return chroma


def _hash_noise(samples: Floats, *, hop: int, channels: int, size: float, seed: int) -> Floats:
    """Return noise 'batch channels frames', RMS length ``size``, from a hash of each clip; none for silence."""
    frames = math.ceil(samples.shape[1] / hop)
    noise = np.zeros((len(samples), channels, frames))
    for clip, wave in enumerate(samples):
        if wave.any():
            digest = hashlib.sha256(wave.tobytes() + seed.to_bytes(8, "little")).digest()
            generator = np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
            noise[clip] = size / math.sqrt(channels) * generator.standard_normal((channels, frames))
    return noise


WAVEFORM_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "waveform-features": waveform_features,
    "waveform-and-power": waveform_and_power,
    "oracle-chroma": oracle_chroma,
    "chroma-and-spectrum": chroma_and_spectrum,
}
"""The references about waveforms by name."""
