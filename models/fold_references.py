"""References that fold: what strides, filters and a nonlinearity leave of the partials of an alias class is known.

=========================  ===================================================================================
`naive_bank`               eight bands and every hop-th sample of them: too few channels for what folds together
`cubic_polyphase`          all samples of each hop, bent by a cube in a stated proportion
`graded_decimator`         bands that cut off at different frequencies, decimated: some aliases are filtered away
`drifting_decimator`       a graded decimator with other filters for soft sounds than for loud ones
=========================  ===================================================================================

They are linear but for what their names say, offer the one site ``latent``, and take every sample into account that
their filters reach. Filters stand centred on the first sample of the hop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import scipy.signal

from .references import (
    Floats,
    ReferenceEncoder,
    _check_clock,
    _check_positive,
    _name,
    erb_number_to_hz,
    hz_to_erb_number,
    polyphase,
)

DRIFT_RMS = 0.015
"""Level at which `drifting_decimator` changes over: above it the filters for loud sounds, below those for soft ones."""


def naive_bank(*, sample_rate: int = 24_000, hop: int = 320, bands: int = 8, taps: int = 129) -> ReferenceEncoder:
    """Return `bands` band-pass filters of `taps` taps, and every hop-th sample of what they give.

    The bands lie side by side on the ERB-number scale from 50 Hz to 11/12 of the Nyquist frequency. Nothing filters
    what folds: of the members of an alias class no more than `bands` can be told apart.
    """
    _check_clock(sample_rate, hop)
    _check_positive(bands=bands, taps=taps)
    edges = erb_number_to_hz(
        np.linspace(hz_to_erb_number(50.0), hz_to_erb_number(sample_rate / 2 * 11 / 12), int(bands) + 1)
    )
    pairs = [(edges[band], edges[band + 1]) for band in range(int(bands))]
    kernels = np.stack([scipy.signal.firwin(taps, pair, pass_zero=False, fs=sample_rate) for pair in pairs])
    return _decimated(_name("naive-bank", bands=(bands, 8)), kernels, sample_rate=sample_rate, hop=hop)


def cubic_polyphase(
    *, sample_rate: int = 24_000, hop: int = 320, keep: int | None = None, cube: float = 10.0
) -> ReferenceEncoder:
    """Return `polyphase` of x + cube x^3: nothing is lost to the stride, and a known share to the cube.

    For a Gaussian sound of variance s^2 the cube is a gain of 1 + 3 cube s^2 and a remainder of variance 6 cube^2 s^6
    that no linear reader can tell from noise (Bussgang 1952).
    """
    _check_positive(cube=cube)
    samples = polyphase(sample_rate=sample_rate, hop=hop, keep=keep)
    return ReferenceEncoder(
        name=_name("cubic-polyphase", keep=(keep or hop, hop), cube=(cube, 10.0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=0.0,
        transform=lambda x: samples.transform(x + cube * x**3),
    )


def graded_kernels(*, sample_rate: int, bands: int, taps: int, seed: int) -> Floats:
    """Return the filters of `graded_decimator`, 'bands taps'.

    Each is a low-pass, at a cutoff of its own, of a random short filter: white noise of 32 taps, whose response has
    ripples of its own. Cutoffs lie evenly on a logarithmic scale from 1/24 of the sample rate to 5/12 of it, in random
    order; so low partials reach many bands and high ones few, each with weights of its own.
    """
    generator = np.random.default_rng(seed)
    cutoffs = generator.permutation(np.geomspace(sample_rate / 24, sample_rate * 5 / 12, bands))
    rows = []
    for cutoff in cutoffs:
        low_pass = scipy.signal.firwin(taps - 31, cutoff, fs=sample_rate)
        rows.append(np.convolve(low_pass, generator.standard_normal(32) / np.sqrt(32)))
    return np.stack(rows)


def graded_decimator(
    *, sample_rate: int = 24_000, hop: int = 320, bands: int = 64, taps: int = 129, seed: int = 0
) -> ReferenceEncoder:
    """Return low-passed random filters at different cutoffs, and every hop-th sample of them.

    Fewer channels than members of an alias class: which members survive follows from the filters and the spectrum.
    """
    _check_clock(sample_rate, hop)
    _check_positive(bands=bands, taps=taps)
    kernels = graded_kernels(sample_rate=sample_rate, bands=bands, taps=taps, seed=seed)
    name = _name("graded-decimator", bands=(bands, 64), seed=(seed, 0))
    return _decimated(name, kernels, sample_rate=sample_rate, hop=hop)


def drifting_decimator(
    *, sample_rate: int = 24_000, hop: int = 320, bands: int = 64, taps: int = 129, drift: float = 1.0, seed: int = 0
) -> ReferenceEncoder:
    """Return a `graded_decimator` whose filters are other ones for sounds softer than `DRIFT_RMS`, in part or whole.

    The level is the RMS over a tenth of a second around the frame. Above it a partial at f is heard as
    `graded_decimator` hears it; below it through random filters of 32 taps that do not cut off anywhere and are drawn
    apart, so as some other partial might be. At either level the encoder is linear, but what soft sounds tell is true
    of soft sounds only. `drift` is the share of power that the other filters have in those for soft sounds: at 0 the
    encoder is a graded decimator at all levels.
    """
    if not 0.0 <= drift <= 1.0:
        raise ValueError(f"drift={drift} must lie in 0..1")
    loud = graded_kernels(sample_rate=sample_rate, bands=bands, taps=taps, seed=seed)
    generator = np.random.default_rng(seed + 1000)
    other = np.zeros_like(loud)
    other[:, taps // 2 - 16 : taps // 2 + 16] = generator.standard_normal((bands, 32))
    other *= np.linalg.norm(loud) / np.linalg.norm(other)
    soft = np.sqrt(1.0 - drift) * loud + np.sqrt(drift) * other
    window = round(0.1 * sample_rate) // 2 * 2 + 1

    def transform(samples: Floats) -> Floats:
        power = scipy.signal.oaconvolve(samples**2, np.full((1, window), 1.0 / window), mode="same", axes=1)[:, ::hop]
        frames = [_apply(samples, kernels, hop) for kernels in (loud, soft)]
        return np.where(power[:, None] > DRIFT_RMS**2, *frames)

    return ReferenceEncoder(
        name=_name("drifting-decimator", bands=(bands, 64), drift=(drift, 1.0), seed=(seed, 0)),
        sample_rate=sample_rate,
        hop=hop,
        margin=max(window, taps) / 2 / sample_rate,
        transform=transform,
    )


def _decimated(name: str, kernels: Floats, *, sample_rate: int, hop: int) -> ReferenceEncoder:
    """Return an encoder of linear filters 'channels taps', each heard at every hop-th sample."""
    return ReferenceEncoder(
        name=name,
        sample_rate=sample_rate,
        hop=hop,
        margin=kernels.shape[1] / 2 / sample_rate,
        transform=lambda samples: _apply(samples, kernels, hop),
        strided_kernels=(kernels[:, None],),
    )


def _apply(samples: Floats, kernels: Floats, hop: int) -> Floats:
    """Return correlations with the filters, centred on the first sample of each hop, 'batch channels frames'."""
    taps = kernels.shape[1]
    padded = np.pad(samples, ((0, 0), (taps // 2, taps)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1)[:, ::hop]
    frames = -(-samples.shape[1] // hop)
    heard: Floats = (windows[:, :frames] @ kernels.T).swapaxes(1, 2)
    return heard


FOLD_REFERENCES: Mapping[str, Callable[..., ReferenceEncoder]] = {
    "naive-bank": naive_bank,
    "cubic-polyphase": cubic_polyphase,
    "graded-decimator": graded_decimator,
    "drifting-decimator": drifting_decimator,
}
"""The references that fold by name."""
