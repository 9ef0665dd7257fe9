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
          Readers that heard little tell less at home and abroad, by about one factor in d' (weights learned in noise
          lengthen the reader and not what it reads); areas, which saturate, lose more abroad. So areas are stated as
          readers of endless sounds would reach them: at home by `presence.endless`, from readers of all and of half the
          sounds; abroad by as much in d' as at home, partial by partial (`presence.grown`).
Gate      what cannot be read at home cannot be read abroad: unless the lower end of AUC_A lies above `LEAST_HOME`,
          there is nothing to measure.
Own audio Company of the user's own recordings is a part: readers of the families here, in the recordings.
Null      labels permuted within families, for readers abroad.
Interval  over partials, from differences between neighbours, and no nearer than that of a share of partials that keep
          all (`presence.ratio_over_partials`). The families are kinds
          of company, the same in every draw, and no sample; other kinds would give another number. That d' grows abroad
          by as much as at home is an assumption: half of the step from areas as heard to those of endless readers is
          added to the interval on either side (`DOUBT`).
Threshold supported above .8, refuted below .6: four fifths of what is read at home are read abroad, or less than three.
Large     a partial has one direction in the code. A ratio says nothing of how much is read: `separable` does.
Traps     A reader sets aside what is loud in its own family only. Features are therefore scaled by their spread over
          all families (`presence.scaled`), or a quiet channel of A that sounds in B would drown it, even of a code that
          is perfectly stable. A reader that has learned in many families may find what is common to them: a part. Where
          a code has one channel for a partial in all company and others for each, d' grows less abroad than at home or
          more, as what a reader finds there of other company scatters: of imagined codes of that kind one of truth .8
          reads .76 at `quick` and .78 at `standard`, one of truth .6 reads .64, and one of .3 reads .43. The interval
          makes room for the first two, not for the last, whose verdict is the same.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import presence
from .hearing import Ear, Probe
from .presence import Code, Design
from .records import Effect, Measurement, Null, Part, Threshold

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

VERSION = 3
THRESHOLD = Threshold(0.8, 0.6)
SIZES = presence.SIZES
LEAST_HOME = 0.7
NULL_DRAWS = 199
DOUBT = 0.5
"""Of what endless sounds would add: how much of it the interval leaves open on either side."""

TOKENS = 240
"""How many an area counts as resting on, where d' is formed: means over families and pairs of them rest on more."""


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
    slices = {
        "means and log powers": slice(None),
        "means alone (RO1)": slice(None, half),
        "log powers alone (RO2)": slice(half, None),
    }
    readings = {name: presence.read(code.sequence[..., each], labels) for name, each in slices.items()}
    chosen = max(readings, key=lambda name: float(readings[name].within.mean()))
    best = readings[chosen]
    several = presence.area_by_family(presence.read_elsewhere(code.sequence, labels), labels)
    pooled = presence.area_by_family(presence.read_pooled(code.sequence, labels), labels)
    abroad = read_abroad([reading.across for reading in readings.values()])
    factor = _growth(code.sequence[..., slices[chosen]], labels, best.within)
    found = replace(
        nothing,
        reason=_unheard(best.within),
        parts=(
            Part(name="at home", effect=home(best.within), threshold=Threshold(LEAST_HOME, LEAST_HOME), note="gate"),
            *(_part(readout, reading.within, reading.across) for readout, reading in readings.items()),
            _part("as heard", best.within, abroad),
            _part("readers of all other families", pooled, several),
            *_in_recordings(code, design, best.within, slices[chosen], factor),
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
        effect=ratio("share read in other company", best.within, abroad, factor),
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


def ratio(name: str, within: Floats, abroad: Floats, factor: Floats | None = None) -> Effect:
    """Return the share of what is read at home that is read abroad, with an interval over partials.

    Args:
        name: what the effect is called.
        within: areas at home, 'partials families'.
        abroad: areas abroad, 'partials families families' from family to family, or 'partials families'.
        factor: by which d' grows to that of endless readers, 'partials'; None: as heard.
    """
    means = within.mean(axis=1), np.nanmean(abroad.reshape(len(abroad), -1), axis=1)
    heard = presence.ratio_over_partials(name, means[1] - 0.5, means[0] - 0.5)
    if factor is None:
        return heard
    home, away = (presence.grown(each, factor, TOKENS) for each in means)
    reached = presence.ratio_over_partials(name, away - 0.5, home - 0.5)
    doubt = DOUBT * abs(reached.value - heard.value)
    return replace(reached, low=reached.low - doubt, high=reached.high + doubt)


def _growth(features: Floats, labels: Labels, within: Floats) -> Floats:
    """By what factor d' of readers at home would grow with endless sounds, 'partials'."""
    halves = [
        presence.read(features[:, step], labels[:, step], elsewhere=False).within.mean(axis=1)
        for step in (slice(0, None, 2), slice(1, None, 2))
    ]
    heard = within.mean(axis=1)
    return presence.growth(heard, presence.endless(heard, np.mean(halves, axis=0)), TOKENS)


def _in_recordings(code: Code, design: Design, within: Floats, readout: slice, factor: Floats) -> tuple[Part, ...]:
    """Readers of each family, in the company of recordings."""
    if code.recorded is None or design.recorded is None:
        return ()
    kinds = len(code.sequence)
    labels = np.concatenate([design.total.present, design.recorded.present])[..., : design.main]
    features = np.concatenate([code.sequence, code.recorded])[..., readout]
    across = presence.read(features, labels, homes=range(kinds)).across[:, :kinds, kinds:]
    unheard = _unheard(within)
    name = "in the company of your recordings"
    effect = None if unheard else ratio(f"share read {name}", within, across, factor)
    return (Part(name=name, effect=effect, threshold=THRESHOLD, note=unheard or ""),)


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
