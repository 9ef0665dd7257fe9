"""Does what reads a partial in one company read it in another?

Source: Post 0, section 0.2: "narrowband oscillatory components must be represented in a way that is both separable and
stable across contexts"; "If different filters consistently responded to specific frequency regions". In words: a reader
learns from mixtures above one drone which of them hold a partial. Then the company changes: another drone, a chord, a
band of noise, an ensemble, more partials, another level. If a partial is the same thing in the code wherever it sounds,
the reader goes on reading.

Stimuli   as `separable`, families of tokens with company of their own.
Formula   a linear reader learns in family A. AUC_A: on tokens of A that it did not learn from; AUC_B: on the tokens of
          family B. effect = sum (AUC_B - .5) / sum (AUC_A - .5) over partials and all ordered pairs: each family is A
          as often as B. 1 reads on as if nothing had happened; 0 guesses.
Readouts  RO1 and RO2, each alone and side by side. At home the best of the three over all; abroad, from A to B, the
          one by which readers of A read best in families that are neither A nor B. So a code that offers a stable
          readout beside one that is not is taken at its better. Each readout by itself is a part.
Gate      what cannot be read at home cannot be read abroad: unless the lower end of AUC_A lies above `LEAST_HOME`,
          there is nothing to measure.
Null      labels permuted within families, for readers abroad.
Interval  two-way jackknife-t over partials and families; deleting a family deletes every pair that it is in.
Threshold supported above .8, refuted below .6: four fifths of what is read at home are read abroad, or less than three.
Large     a partial has one direction in the code. A ratio says nothing of how much is read: `separable` does.
Traps     A reader sets aside what is loud in its own family only. Features are therefore scaled by their spread over
          all families (`presence.scaled`), or a quiet channel of A that sounds in B would drown it, even of a code that
          is perfectly stable. A reader that has learned in many families may find what is common to them: a part.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import presence
from .hearing import Ear, Probe
from .presence import Code, Design
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import jackknife_two_way

Floats = NDArray[np.float64]

VERSION = 1
THRESHOLD = Threshold(0.8, 0.6)
SIZES = presence.SIZES
LEAST_HOME = 0.7
NULL_DRAWS = 199


def stable_across_contexts(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how well readers read on in other company; see the module."""
    design = presence.draw(ear, rng, effort)
    answers = yield presence.ask(ear, design)
    return {site: _measure(site, design, code, rng) for site, code in presence.codes(ear, design, answers).items()}


def _measure(site: str, design: Design, code: Code, rng: np.random.Generator) -> Measurement:
    nothing = Measurement(site=site, probe="stable_across_contexts", version=VERSION, effect=None, sounds=design.sounds)
    if not code.answers:
        return replace(nothing, reason="the code does not change with the sound")
    labels = design.total.present[..., : design.main]
    half = code.sequence.shape[-1] // 2
    readings = {
        "means and log powers": presence.read(code.sequence, labels),
        "means alone (RO1)": presence.read(code.sequence[..., :half], labels),
        "log powers alone (RO2)": presence.read(code.sequence[..., half:], labels),
    }
    best = max(readings.values(), key=lambda reading: float(reading.within.mean()))
    several = presence.area_by_family(presence.read_elsewhere(code.sequence, labels), labels)
    pooled = presence.area_by_family(presence.read_pooled(code.sequence, labels), labels)
    abroad = read_abroad([reading.across for reading in readings.values()])
    found = replace(
        nothing,
        reason=_unheard(best.within),
        parts=(
            Part(name="at home", effect=home(best.within), threshold=Threshold(LEAST_HOME, LEAST_HOME), note="gate"),
            *(_part(readout, reading.within, reading.across) for readout, reading in readings.items()),
            _part("readers of all other families", pooled, several),
        ),
        figures={"auc_from_family_to_family": _table(best.within, abroad)},
    )
    if found.reason:
        return found
    null = presence.permuted_areas(best.abroad, labels, rng, NULL_DRAWS)
    observed = float(np.nanmean(presence.area_by_family(best.abroad, labels)))
    p = float((1 + (null >= observed).sum()) / (1 + NULL_DRAWS))
    return replace(
        found,
        effect=ratio("share read in other company", best.within, abroad),
        null=Null(kind="labels permuted within families, abroad", draws=NULL_DRAWS, p=p),
    )


def read_abroad(readouts: list[Floats]) -> Floats:
    """Return areas 'partials families families' by the readout that reads best where it is not scored.

    From family A to family B it is the one whose readers of A have the largest mean area in all families but these two.
    """
    tables = np.stack(readouts)
    found = np.full(tables.shape[1:], np.nan)
    count = tables.shape[-1]
    for home_family in range(count):
        for other in range(count):
            third = [index for index in range(count) if index not in (home_family, other)]
            if home_family != other:
                best = int(tables[:, :, home_family, third].mean(axis=(1, 2)).argmax())
                found[:, home_family, other] = tables[best, :, home_family, other]
    return found


def ratio(name: str, within: Floats, abroad: Floats) -> Effect:
    """Return the share of what is read at home that is read abroad, with a two-way interval.

    Args:
        name: what the effect is called.
        within: areas at home, 'partials families'.
        abroad: areas abroad, 'partials families families' from family to family, or 'partials families'.
    """
    apart = ~np.eye(within.shape[1], dtype=bool)

    def statistic(kept: NDArray[np.bool_]) -> float:
        cells = kept if abroad.ndim == 2 else kept[:, :, None] & kept[:, None, :] & apart
        below = (within[kept] - 0.5).mean()
        return float((abroad[cells] - 0.5).mean() / below) if below > 0 else float("nan")

    return jackknife_two_way(statistic, within.shape, name=name, unit="share")


def home(within: Floats) -> Effect:
    """Return the mean area at home over partials, of 'partials families'."""
    return presence.mean_over_partials("AUC in its own company", within.mean(axis=1))


def _part(name: str, within: Floats, abroad: Floats) -> Part:
    unheard = _unheard(within)
    effect = None if unheard else ratio(f"share read in other company, {name}", within, abroad)
    return Part(name=name, effect=effect, threshold=THRESHOLD, note=unheard or "")


def _unheard(within: Floats) -> str | None:
    """Why nothing can be said of readers abroad, if they read too little at home."""
    read = home(within)
    if read.low > LEAST_HOME:
        return None
    return (
        f"partials are not read well enough in their own company: AUC {read.value:.2f} [{read.low:.2f}, "
        f"{read.high:.2f}], and the interval must lie above {LEAST_HOME:g}"
    )


def _table(within: Floats, abroad: Floats) -> list[list[float]]:
    """Mean areas from family to family, home on the diagonal."""
    means = abroad.mean(axis=0)
    np.fill_diagonal(means, within.mean(axis=0))
    return [[float(each) for each in row] for row in means]
