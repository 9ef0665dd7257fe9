"""References that know waveforms, or what a waveform means: near from far, waveform from spectrum, note from note.

======================  ================================================================================
`waveform_features`     a saturating function of the waveform of each hop: near waveforms are near, far ones unrelated
`waveform_and_power`    the samples of each hop and the powers of ear-wide bands side by side, in a stated proportion
======================  ================================================================================

Each is a function of the waveform alone and offers the site ``latent``, as those in `references` do.

Sources: Rahimi & Recht, Random features for large-scale kernel machines, NIPS 2007.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from .references import (
    Floats,
    ReferenceEncoder,
    _check_clock,
    _check_positive,
    _name,
    polyphase,
    power_filterbank,
)

KERNEL_SCALE = 6.0
"""Sharpness of `waveform_features`: two hops a relative distance of d apart have the kernel exp(-(6 d)^2)."""


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


WAVEFORM_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "waveform-features": waveform_features,
    "waveform-and-power": waveform_and_power,
}
"""The references about waveforms by name."""
