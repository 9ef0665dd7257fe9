"""Can each partial of a mixture be read off the code?

Source: Post 0, section 0.2: "narrowband oscillatory components must be represented in a way that is both separable and
stable across contexts". In words: partials sound or not, as coins fall. From the code alone a linear reader
says which of them sound. A code that keeps them apart lets it answer, each for itself, whatever the others do.

Stimuli   mixtures at one level in all (`presence`): how many partials sound moves no level.
Formula   for each partial the area under the ROC curve, between tokens with and without it, of linear readers that did
          not learn from them, tokens of one family compared with each other; mean over families and partials. Each
          area is that which readers of endless sounds would reach, from readers of all and of half the sounds there
          are: 2 AUC(n) - AUC(n/2) (Quenouille 1956), at most 1.
          effect = the mean: .5 is guessing, 1 is a clean separation.
Readouts  RO1 and RO2 side by side, mean and log power of each channel over a sequence, decide. RO3, one frame as it is
          (what a quantiser sees), is a part.
Readers   those of one family or those of all, whichever does better for a partial on the other half of the tokens.
Own audio Mixtures in the company of the user's own recordings, where there are some, are a part, by readers of these.
Null      labels permuted within families and folds, for the readers of one family.
Interval  over partials, those 16 of each draw that share no alias frequency, from differences between neighbours
          (`presence.mean_over_partials`). All of a draw share their tokens, but their coins are independent. Simulated
          through the whole probe it covers as often as it should, or a little more.
Threshold .75 (d' of about 1): below it a reader is wrong as often as one in four pairs.
Large     the partials have places of their own in the code. It is not said that these stay when the company changes:
          `stable_across_contexts` asks that.
Traps     With a level for each component the level of all tells how many sound: a part. Few sounds make poor readers:
          the areas of readers as they were heard, before what endless sounds would add, are a part. Partners that
          share an alias frequency with another candidate do not decide, lest the effect hinge on what a frame rate
          makes of them: they are a part, and `alias_collapse` is about them.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import presence
from .hearing import Ear, Probe
from .presence import Heard
from .records import Effect, Measurement, Part, Threshold

Floats = NDArray[np.float64]

VERSION = 3
THRESHOLD = Threshold(0.75, 0.75)
SIZES = presence.SIZES
NULL_DRAWS = 199
LEAST_PARTNERS = 4


def separable(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how well partials are read off each site; see the module."""
    heard = yield from presence.listen(ear, rng, effort)
    return {site: _measure(site, draws, rng) for site, draws in heard.items()}


@dataclass(frozen=True)
class Found:
    """What readers reach, 'partials' each, of one draw."""

    endless: Floats
    heard: Floats
    frame: Floats
    component: Floats
    partners: Floats
    recorded: Floats | None
    null: Floats
    """Mean areas of readers of one family under permuted labels."""
    observed: float


def _found(draw: Heard, rng: np.random.Generator) -> Found:
    design, code = draw.design, draw.code
    main, labels = design.main, design.total.present
    found = presence.separate(code.sequence, labels)
    said, known = found.said[..., :main], labels[..., :main]
    recorded = None
    if code.recorded is not None and design.recorded is not None:
        recorded = presence.separate(code.recorded, design.recorded.present).endless[:main]
    return Found(
        endless=found.endless[:main],
        heard=found.areas[:main],
        frame=presence.separate(code.frame, labels[..., :main]).endless,
        component=presence.separate(code.component, design.component.present).endless[:main],
        partners=found.endless[main:],
        recorded=recorded,
        null=presence.permuted_areas(said, known, rng, NULL_DRAWS),
        observed=float(np.nanmean(presence.area_by_family(said, known))),
    )


def _measure(site: str, draws: tuple[Heard, ...], rng: np.random.Generator) -> Measurement:
    sounds = draws[0].design.sounds
    if not presence.answering(draws):
        return Measurement(
            site=site,
            probe="separable",
            version=VERSION,
            effect=None,
            reason="the code does not change with the sound",
            sounds=sounds,
        )
    found = [_found(each, rng) for each in draws]

    def all_of(what: str, **which: bool) -> Floats:
        return presence.together(draws, [getattr(each, what) for each in found], **which)

    partners = all_of("partners", partners=True)
    parts = [
        Part(name="readers as heard", effect=_mean("AUC, readers as heard", all_of("heard")), threshold=THRESHOLD),
        Part(name="one frame (RO3)", effect=_mean("AUC, one frame", all_of("frame")), threshold=THRESHOLD),
        Part(
            name="a level for each component",
            effect=_mean("AUC, a level for each component", all_of("component")),
            threshold=THRESHOLD,
            note="two families; how many partials sound moves the level",
        ),
        Part(
            name="alias partners",
            effect=_mean("AUC, alias partners", partners) if len(partners) >= LEAST_PARTNERS else None,
            threshold=THRESHOLD,
            note="" if len(partners) >= LEAST_PARTNERS else "too few fit between the partials at this frame rate",
        ),
    ]
    if all(each.recorded is not None for each in found):
        name = "in the company of your recordings"
        parts.append(Part(name=name, effect=_mean(f"AUC {name}", all_of("recorded")), threshold=THRESHOLD))
    return Measurement(
        site=site,
        probe="separable",
        version=VERSION,
        effect=_mean("area under the ROC curve", all_of("endless")),
        parts=tuple(parts),
        null=presence.null_of(
            [each.observed for each in found],
            [each.null for each in found],
            "labels permuted within families and folds",
        ),
        sounds=sounds,
        figures={
            "hz": [float(hz) for hz in np.sort(presence.hz_of(draws))],
            "auc_by_partial": [float(each) for each in all_of("endless")],
        },
    )


def _mean(name: str, areas: Floats) -> Effect:
    found = presence.mean_over_partials(name, areas)
    return replace(found, high=min(found.high, 1.0))
