"""Are partials in the code, and yet not to be had across contexts?

Source: Post 0, section 0.3: "These representations contain internal narrowband components, but they cannot reliably
expose them as independently accessible or stable substructures". In words: two readers. One may use whatever is in the
code, in company that it knows: if it tells which partials sound, they are contained. The other may only weigh and add,
as a sequence model's first layer does, and is asked in company it has never heard: if it tells, they are exposed.

Stimuli   as `separable`, one level in all: else level gives the number of partials away.
Formula   contain: mean over partials of the area under the ROC curve in company known, of the best of five readers for
          each partial, chosen on tokens that it is not scored on: linear, learned in the family or in all families; and
          matched, at three strengths (the energy along a learned direction at the partial's alias frequency, whatever
          the start phase). expose: the area of linear readers of RO1 and RO2 that learned in all other families. Both
          as readers of endless sounds would reach it (`presence.endless`).
          A family has a few dozen sounds, fewer than many a code has channels. Readers of one family are then so far
          from what they would reach that the step from half the sounds to all of them does not tell: a linear reader
          that could reach .85 read .72. So what linear readers of one family reach is also had from how much of the
          scatter of what they say is chance in their weights (`presence.spread_at_home`, `presence.reach`), and stands
          where it is the larger (`larger`).
          effect = min(contain - .85, .65 - expose).
Own audio In the company of the user's own recordings, where there are some, a part: contained, for readers of these;
          exposed, for linear readers that learned in all the families here.
Null      labels permuted within families and folds, for the readers in company unknown.
Interval  of either over partials, from differences between neighbours (`presence.mean_over_partials`); the families
          are kinds of company, the same in every draw, and no sample. Supported needs both: the lower end is the
          smaller of both lower ends. Refuted needs one of the two, and to err in 5 % of cases at most each is tested at
          2.5 % (the first step of Holm's): the upper end is the smaller of both upper ends at 95 %.
Threshold supported above 0, refuted below -.1: contained is an area above .85, exposed one above .65, with a tenth
          between yes and no.
Large     at most .15: everything is contained, and nothing exposed.
Traps     A code that holds nothing exposes nothing: hence the minimum. A polyphase code is the waveform itself; its
          mean and its power say nothing of any partial, though all is there. Readers that learned in one family only
          expose less (`stable_across_contexts`); here they are given every chance.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import presence
from .hearing import Ear, Probe
from .presence import Code, Design, Heard
from .records import Effect, Measurement, Part, Threshold
from .statistics import CONFIDENCE

Floats = NDArray[np.float64]

VERSION = 4
THRESHOLD = Threshold(0.0, -0.1)
SIZES = presence.SIZES
CONTAINED = 0.85
EXPOSED = 0.65
NULL_DRAWS = 199
CONFIDENCE_OF_EITHER = 0.95
HEARD_ERRORS = 3.0


def contained_not_exposed(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure what is in the code of each site, and what of it is to be had; see the module."""
    heard = yield from presence.listen(ear, rng, effort)
    return {site: _measure(site, draws, rng) for site, draws in heard.items()}


@dataclass(frozen=True)
class Found:
    """What readers of one draw reach, 'partials' each."""

    contained: Floats
    exposed: Floats
    linear: Floats
    """In company known, linear readers only, as heard."""
    matched: Floats
    recorded: tuple[Floats, Floats] | None
    """What is contained and exposed in the company of recordings."""
    null: Floats
    """Mean areas of readers in company unknown under permuted labels."""
    observed: float


def _found(draw: Heard, rng: np.random.Generator) -> Found:
    design, code = draw.design, draw.code
    labels = design.total.present[..., : design.main]
    every = _readers(code, design, slice(None))
    halves = [_readers(code, design, step) for step in (slice(0, None, 2), slice(1, None, 2))]

    def reached(read: str) -> Floats:
        """By partial, as readers of endless sounds would reach it."""
        half = np.mean([half[read].mean(axis=1) for half in halves], axis=0)
        return presence.endless(every[read].mean(axis=1), half)

    said = presence.read_elsewhere(code.sequence, labels)
    return Found(
        contained=larger(reached("contained"), every["contained"], code.sequence, labels),
        exposed=reached("exposed"),
        linear=every["linear"].mean(axis=1),
        matched=every["matched"].mean(axis=1),
        recorded=_in_recordings(code, design),
        null=presence.permuted_areas(said, labels, rng, NULL_DRAWS),
        observed=float(np.nanmean(presence.area_by_family(said, labels))),
    )


def _measure(site: str, draws: tuple[Heard, ...], rng: np.random.Generator) -> Measurement:
    sounds = draws[0].design.sounds
    nothing = Measurement(site=site, probe="contained_not_exposed", version=VERSION, effect=None, sounds=sounds)
    if not presence.answering(draws):
        return replace(nothing, reason="the code does not change with the sound")
    found = [_found(each, rng) for each in draws]

    def all_of(what: str) -> Floats:
        return presence.together(draws, [getattr(each, what) for each in found])

    contained, exposed = all_of("contained"), all_of("exposed")
    parts = [
        Part(
            name="contained",
            effect=_margin("AUC in company known - .85", contained - CONTAINED),
            threshold=THRESHOLD,
            note="the best of the linear and the matched readers",
        ),
        Part(
            name="not exposed",
            effect=_margin(".65 - AUC in company unknown", EXPOSED - exposed),
            threshold=THRESHOLD,
            note="linear readers that learned in all other families",
        ),
        Part(
            name="contained, linear readers only",
            effect=_margin("AUC of linear readers in company known - .85", all_of("linear") - CONTAINED),
            threshold=THRESHOLD,
            note="as heard",
        ),
        Part(
            name="contained, matched readers only",
            effect=_margin("AUC of matched readers in company known - .85", all_of("matched") - CONTAINED),
            threshold=THRESHOLD,
            note="as heard",
        ),
    ]
    recorded = [each.recorded for each in found if each.recorded is not None]
    if len(recorded) == len(found):
        name = "in the company of your recordings"
        reached = [presence.together(draws, areas) for areas in zip(*recorded, strict=True)]
        effect = replace(both(*reached), name=f"min(contain - .85, .65 - expose) {name}")
        parts.append(Part(name=name, effect=effect, threshold=THRESHOLD))
    return replace(
        nothing,
        effect=both(contained, exposed),
        parts=tuple(parts),
        null=presence.null_of(
            [each.observed for each in found],
            [each.null for each in found],
            "labels permuted within families and folds",
        ),
        figures={
            "hz": [float(hz) for hz in np.sort(presence.hz_of(draws))],
            "contained_by_partial": [float(each) for each in contained],
            "exposed_by_partial": [float(each) for each in exposed],
        },
    )


def _in_recordings(code: Code, design: Design) -> tuple[Floats, Floats] | None:
    """What is in the code in the company of recordings, and what of it readers that know other company have."""
    if code.recorded is None or code.recorded_lines is None or design.recorded is None:
        return None
    main, labels = design.main, design.recorded.present[..., : design.main]

    def contained(step: slice) -> Floats:
        features, known = code.recorded[:, step], labels[:, step]  # type: ignore[index]
        linear = [presence.read(features, known, elsewhere=False).said, presence.read_pooled(features, known)]
        lines = code.recorded_lines[:, step, :main]  # type: ignore[index]
        matched = presence.read_matched(lines, design.recorded, step)  # type: ignore[arg-type]
        return presence.chosen([*linear, *matched], known)

    def exposed(step: slice) -> Floats:
        known = design.total.present[:, step, :main]
        said = presence.read_new(code.sequence[:, step], known, code.recorded)  # type: ignore[arg-type]
        return presence.area_by_family(said, labels)

    halves = (slice(0, None, 2), slice(1, None, 2))
    inside, outside = (
        presence.endless(read(slice(None)).mean(axis=1), np.mean([read(half).mean(axis=1) for half in halves], axis=0))
        for read in (contained, exposed)
    )
    return larger(inside, contained(slice(None)), code.recorded, labels), outside


def larger(reached: Floats, heard: Floats, features: Floats, labels: NDArray[np.bool_]) -> Floats:
    """Return areas by partial: those reached by whichever reader, or by linear readers of one family if these are more.

    Which is more is judged partial by partial, each difference drawn towards their mean by as much as chance between
    families makes of it. Where linear readers stand, so do jackknife pseudo-values of their mean (Tukey 1958): what
    their scatter lasts is one number for all, and its error that of all.

    Args:
        reached: by the best of all readers, 'partials'.
        heard: the same as heard, 'partials families'.
        features: 'families tokens features', `presence.scaled`.
        labels: 'families tokens partials'.
    """
    if labels.shape[0] < 2:
        return reached
    home, _ = presence.spread_at_home(features, labels)
    count, families = home.areas.shape
    above = home.areas.mean(axis=1) - 0.5
    if above.mean() <= HEARD_ERRORS * above.std(ddof=1) / np.sqrt(count):
        return reached
    tokens = labels.shape[0] * labels.shape[1]
    factor = presence.reach(home, home)
    own = presence.grown(home.areas.mean(axis=1), factor, tokens)
    more = own - reached
    # What grows, grows with its chance.
    grown = presence.grown(home.areas, factor[:, None], tokens)
    chance = float((grown - heard).var(axis=1, ddof=1).mean()) / families
    spread = max(float(more.var(ddof=1)) - chance, 0.0)
    stands = more.mean() + spread / (spread + chance + 1e-12) * (more - more.mean()) > 0
    pseudo = np.empty(count)
    for left_out in range(count):
        kept = np.arange(count) != left_out
        some = home.of(kept)
        without = presence.grown(some.areas.mean(axis=1), presence.reach(some, some), tokens)
        pseudo[left_out] = own.sum() - without.sum()
    return np.where(stands, pseudo, reached)


def both(contained: Floats, exposed: Floats) -> Effect:
    """Return min(contain - .85, .65 - expose), of areas by partial, in order of frequency."""
    name = "min(contain - .85, .65 - expose)"
    margins = (contained - CONTAINED, EXPOSED - exposed)
    each = [_margin(name, values) for values in margins]
    either = [_margin(name, values, confidence=CONFIDENCE_OF_EITHER) for values in margins]
    smaller = min(each, key=lambda effect: effect.value)
    return replace(smaller, low=min(effect.low for effect in each), high=min(effect.high for effect in either))


def _margin(name: str, values: Floats, confidence: float = CONFIDENCE) -> Effect:
    return presence.mean_over_partials(name, values, confidence=confidence)


def _readers(code: Code, design: Design, step: slice) -> dict[str, Floats]:
    """Areas 'partials families' of the readers that are compared, all of them of the tokens in `step`."""
    labels = design.total.present[:, step, : design.main]
    features = code.sequence[:, step]
    linear = [presence.read(features, labels, elsewhere=False).said, presence.read_pooled(features, labels)]
    matched = presence.read_matched(code.lines[:, step, : design.main], design.total, step)
    return {
        "contained": presence.chosen([*linear, *matched], labels),
        "linear": presence.chosen(linear, labels),
        "matched": presence.chosen(matched, labels),
        "exposed": presence.area_by_family(presence.read_elsewhere(features, labels), labels),
    }
