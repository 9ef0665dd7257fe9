"""Calibration through whole probes: codes whose effect is known, heard on many seeds, and what becomes of the verdicts.

An interval of 90 % ought to hold the truth in 90 of 100 runs, and where the truth lies at a threshold at most 5 may
pass it. This is asked here of the probes themselves, stimuli and all, on imagined codes: a code that is a function of
what was played, with a truth in closed form, or one counted on designs much larger than any effort's. Every seed
draws new stimuli and a new code.

    python -m testtone.tests.harness.note_calibration                  # all, 100 seeds, standard: about an hour
    python -m testtone.tests.harness.note_calibration same_filters --seeds 200 --effort quick

prints, for each reference: the truth, the mean of the estimates, the share of intervals that hold the truth, that of
those wholly above and wholly below it (at a threshold: false verdicts), and how often a verdict was reached. "midpoint"
names a truth halfway between a threshold and the value of a control, where a verdict is wanted in four runs of five.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.probes.hearing import Ear
from testtone.probes.likeness import distance
from testtone.probes.local_similarity import samples_of
from testtone.probes.records import Effect, Measurement
from testtone.probes.statistics import verdict
from testtone.stimuli import Stimulus
from testtone.stimuli.designs import erb_rate
from testtone.tests.harness.imagined import EAR, Code, draws, imagine

Floats = NDArray[np.float64]

SLOW = replace(EAR, sample_rate=8000, frame_rates={"latent": 100.0}, strides=(80,))
"""An ear at 8 kHz, for probes that play their sounds themselves: rendering is what calibration costs there."""


@dataclass(frozen=True)
class Reference:
    """A code for each seed, and the effect that it has."""

    claim: str
    name: str
    truth: float
    code: Callable[[int], Code]
    ear: Ear = EAR
    company: Callable[[int], tuple[Code, ...]] | None = None
    """Others that the code of a seed is compared with, where the claim compares."""
    sites: tuple[str, ...] = ("latent",)
    """The last of them is judged."""


@dataclass(frozen=True)
class Outcome:
    """What many seeds came to."""

    truth: float
    estimates: Floats
    lows: Floats
    highs: Floats
    verdicts: tuple[str, ...]

    @property
    def coverage(self) -> float:
        """Share of intervals that hold the truth."""
        return float(np.mean((self.lows <= self.truth) & (self.truth <= self.highs)))

    @property
    def above(self) -> float:
        """Share of intervals that lie wholly above the truth."""
        return float(np.mean(self.lows > self.truth))

    @property
    def below(self) -> float:
        """Share of intervals that lie wholly below it."""
        return float(np.mean(self.highs < self.truth))

    @property
    def decided(self) -> float:
        """Share of runs with a verdict."""
        return float(np.mean([each in ("supported", "refuted") for each in self.verdicts]))


def calibrate(reference: Reference, *, seeds: int, effort: str, first: int = 0) -> Outcome:
    """Measure a reference on ``seeds`` seeds from ``first`` on."""
    probe = importlib.import_module(f"testtone.probes.{reference.claim}")
    found: list[Effect] = []
    with few_draws(probe):
        for seed in range(first, first + seeds):
            effect = heard(reference, seed, effort).effect
            if effect is not None:
                found.append(effect)
    return Outcome(
        truth=reference.truth,
        estimates=np.array([each.value for each in found]),
        lows=np.array([each.low for each in found]),
        highs=np.array([each.high for each in found]),
        verdicts=tuple(verdict(each, probe.THRESHOLD) for each in found) + ("insufficient",) * (seeds - len(found)),
    )


def heard(reference: Reference, seed: int, effort: str) -> Measurement:
    """One run of a probe on a reference."""
    probe = importlib.import_module(f"testtone.probes.{reference.claim}")
    asked = getattr(probe, reference.claim)
    own = imagine(asked, reference.code(seed), seed=seed, effort=effort, sites=reference.sites, ear=reference.ear)
    if reference.company is None:
        return own
    # Each hears sounds of its own, as in a claim.
    others = [
        imagine(asked, code, seed=10**6 + 100 * seed + place, effort=effort, ear=reference.ear)
        for place, code in enumerate(reference.company(seed))
    ]
    compared: Measurement = probe.compare(own, others)
    return compared


@contextmanager
def few_draws(probe: Any) -> Iterator[None]:
    """Keep a probe from drawing its null hundreds of times: the interval does without."""
    before = getattr(probe, "DRAWS", None)
    try:
        if before is not None:
            probe.DRAWS = 1 if isinstance(before, int) else dict.fromkeys(before, 1)
        yield
    finally:
        if before is not None:
            probe.DRAWS = before


# --- the same filters -----------------------------------------------------------------------------------------------


def sets_of_a_pitch(share: float, of: str) -> Callable[[int], Code]:
    """A pitch moves a set of channels: its own, or any; which, is drawn by cell, by pitch, or by context.

    With "uneven contexts" it is drawn by cell, in each context with a probability of its own, a Beta variate.
    """

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            voice, _, context = stimulus.label.partition(" in ")
            if not context:
                return 3.0 * draws(voice).standard_normal(200)
            key = {"pitches": (voice,), "contexts": (context,)}.get(of, (voice, context))
            kept = share if of != "uneven contexts" else draws(seed, context).beta(4 * share, 4 * (1 - share))
            own = draws(seed, "own", *key).random() < kept
            members = (draws(seed, voice) if own else draws(seed, voice, context)).permutation(200)[:20]
            return 3.0 * draws(context).standard_normal(200) + np.isin(np.arange(200), members)

        return code

    return with_seed


def _same_filters() -> Iterator[Reference]:
    for truth in (0.8, 0.7, 0.9, 0.6):
        for of in ("cells", "pitches", "contexts", "uneven contexts"):
            share = 2 * truth - 1 if of == "pitches" else math.sqrt(2 * truth - 1)
            said = "midpoint, " if truth in (0.9, 0.6) else ""
            yield Reference("same_filters", f"{said}sets kept by {of}", truth, sets_of_a_pitch(share, of))


# --- local similarity -----------------------------------------------------------------------------------------------

ORDERLY = 0.05


class Following:
    """A code whose distances follow those of waveforms in some of a tone's families, and in the others have no order.

    A random order has a rank correlation of 0 on average, a kept one of 1: the expectation is the share of families
    that keep it. Distances of codes are made to measure: cos(a) e0 + sin(a) e1 lies sqrt(1 - cos a) from e0. With
    ``of`` "tones" a tone keeps all of its orders or none; with "errors" every order is kept up to an error, whose
    expectation is that of `disorder`.
    """

    def __init__(self, near: float, far: float, of: str, seed: int) -> None:
        self._wanted, self._of, self._seed = (near, far), of, seed
        self._bases: dict[str, Floats] = {}

    def __call__(self, stimulus: Stimulus) -> Floats:
        """The code of a sound, 'channels'."""
        start, stop = samples_of(EAR, "latent", 4)
        wave = stimulus.render(EAR.sample_rate)[start:stop].astype(np.float64)
        name, _, change = stimulus.label.partition(")")
        if name not in self._bases:
            self._bases[name] = wave
            return np.array([1.0, 0.0])
        apart = float(distance(wave, self._bases[name]))
        far = apart > 0.5
        family = next(each for each in ("noise", "earlier", "turned") if each in change)
        rng = draws(self._seed, stimulus.sha256)
        kept, wanted = self._wanted[far], apart
        if self._of == "errors":
            wanted = apart + kept * rng.standard_normal() if far else apart * math.exp(kept * rng.standard_normal())
        elif draws(self._seed, name, far, *([family] if self._of == "families" else [])).random() > kept:
            wanted = rng.uniform(0.8, 1.2) if far else rng.uniform(0.01, 0.3)
        angle = math.acos(1.0 - min(max(wanted, 1e-4), 1.41) ** 2)
        return np.array([math.cos(angle), math.sin(angle)])


def _local_similarity() -> Iterator[Reference]:
    def of(near: float, far: float, kind: str) -> Callable[[int], Code]:
        return lambda seed: Following(near, far, kind, seed)

    for kind in ("families", "tones"):
        yield Reference("local_similarity", f"near half kept by {kind}, far not", 0.5, of(0.5, 0.0, kind))
        yield Reference("local_similarity", f"near kept, far half lost by {kind}", 0.5, of(1.0, 0.5, kind))
    yield Reference("local_similarity", "both half, by families", 0.5, of(0.5, 0.5, "families"))
    yield Reference("local_similarity", "midpoint, near, by families", 0.75, of(0.75, 0.0, "families"))
    yield Reference("local_similarity", "midpoint, far, by families", 0.25, of(1.0, 0.75, "families"))


# --- brightness -----------------------------------------------------------------------------------------------------


def numbers_and_bands(weight: float) -> Callable[[int], Code]:
    """Level and centroid, beside powers in bands, as the amplitudes of the partials say; no sound is played."""
    centres = np.linspace(3.0, 34.0, 48)

    def code(stimulus: Stimulus) -> Floats:
        partials = stimulus.partials
        hz = np.array([each.hz for each in partials])
        power = np.array([each.amplitude for each in partials]) ** 2 / 2
        numbers = np.array([math.sqrt(power.sum()) / 0.1, power @ hz / power.sum() / 1000.0])
        places = np.array([erb_rate(each) for each in hz])
        bands = np.exp(-0.5 * np.square(places[:, None] - centres)).T @ power / 0.01
        return np.concatenate([math.sqrt(weight) * numbers, bands])

    return lambda seed: code


def _brightness_steers() -> Iterator[Reference]:
    # Weights at which the mean over forty designs of 48 contexts is the truth.
    for truth, weight in BRIGHTNESS.items():
        yield Reference("brightness_steers", "numbers beside bands", truth, numbers_and_bands(weight))


BRIGHTNESS = {0.001: 0.0859375, 0.198: 0.5546875}
"""Effect of `numbers_and_bands`: weight of the two numbers."""


# --- waveform and spectrum ------------------------------------------------------------------------------------------


def phases_and_spectra(share: float, channels: int) -> Callable[[int], Code]:
    """A random vector for each spectrum, and one for each sound of it, in energies of 1 - share to share."""

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            spectrum = stimulus.label.rpartition(", ")[0]
            shared = draws(seed, spectrum).standard_normal(channels)
            # The pattern, not the offset: phases relative to the first partial's.
            own = draws(seed, stimulus.sha256).standard_normal(channels)
            return math.sqrt(1 - share) * shared + math.sqrt(share) * own

        return code

    return with_seed


def _waveform_proxy() -> Iterator[Reference]:
    for truth in (0.2, 0.3, 0.1, 0.65):
        for channels in (2, 8, 64):
            said = "midpoint, " if truth in (0.1, 0.65) else ""
            yield Reference(
                "waveform_proxy", f"{said}{channels} channels", truth, phases_and_spectra(truth, channels), SLOW
            )


# --- many to one ----------------------------------------------------------------------------------------------------


def disguised(mean: float, spread: float) -> Callable[[int], Code]:
    """Every sound has a code of its own, and one disguise of it that comes as near as a Beta variate says."""

    def with_seed(seed: int) -> Code:
        names: dict[str, int] = {}

        def code(stimulus: Stimulus) -> Floats:
            name, _, kind = stimulus.label.partition("), ")
            z = np.zeros(64)
            if stimulus.label == "noise":
                z[63] = 30.0
                return z
            name = name.rstrip(")")
            z[names.setdefault(name, len(names))] = 1.0
            if kind:
                theta = draws(seed, name).beta(mean * spread, (1 - mean) * spread)
                z[32] = math.sqrt(2.0) * (1 - theta) if kind == "polarity" else 30.0
            return z

        return code

    return with_seed


def _many_to_one() -> Iterator[Reference]:
    for truth in (0.9, 0.95):
        for spread in (5.0, 20.0, 100.0):
            said = "midpoint, " if truth == 0.95 else ""
            yield Reference("many_to_one", f"{said}Beta of size {spread:g}", truth, disguised(truth, spread), SLOW)


# --- directions, chords, textures, mixtures -------------------------------------------------------------------------


def kept_direction(share: float, of: str, channels: int = 400) -> Callable[[int], Code]:
    """A pitch adds a unit vector: a share of its energy in one direction everywhere, the rest in one of the cell."""

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            voice, _, context = stimulus.label.partition(" in ")
            if not context:
                return 3.0 * draws(voice).standard_normal(channels)
            key = {"cells": (voice, context), "pitches": (voice,), "contexts": (context,)}[of]
            own = draws(seed, "share", *key).beta(4 * share, 4 * (1 - share))
            shared = draws(seed, voice).standard_normal(channels) / math.sqrt(channels)
            cell = draws(seed, voice, context).standard_normal(channels) / math.sqrt(channels)
            return 3.0 * draws(context).standard_normal(channels) + math.sqrt(own) * shared + math.sqrt(1 - own) * cell

        return code

    return with_seed


def notes_and_colours(share: float, channels: int = 60, noise: float = 0.3) -> Callable[[int], Code]:
    """A note adds a vector of unit energy, a chord another, of the energy that leaves the notes ``share``."""
    # Pairs and triads of 12 notes in equal number: the variance of the presence of a note, p (1 - p).
    additive = float(np.mean([12 * p * (1 - p) for p in (2 / 12, 3 / 12)]))
    weight = additive * (1 / share - 1)

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            notes = np.sum([draws(seed, each).standard_normal(channels) for each in stimulus.pitches], axis=0)
            colour = math.sqrt(weight) * draws(seed, stimulus.pitches).standard_normal(channels)
            performance = math.sqrt(noise) * draws(seed, stimulus.sha256).standard_normal(channels)
            return np.asarray(notes + colour + performance) / math.sqrt(channels)

        return code

    return with_seed


def _chord_additivity() -> Iterator[Reference]:
    for truth in (0.8, 0.6, 0.9, 0.3):
        said = "midpoint, " if truth in (0.9, 0.3) else ""
        for channels in (4, 60):
            code = notes_and_colours(truth, channels)
            yield Reference("chord_additivity", f"{said}{channels} channels", truth, code)


def parts_and_texture(holism: float, channels: int = 100) -> Callable[[int], Code]:
    """Partials add vectors of unit energy, and every subset has a random one, in energies that make H what is asked."""
    # Five partials: V1 = 5/4 + 5 w/32, V2 = 26 w/32; H = 31 w/32 / (5/4 + 31 w/32).
    weight = holism / (1 - holism) * 1.25 * 32 / 31

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            hz = tuple(sorted(round(each.hz, 3) for each in stimulus.partials))
            parts = np.sum([draws(seed, each).standard_normal(channels) for each in hz], axis=0)
            texture = draws(seed, hz).standard_normal(channels)
            return np.asarray(parts + math.sqrt(weight) * texture)

        return code

    return with_seed


@cache
def share_over_sets(holism: float, channels: int) -> float:
    """Return the mean over sets of the share of V2: of a few channels it varies from set to set."""
    weight = holism / (1 - holism) * 1.25 * 32 / 31
    rng = np.random.default_rng(0)
    first = (1 / 4 + weight / 32) * rng.chisquare(5 * channels, 400_000)
    higher = weight / 32 * rng.chisquare(26 * channels, 400_000)
    return float((higher / (first + higher)).mean() * 31 / 26)


def _holistic_texture() -> Iterator[Reference]:
    for truth in (0.5, 0.2, 0.75, 0.1):
        said = "midpoint, " if truth in (0.75, 0.1) else ""
        for channels in (4, 100):
            code = parts_and_texture(truth, channels)
            own = share_over_sets(truth, channels)
            yield Reference("holistic_texture", f"{said}{channels} channels", own, code)


def evidence(area: float) -> Callable[[int], Code]:
    """A channel for each pitch, moved where the pitch sounds; in mixtures in noise, that leaves the area asked.

    A normal deviate moved by d' has an area of Phi(d' / sqrt 2) (Green & Swets 1966). Mixtures are colours of their
    own besides, for the gate.
    """
    moved = math.sqrt(2.0) * float(stats.norm.ppf(area))

    def with_seed(seed: int) -> Code:
        place: dict[int, int] = {}

        def code(stimulus: Stimulus) -> Floats:
            z = np.zeros(48)
            for each in stimulus.pitches:
                z[place.setdefault(round(2 * (each - 48) / 3 - 0.5), len(place))] += 1.0
            if len(stimulus.pitches) > 1:
                z[:24] = moved * z[:24] + draws(seed, stimulus.label).standard_normal(24)
            z += 1e-3 * draws(seed, stimulus.sha256).standard_normal(48)
            # What knows mixtures by heart, for the gate: the same for all notes alone, which are told nothing by it.
            colour = draws(seed, "colour", stimulus.label).standard_normal(200) * (len(stimulus.pitches) > 1)
            # Far above 0, where mean and strength are one and the same: readers see both.
            return 20.0 + np.concatenate([z, colour])

        return code

    return with_seed


def _pitch_not_in_mixture() -> Iterator[Reference]:
    for truth in (0.0, -0.15, 0.05, -0.25):
        said = "midpoint, " if truth in (0.05, -0.25) else ""
        yield Reference("pitch_not_in_mixture", f"{said}evidence in noise", truth, evidence(0.6 - truth))


def _pitch_direction() -> Iterator[Reference]:
    for truth in (0.5, 0.75, 0.25):
        for of in ("cells", "pitches", "contexts"):
            said = "midpoint, " if truth != 0.5 else ""
            # Two cells share the root of the product of their shares: counted, for Beta variates.
            share, own = share_of_a_direction(truth, of)
            yield Reference("pitch_direction", f"{said}shares by {of}", own, kept_direction(share, of))


@cache
def share_of_a_direction(truth: float, of: str) -> tuple[float, float]:
    """Return the mean share for which two cells have a cosine of ``truth`` on average, and that cosine."""

    def cosine(share: float) -> float:
        own = stats.beta(4 * share, 4 * (1 - share))
        return share if of == "pitches" else own.expect(np.sqrt) ** 2

    low, high = truth, 1.0 - 1e-6
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if cosine(middle) < truth else (low, middle)
    return low, cosine(low)


def answering(stability: float, holism: float, *key: Any, channels: int = 150) -> Code:
    """A code of which two answers are known: how alike a pitch is in two companies, and the share of textures.

    A pitch adds a unit vector with a share `stability` of its energy in one direction everywhere. Four partials add
    vectors of unit energy and each subset another, of the energy that makes H what is asked: V1 = 4/4 + 4 w/16,
    V2 = 11 w/16, H = V2 / (V1 + V2) 15/11 = (15 w/16) / (1 + 15 w/16). Single tones move nothing: no width.
    """
    weight = 16 / 15 * holism / (1 - holism)

    def company(said: str) -> Floats:
        # Silence is the empty subset as well.
        if said == "silence":
            return np.asarray(math.sqrt(weight) * draws(*key, ()).standard_normal(channels))
        return 3.0 * draws(*key, said).standard_normal(channels)

    def code(stimulus: Stimulus) -> Floats:
        voice, _, context = stimulus.label.partition(" in ")
        if context:
            shared, cell = (draws(*key, *each).standard_normal(channels) for each in ((voice,), (voice, context)))
            return company(context) + math.sqrt(stability) * shared + math.sqrt(1 - stability) * cell
        if stimulus.label.startswith("partials at"):
            hz = tuple(sorted(round(each.hz, 3) for each in stimulus.partials))
            parts = np.sum([draws(*key, each).standard_normal(channels) for each in hz], axis=0)
            return np.asarray(parts + math.sqrt(weight) * draws(*key, hz).standard_normal(channels))
        tone = stimulus.label.endswith(" Hz")
        return np.zeros(channels) if tone else company(stimulus.label)

    return code


def _architectural() -> Iterator[Reference]:
    def untrained(seed: int) -> tuple[Code, ...]:
        middle = 0.5 + 0.05 * draws(seed, "untrained").standard_normal((6, 2))
        return tuple(answering(*map(float, row), seed, place) for place, row in enumerate(middle))

    for truth, away in ((0.0, 0.15), (-0.15, 0.3), (0.15, 0.0), (-0.25, 0.4)):
        said = "midpoint, " if truth == -0.25 else "no difference, " if truth == 0.15 else ""

        def own(seed: int, away: float = away) -> Code:
            return answering(0.5 + away, 0.5, seed, "own")

        yield Reference("architectural", f"{said}stability {away:g} away", truth, own, company=untrained)


REFERENCES: dict[str, Callable[[], Iterator[Reference]]] = {
    "architectural": _architectural,
    "brightness_steers": _brightness_steers,
    "same_filters": _same_filters,
    "local_similarity": _local_similarity,
    "waveform_proxy": _waveform_proxy,
    "many_to_one": _many_to_one,
    "chord_additivity": _chord_additivity,
    "holistic_texture": _holistic_texture,
    "pitch_direction": _pitch_direction,
    "pitch_not_in_mixture": _pitch_not_in_mixture,
}


def main(
    argv: list[str] | None = None, references: Mapping[str, Callable[[], Iterator[Reference]]] = REFERENCES
) -> None:
    """Print a line for each reference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("claims", nargs="*", default=sorted(references))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--effort", default="standard")
    parser.add_argument("-k", default="", help="only references whose name holds this")
    parser.add_argument("--without", default="-", help="only references whose name does not")
    chosen = parser.parse_args(argv)
    print(
        f"{'claim':22}{'reference':44}{'truth':>7}{'mean':>8}{'SD':>7}{'covers':>8}{'above':>7}{'below':>7}{'decides':>9}{'s':>6}"
    )
    for claim in chosen.claims:
        for each in references[claim]():
            if chosen.k not in each.name or chosen.without in each.name:
                continue
            begun = time.perf_counter()
            found = calibrate(each, seeds=chosen.seeds, effort=chosen.effort, first=chosen.first)
            print(
                f"{claim:22}{each.name:44}{each.truth:7.3f}{found.estimates.mean():8.3f}{found.estimates.std():7.3f}"
                f"{found.coverage:8.3f}{found.above:7.3f}{found.below:7.3f}{found.decided:9.2f}"
                f"{time.perf_counter() - begun:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
