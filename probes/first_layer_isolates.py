"""Are the filters of the first layer as narrow as the ear's?

Source: Post 0, section 0.3, on the first convolutional layer: "It is natural to look for partials here". A filter that
isolates a partial lets one pass and its neighbours not. The ear's filters are the yardstick: partials further apart
than one equivalent rectangular bandwidth (ERB; Glasberg & Moore 1990) are heard out.

Stimuli   clicks, one for each sample of the stride: what the first convolution answers to them is its filters, whatever
          the encoder says of itself.
Formula   equivalent noise bandwidth of a filter h, one-sided: ENBW = (fs / 2) sum h^2 / max |H|^2, the width of the
          rectangle that is as high and lets as much noise through; in lobes it counts all of them.
          effect = mean over filters of -log2(ENBW / ERB(centre)), centre where |H| is largest: 0 is the ear's width,
          -1 an octave wider, +1 an octave narrower.
Bound     ENBW >= fs / (2 k) for k taps (Cauchy-Schwarz): seven taps at 24 kHz cannot be narrower than 1714 Hz.
Interval  jackknife over filters.
Threshold within a factor of two of the ear's width on average, else not.
Traps     Near 10 kHz the ear's own filters are as wide as those of a few taps: the mean is over filters, wherever they
          are, and a part counts those narrower than two ERB. Filters that are zero have no width and are left out.
"""

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import Click, Stimulus
from testtone.stimuli.designs import erb_hz

from .hearing import Ear, Listen, Probe
from .readouts import Frames
from .records import Effect, Measurement, Part, Threshold
from .statistics import jackknife

VERSION = 1
AMPLITUDE = 0.5
SECONDS = 0.25
"""How far to either side of a click its answer is looked for, beyond the encoder's margins."""

SILENT = 1e-4
"""A filter whose norm is below this share of the largest counts as zero."""

SPECTRUM_FACTOR = 8
"""Spectra are formed at this many times the filter's length, so that a peak between bins is found to 1 %."""

SITE = "first_conv"
THRESHOLD = Threshold(-1.0, -1.0)


def first_layer_isolates(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure the widths of the first layer's filters; see the module. Nothing is drawn: efforts do not differ."""
    try:
        clicks, frames = clicks_for(ear)
    except ValueError as error:
        yield []
        return {SITE: _unmeasured(str(error))}
    (answers,) = yield [Listen(clicks, Frames(frames), sites=(SITE,))]
    filters = filters_from_clicks(answers[SITE] / AMPLITUDE)
    widths, centres = noise_bandwidths(filters, sample_rate=ear.sample_rate)
    if len(widths) < 2:
        return {SITE: _unmeasured(f"{len(widths)} filters answer to a click; it takes two to say how sure a mean is")}
    isolation = -np.log2(widths / [erb_hz(hz) for hz in centres])
    effect = _mean("isolation", isolation)
    taps = filters.shape[1]
    bound = -np.log2(ear.sample_rate / (2 * taps) / np.array([erb_hz(hz) for hz in centres]))
    parts = [
        Part(
            name=f"the most that {taps} taps allow",
            effect=_mean("isolation, bound by length", bound),
            threshold=THRESHOLD,
            note=f"a filter of {taps} taps is at least {ear.sample_rate / (2 * taps):.0f} Hz wide",
        ),
        Part(
            name="filters less than two ERB wide",
            effect=_mean("share of filters", (isolation > -1.0).astype(float), unit="share"),
            threshold=Threshold(0.5, 0.5),
        ),
    ]
    if ear.first_conv_filters is not None:
        told, where = noise_bandwidths(ear.first_conv_filters, sample_rate=ear.sample_rate)
        if len(told) >= 2:
            values = -np.log2(told / [erb_hz(hz) for hz in where])
            parts.append(
                Part(name="filters as the encoder states them", effect=_mean("isolation", values), threshold=THRESHOLD)
            )
    return {
        SITE: Measurement(
            site=SITE,
            probe="first_layer_isolates",
            version=VERSION,
            effect=effect,
            parts=tuple(parts),
            sounds=(("a click", clicks[0]),),
            figures={"filter_widths": {"centre_hz": centres.tolist(), "enbw_hz": widths.tolist()}},
        )
    }


def clicks_for(ear: Ear) -> tuple[tuple[Stimulus, ...], int]:
    """Return clicks that show the filters of the first layer, one for each sample of its stride, and frames to keep.

    Raises:
        ValueError: if the frames do not lie a whole number of samples apart.
    """
    rate = ear.frame_rates[SITE]
    stride = round(ear.sample_rate / rate)
    if abs(stride * rate - ear.sample_rate) > 1e-6 * ear.sample_rate:
        raise ValueError(f"{rate:g} frames a second are no whole number of samples at {ear.sample_rate} Hz")
    frames = 2 * round(SECONDS * rate)
    seconds = ear.seconds(frames, sites=(SITE,), ramp_seconds=0.0)
    middle = round(seconds * ear.sample_rate) // 2 // stride * stride
    clicks = tuple(
        Stimulus(
            (Click((middle + offset) / ear.sample_rate, AMPLITUDE),),
            seconds,
            ramp_seconds=0.0,
            label=f"click, sample {offset}",
        )
        for offset in range(stride)
    )
    return clicks, frames


def filters_from_clicks(answers: NDArray) -> NDArray[np.float64]:
    """Return the filters that answered, 'channels taps', later taps first.

    Args:
        answers: 'offsets channels frames', to a click that comes one sample later with each offset; there is one for
            each sample of the stride. Frame m of offset o then holds the tap that lies o - m * stride after the click.
    """
    offsets, channels, frames = answers.shape
    # One sample later is one tap further; one frame later is a stride further back.
    taps = answers.astype(np.float64)[:, :, ::-1].transpose(1, 2, 0).reshape(channels, frames * offsets)
    power = np.square(taps).sum(axis=0)
    heard = np.flatnonzero(power > SILENT**2 * power.max()) if power.max() > 0 else np.array([0])
    return taps[:, heard[0] : heard[-1] + 1]


def noise_bandwidths(
    filters: NDArray[np.float64], *, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return one-sided equivalent noise bandwidth and frequency of largest gain, Hz, of filters that are not zero.

    Args:
        filters: 'channels taps'.
        sample_rate: Hz.
    """
    norms = np.linalg.norm(filters, axis=1)
    kept = filters[norms > SILENT * norms.max()] if norms.max() > 0 else filters[:0]
    points = max(4096, SPECTRUM_FACTOR * filters.shape[1])
    gains = np.square(np.abs(np.fft.rfft(kept, points)))
    widths = sample_rate / 2 * np.square(kept).sum(axis=1) / gains.max(axis=1, initial=1e-300)
    return widths, gains.argmax(axis=1) * sample_rate / points if len(kept) else np.zeros(0)


def _mean(name: str, values: NDArray[np.float64], *, unit: str = "octaves") -> Effect:
    return jackknife(lambda kept: float(values[kept].mean()), len(values), name=name, unit=unit)


def _unmeasured(reason: str) -> Measurement:
    return Measurement(site=SITE, probe="first_layer_isolates", version=VERSION, effect=None, reason=reason)
