"""Is the end of the stack an octave more selective than the first layer?

Source: Post 0, section 0.3, on the end of the convolutional stack: "receptive fields are generally long enough to
exhibit spectral selectivity".

Stimuli   single tones, one in each of many equal cells of the ERB-number scale, at two levels; see `tuning`.
Formula   effect = mean over units of the first layer of log2(coverage), less that of the site: the octaves by which its
          units cover less of the ear's frequency axis.
Interval  jackknife over units of either layer and over blocks of tones, variances added.
Threshold an octave is more selective; less than half an octave is not.
Traps     Several lobes, one for each alias, are counted (see `tuning`): a long receptive field alone makes a main lobe
          narrow, not a unit selective.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import tuning
from .hearing import Answer, Ear, Listen, Probe
from .readouts import power
from .records import Measurement, Threshold
from .statistics import jackknife

VERSION = 2
FIRST = "first_conv"
THRESHOLD = Threshold(1.0, 0.5)


def stack_end_selectivity(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how much more selective each site is than the first layer; see the module."""
    sites = tuple(site for site in ear.sites if site != FIRST)
    if out := lacking(ear):
        yield []
        return {
            site: Measurement(
                site=site,
                probe="stack_end_selectivity",
                version=VERSION,
                effect=None,
                reason=why,
                not_applicable=True,
            )
            for site, why in out.items()
        }
    tones = tuning.tones_for(ear, rng, effort)
    loud, soft = yield [Listen(tones.loud, power), Listen(tones.soft, power)]
    first = tuning.iso_response(loud[FIRST], soft[FIRST])
    return {site: _measure(site, tones, first, loud, soft) for site in sites}


def lacking(ear: Ear) -> dict[str, str]:
    """Return the sites at which the question cannot be asked, and why, of what the encoder says of itself."""
    if FIRST in ear.sites:
        return {}
    return dict.fromkeys(ear.sites, f"the encoder has no site {FIRST!r} to compare with")


def _measure(site: str, tones: tuning.Tones, first: NDArray[np.float64], loud: Answer, soft: Answer) -> Measurement:
    here = tuning.iso_response(loud[site], soft[site])
    if not (len(first) and len(here)):
        silent = FIRST if not len(first) else site
        return Measurement(
            site=site,
            probe="stack_end_selectivity",
            version=VERSION,
            effect=None,
            reason=f"no unit of {silent} answers to a tone",
        )
    octaves = [tuning.coverage_octaves(each) for each in (first, here)]
    terms = [
        # One grid of tones for both layers: its chance is that of the difference.
        jackknife(
            lambda kept: _difference(first, here, np.isin(tones.blocks, kept)),
            tuning.BLOCKS,
            name="tones",
            unit="octaves",
        )
    ] + [jackknife(_mean_of(each), len(each), name="units", unit="octaves") for each in octaves if len(each) > 1]
    return Measurement(
        site=site,
        probe="stack_end_selectivity",
        version=VERSION,
        effect=tuning.joined(terms[0].value, "octaves more selective than the first layer", *terms),
        sounds=((f"a tone of {tones.hz[len(tones.hz) // 2]:.0f} Hz", tones.loud[len(tones.hz) // 2]),),
        figures={
            "coverage": {"first": np.sort(octaves[0]).tolist(), "here": np.sort(octaves[1]).tolist()},
            "tuning": tuning.curves(tones.hz, here),
        },
    )


def _mean_of(values: NDArray[np.float64]) -> Callable[[NDArray[np.intp]], float]:
    return lambda kept: float(values[kept].mean())


def _difference(first: NDArray[np.float64], here: NDArray[np.float64], kept: NDArray[np.bool_]) -> float:
    return float(tuning.coverage_octaves(first[:, kept]).mean() - tuning.coverage_octaves(here[:, kept]).mean())
