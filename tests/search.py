"""The search: hypothesis as the adversary of a claim, and what it found in the record.

Two kinds of evidence, kept apart. The estimate is a seeded draw of stimuli with an interval; the search looks for the
stimulus that contradicts the claim, steered towards ever smaller margins (`hypothesis.target`), and its examples are as
one-sided as an advocate's. They never enter the interval.

How one search goes: pinned cases first, then at least `EXAMPLES` recipes drawn by hypothesis, seeded by claim and seed.
The worst cases are played again, with start phases and all else that a recipe leaves open drawn anew: what was luck
does not come back. What remains is shrunk, as hypothesis shrinks a failing test, to the simplest case that is still as
bad, and played again once more. A *counterexample* is a case whose mean margin over `FRESH` performances lies below
zero by more than the margin's `knife`, and by more than chance (one-sided t, `CERTAINTY`).

A counterexample refutes a claim only where its source speaks of all cases (`Claim.universal`), and only where the
search knows right from wrong: the same search must find none on the control that must be supported, and one on the
control that must be refuted.

Found cases can be written into a file, `counterexamples.toml`, and are replayed from then on::

    [[counterexample]]
    claim = "same_filters"
    encoder = "encodec-mini"     # or "any"
    recipe = { midi = 69, timbre = "sine", ... }

testtone's own stands beside the claims; a person's own in the folder that pytest calls its root.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings, target
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from scipy import stats

from testtone.models.listening import Listener
from testtone.probes.hearing import Ear, Interview
from testtone.probes.margins import Case, Choice, Margin, Recipe, Unfit, Whole
from testtone.stimuli.strategies.sounds import timbre_name

from .claim import Claim

EXAMPLES = {"quick": 50, "standard": 200, "thorough": 2000}
"""Cases tried, at least."""

FIRST = 50
"""On the control that must be refuted a search that has found one by then need not go on."""

FRESH = 8
CERTAINTY = 0.99
CANDIDATES = 4
"""Worst cases of the search that are played again, until one holds."""

SHRINKING = {"quick": 40, "standard": 80, "thorough": 400}
"""New cases that shrinking may try."""

AGAIN = 2
"""Fresh performances beside the first that a case must stand while it is shrunk."""

SLACK = 0.02
"""Where nothing contradicts, the simplest case within this of the worst margin is shown."""

ROUNDS = 4

FILE = Path(__file__).parent / "claims" / "counterexamples.toml"
NAME = FILE.name
ANY = "any"

WITHOUT: Mapping[str, str] = {
    "architectural": "compares a trained encoder with untrained ones; a sound belongs to none of the two",
    "brightness_steers": "a direction is learned from many spectra; one spectrum has none",
    "compositionality_condition": "is about a zoo of encoders, not about sounds",
    "contained_not_exposed": "readers learn from hundreds of mixtures; one mixture has no area under a curve",
    "degrade_or_mix": "explained variance of partials over many sounds; one sound has no variance",
    "density_scaling": "readers learn from hundreds of mixtures; one mixture has no d'",
    "discretised_latent": "readers learn from hundreds of mixtures, before and after quantising",
    "entangled_basis": "is about where all filters stand together; a filter or a tone has no evenness",
    "first_layer_isolates": "filters are measured whole with clicks, every one of them: there is nothing to draw",
    "many_to_one": "says that there are doubles: one more pair that is none does not contradict it, and the probe "
    "itself searches for pairs",
    "no_part_relations": "a learner learns from two thirds of all pairs; one pair is not learned from",
    "pitch_most_separable": "readers learn from many notes; one note has no score",
    "pitch_not_in_mixture": "detectors learn from many notes; one mixture has no area under a curve",
    "separable": "readers learn from hundreds of mixtures; one mixture has no area under a curve",
    "spectral_to_semantic": "an area over hundreds of pairs; among the few notes as alike in spectrum one octave is "
    "nearer than all by luck, in a code that knows no names as in one that knows nothing else",
    "stable_across_contexts": "readers learn in families of mixtures; one mixture has no area under a curve",
    "stack_end_selectivity": "compares the widths of two layers, which are far apart on the frequency axis where one "
    "of them aliases; a stretch of it says little of either",
    "unequal_and_predictable": "a rank correlation over hundreds of partials; one partial has no rank",
}
"""Claims without a margin for one case, and why."""


@dataclass(frozen=True)
class Pin:
    """A case that once was a counterexample."""

    claim: str
    encoder: str
    """Its spec, or ``any``."""
    recipe: Recipe


@dataclass(frozen=True)
class Performed:
    """A case, and its margins at one site: as first heard, and in fresh performances."""

    recipe: Recipe
    label: str
    first: float
    fresh: tuple[float, ...]
    case: Case

    @property
    def mean(self) -> float:
        """Mean margin over fresh performances."""
        return float(np.mean(self.fresh))

    @property
    def upper(self) -> float:
        """Upper end of what the mean may be."""
        error = float(np.std(self.fresh, ddof=1)) / math.sqrt(len(self.fresh))
        return self.mean + float(stats.t.ppf(CERTAINTY, len(self.fresh) - 1)) * error

    def contradicts(self, knife: float) -> bool:
        """Whether it is a counterexample."""
        return math.isfinite(self.mean) and self.mean < -knife and self.upper < 0.0


@dataclass(frozen=True)
class Found:
    """What a search found at one site."""

    examples: int
    worst: Performed | None
    """The counterexample if there is one, else the worst case; shrunk. None where no case says anything."""
    counterexample: bool
    replayed: tuple[tuple[Pin, Performed], ...] = ()
    """Pinned cases and what became of them."""


@dataclass
class Search:
    """One claim put to one encoder, at all sites together: one recipe is heard once for all of them."""

    claim: str
    margin: Margin
    refuted_below: float
    listener: Listener
    ear: Ear
    sites: tuple[str, ...]
    readings: Mapping[str, str]
    """Site -> name of the effect that decided there."""
    claims_seed: int
    effort: str
    say: Callable[[int, int], None] = field(default=lambda done, total: None)
    """Told after each case: cases tried so far, and cases to be tried at least."""
    seconds: float = 0.0
    _heard: dict[tuple[str, int], Mapping[str, float]] = field(default_factory=dict)
    """(Recipe as text, performance) -> site -> margin."""
    _order: list[Recipe] = field(default_factory=list)
    """Recipes that were tried, in their order."""
    _interview: Interview = field(init=False)

    def __post_init__(self) -> None:
        self._interview = Interview(self.listener, self.ear)

    def run(self, pins: Sequence[Pin] = (), *, shrink: bool = True, examples: int | None = None) -> dict[str, Found]:
        """Search, and return what was found at each site.

        Args:
            pins: cases to replay first.
            shrink: whether to look for the simplest case, too.
            examples: how many to try at least; by default as many as the effort says.

        Raises:
            testtone.models.listening.EncoderFault: if the encoder breaks its promise.
            PinError: for a pinned case that is no recipe for this encoder.
        """
        started = time.perf_counter()
        replayed = [(pin, self._checked(pin)) for pin in pins]
        for _, recipe in replayed:
            self._hear(recipe)
        rounds = self._explore(EXAMPLES[self.effort] if examples is None else examples)
        found = {}
        for site in self.sites:
            own = [
                (pin, self._perform(recipe, site)) for pin, recipe in replayed if math.isfinite(self._at(recipe, site))
            ]
            worst = self._worst(site)
            if worst is not None and shrink:
                worst = self._simplest(worst, site, rounds)
            # Nothing new was found, but what was known still holds.
            still = [each for _, each in own if each.contradicts(self.margin.knife)]
            if still and not (worst is not None and worst.contradicts(self.margin.knife)):
                worst = min(still, key=lambda each: each.mean)
            contradicts = worst is not None and worst.contradicts(self.margin.knife)
            found[site] = Found(len(self._speaking(site)), worst, contradicts, tuple(own))
        self.seconds += time.perf_counter() - started
        return found

    def _checked(self, pin: Pin) -> Recipe:
        try:
            return self.margin.checked(self.ear, pin.recipe)
        except ValueError as error:
            raise PinError(f"{NAME}: {pin.claim} on {pin.encoder}: {error}") from error

    def _explore(self, examples: int) -> list[tuple[int, int]]:
        """Try at least so many cases that say something at every site that says anything; return seed and size each."""
        rounds: list[tuple[int, int]] = []
        for number in range(ROUNDS):
            spoken = [each for site in self.sites if (each := len(self._speaking(site)))]
            missing = examples - min(spoken, default=0)
            if missing <= 0 or (number and not spoken):
                break
            # The first case of a round is the simplest there is, every time.
            more = missing if number == 0 else missing + 10
            rounds.append((_whole(f"{self.claim}:{self.claims_seed}:search:{number}"), more))
            self._hunt(*rounds[-1])
        return rounds

    def _hunt(
        self, seeded: int, examples: int, *, holds: Callable[[Recipe], bool] | None = None, budget: int = 0
    ) -> Recipe | None:
        """Let hypothesis draw cases and steer towards small margins; return the simplest of which ``holds``, if any.

        The same seed draws the same cases as long as their margins are the same. A second hunt for what the first has
        met costs nothing therefore until it begins to shrink; from then on it may hear ``budget`` new cases.
        """
        phases = [Phase.generate, Phase.target] + ([Phase.shrink] if holds is not None else [])
        left, met = budget, list[Recipe]()

        @seed(seeded)
        @settings(
            max_examples=examples,
            phases=phases,
            # What comes out may depend neither on earlier runs nor on how busy the machine is.
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
        )
        @given(recipes(self.margin, self.ear))
        def each(recipe: Recipe) -> None:
            nonlocal left
            if holds is not None and (_text(recipe), 0) not in self._heard:
                if left <= 0:
                    return
                left -= 1
            spoken = {site: value for site, value in self._hear(recipe).items() if math.isfinite(value)}
            if not spoken:
                reject()
            for site, value in spoken.items():
                target(-value, label=site)
            if holds is not None and holds(recipe):
                met.append(recipe)
                raise _Holds

        try:
            each()
        except _Holds:
            return met[-1]
        except Unsatisfiable:
            # No case says anything: so be it.
            pass
        return None

    def _worst(self, site: str) -> Performed | None:
        """The worst of the cases heard, after some of them were performed again; None where none says anything."""
        heard = self._speaking(site)
        ranked = sorted(heard, key=lambda recipe: self._at(recipe, site))
        negative = [recipe for recipe in ranked[:CANDIDATES] if self._at(recipe, site) < 0.0]
        performed: list[Performed] = []
        for recipe in negative or ranked[:1]:
            performed.append(self._perform(recipe, site))
            if performed[-1].contradicts(self.margin.knife):
                return performed[-1]
        return min(performed, key=_mean, default=None)

    def _simplest(self, worst: Performed, site: str, rounds: Sequence[tuple[int, int]]) -> Performed:
        """The simplest case that is still as bad: half as deep for a counterexample, so that it is no knife's edge."""
        contradicts = worst.contradicts(self.margin.knife)
        bar = min(-1.5 * self.margin.knife, worst.mean / 2) if contradicts else worst.mean + SLACK

        def holds(recipe: Recipe) -> bool:
            first = self._at(recipe, site)
            # Not nan, and worth two more performances.
            if not first <= bar:
                return False
            return bool(np.mean([first, *(self._at(recipe, site, again) for again in range(1, 1 + AGAIN))]) <= bar)

        for seeded, examples in rounds:
            simplest = self._hunt(seeded, examples, holds=holds, budget=SHRINKING[self.effort])
            if simplest is None:
                continue
            performed = self._perform(self._nearer(simplest, holds), site)
            good = performed.contradicts(self.margin.knife) if contradicts else performed.mean <= worst.mean + 2 * SLACK
            return performed if good else worst
        return worst

    def _nearer(self, recipe: Recipe, holds: Callable[[Recipe], bool]) -> Recipe:
        """The recipe with each pitch in the octave nearest to its simplest one, as far as it holds there.

        Hypothesis makes numbers smaller step by step, and gets stuck where only every twelfth of them fails.
        """
        for name, held in self.margin.fields(self.ear).items():
            if not (isinstance(held, Whole) and held.pitch):
                continue
            key = int(recipe[name])
            keys = range(held.low + (key - held.low) % 12, held.high + 1, 12)
            octaves = sorted(keys, key=partial(_apart, held.simplest))
            nearer = octaves[: octaves.index(key)]
            recipe = next((moved for each in nearer if holds(moved := {**recipe, name: each})), recipe)
        return recipe

    def _perform(self, recipe: Recipe, site: str) -> Performed:
        """Perform a case again, on draws that had no part in its being chosen."""
        case = self.margin.play(self.ear, recipe, self._draws(recipe, 0), self.readings)
        fresh = tuple(self._at(recipe, site, AGAIN + 1 + number) for number in range(FRESH))
        return Performed(recipe, case.label, self._at(recipe, site), fresh, case)

    def _at(self, recipe: Recipe, site: str, performance: int = 0) -> float:
        return self._hear(recipe, performance).get(site, math.nan)

    def _speaking(self, site: str) -> list[Recipe]:
        """The cases heard that say something at a site, in the order in which they were met."""
        return [each for each in self._order if math.isfinite(self._at(each, site))]

    def _hear(self, recipe: Recipe, performance: int = 0) -> Mapping[str, float]:
        """Site -> margin of one performance; empty for a case that is unfit. Each is heard once."""
        key = (_text(recipe), performance)
        if key not in self._heard:
            try:
                case = self.margin.play(self.ear, recipe, self._draws(recipe, performance), self.readings)
                values = case.values(self._interview.ask(case.requests))
            except Unfit:
                values = {}
            self._heard[key] = {site: values[site] - self.refuted_below for site in self.sites if site in values}
            if performance == 0:
                self._order.append(recipe)
                total = EXAMPLES[self.effort]
                self.say(min(len(self._order), total), total)
        return self._heard[key]

    def _draws(self, recipe: Recipe, performance: int) -> np.random.Generator:
        return np.random.default_rng(_whole(f"{self.claim}:{self.claims_seed}:{_text(recipe)}:{performance}"))


def recipes(margin: Margin, ear: Ear) -> st.SearchStrategy[Recipe]:
    """A strategy for the recipes of a margin, which shrinks each field to its simplest value."""

    def of(each: Whole | Choice) -> st.SearchStrategy[int | str]:
        if isinstance(each, Choice):
            return st.sampled_from(each.values)
        simplest = each.simplest
        return st.integers(each.low - simplest, each.high - simplest).map(lambda steps: steps + simplest)

    return st.fixed_dictionaries({name: of(each) for name, each in margin.fields(ear).items()})


class PinError(ValueError):
    """A pinned case that cannot be replayed; the message says why, in one line."""


class _Holds(AssertionError):
    """Tells hypothesis that a case is of the kind looked for."""


# Records


def record(
    claim: Claim, spec: str, found: Found, controls: Sequence[tuple[str, str, Found | None]], *, seconds: float
) -> dict[str, Any]:
    """Return the ``search`` object of a record.

    Args:
        claim: what was searched for a counterexample.
        spec: the encoder on trial.
        found: what was found there, at one site.
        controls: (spec, expected verdict, what the same search found there) of each control.
        seconds: how long the search took, for all sites.
    """
    assert claim.margin is not None
    means = {"supported": "found one there, too", "refuted": "found none there"}
    faults = [
        f"{each} must be {expected}, and the search {means[expected]}"
        for each, expected, theirs in controls
        if theirs is None or theirs.counterexample != (expected == "refuted")
    ]
    worst = found.worst
    refutes = bool(claim.universal) and found.counterexample and not faults
    gone = [each.label for _, each in found.replayed if not each.contradicts(claim.margin.knife)]
    return {
        "examples": found.examples,
        "worst_margin": None if worst is None else round(worst.mean, 6),
        "stimulus": None if worst is None else _worded(worst.label),
        "said": _line(claim, found, faults, gone, refutes=refutes),
        "margin": {
            "name": claim.margin.name,
            "unit": claim.margin.unit,
            "above": claim.threshold.refuted_below,
            "knife": claim.margin.knife,
        },
        "performances": None
        if worst is None
        else {
            "n": len(worst.fresh),
            "upper": _finite(worst.upper),
            "certainty": CERTAINTY,
            "first": _finite(worst.first),
        },
        "counterexample": found.counterexample,
        "universal": claim.universal or None,
        "refutes": refutes,
        "valid": not faults,
        "faults": faults,
        "controls": [
            {
                "encoder": each,
                "expected": expected,
                "counterexample": None if theirs is None else theirs.counterexample,
                "examples": 0 if theirs is None else theirs.examples,
                "worst_margin": None if theirs is None or theirs.worst is None else _finite(theirs.worst.mean),
                "stimulus": None if theirs is None or theirs.worst is None else _worded(theirs.worst.label),
            }
            for each, expected, theirs in controls
        ],
        "recipe": None if worst is None else dict(worst.recipe),
        "pin": pin_text(claim.id, spec, worst.recipe) if worst is not None and found.counterexample else None,
        "pinned": [
            {
                "stimulus": _worded(each.label),
                "recipe": dict(pin.recipe),
                "worst_margin": _finite(each.mean),
                "counterexample": each.contradicts(claim.margin.knife),
            }
            for pin, each in found.replayed
        ],
        "sounds": [] if worst is None else [sound.sha256 for _, sound in worst.case.sounds],
        "seconds": round(seconds, 3),
    }


def _line(claim: Claim, found: Found, faults: Sequence[str], gone: Sequence[str], *, refutes: bool) -> str:
    """What came of a search, in a line."""
    worst = found.worst
    if worst is None:
        return f"no case said anything in {found.examples} examples"
    at = f"{worst.mean:.2f} at {_worded(worst.label)}"
    if found.counterexample:
        said = f"counterexample in {found.examples} examples: margin {at}"
    else:
        said = f"no counterexample in {found.examples} examples; worst margin {at}"
    if refutes:
        said += f'; it refutes what is said of all cases ("{claim.universal}")'
    if faults:
        said += f"; the search may not judge: {'; '.join(faults)}"
    if gone:
        said += f"; pinned, and no longer one: {'; '.join(_worded(each) for each in gone)}"
    return said


def _worded(label: str) -> str:
    """A label with instruments by their names."""
    return re.sub(r"program:\d+", lambda found: timbre_name(found.group()), label)


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


# Pins

WORDS = ("claim", "encoder", "recipe")


@lru_cache
def load(file: Path) -> tuple[Pin, ...]:
    """Return the cases in a file; none where there is no file.

    Raises:
        ValueError: for a table that is none of a pinned case.
    """
    if not file.is_file():
        return ()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: {error}") from error
    if foreign := sorted(set(tables) - {"counterexample"}):
        raise ValueError(f"{file} holds {', '.join(foreign)}; it may hold [[counterexample]] tables only")
    found = []
    for table in tables.get("counterexample", []):
        if set(table) != set(WORDS):
            raise ValueError(f"{file}: a counterexample has {', '.join(WORDS)}; this one has {', '.join(table)}")
        if not isinstance(table["recipe"], dict):
            raise ValueError(f"{file}: recipe={table['recipe']!r} must be a table of fields")
        found.append(Pin(**table))
    return tuple(found)


def pins(claim: str, encoder: str, files: Iterable[Path]) -> tuple[Pin, ...]:
    """Return the pinned cases of a claim for an encoder, each once, in the order of the files."""
    every = (pin for file in files for pin in load(file))
    mine = (pin for pin in every if pin.claim == claim and pin.encoder in (encoder, ANY))
    return tuple({_text(pin.recipe): pin for pin in mine}.values())


def pin_text(claim: str, encoder: str, recipe: Recipe) -> str:
    """Return the table that pins a case."""
    fields = ", ".join(f"{name} = {json.dumps(value)}" for name, value in recipe.items())
    return (
        f"[[counterexample]]\nclaim = {json.dumps(claim)}\nencoder = {json.dumps(encoder)}\nrecipe = {{ {fields} }}\n"
    )


def pin_tables(report: Mapping[str, Any]) -> list[str]:
    """Return the tables that pin what a report holds of counterexamples, each once."""
    searches = (each.get("search") or {} for each in report["claims"])
    return list(dict.fromkeys(search["pin"] for search in searches if search.get("pin")))


def _apart(one: int, other: int) -> int:
    return abs(one - other)


def _text(recipe: Recipe) -> str:
    return json.dumps(recipe, sort_keys=True)


def _whole(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _mean(performed: Performed) -> float:
    return performed.mean if math.isfinite(performed.mean) else math.inf


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables that pin the counterexamples of a report: ``python -m testtone.tests.search report.json``."""
    parser = argparse.ArgumentParser(
        prog="python -m testtone.tests.search",
        description=f"Print the counterexamples that a report holds, as {NAME} takes them.",
    )
    parser.add_argument(
        "report", type=Path, metavar="REPORT.json", help="what --claims-report wrote, with --claims-search"
    )
    path = parser.parse_args(arguments).report
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        tables = pin_tables(report)
    except KeyError as error:
        parser.error(f"{path} is no report: it has no {error}")
    except (OSError, ValueError, TypeError) as error:
        parser.error(f"{path} is no report: {error}")
    print("\n".join(tables), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
