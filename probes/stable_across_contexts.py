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
          Readers that heard little have chance in their weights: it scatters what they say, at home and abroad, and not
          by one factor. So readers learn from halves of a family's sounds, two at a time: what two say that share no
          sound has in common what such sounds teach (`presence.Halves`). Areas are stated as of the reader that they
          are on average, free of chance, and that apart at home and abroad: d' grows by the root of the scatter over
          what of it both share, one factor for all partials at home and one abroad.
Gate      what cannot be read at home cannot be read abroad: unless the lower end of AUC_A lies above `LEAST_HOME`,
          there is nothing to measure.
Own audio Company of the user's own recordings is a part: readers of the families here, in the recordings.
Null      labels permuted within families, for readers abroad.
Interval  over partials, from differences between neighbours, and no nearer than that of a share of partials that keep
          all (`presence.ratio_over_partials`). The families are kinds of company, the same in every draw, and no
          sample; other kinds would give another number. The reader that half of a family's sounds teach on average is
          not that of endless sounds: where partials interfere, the latter looks for what sets one off from all others
          in its own family, and finds less abroad. So the lower end makes room for the share as all sounds let readers
          find it, where that is smaller (`DOUBT`).
Threshold supported above .8, refuted below .6: four fifths of what is read at home are read abroad, or less than three.
Large     a partial has one direction in the code. A ratio says nothing of how much is read: `separable` does.
Traps     A reader sets aside what is loud in its own family only. Features are therefore in one unit for
          all families (`presence.remainder`), or a quiet channel of A that sounds in B would drown it, even of a code
          that is perfectly stable. A reader that has learned in many families may find what is common to them: a part.
          Imagined codes of known truth, `standard`: with a channel for a partial in all company and another for each
          kind, .8 reads .80, .6 reads .60 (20 seeds each) and .9 reads .90 (8); version 3 read .78, .64 and .88. Beside
          150 channels of noise .80 and .60 (8). Where every partial moves all channels, and so each interferes with
          each, .81 reads .87 and .60 reads .65 (8): the lower end makes room for that, the upper end does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import presence
from .hearing import Ear, Probe
from .presence import Code, Design, Halves, Heard, Reading
from .records import Effect, Measurement, Part, Threshold

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

VERSION = 5
THRESHOLD = Threshold(0.8, 0.6)
SIZES = presence.SIZES
LEAST_HOME = 0.7
NULL_DRAWS = 199
DOUBT = 1.0
"""Of what chance in readers takes from the share: how much of it the lower end leaves open."""

TOKENS = 240
"""How many an area counts as resting on, where d' is formed: means over families and pairs of them rest on more."""


def stable_across_contexts(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how well readers read on in other company; see the module."""
    heard = yield from presence.listen(ear, rng, effort)
    return {site: _measure(site, draws, rng) for site, draws in heard.items()}


@dataclass(frozen=True)
class Found:
    """What readers of one draw reach; areas are 'partials families', abroad 'partials families families'."""

    readings: Mapping[str, Reading]
    """By readout."""
    chosen: str
    """The readout that reads best at home."""
    features: Mapping[str, Floats]
    """By readout, 'families tokens features'."""
    labels: Labels
    abroad: Floats
    """By the readout that serves best where it is not scored."""
    pooled: Floats
    several: Floats
    """By readers of all other families."""
    recorded: Floats | None
    """In the company of recordings, 'partials families recordings'."""

    @property
    def within(self) -> Floats:
        """At home, by the chosen readout."""
        return self.readings[self.chosen].within


def _found(draw: Heard) -> Found:
    design, code = draw.design, draw.code
    labels = design.total.present[..., : design.main]
    half = code.sequence.shape[-1] // 2
    slices = {
        "means and log powers": slice(None),
        "means alone (RO1)": slice(None, half),
        "log powers alone (RO2)": slice(half, None),
    }
    unit = presence.remainder(code.sequence, design.total.present)
    features = presence.divided(code.sequence, unit)
    by_readout = {name: features[..., each] for name, each in slices.items()}
    readings = {name: presence.read(each, labels) for name, each in by_readout.items()}
    chosen = max(readings, key=lambda name: float(readings[name].within.mean()))
    return Found(
        readings=readings,
        chosen=chosen,
        features=by_readout,
        labels=labels,
        abroad=read_abroad([reading.across for reading in readings.values()]),
        pooled=presence.area_by_family(presence.read_pooled(features, labels), labels),
        several=presence.area_by_family(presence.read_elsewhere(features, labels), labels),
        recorded=_in_recordings(code, design, unit, slices[chosen]),
    )


def _measure(site: str, draws: tuple[Heard, ...], rng: np.random.Generator) -> Measurement:
    sounds = draws[0].design.sounds
    nothing = Measurement(site=site, probe="stable_across_contexts", version=VERSION, effect=None, sounds=sounds)
    if not presence.answering(draws):
        return replace(nothing, reason="the code does not change with the sound")
    found = [_found(each) for each in draws]

    def all_of(what: Callable[[Found], Floats]) -> Floats:
        return presence.together(draws, [what(each) for each in found])

    within, abroad = all_of(lambda each: each.within), all_of(lambda each: each.abroad)
    parts = [Part(name="at home", effect=home(within), threshold=Threshold(LEAST_HOME, LEAST_HOME), note="gate")]
    for name in found[0].readings:
        read = [each.readings[name] for each in found]
        areas = [presence.together(draws, [getattr(each, which) for each in read]) for which in ("within", "across")]
        parts.append(_part(name, *areas))
    parts += [
        _part("as heard", within, abroad),
        _part("readers of all other families", all_of(lambda each: each.pooled), all_of(lambda each: each.several)),
    ]
    recorded = [each.recorded for each in found if each.recorded is not None]
    if len(recorded) == len(found):
        parts.append(_part("in the company of your recordings", within, presence.together(draws, recorded)))
    figures = {"auc_from_family_to_family": _table(within, abroad)}
    measured = replace(nothing, reason=_unheard(within), parts=tuple(parts), figures=figures)
    if measured.reason:
        return measured
    own, away = (presence.together(draws, areas) for areas in zip(*map(_freed_of, found), strict=True))
    said = [(each.readings[each.chosen].abroad, each.labels) for each in found]
    return replace(
        measured,
        effect=share("share read in other company", ratio("as heard", within, abroad), own, away),
        null=presence.null_of(
            [float(np.nanmean(presence.area_by_family(*each))) for each in said],
            [presence.permuted_areas(*each, rng, NULL_DRAWS) for each in said],
            "labels permuted within families, abroad",
        ),
    )


def _freed_of(found: Found) -> tuple[Floats, Floats]:
    halves = {name: presence.read_halves(features, found.labels) for name, features in found.features.items()}
    return freed(halves[found.chosen], list(halves.values()))


def read_abroad(readouts: list[Floats]) -> Floats:
    """Return areas 'partials families families' by the readout that reads best where it is not scored."""
    chosen, tables = _serves(readouts), np.stack(readouts)
    return np.asarray(np.where(np.isnan(tables[0]), np.nan, np.take_along_axis(tables, chosen, axis=0)[0]))


def _serves(readouts: list[Floats]) -> NDArray[np.intp]:
    """Which of the readouts, '1 partials families families'.

    From family A to family B it is the one whose readers of A have the largest mean area in all families but these two.
    """
    tables = np.stack(readouts)
    found = np.zeros((1, *tables.shape[1:]), dtype=np.intp)
    count = tables.shape[-1]
    for home_family in range(count):
        for other in range(count):
            third = [index for index in range(count) if index not in (home_family, other)]
            if home_family != other:
                found[..., home_family, other] = tables[:, :, home_family, third].mean(axis=(1, 2)).argmax()
    return found


def ratio(name: str, within: Floats, abroad: Floats) -> Effect:
    """Return the share of what is read at home that is read abroad, with an interval over partials.

    Args:
        name: what the effect is called.
        within: areas at home, 'partials families'.
        abroad: areas abroad, 'partials families families' from family to family, or 'partials families'.
    """
    means = within.mean(axis=1), np.nanmean(abroad.reshape(len(abroad), -1), axis=1)
    return presence.ratio_over_partials(name, means[1] - 0.5, means[0] - 0.5)


def freed(home: Halves, readouts: list[Halves]) -> tuple[Floats, Floats]:
    """Return areas at home and abroad, 'partials' each, free of the chance of the sounds that readers heard.

    Areas as heard are enlarged by the factor in d' that `Halves` says, one for all partials at home and one abroad.

    Args:
        home: readers at home.
        readouts: readers abroad, of which each pair of families has its own.
    """
    chosen = _serves([_abroad(each.areas) for each in readouts])
    areas, scatter, lasting = (
        np.take_along_axis(np.stack([getattr(each, field) for each in readouts]), chosen, axis=0)[0]
        for field in ("areas", "scatter", "lasting")
    )
    same = np.eye(areas.shape[-1], dtype=bool)
    own = _freed(home.areas[:, same], home.scatter[:, same], home.lasting[:, same])
    return own, _freed(areas[:, ~same], scatter[:, ~same], lasting[:, ~same])


def share(name: str, heard: Effect, own: Floats, away: Floats) -> Effect:
    """Return the share that readers find abroad on average, free of chance.

    Args:
        name: what the effect is called.
        heard: the share as readers of all sounds find it: the lower end leaves room for it (`DOUBT`).
        own: areas of `freed` readers at home, in order of frequency.
        away: and abroad.
    """
    reached = presence.ratio_over_partials(name, away - 0.5, own - 0.5)
    return replace(reached, low=reached.low - DOUBT * max(reached.value - heard.value, 0.0))


def _freed(areas: Floats, scatter: Floats, lasting: Floats) -> Floats:
    """Areas 'partials' of readers without chance, of 'partials pairs'."""
    whole = max(float(scatter.mean()), 1e-300)
    left = min(max(float(lasting.mean()), whole / presence.MOST_REACH**2), whole)
    return presence.grown(areas.mean(axis=1), np.full(len(areas), np.sqrt(whole / left)), TOKENS)


def _abroad(areas: Floats) -> Floats:
    """The same, without what is read at home."""
    return np.where(np.eye(areas.shape[-1], dtype=bool), np.nan, areas)


def _in_recordings(code: Code, design: Design, unit: Floats, readout: slice) -> Floats | None:
    """Areas of readers of each family in the company of recordings, 'partials families recordings'."""
    if code.recorded is None or design.recorded is None:
        return None
    kinds = len(code.sequence)
    labels = np.concatenate([design.total.present, design.recorded.present])[..., : design.main]
    features = presence.divided(np.concatenate([code.sequence, code.recorded]), unit)[..., readout]
    return presence.read(features, labels, homes=range(kinds)).across[:, :kinds, kinds:]


def home(within: Floats) -> Effect:
    """Return the mean area at home over partials, of 'partials families'."""
    return presence.mean_over_partials("AUC in its own company", within.mean(axis=1))


def _part(name: str, within: Floats, abroad: Floats) -> Part:
    unheard = _unheard(within)
    told = f"share read {name}" if name.startswith("in ") else f"share read in other company, {name}"
    effect = None if unheard else ratio(told, within, abroad)
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
