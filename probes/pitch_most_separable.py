"""Is pitch the property of a note that a linear reader reads best?

Source: Paek, Zang, Yang & Leistikow, Learning interpretable features in audio latent spaces via sparse autoencoders
(arXiv 2510.23802, 2025), who learn linear maps from features of codec latents to classes of pitch, amplitude and timbre
and report that pitch is read with the highest accuracy. Here readers look at the latent itself: a linear map from
sparse features that are computed from a latent is not one from the latent, so this tests the sentence, not their
experiment.

Stimuli   isolated notes that cross 12 pitches, 12 levels and 12 timbres (`mixtures.notes_by_property`): as many classes
          of each, 3 semitones and 3 dB from step to step, six additive timbres and six FluidSynth programs.
Readouts  RO1, mean over frames, and RO2, log power about the mean floored 30 dB below a channel's mean power over all
          sounds, side by side.
Formula   for each property a ridge regression of its classes on the features (`decoding.ridge`). What it says of a
          sound is given to the class whose training sounds it speaks of most similarly (the nearest mean of its
          answers): Fisher's discriminant by regression (Hastie, Tibshirani & Buja 1994), linear, and fair to classes
          that lie in a row: the largest answer would never be that of a class in the middle. Both other properties are
          held out: a sound is read by a reader that heard neither its class in the one nor its class in the other.
          score = (share right - 1/12) / (1 - 1/12).
          effect = score(pitch) - the larger of score(level) and score(timbre).
Gate      insufficient where no property is read above chance, or where pitch and its best rival are both read almost
          without error (above .98): then there is no best.
Parts     pitch against level; pitch against timbre; the three scores.
Null      sounds swap what was read right of pitch and of the best rival.
Interval  three-way over pitches, levels and timbres (variances of one factor and of all three, minus those of two;
          Cameron, Gelbach & Miller 2011). Pitch must beat both rivals, so the lower end is the smaller of two; it is
          beaten by either, so the upper end is the smaller of two at half the error each.
Thresholds  above .05: a lead of one note in twenty. Below 0 another property is read better.
Traps     Which property is easier depends on the steps between its classes, and no choice makes a semitone a decibel.
          Three semitones and three decibels are both many just-noticeable differences (some 50 and 3); the scores stand
          beside, so that a reader may say what a finer grid would do. Level is read from unseen timbres and pitches,
          where the answer of a channel to a quiet bright note is that to a loud dull one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import mixtures

from .decoding import floored_features, ridge
from .hearing import Ear, Listen, Probe
from .readouts import log_power, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, permutation

VERSION = 1
FRAMES = 24
CLASSES = 12
GROUPS = 3
"""Thirds into which the classes of a property fall; one third of each other property is held out at a time."""

PERFECT = 0.98
PROPERTIES = ("pitch", "level", "timbre")
THRESHOLD = Threshold(0.05, 0.0)
READ = Threshold(0.5, 0.1)
"""For a score: most of what there is to know, or hardly any of it."""

SIZES: Mapping[str, Mapping[str, int]] = {
    "quick": {"squares": 2},
    "standard": {"squares": 3},
    "thorough": {"squares": 12},
}
DRAWS = {"quick": 199, "standard": 499, "thorough": 1999}
Floats = NDArray[np.float64]


def pitch_most_separable(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how much better pitch is read than level and timbre at each site; see the module."""
    design = mixtures.notes_by_property(
        rng,
        **SIZES[effort],
        seconds=ear.seconds(FRAMES),
        frame_rate=min(ear.frame_rates[site] for site in ear.sites),
        harmonics_below_hz=0.42 * ear.sample_rate,
    )
    averages, powers = yield [Listen(design.stimuli, mean), Listen(design.stimuli, log_power)]
    thirds = [rng.permutation(CLASSES) % GROUPS for _ in PROPERTIES]
    return {
        site: _measure(
            site,
            design,
            averages[site],
            powers[site],
            thirds,
            rng=np.random.default_rng(rng.integers(2**63)),
            draws=DRAWS[effort],
        )
        for site in ear.sites
    }


def _measure(
    site: str,
    design: mixtures.NotesByProperty,
    averages: Floats,
    powers: Floats,
    thirds: Sequence[NDArray[np.intp]],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    features = floored_features(averages, powers)
    classes = np.array(design.classes)
    right = np.stack([_right(features, classes, each, thirds) for each in range(len(PROPERTIES))], axis=1)
    scores = (right - 1.0 / CLASSES) / (1.0 - 1.0 / CLASSES)
    by_property = {
        name: clustered(scores[:, each], classes, name=f"score of {name}") for each, name in enumerate(PROPERTIES)
    }
    leads = {
        name: clustered(scores[:, 0] - scores[:, each], classes, name=f"lead of pitch over {name}")
        for each, name in enumerate(PROPERTIES)
        if each
    }
    rival = min(leads, key=lambda name: leads[name].value)
    half_error = 1.0 - (1.0 - CONFIDENCE) / 2.0
    upper = min(
        clustered(scores[:, 0] - scores[:, each], classes, name="", confidence=half_error).high
        for each in range(1, len(PROPERTIES))
    )
    effect = Effect(
        name="lead of pitch over the better of level and timbre",
        value=leads[rival].value,
        low=min(each.low for each in leads.values()),
        high=upper,
        confidence=CONFIDENCE,
        unit="score",
        n=CLASSES,
    )
    parts = [
        *(
            Part(
                name=f"pitch against {name}", effect=each, threshold=THRESHOLD, note="the better one" * (name == rival)
            )
            for name, each in leads.items()
        ),
        *(Part(name=f"score of {name}", effect=each, threshold=READ) for name, each in by_property.items()),
    ]
    reason = None
    if not np.ptp(features, axis=0).any():
        reason, parts = "the code does not change with the note", []
    elif not any(each.low > 0 for each in by_property.values()):
        reason = "no property of the notes is read better than by chance"
    elif min(by_property["pitch"].value, by_property[rival].value) > PERFECT:
        reason = f"pitch and {rival} are both read without error, as far as these notes tell: there is no best"
    rivals = scores[:, [0, PROPERTIES.index(rival)]]

    def swapped(generator: np.random.Generator) -> float:
        signs = generator.choice([-1.0, 1.0], len(rivals))
        return float((signs * (rivals[:, 0] - rivals[:, 1])).mean())

    return Measurement(
        site=site,
        probe="pitch_most_separable",
        version=VERSION,
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(parts),
        null=None
        if reason is not None
        else Null(
            kind=f"pitch and {rival} swapped, sound by sound",
            draws=draws,
            p=permutation(effect.value, swapped, rng=rng, draws=draws),
        ),
        sounds=_sounds(design),
        figures={"scores": {name: float(each.value) for name, each in by_property.items()}} if reason is None else {},
    )


def _right(features: Floats, classes: NDArray[np.intp], read: int, thirds: Sequence[NDArray[np.intp]]) -> Floats:
    """Return for each sound whether a property is read right, by a reader new to its other two properties."""
    one, other = (each for each in range(len(PROPERTIES)) if each != read)
    groups = thirds[one][classes[:, one]], thirds[other][classes[:, other]]
    found = np.zeros(len(features))
    for first in range(GROUPS):
        for second in range(GROUPS):
            test = (groups[0] == first) & (groups[1] == second)
            train = (groups[0] != first) & (groups[1] != second)
            found[test] = _nearest(features[train], classes[train, read], features[test]) == classes[test, read]
    return found


def _nearest(train: Floats, labels: NDArray[np.intp], test: Floats) -> NDArray[np.intp]:
    """Return the class whose training sounds a linear reader speaks of most similarly, for each test sound."""
    said = ridge(train, np.eye(CLASSES)[labels], np.concatenate([train, test]), shared=True)
    of_train, of_test = said[: len(train)], said[len(train) :]
    known = np.unique(labels)
    means = np.stack([of_train[labels == each].mean(axis=0) for each in known])
    return np.asarray(known[np.square(of_test[:, None] - means).sum(axis=2).argmin(axis=1)])


def clustered(values: Floats, classes: NDArray[np.intp], *, name: str, confidence: float = CONFIDENCE) -> Effect:
    """Return the mean of values with an interval over the classes of all properties, crossed."""
    rest = values - values.mean()

    def variance(factors: Sequence[int]) -> float:
        _, cluster = np.unique(classes[:, list(factors)], axis=0, return_inverse=True)
        sums = np.bincount(cluster.ravel(), rest)
        return float(np.square(sums).sum()) * len(sums) / (len(sums) - 1) / len(values) ** 2

    each = [variance((factor,)) for factor in range(classes.shape[1])]
    two = [variance(pair) for pair in combinations(range(classes.shape[1]), 2)]
    total = sum(each) - sum(two) + variance(range(classes.shape[1]))
    half = float(np.sqrt(max(total, *each)) * stats.t.ppf(0.5 + confidence / 2, CLASSES - 1))
    value = float(values.mean())
    return Effect(
        name=name, value=value, low=value - half, high=value + half, confidence=confidence, unit="score", n=CLASSES
    )


def _sounds(design: mixtures.NotesByProperty) -> tuple:
    """Four notes, as different as they come."""
    return tuple((each.label, each) for each in design.stimuli[:4])
