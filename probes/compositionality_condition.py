"""Do notes compose only where their components are both separable and stable?

Source: Post 0, section 0.2: "This provides a clear condition for compositionality: narrowband oscillatory components
must be represented in a way that is both separable and stable across contexts". In words: take a zoo of encoders of all
kinds. Of each it is measured how well partials are separated, how stable they are, and, on other sounds, whether notes
are found in chords that were never heard, above a drone that was never heard. If the condition holds, the notes go with
whichever of the two is worse, and with neither alone.

Stimuli   separation: the mixtures of `separable`, fewer of them. Stability: mixtures of other draws, in which each
          partial starts with one phase wherever it sounds. Composition: chords of three of twelve notes (four
          harmonics, levels roved, start phases drawn), no chord twice. Each in families of company of its own.
Formula   sep = 2 AUC - 1, of linear readers of partials in company that they know, never below 0.
          stab = sum (AUC_B - .5) / sum (AUC_A - .5), as `stable_across_contexts`, from 0 to 1; 0 where AUC_A is below
          `LEAST_HOME`: what cannot be read at all is not stable.
          comp = AUC of linear readers of notes in a family of chords when they learned in all others.
          effect = Spearman(comp, min(sep, stab)) - max(Spearman(comp, sep), Spearman(comp, stab)), over members.
Readouts  RO1 and RO2 for sep and comp. Frozen frames (RO6) for stab: in means and powers of a linear encoder there is
          nothing to be stable, in its frames there is, and a decimator adds the same wherever a partial sounds.
Gate      the truth table. There must be members that have one of the two (above .5) and nothing of the other (below
          .1): stable and not separable, as a bare decimator; separable and not stable, as a filterbank whose bands
          change places with the drone. On average neither may compose: comp below .6. A zoo without them could not
          tell the condition from its halves.
Interval  cluster bootstrap over members: differences of rank correlations are not smooth.
Threshold supported above 0: both halves together say more than the better one alone. Refuted below -.1.
Large     at most 1. As the better half follows composition to some degree, .1 to .4 is what can be expected.
Traps     sep and comp share a readout, so noise in it would tie them: they are drawn apart. Members that are alike
          count as many; the zoo is of all kinds, but it is a choice, and another would give another number. Whose
          composition counts as whose is the zoo's to say (`composes_as`): the control, in which separability is enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import Stimulus
from testtone.stimuli.presence import Mixtures, candidates, chords, families, mixtures

from . import presence
from .decoding import sequence_features
from .hearing import Ear, Listen, Probe
from .readouts import Frames, log_power, mean
from .records import Effect, Measurement, Part, Threshold
from .statistics import bootstrap, ranks

Floats = NDArray[np.float64]

VERSION = 3
THRESHOLD = Threshold(0.0, -0.1)
NOTES = 12
FRAMES = 24
LEAST_MEMBERS = 12
ONE, NONE = 0.5, 0.1
"""On the scale of sep and stab: above the first a member has the quality, below the second it has nothing of it."""

LEAST_HOME = 0.55
COMPOSES_NOT = 0.6
DRAWS = 1999
SIZES = {
    "quick": {"families": 4, "tokens": 36, "chords": 24},
    "standard": {"families": 4, "tokens": 60, "chords": 36},
    "thorough": {"families": 6, "tokens": 120, "chords": 36},
}
CHORD_FAMILIES = 6


def compositionality_condition(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how composition goes with separability and stability over the members of a zoo; see the module."""
    if ear.members is None:
        reason = "the claim is about many encoders at once, and this is one; its attribute members would say otherwise"
        yield []
        return {site: replace(_nothing(site), reason=reason, not_applicable=True) for site in ear.sites}
    design = draw(ear, rng, effort)
    main = design.roved.candidates.main
    labels, steady = design.roved.present[..., :main], design.frozen.present[..., :main]
    means, powers, frames, chord_means, chord_powers = yield [
        Listen(design.roved.flat, mean),
        Listen(design.roved.flat, log_power),
        Listen(design.frozen.flat, Frames(FRAMES)),
        Listen(design.chords.flat, mean),
        Listen(design.chords.flat, log_power),
    ]
    found = {}
    for site in ear.sites:
        rows = []
        for first, last in ear.members.values():
            mine = slice(first, last)
            features = sequence_features(means[site][:, mine], powers[site][:, mine])
            notes = sequence_features(chord_means[site][:, mine], chord_powers[site][:, mine])
            rows.append(
                (
                    separation(features.reshape(*labels.shape[:2], -1), labels),
                    stability(frames[site][:, mine].astype(np.float64).reshape(*labels.shape[:2], -1), steady),
                    composition(notes.reshape(*design.chords.present.shape[:2], -1), design.chords.present),
                )
            )
        table = Table(tuple(ear.members), *np.array(rows).T)
        found[site] = _measure(site, design, table, ear.composes_as, rng)
    return found


@dataclass(frozen=True)
class Design:
    """The sounds: mixtures of partials, mixtures of partials with one start phase each, and chords of notes."""

    roved: Mixtures
    frozen: Mixtures
    chords: Mixtures


@dataclass(frozen=True)
class Table:
    """What was measured of each member."""

    names: tuple[str, ...]
    separable: Floats
    stable: Floats
    composes: Floats
    """AUC."""


def draw(ear: Ear, rng: np.random.Generator, effort: str) -> Design:
    """Draw the sounds."""
    size = SIZES[effort]
    seconds = ear.seconds(max(FRAMES, int(np.ceil(presence.SECONDS * min(ear.frame_rates.values())))))
    among = candidates(rng, sample_rate=ear.sample_rate, frame_rates=list(ear.frame_rates.values()))
    options: dict[str, Any] = {"seconds": seconds, "sample_rate": ear.sample_rate}
    counts = (size["families"], size["families"], CHORD_FAMILIES)
    drawn = [families(rng, count, among=among, sample_rate=ear.sample_rate) for count in counts]
    coins: dict[str, Any] = {"among": among, "tokens": size["tokens"], "level": "total", **options}
    return Design(
        mixtures(rng, company=drawn[0], **coins),
        mixtures(rng, company=drawn[1], frozen=True, **coins),
        chords(rng, among=among, company=drawn[2], notes=NOTES, tokens=size["chords"], **options),
    )


def separation(features: Floats, labels: NDArray[np.bool_]) -> float:
    """Return 2 AUC - 1 of linear readers in company known, of 'families tokens features', not below 0."""
    features = presence.scaled(features)
    rivals = [presence.read(features, labels, elsewhere=False).said, presence.read_pooled(features, labels)]
    return max(0.0, 2.0 * float(np.nanmean(presence.chosen(rivals, labels))) - 1.0)


def stability(frames: Floats, labels: NDArray[np.bool_]) -> float:
    """Return the share of what is read at home that is read abroad, of frames 'families tokens code', 0 to 1."""
    flat = presence.scaled(frames).reshape(-1, frames.shape[-1])
    # Readers do not see a rotation, and there are no more directions than tokens.
    values, vectors = np.linalg.eigh(flat @ flat.T)
    turned = (vectors * np.sqrt(np.maximum(values, 0.0))).reshape(*labels.shape[:2], -1)
    reading = presence.read(turned, labels)
    home, abroad = float(reading.within.mean()), float(np.nanmean(reading.across))
    return min(max((abroad - 0.5) / (home - 0.5), 0.0), 1.0) if home > LEAST_HOME else 0.0


def composition(features: Floats, labels: NDArray[np.bool_]) -> float:
    """Return the area of readers of notes in chords and company that they have not heard."""
    features = presence.scaled(features)
    said = presence.read_elsewhere(features, labels)
    areas = [presence.area(said[family], labels[family]) for family in range(len(labels))]
    return float(np.nanmean(areas))


def advantage(comp: Floats, sep: Floats, stab: Floats) -> float:
    """Return what both halves of the condition together say of composition more than the better one alone."""
    alone = max(_spearman(comp, sep), _spearman(comp, stab))
    return _spearman(comp, np.minimum(sep, stab)) - alone


def _spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; 0 where one of them does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def _measure(
    site: str, design: Design, table: Table, composes_as: Mapping[str, str], rng: np.random.Generator
) -> Measurement:
    order = [table.names.index(composes_as.get(name, name)) for name in table.names]
    sep, stab, comp = table.separable, table.stable, table.composes[order]
    effect = bootstrap(
        lambda kept: advantage(comp[kept], sep[kept], stab[kept]),
        len(comp),
        rng=rng,
        name="what both conditions say more than the better one",
        unit="rank correlation",
        draws=DRAWS,
    )
    reason = _untestable(table)
    correlations = {
        "both": np.minimum(sep, stab),
        "separability alone": sep,
        "stability alone": stab,
    }
    return replace(
        _nothing(site),
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(
            Part(
                name=f"composition against {name}",
                effect=_correlation(name, comp, values, rng),
                threshold=Threshold(0.5, 0.3),
            )
            for name, values in correlations.items()
        ),
        sounds=_sounds(design),
        figures={
            "members": list(table.names),
            "separable": [float(each) for each in sep],
            "stable": [float(each) for each in stab],
            "composes": [float(each) for each in comp],
        },
    )


def _correlation(name: str, comp: Floats, values: Floats, rng: np.random.Generator) -> Effect:
    return bootstrap(
        lambda kept: _spearman(comp[kept], values[kept]),
        len(comp),
        rng=rng,
        name=f"Spearman correlation of composition with {name}",
        unit="rank correlation",
        draws=499,
    )


def _untestable(table: Table) -> str | None:
    """Why the zoo cannot tell the condition from its halves, if it cannot."""
    if len(table.names) < LEAST_MEMBERS:
        return f"{len(table.names)} members are too few to correlate; at least {LEAST_MEMBERS}"
    for cell, said in (
        ((table.stable > ONE) & (table.separable < NONE), "stable and not separable"),
        ((table.separable > ONE) & (table.stable < NONE), "separable and not stable"),
    ):
        if not cell.any():
            return f"no member of the zoo is {said}: the condition cannot be told from its halves"
        reached = float(table.composes[cell].mean())
        if reached >= COMPOSES_NOT:
            return f"members that are {said} compose (AUC {reached:.2f}, {COMPOSES_NOT:g} or more): the table is broken"
    return None


def _nothing(site: str) -> Measurement:
    return Measurement(site=site, probe="compositionality_condition", version=VERSION, effect=None)


def _sounds(design: Design) -> tuple[tuple[str, Stimulus], ...]:
    chosen = (design.roved.stimuli[0][0], design.frozen.stimuli[1][0], design.chords.stimuli[0][0])
    return tuple((each.label, each) for each in chosen)
