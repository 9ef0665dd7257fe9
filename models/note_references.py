"""References for claims about notes: codes of whole sounds by number, and codes of one property of a note alone.

====================  ====================================================================================
`holistic_codebook`   whole spectra by number: the code of the nearest of many, each with a vector of its own
`pitch_alone`         the pitch of a sound in tuned channels, noise beside it, and nothing of level or timbre
`level_and_colour`    level and spectral colour of a sound, noise beside them, and nothing of its pitch
====================  ====================================================================================

Noise is a function of the waveform, as everything is here: a random rotation of the samples of a frame decides it.
"""

from __future__ import annotations

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
    power_filterbank,
)

CALIBRATION_SEED = 20_261_124
ROUNDS = 2
"""Of k-means. More of them change little: there are three windows for every two entries to begin with."""


def holistic_codebook(
    *,
    sample_rate: int = 24_000,
    hop: int = 320,
    entries: int = 4096,
    scale: float = 6.0,
    channels: int = 1024,
    window_seconds: float = 0.2,
    floor_db: float = -50.0,
) -> ReferenceEncoder:
    """Return a code of whole windows by number: the entry of a codebook that is nearest, as a vector of its own.

    What is compared are the features of `references.holistic_features`, less sharp and of a longer window, so that new
    start phases rarely change the entry. The codebook is fitted by k-means on windows of two harmonic tones each, of
    random pitch, spectrum and phase. What stands for an entry is a random vector: neighbours in sound are strangers in
    code, and nothing about an entry tells of the parts of its sound.
    """
    _check_clock(sample_rate, hop)
    _check_positive(entries=entries, scale=scale, channels=channels, window_seconds=window_seconds)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop, window_seconds=window_seconds)
    taps = round(window_seconds * sample_rate)
    once = power_filterbank(sample_rate=sample_rate, hop=taps, window_seconds=window_seconds)
    rng = np.random.default_rng(0)
    weights, offsets = scale * rng.standard_normal((128, 256)), rng.uniform(0.0, 2.0 * np.pi, 256)

    def features(power: Floats) -> Floats:
        peak = power.max(axis=1, keepdims=True)
        audible = np.maximum(power, peak * 10.0 ** (floor_db / 10.0))
        return np.cos(_spectral_shape(audible.swapaxes(1, 2)) @ weights + offsets)

    centres = _fitted(lambda tones: features(once.transform(tones))[:, 0], entries, sample_rate, taps)
    quiet = np.linalg.norm(np.cos(offsets) - centres, axis=1).argmin()
    vectors = rng.standard_normal((entries, channels))
    vectors[quiet] = 0.0

    def transform(samples: Floats) -> Floats:
        heard = features(bank.transform(samples))
        nearest = (heard @ centres.T - 0.5 * np.square(centres).sum(axis=1)).argmax(axis=2)
        return vectors[nearest].swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name("holistic-codebook", entries=(entries, 4096)),
        sample_rate=sample_rate,
        hop=hop,
        margin=bank.margin,
        transform=transform,
    )


def _fitted(features: Callable[[Floats], Floats], entries: int, sample_rate: int, taps: int) -> Floats:
    """Return k-means centres 'entries features' of windows of two tones."""
    rng = np.random.default_rng(CALIBRATION_SEED)
    heard = np.concatenate([features(_two_tones(rng, 32, taps, sample_rate)) for _ in range(-(-3 * entries // 64))])
    centres = heard[rng.choice(len(heard), entries, replace=False)]
    for _ in range(ROUNDS):
        nearest = (heard @ centres.T - 0.5 * np.square(centres).sum(axis=1)).argmax(axis=1)
        count = np.bincount(nearest, minlength=entries)
        total = np.zeros_like(centres)
        np.add.at(total, nearest, heard)
        used = count > 0
        centres[used] = total[used] / count[used, None]
    return centres


def _two_tones(rng: np.random.Generator, count: int, taps: int, sample_rate: int) -> Floats:
    """Return windows of two harmonic tones, equally strong, 'count taps'."""
    time = np.arange(taps) / sample_rate
    total = np.zeros((count, taps))
    for _ in range(2):
        f0 = 440.0 * 2.0 ** ((rng.uniform(47.0, 85.0, count) - 69.0) / 12.0)
        tilt = rng.uniform(-18.0, 3.0, count)
        # Single precision: a calibration needs no more, and it is half the time.
        turn = np.exp(2j * np.pi * f0[:, None] * time).astype(np.complex64)
        partial, tone, power = turn.copy(), np.zeros((count, taps), np.float32), np.zeros(count)
        for number in range(1, 9):
            level = 10.0 ** (tilt * np.log2(number) / 20.0 + rng.normal(0.0, 0.4, count)) * (
                number * f0 < 0.42 * sample_rate
            )
            phase = np.exp(1j * rng.uniform(0.0, 2.0 * np.pi, count))
            tone += ((level * phase)[:, None].astype(np.complex64) * partial).real
            power += level**2
            partial = partial * turn
        total += 0.05 * tone / np.sqrt(power / 2.0)[:, None]
    return total


def pitch_alone(
    *, sample_rate: int = 24_000, hop: int = 320, noise: float = 0.3, channels: int = 64, seed: int = 0
) -> ReferenceEncoder:
    """Return the pitch of a sound in `channels` channels tuned to one pitch each, with noise of RMS `noise` beside it.

    The pitch is the shortest period at which a frame of 0.1 s agrees with itself nearly as well as anywhere (.9 of the
    best normalised autocorrelation), from 80 to 1600 Hz. A channel answers exp(-d^2 / 2), d the distance of the pitch
    from its own in units of 1.5 semitones. Level and timbre leave no trace. Silence has no pitch and no answer.
    """
    _check_clock(sample_rate, hop)
    _check_positive(noise=noise, channels=channels)
    taps = round(0.1 * sample_rate)
    lags = np.arange(int(sample_rate / 1600.0), int(sample_rate / 80.0) + 1)
    tuned = np.linspace(np.log2(80.0), np.log2(1600.0), channels)

    def transform(samples: Floats) -> Floats:
        frames = _frames(samples, taps=taps, hop=hop)
        size = 1 << int(2 * taps - 1).bit_length()
        power = np.abs(np.fft.rfft(frames, size)) ** 2
        agreement = np.fft.irfft(power, size)[..., : lags[-1] + 2]
        level = agreement[..., :1]
        # Fewer samples meet at longer lags.
        agreement = agreement / np.where(level > 0.0, level, 1.0) * taps / (taps - np.arange(lags[-1] + 2))
        inner = agreement[..., lags]
        peak = (inner >= agreement[..., lags - 1]) & (inner >= agreement[..., lags + 1])
        enough = peak & (inner >= 0.9 * np.where(peak, inner, 0.0).max(axis=-1, keepdims=True))
        first = enough.argmax(axis=-1)
        octaves = np.log2(sample_rate / lags[first])
        answer = np.exp(-0.5 * ((octaves[..., None] - tuned) / 0.125) ** 2)
        heard = (level[..., 0] > 1e-12)[..., None]
        return np.where(heard, answer + noise * _noise(frames, channels, seed), 0.0).swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name("pitch-alone", noise=(noise, 0.3), seed=(seed, 0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=taps / 2 / sample_rate,
        transform=transform,
    )


def level_and_colour(
    *, sample_rate: int = 24_000, hop: int = 320, noise: float = 0.3, channels: int = 64, seed: int = 0
) -> ReferenceEncoder:
    """Return the level of a sound in dB in one half of the channels, its colour in the other, with noise beside both.

    Colour is what a spectrum has that its pitch has not: the first eight cosine coefficients of the log power in 32
    bands four times as wide as the ear's, mixed at random into the channels. The level is that of a frame of 0.1 s in
    units of 10 dB, relative to -80 dB.
    """
    _check_clock(sample_rate, hop)
    _check_positive(noise=noise, channels=channels)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop, bandwidth=4.0, bands=32)
    taps = round(0.1 * sample_rate)
    rng = np.random.default_rng(seed + 1)
    cosines = np.cos(np.pi * np.outer(np.arange(32) + 0.5, np.arange(1, 9)) / 32)
    mixed = cosines @ rng.standard_normal((8, channels // 2)) / 8.0
    signs = rng.choice([-1.0, 1.0], channels - channels // 2)

    def transform(samples: Floats) -> Floats:
        frames = _frames(samples, taps=taps, hop=hop)
        level = np.maximum(10.0 * np.log10(np.square(frames).mean(axis=-1) + 1e-12) + 80.0, 0.0) / 10.0
        colour = _spectral_shape(bank.transform(samples).swapaxes(1, 2)) @ mixed
        answer = np.concatenate([level[..., None] * signs, colour], axis=-1)
        heard = (np.square(frames).sum(axis=-1) > 1e-12)[..., None]
        return np.where(heard, answer + noise * _noise(frames, channels, seed), 0.0).swapaxes(1, 2)

    return ReferenceEncoder(
        name=_name("level-and-colour", noise=(noise, 0.3), seed=(seed, 0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=bank.margin,
        transform=transform,
    )


def _noise(frames: Floats, channels: int, seed: int) -> Floats:
    """Return noise '... channels' of unit RMS that a frame decides: cosines of steep random sums of its samples."""
    taps = frames.shape[-1]
    rng = np.random.default_rng(seed)
    length = np.sqrt(np.square(frames).sum(axis=-1, keepdims=True))
    turned = frames / np.where(length > 0.0, length, 1.0) @ rng.standard_normal((taps, channels))
    noise: Floats = np.sqrt(2.0) * np.cos(10.0 * turned + rng.uniform(0.0, 2.0 * np.pi, channels))
    return noise


NOTE_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "holistic-codebook": holistic_codebook,
    "pitch-alone": pitch_alone,
    "level-and-colour": level_and_colour,
}
"""The references about notes by name."""
