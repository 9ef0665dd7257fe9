"""Does a code that follows the spectrum tell what a sound is called?

Source: Post 0, section 0.2: the assumption that "similar spectral structures always map to similar semantic meanings"
is "more demanding". In words: play notes in other octaves and timbres, and triads in other voicings. Some pairs share a
name, a pitch class or a chord, and others are as alike in spectrum and as far apart in height without sharing one. If
the code knows names, pairs that share one are nearer in it than pairs that do not, spectrum aside.

Stimuli   twelve pitch classes x two octaves x timbres (additive, FluidSynth), and major and minor triads x voicings
          (`labels.named_sounds`).
Formula   pairs from different registers (octaves of a note, voicings of a triad), the heights of the two sounds as far
          apart as those of pairs that share a name, to within `HEIGHT` semitones either way; in bins of equal size of
          their distance in ear-wide spectrum (1 - cosine of power in ERB-wide bands), and of same or other timbre.
          AUC = P(code distance of a pair that shares its name < that of one that does not) within a stratum, against
          pairs nearer in height and against pairs farther apart in height, both alike: a code of height alone comes to
          .5. Strata are weighted by their pairs that share a name; notes and triads count alike.
          effect = .65 - AUC.
Readout   mean and standard deviation of every channel over the frames, in the units of the code: what of it does not
          depend on start phases; Euclidean distance. RO1 alone and single frames (RO3) as parts.
Thresholds supported above 0: names are hardly ahead of what equal spectra give; refuted below -.10: AUC above .75,
          three pairs in four.
Parts     notes alone, triads alone; means alone; a frame as it is. The AUC without strata, which any spectrum passes,
          stands in the figures.
Null      names permuted among the pairs of a stratum: p of the AUC against chance.
Interval  jackknife over names (a pitch class, a chord: all of its sounds and their pairs), variances of notes and of
          triads added.
Traps     Notes an octave apart share every other partial: without strata any spectrum knows pitch classes. Within one
          octave height alone would tell names: pairs are formed across registers, where those that share a name lie in
          the middle of those that do not. Bins have a width, so that a spectrum keeps a little of its lead: .65, not
          .5, is where the effect has its zero.
Sources   Glasberg & Moore 1990, Hearing Research 47 (ERB); Shepard 1964, J. Acoust. Soc. Am. 36 (height and chroma).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import labels

from .hearing import Ear, Listen, Probe
from .likeness import ear_spectra, spectral_distance
from .readouts import Frames
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import auc, jackknife, permutation
from .tuning import joined

VERSION = 1
SIZES = {
    "quick": {"timbres": 3, "triads": 24, "voicings": 2},
    "standard": {"timbres": 4, "triads": 24, "voicings": 3},
    "thorough": {"timbres": 8, "triads": 24, "voicings": 3},
}
DRAWS = {"quick": 199, "standard": 999, "thorough": 1999}
LISTENING_SECONDS = 0.25
FEWEST_FRAMES = 4
HEIGHT = 4.0
"""Semitones by which the distance in height of two sounds may differ from that of sounds that share a name."""

LEVEL = 0.5
"""Semitones within which two distances in height are the same."""

BINS = 10
LEAST_SHARED = 4
"""Pairs that share a name in a bin, on average; fewer bins where there are fewer."""

CHANCE = 0.65
THRESHOLD = Threshold(0.0, -0.10)
HEARD = 1e-6

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def spectral_to_semantic(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure whether names beat spectra in the code at each site; see the module."""
    counts = {
        site: max(FEWEST_FRAMES, math.ceil(LISTENING_SECONDS * ear.frame_rates[site] - 1e-9)) for site in ear.sites
    }
    seconds = max(ear.seconds(counts[site], sites=(site,)) for site in ear.sites)
    design = labels.named_sounds(
        rng, **SIZES[effort], seconds=seconds, harmonics_below_hz=min(8000.0, 0.45 * ear.sample_rate)
    )
    answers = yield [Listen(design.flat, Frames(counts[site]), (site,)) for site in ear.sites]
    waves = np.stack([each.render(ear.sample_rate) for each in design.flat])
    spectra = ear_spectra(waves, sample_rate=ear.sample_rate)
    split = len(design.notes.stimuli)
    kinds = {
        "notes": _Pairs(design.notes, spectra[:split]),
        "triads": _Pairs(design.triads, spectra[split:]),
    }
    return {
        site: _measure(site, design, kinds, answer[site].astype(np.float64), DRAWS[effort], rng)
        for site, answer in zip(ear.sites, answers, strict=True)
    }


class _Pairs:
    """Pairs of sounds from different registers, in strata where those that share a name meet those that do not."""

    def __init__(self, sounds: labels.Named, spectra: Floats) -> None:
        label, register = np.array(sounds.label), np.array(sounds.register)
        height, timbre = np.array(sounds.height), np.array(sounds.timbre)
        first, second = np.triu_indices(len(label), 1)
        swap = register[first] > register[second]
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        across = register[first] != register[second]
        first, second = first[across], second[across]
        shared = label[first] == label[second]
        apart = height[second] - height[first]
        couple = register[first] * (register.max() + 1) + register[second]
        near, lean = np.zeros(len(first), bool), np.zeros(len(first))
        for each in np.unique(couple):
            inside = couple == each
            low, high = apart[inside & shared].min(), apart[inside & shared].max()
            near |= inside & (apart >= low - HEIGHT) & (apart <= high + HEIGHT)
            lean[inside] = apart[inside] - apart[inside & shared].mean()
        first, second, shared, couple = first[near], second[near], shared[near], couple[near]
        self.lean = lean[near]
        self.first, self.second, self.shared = first, second, shared
        self.label = label
        self.names = len(sounds.names)
        self.spectral = spectral_distance(spectra[first], spectra[second])
        group = 2 * couple + (timbre[first] == timbre[second])
        self.stratum = _binned(self.spectral, group, shared)

    def distances(self, features: Floats) -> Floats:
        """Euclidean distance between the codes of each pair, 'sounds features' -> 'pairs'."""
        energy = np.square(features).sum(axis=1)
        gram = features @ features.T
        squared = energy[:, None] + energy - 2.0 * gram
        return np.sqrt(np.maximum(squared, 0.0))[self.first, self.second]

    def area(self, distances: Floats, kept: Indices, *, shared: NDArray[np.bool_] | None = None) -> float:
        """The stratified AUC over pairs of names kept; nan where no stratum holds both kinds of pairs."""
        inside = np.isin(self.label[self.first], kept) & np.isin(self.label[self.second], kept)
        names = self.shared if shared is None else shared
        return _stratified(distances[inside], names[inside], self.stratum[inside], self.lean[inside])

    def permuted(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which pairs share a name, permuted within strata."""
        order = np.lexsort((rng.random(len(self.stratum)), self.stratum))
        plain = np.argsort(self.stratum, kind="stable")
        shared = np.empty_like(self.shared)
        shared[plain] = self.shared[order]
        return shared


def _binned(values: Floats, group: Indices, shared: NDArray[np.bool_]) -> Indices:
    """A stratum for each pair: bins of the values, each with as many pairs that share a name, within groups."""
    stratum = np.zeros(len(values), dtype=np.intp)
    for number, each in enumerate(np.unique(group)):
        inside = group == each
        own = values[inside & shared]
        bins = int(np.clip(len(own) // LEAST_SHARED, 1, BINS))
        edges = np.quantile(own, np.linspace(0, 1, bins + 1)[1:-1]) if len(own) else np.array([])
        within = np.searchsorted(edges, values[inside])
        # Beyond the last pair that shares a name there is nobody to compare with.
        beyond = (
            (values[inside] < own.min()) | (values[inside] > own.max()) if len(own) else np.ones(inside.sum(), bool)
        )
        stratum[inside] = np.where(beyond, -1, number * BINS + within)
    return stratum


def _stratified(distances: Floats, shared: NDArray[np.bool_], stratum: Indices, lean: Floats) -> float:
    """AUC over strata; in each, against pairs nearer in height and against pairs farther apart, both alike."""
    total, weight = 0.0, 0.0
    for each in np.unique(stratum[stratum >= 0]):
        inside = stratum == each
        own = distances[inside & shared]
        others = inside & ~shared
        sides = [distances[others & (lean < LEVEL)], distances[others & (lean > -LEVEL)]]
        if len(own) and all(map(len, sides)):
            total += len(own) * float(np.mean([auc(side, own) for side in sides]))
            weight += len(own)
    return total / weight if weight else float("nan")


def _measure(
    site: str,
    design: labels.NamedSounds,
    kinds: dict[str, _Pairs],
    frames: Floats,
    draws: int,
    rng: np.random.Generator,
) -> Measurement:
    means, spreads = frames.mean(axis=2), frames.std(axis=2)
    readings = {
        "": np.concatenate([means, spreads], axis=1),
        "means over frames (RO1)": means,
        "one frame as it is (RO3)": frames[:, :, frames.shape[2] // 2],
    }
    split = len(design.notes.stimuli)
    varies = np.square(readings[""] - readings[""].mean(axis=0)).sum()
    if not varies > HEARD**2 * np.square(readings[""]).sum():
        return Measurement(
            site=site,
            probe="spectral_to_semantic",
            version=VERSION,
            effect=None,
            reason="the code is the same whatever note or triad sounds",
            sounds=_sounds(design),
        )
    distances = {
        (name, reading): pairs.distances(features[:split] if name == "notes" else features[split:])
        for reading, features in readings.items()
        for name, pairs in kinds.items()
    }

    def effect(reading: str) -> Effect:
        each = [_effect(name, pairs, distances[name, reading]) for name, pairs in kinds.items()]
        halves = [replace(e, value=e.value / 2, low=e.low / 2, high=e.high / 2) for e in each]
        return joined(sum(e.value for e in halves), f".65 - stratified AUC{reading and ', ' + reading}", *halves)

    alone = {name: _effect(name, pairs, distances[name, ""]) for name, pairs in kinds.items()}
    parts = [
        *(Part(name=f"{name} alone", effect=each, threshold=THRESHOLD) for name, each in alone.items()),
        *(Part(name=name, effect=effect(name), threshold=THRESHOLD) for name in list(readings)[1:]),
    ]
    plain = {
        name: float(auc(distances[name, ""][~pairs.shared], distances[name, ""][pairs.shared]))
        for name, pairs in kinds.items()
    }
    whole = {name: np.arange(pairs.names) for name, pairs in kinds.items()}
    observed = float(np.mean([pairs.area(distances[name, ""], whole[name]) for name, pairs in kinds.items()]))

    def by_chance(draw: np.random.Generator) -> float:
        return float(
            np.mean(
                [
                    pairs.area(distances[name, ""], whole[name], shared=pairs.permuted(draw))
                    for name, pairs in kinds.items()
                ]
            )
        )

    found = effect("")
    defined = math.isfinite(found.value)
    return Measurement(
        site=site,
        probe="spectral_to_semantic",
        version=VERSION,
        effect=found if defined else None,
        reason=None if defined else "no stratum holds pairs that share a name and pairs that do not",
        parts=tuple(parts),
        null=Null(
            kind="names permuted among the pairs of a stratum, AUC",
            draws=draws,
            p=permutation(observed, by_chance, rng=rng, draws=draws),
        ),
        sounds=_sounds(design),
        figures={
            "area": {
                "stratified": {name: CHANCE - each.value for name, each in alone.items()},
                "plain": plain,
            }
        },
    )


def _effect(name: str, pairs: _Pairs, distances: Floats) -> Effect:
    return jackknife(
        lambda kept: CHANCE - pairs.area(distances, kept), pairs.names, name=f".65 - stratified AUC, {name}", unit="AUC"
    )


def _sounds(design: labels.NamedSounds) -> tuple:
    """A note, the same an octave higher, another; and a triad in two voicings."""
    notes, triads = design.notes, design.triads
    octave = next(i for i, each in enumerate(notes.label) if each == notes.label[0] and notes.register[i] == 1)
    chosen = [notes.stimuli[0], notes.stimuli[octave], triads.stimuli[0], triads.stimuli[1]]
    return tuple((each.label, each) for each in chosen)
