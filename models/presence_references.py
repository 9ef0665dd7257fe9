"""References for claims about the presence of partials: what can be read off them, where, and by whom, is known.

==============================  ===================================================================================
`context_scrambled_filterbank`  the filterbank, its bands in an order that the lowest sounds name: readable in one
                                company, not from one company to another; or above a frequency only
`band_limited_filterbank`       the filterbank below a frequency, and nothing above it
`hard_of_hearing_filterbank`    the filterbank behind noise of its own
==============================  ===================================================================================

Like those in `references` they are functions of the waveform alone and offer the one site ``latent``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from .references import (
    Floats,
    ReferenceEncoder,
    _check_positive,
    _name,
    power_filterbank,
)

KEY_BELOW_HZ = 250.0
"""The strongest band below it names the order of `context_scrambled_filterbank`."""


def context_scrambled_filterbank(
    *, from_hz: float = 0.0, sample_rate: int = 24_000, hop: int = 320, seed: int = 0
) -> ReferenceEncoder:
    """Return `power_filterbank` with its bands in another order for each drone.

    In each frame the strongest of the bands below `KEY_BELOW_HZ` names a permutation of all bands. Whatever sounds
    above one drone is in as good an order as any, and above another in an unrelated one.

    With `from_hz` the sound is split there, by the spectrum of the clip: the upper part is heard by the scrambled
    bank, the lower part by a second bank, in order. Partials below it are as stable as those of `power_filterbank`,
    those above it not at all.
    """
    if not 0 <= from_hz < sample_rate / 2:
        raise ValueError(f"from_hz={from_hz} must be from 0 Hz to below Nyquist ({sample_rate / 2} Hz)")
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)
    centres = np.array(bank.centres_hz)
    keys = int((centres < KEY_BELOW_HZ).sum())
    orders = np.stack([np.random.default_rng((seed, key)).permutation(len(centres)) for key in range(keys)])

    def transform(samples: Floats) -> Floats:
        power = bank.transform(samples)
        order = orders[power[:, :keys].argmax(axis=1)].swapaxes(1, 2)
        if not from_hz:
            return np.take_along_axis(power, order, axis=1)
        lower = _lower_part(samples, to_hz=from_hz, sample_rate=sample_rate)
        upper = np.take_along_axis(bank.transform(samples - lower), order, axis=1)
        return np.concatenate([bank.transform(lower), upper], axis=1)

    return replace(
        bank,
        name=_name("context-scrambled-filterbank", from_hz=(from_hz, 0.0), seed=(seed, 0)),
        transform=transform,
        centres_hz=None,
    )


def _lower_part(samples: Floats, *, to_hz: float, sample_rate: int) -> Floats:
    """Return clips 'batch samples' without what lies above `to_hz` in their spectra."""
    spectrum = np.fft.rfft(samples)
    spectrum[:, np.arange(spectrum.shape[1]) * sample_rate / samples.shape[1] > to_hz] = 0.0
    return np.fft.irfft(spectrum, samples.shape[1])


def band_limited_filterbank(*, to_hz: float = 2000.0, sample_rate: int = 24_000, hop: int = 320) -> ReferenceEncoder:
    """Return `power_filterbank` of what lies below `to_hz`; all above is taken out of each clip first, by its spectrum.

    Of the partials above it nothing is left, of those below it all.
    """
    _check_positive(to_hz=to_hz)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop)

    def transform(samples: Floats) -> Floats:
        return bank.transform(_lower_part(samples, to_hz=to_hz, sample_rate=sample_rate))

    return replace(bank, name=f"band-limited-filterbank(to_hz={to_hz:g})", transform=transform)


def hard_of_hearing_filterbank(
    *, noise_rms: float = 0.1, sample_rate: int = 24_000, hop: int = 320, bandwidth: float = 1.0
) -> ReferenceEncoder:
    """Return `power_filterbank` behind white noise of its own: what is softer than the noise in its band gets lost.

    The noise follows from the samples of a clip, bit for bit, and has nothing else to do with them.
    """
    _check_positive(noise_rms=noise_rms)
    bank = power_filterbank(sample_rate=sample_rate, hop=hop, bandwidth=bandwidth)

    def transform(samples: Floats) -> Floats:
        seeds = [hashlib.sha256(clip.astype(np.float32).tobytes()).digest()[:8] for clip in samples]
        noise = [np.random.default_rng(int.from_bytes(seed, "big")).standard_normal(samples.shape[1]) for seed in seeds]
        return bank.transform(samples + noise_rms * np.array(noise))

    return replace(
        bank,
        name=_name("hard-of-hearing-filterbank", noise_rms=(noise_rms, 0.1), bandwidth=(bandwidth, 1.0)),
        transform=transform,
    )


PRESENCE_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "context-scrambled-filterbank": context_scrambled_filterbank,
    "band-limited-filterbank": band_limited_filterbank,
    "hard-of-hearing-filterbank": hard_of_hearing_filterbank,
}
"""The references of this module by name."""
