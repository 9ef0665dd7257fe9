"""Are filters deep in the stack an octave or more wider than the ear's?

Source: Post 0, section 0.3: "deep filters generally lack the selectivity", limited relative to the bandwidth that is
left after downsampling, so that "each filter spans a larger portion of the remaining spectrum".

Stimuli   single tones, one in each of many equal cells of the ERB-number scale, at two levels; see `tuning`.
Formula   effect = mean over units of log2(coverage / coverage of an ear's filter on the same tones): 0 is as selective
          as the ear, 1 an octave wider, some 5 if all frequencies are alike.
Interval  jackknife over units and over blocks of tones, variances added.
Threshold an octave is wider; less than half an octave is not.
Traps     A filter followed by downsampling answers in one lobe per alias: the width of the main lobe would miss them,
          coverage does not. A detector of power is narrower than its filter: see `tuning` for equal answers. Units that
          answer to no tone have no width and are left out.
"""

import numpy as np
from numpy.typing import NDArray

from . import tuning
from .hearing import Ear, Listen, Probe
from .readouts import power
from .records import Measurement, Part, Threshold

VERSION = 2
THRESHOLD = Threshold(1.0, 0.5)


def selectivity_limited(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how much wider than the ear's filters the units of each site are; see the module."""
    tones = tuning.tones_for(ear, rng, effort)
    loud, soft = yield [Listen(tones.loud, power), Listen(tones.soft, power)]
    return {site: _measure(site, tones, loud[site], soft[site]) for site in ear.sites}


def _measure(site: str, tones: tuning.Tones, loud: NDArray, soft: NDArray) -> Measurement:
    squared = tuning.iso_response(loud, soft)
    if len(squared) == 0:
        return Measurement(
            site=site,
            probe="selectivity_limited",
            version=VERSION,
            effect=None,
            reason="no unit answers to a tone",
            sounds=_sounds(tones),
        )
    ear = tuning.ear_octaves(tones.hz)
    width = tuning.mean_coverage("width", squared, tones.blocks)
    as_heard = tuning.mean_coverage("width", loud.T[loud.T.max(axis=1) > 0], tones.blocks)
    octaves = tuning.coverage_octaves(squared)
    return Measurement(
        site=site,
        probe="selectivity_limited",
        version=VERSION,
        effect=tuning.shifted(width, -ear, name="width re the ear's filters"),
        parts=(
            Part(
                name="answers as they are, not as equal answers",
                effect=tuning.shifted(as_heard, -ear, name="width re the ear's filters"),
                threshold=THRESHOLD,
            ),
        ),
        sounds=_sounds(tones),
        figures={
            "coverage": {"octaves_re_all": np.sort(octaves).tolist(), "ear": ear},
            "tuning": tuning.curves(tones.hz, squared),
        },
    )


def _sounds(tones: tuning.Tones) -> tuple:
    return tuple((f"a tone of {tones.hz[index]:.0f} Hz", tones.loud[index]) for index in (len(tones.hz) // 2,))
