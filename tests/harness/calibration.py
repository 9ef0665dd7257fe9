"""Calibration: a whole probe on many codes whose right answer is known, counted.

A *world* is a recipe for codes: each seed makes another one, and all have one truth, in closed form. What is counted
over seeds: how often the interval holds the truth (a 90 % interval should in .87 to .93), how often it lies above or
below (two one-sided tests at .05: a truth that lies at a threshold makes a false verdict as often), bias, spread, and
how often no verdict was reached.

    python -m testtone.tests.harness.calibration                        names and truths of all worlds
    python -m testtone.tests.harness.calibration parts --seeds 200      those whose name begins so
    python -m testtone.tests.harness.calibration --effort standard --first 1000

Codes are imagined (`imagined.imagine`): nothing is rendered, and no encoder is asked.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from testtone.probes.records import Effect
from testtone.probes.statistics import verdict
from testtone.stimuli import Stimulus
from testtone.stimuli.designs import erb_rate
from testtone.stimuli.presence import HIGH_HZ, LOW_HZ, MAIN, PARTNERS
from testtone.tests.claim import Claim
from testtone.tests.claims.test_contained_not_exposed import CLAIM as CONTAINED
from testtone.tests.claims.test_discretised_latent import CLAIM as DISCRETISED
from testtone.tests.claims.test_entangled_basis import CLAIM as ENTANGLED
from testtone.tests.claims.test_no_part_relations import CLAIM as PARTS
from testtone.tests.claims.test_pitch_most_separable import CLAIM as BEST
from testtone.tests.claims.test_separable import CLAIM as SEPARABLE
from testtone.tests.claims.test_stable_across_contexts import CLAIM as STABLE
from testtone.tests.harness.imagined import Code, draws, imagine


@dataclass(frozen=True)
class World:
    """Codes by seed that share a truth."""

    claim: Claim
    truth: float
    code: Callable[[int], Code]
    sites: tuple[str, ...] = ("latent",)

    def measure(self, seed: int, effort: str) -> Effect | None:
        """The deciding effect on the code of one seed."""
        return imagine(self.claim.probe, self.code(seed), seed=seed, effort=effort, sites=self.sites).effect


@dataclass(frozen=True)
class Calibration:
    """What came of a world: an effect for each seed, None where there was none."""

    world: World
    effects: tuple[Effect | None, ...]

    @property
    def table(self) -> NDArray[np.float64]:
        """'seeds 3': value, low, high, of seeds that had an effect."""
        return np.array([(each.value, each.low, each.high) for each in self.effects if each is not None]).reshape(-1, 3)

    @property
    def coverage(self) -> float:
        """Share of intervals that hold the truth."""
        return float(((self.table[:, 1] <= self.world.truth) & (self.world.truth <= self.table[:, 2])).mean())

    @property
    def above(self) -> float:
        """Share of intervals that lie above the truth: false *supported*, were the truth at that threshold."""
        return float((self.table[:, 1] > self.world.truth).mean())

    @property
    def below(self) -> float:
        """Share of intervals that lie below the truth: false *refuted*, were the truth at that threshold."""
        return float((self.table[:, 2] < self.world.truth).mean())

    def share(self, said: str) -> float:
        """Share of seeds with a verdict."""
        found = [verdict(each, self.world.claim.threshold) for each in self.effects]
        return found.count(said) / len(found)

    @property
    def line(self) -> str:
        """All of it, on one line."""
        value, low, high = self.table.T
        return (
            f"truth {self.world.truth:6.3f}  mean {value.mean():6.3f}  sd {value.std(ddof=1):.3f}  "
            f"half width {(high - low).mean() / 2:.3f}  coverage {self.coverage:.3f}  above {self.above:.3f}  "
            f"below {self.below:.3f}  "
            + "  ".join(f"{said} {self.share(said):.2f}" for said in ("supported", "refuted", "inconclusive"))
            + (f"  without effect {self.effects.count(None)}" if None in self.effects else "")
        )


def calibrate(world: World, seeds: Sequence[int], effort: str = "quick") -> Calibration:
    """Let the probe measure the codes of all seeds."""
    return Calibration(world, tuple(world.measure(seed, effort) for seed in seeds))


# Partials, each there or not


def d_prime(area: float) -> float:
    """Distance of two normals in standard deviations, from the area under their ROC curve (Green & Swets 1966)."""
    return math.sqrt(2.0) * float(stats.norm.ppf(area))


def area_of(distance: float) -> float:
    """The other way round."""
    return float(stats.norm.cdf(distance / math.sqrt(2.0)))


CELLS = MAIN + PARTNERS


PLACES = 32 * CELLS
"""Of frequencies within the range of partials: two draws of partials hardly ever share one."""


def held(stimulus: Stimulus, by_place: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Which partials of a mixture sound, by their cells on the scale of the ear: 1, or what stands at their place."""
    low, high = erb_rate(LOW_HZ), erb_rate(HIGH_HZ)
    found = np.zeros(CELLS)
    for source in stimulus.sources:
        if getattr(source, "role", None) == "candidates":
            share = np.array([(erb_rate(partial.hz) - low) / (high - low) for partial in source.partials])
            size = 1.0 if by_place is None else by_place[(share * PLACES).astype(int)]
            found[(share * CELLS).astype(int)] = size
    return found


def drone_hz(stimulus: Stimulus) -> float:
    """What tells the families of mixtures apart."""
    return float(stimulus.sources[0].partials[0].hz)


def partials(
    shared: Callable[[np.random.Generator], NDArray[np.float64]],
    own: Callable[[np.random.Generator], NDArray[np.float64]] | None = None,
) -> Callable[[int], Code]:
    """Codes with a channel for each partial, in noise of unit variance: its mean moves by so much where it sounds.

    Args:
        shared: draws by how much, 'places', in order of frequency.
        own: draws by how much another channel moves, which is another one in every family: readable there alone.
    """

    def of(seed: int) -> Code:
        rng = draws(seed, "partials")
        first = shared(rng)
        # The second is drawn from the same numbers: a partial may have the one or the other.
        second = own(draws(seed, "partials")) if own else None
        order: dict[float, int] = {}

        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            noise = draws(seed, stimulus.sha256)
            z = held(stimulus, first) + noise.standard_normal(CELLS)
            if second is None:
                return z
            family = order.setdefault(drone_hz(stimulus), len(order))
            return np.concatenate([z, np.roll(held(stimulus, second), family) + noise.standard_normal(CELLS)])

        return code

    return of


def beside(code: Callable[[int], Code], channels: int) -> Callable[[int], Code]:
    """The same, beside so many channels of noise."""

    def of(seed: int) -> Code:
        inner = code(seed)

        def beside_noise(stimulus: Stimulus) -> NDArray[np.float64]:
            noise = draws(seed, "beside", stimulus.sha256).standard_normal(channels)
            return np.concatenate([np.asarray(inner(stimulus)), noise])

        return beside_noise

    return of


def mixed(shared: float, own: float, channels: int = 20) -> Callable[[int], Code]:
    """Every partial moves all of some channels by a random vector, and all of some others by one of each family.

    Partials interfere with each other there, so that the best reader in a family looks for what sets one off from all
    others in that family. In noise of unit variance.
    """

    def of(seed: int) -> Code:
        def matrix(size: float, *key: int) -> NDArray[np.float64]:
            return size * draws(seed, "mixed", *key).standard_normal((channels, CELLS)) / math.sqrt(channels)

        everywhere = matrix(shared)
        order: dict[float, int] = {}

        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            family = order.setdefault(drone_hz(stimulus), len(order))
            moved = np.concatenate([everywhere, matrix(own, family)]) @ held(stimulus)
            return moved + draws(seed, stimulus.sha256).standard_normal(2 * channels)

        return code

    return of


MIXED = {0.81: (4.0, 1.6), 0.603: (4.0, 3.3)}
"""Share that the best linear readers of endless sounds find abroad in `mixed`, of 12 seeds, each in closed form but for
4000 tokens (SD .02 over seeds): lengths of shared and own."""


def alike(distance: float) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """All partials move their channels by so many standard deviations."""
    return lambda rng: np.full(PLACES, distance)


def areas_between(low: float, high: float) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """Each partial has an area of its own, uniform between two."""
    return lambda rng: np.array([d_prime(each) for each in rng.uniform(low, high, PLACES)])


def some(share: float, distance: float = 5.0) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """A share of the places move their channel, the others not at all; which, is drawn."""
    return lambda rng: distance * (rng.permutation(PLACES) < share * PLACES)


def others(share: float, distance: float = 5.0) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """Those that `some` leaves out, drawn from the same numbers."""
    return lambda rng: distance * (rng.permutation(PLACES) >= share * PLACES)


def bands(share: float, distance: float = 5.0) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """A share of the cells move their channel wherever in them a partial lies: neighbours are lost together."""
    return lambda rng: distance * np.repeat(rng.permutation(CELLS) < share * CELLS, PLACES // CELLS)


def two_sites(
    before: Callable[[np.random.Generator], NDArray[np.float64]],
    after: Callable[[np.random.Generator], NDArray[np.float64]],
) -> Callable[[int], Code]:
    """Codes of a latent, and of what is left of it."""

    def of(seed: int) -> Code:
        # Seeds of their own, lest they share their noise.
        one, other = partials(before)(seed), partials(after)(seed + 10**9)
        return lambda stimulus: {"latent": one(stimulus), "quantised": other(stimulus)}  # type: ignore[dict-item]

    return of


def read_on(share: float, distance: float) -> tuple[float, float]:
    """Shared and own distance of which a reader at home has `distance`, and abroad `share` of its area above .5.

    It weighs each channel by how far that moves. Abroad its weight on the own channel finds another partial, there or
    not as a coin falls: of two tokens, one with what it looks for, that other sounds in neither or both, or in either.
    """

    def abroad(squared: float) -> float:
        other, spread = distance**2 - squared, math.sqrt(2.0) * distance
        said = stats.norm.cdf([squared / spread, (squared + other) / spread, (squared - other) / spread])
        return float(np.dot(said, [0.5, 0.25, 0.25]) - 0.5) / (area_of(distance) - 0.5) - share

    squared = optimize.brentq(abroad, 1e-9, distance**2 - 1e-9)
    return math.sqrt(squared), math.sqrt(distance**2 - squared)


def exposed_at(area: float, own: float = 5.0, families: int = 5) -> float:
    """Shared distance at which readers that learned in five families have an area in a sixth.

    In each family an own channel tells of the partial, in all others of another one: such readers weigh five of them,
    and these are noise in the sixth. Were there endless families, they would weigh none.
    """

    def found(shared: float) -> float:
        distances = np.array([shared, *[own / families] * families])
        spread = np.diag([1.0 + shared**2 / 4, *[1.0 + own**2 / 4] * families])
        spread[0, 1:] = spread[1:, 0] = shared * own / 4 / families
        weights = np.linalg.solve(spread, distances)
        noise = weights[0] ** 2 + np.square(weights[1:]).sum() * (1.0 + own**2 / 4)
        return area_of(float(weights[0] * shared / math.sqrt(noise))) - area

    return float(optimize.brentq(found, 0.01, 20.0))


# Two voices


def cells_that_show(share: float, channels: int = 64) -> Callable[[int], Code]:
    """Pairs are known by number; in a share of them, drawn pair by pair, the first note shows as well.

    Of other pairs those are known that show their note, all others by chance.
    """

    def of(seed: int) -> Code:
        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            first, second = stimulus.pitches
            shows = draws(seed, "shows", first, second).random() < share
            note = draws(seed, "note", first) if shows else draws(seed, "other", first, second)
            return (
                0.3 * draws(seed, "pair", first, second).standard_normal(channels)
                + 3.0 * note.standard_normal(channels)
                + 0.05 * draws(seed, stimulus.sha256).standard_normal(channels)
            )

        return code

    return of


def lost_of_notes(share: float, notes: int = 12) -> float:
    """1 - G where a share of the notes show in all of their pairs, and the others in none.

    Of the others one is right whenever there are any: a learner knows them by what does not show.
    """
    unknown = notes * (1.0 - share) - (1.0 - share**notes)
    return unknown / (notes - 1)


def notes_that_show(lost: float, channels: int = 64) -> Callable[[int], Code]:
    """As `cells_that_show`, but a note of the first voice shows in all of its pairs or in none."""
    share = float(optimize.brentq(lambda share: lost_of_notes(share) - lost, 0.0, 1.0))

    def of(seed: int) -> Code:
        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            first, second = stimulus.pitches
            shows = draws(seed, "shows", first).random() < share
            note = draws(seed, "note", first) if shows else draws(seed, "other", first, second)
            return (
                0.3 * draws(seed, "pair", first, second).standard_normal(channels)
                + 3.0 * note.standard_normal(channels)
                + 0.05 * draws(seed, stimulus.sha256).standard_normal(channels)
            )

        return code

    return of


def notes_in_colours(weight: float, channels: int = 24) -> Callable[[int], Code]:
    """Every note of the first voice adds a vector of its own, and every pair another, `weight` times as long."""

    def of(seed: int) -> Code:
        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            first, second = stimulus.pitches
            return (
                draws(seed, "note", first).standard_normal(channels)
                + weight * draws(seed, "pair", first, second).standard_normal(channels)
                + 0.03 * draws(seed, stimulus.sha256).standard_normal(channels)
            )

        return code

    return of


@cache
def lost_in_colours(weight: float, channels: int = 24, notes: int = 12) -> float:
    """1 - G of a learner of endless pairs, which knows the vector of every note: by 4000 draws of twelve of them."""
    rng = np.random.default_rng(0)
    right = 0.0
    tries = 4000
    for _ in range(tries):
        known = rng.standard_normal((notes, channels))
        heard = known + weight * rng.standard_normal((notes, channels))
        right += (np.square(heard[:, None] - known).sum(axis=2).argmin(axis=1) == np.arange(notes)).mean() / tries
    return 1.0 - (right - 1.0 / notes) / (1.0 - 1.0 / notes)


# Notes by property


def told(shares: tuple[float, float, float]) -> Callable[[int], Code]:
    """Codes that tell pitch, level and timbre of a note each with its probability, and else another class of it."""

    def of(seed: int) -> Code:
        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            name, _, rest = stimulus.label.partition(" (")
            timbre, _, level = rest.rstrip(")").partition(", ")
            z = []
            for share, said in zip(shares, (name, level, timbre), strict=True):
                chance = draws(seed, said, stimulus.sha256)
                z.append(draws(said if chance.random() < share else chance.random()).standard_normal(40))
            return np.concatenate(z)

        return code

    return of


# Filters on the scale of the ear

FILTERS = 32
LOW_ERB, HIGH_ERB = 5.0, 29.0
TONES = 96


def bank(places: Callable[[np.random.Generator], NDArray[np.float64]], width: float) -> Callable[[int], Code]:
    """Channels that answer to a tone with its amplitude times a normal curve about their places, in ERBs."""

    def of(seed: int) -> Code:
        centres = places(draws(seed, "places"))

        def code(stimulus: Stimulus) -> NDArray[np.float64]:
            (tone,) = stimulus.sources
            (partial,) = tone.partials  # type: ignore[union-attr]
            return partial.amplitude * np.exp(-0.5 * np.square((erb_rate(partial.hz) - centres) / width))

        return code

    return of


def gaps(variation: float) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """Places whose gaps are gamma-distributed, with a standard deviation of so many means, over the whole range."""

    def places(rng: np.random.Generator) -> NDArray[np.float64]:
        drawn = np.concatenate([[0.0], np.cumsum(rng.gamma(variation**-2, size=FILTERS - 1))])
        return np.asarray(LOW_ERB + (HIGH_ERB - LOW_ERB) * drawn / drawn[-1])

    return places


def anywhere(rng: np.random.Generator) -> NDArray[np.float64]:
    """Places drawn alike over the whole range: their gaps vary by a mean, in expectation."""
    return rng.uniform(LOW_ERB, HIGH_ERB, FILTERS)


@cache
def width_for(overlap: float) -> float:
    """Width in ERBs of normal curves `anywhere` of which the overlap that is judged is so much.

    The squared cosine of two curves d apart is exp(-d^2 / 2 width^2); chance is that of absolute normal numbers.
    """
    drawn = np.abs(np.random.default_rng(0).standard_normal((2, 20_000, TONES)))
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    chance = float(np.square((drawn[0] * drawn[1]).sum(axis=1)).mean())
    size = HIGH_ERB - LOW_ERB

    def missed(width: float) -> float:
        common, _ = integrate.quad(
            lambda apart: 2 * (size - apart) / size**2 * math.exp(-((apart / width) ** 2) / 2), 0.0, size
        )
        return common / chance - 0.5 - overlap

    return float(optimize.brentq(missed, 0.05, 20.0))


def _stable(share: float) -> Callable[[int], Code]:
    shared, own = read_on(share, 2.5)
    return partials(alike(shared), alike(own))


BOTH = ("latent", "quantised")
SURE = area_of(5.0)

WORLDS: dict[str, World] = {
    **{
        f"separable, {name}, {truth:.2f}": World(SEPARABLE, truth, code)
        for truth in (0.75, 0.625, 0.875)
        for name, code in (
            ("alike", partials(alike(d_prime(truth)))),
            ("spread", partials(areas_between(2 * truth - 0.99, 0.99) if truth > 0.7 else areas_between(0.5, 0.75))),
            ("some", partials(some(2 * truth - 1))),
        )
        if not (name == "spread" and truth == 0.75)
    },
    "separable, spread, 0.75": World(SEPARABLE, 0.75, partials(areas_between(0.51, 0.99))),
    **{
        f"stable, {name}, {truth:.2f}": World(STABLE, truth, code)
        for truth in (0.8, 0.6, 0.9, 0.3)
        for name, code in (
            ("alike", _stable(truth)),
            ("some", partials(some(truth, 3.0), others(truth, 3.0))),
        )
    },
    **{f"stable, in noise, {truth:.2f}": World(STABLE, truth, beside(_stable(truth), 150)) for truth in (0.8, 0.6)},
    **{f"stable, mixed, {truth:.2f}": World(STABLE, truth, mixed(*lengths)) for truth, lengths in MIXED.items()},
    **{
        f"contained, weakly, {area - 0.85:.3f}": World(
            CONTAINED, area - 0.85, partials(alike(0.0), alike(d_prime(area)))
        )
        for area in (0.85, 0.75, 0.8, 0.925)
    },
    **{
        f"contained, some exposed, {0.65 - area:.2f}": World(
            CONTAINED, 0.15 - share * (SURE - 0.5), partials(some(share), others(share))
        )
        for area in (0.65, 0.75, 0.825)
        for share in ((area - 0.5) / (SURE - 0.5),)
    },
    **{
        f"contained, all exposed, {0.65 - area:.3f}": World(
            CONTAINED, 0.65 - area, partials(alike(exposed_at(area)), alike(5.0))
        )
        for area in (0.65, 0.75, 0.825)
    },
    **{
        f"discretised, {name}, {truth:.2f}": World(DISCRETISED, truth, code, BOTH)
        for truth in (0.8, 0.6, 0.9, 0.3)
        for name, code in (
            ("alike", two_sites(alike(d_prime(0.9)), alike(d_prime(0.5 + truth * 0.4)))),
            ("some", two_sites(alike(5.0), some(truth))),
        )
    },
    **{
        f"discretised, bands, {kept / CELLS:.2f}": World(
            DISCRETISED, kept / CELLS, two_sites(alike(5.0), bands(kept / CELLS)), BOTH
        )
        for kept in (18, 14)
    },
    **{
        f"basis, {name}, {truth:.3f}": World(ENTANGLED, truth, code)
        for truth in (0.0, -0.25, 0.2, -0.375)
        for name, code in (
            ("gaps", bank(gaps(truth + 0.5), 4.0)),
            ("overlap", bank(anywhere, width_for(truth))),
        )
    },
    **{
        f"parts, {name}, {truth:.2f}": World(PARTS, truth, code)
        for truth in (0.8, 0.2, 0.9, 0.1)
        for name, code in (("cells", cells_that_show(1 - truth)), ("notes", notes_that_show(truth)))
    },
    **{
        f"parts, colours, weight {weight}": World(PARTS, lost_in_colours(weight), notes_in_colours(weight))
        for weight in (1.67, 6.0)
    },
    **{
        f"best, {shares[0] - max(shares[1:]):.2f}": World(BEST, shares[0] - max(shares[1:]), told(shares))
        for shares in ((0.55, 0.5, 0.3), (0.5, 0.5, 0.3), (0.5, 0.5, 0.5), (0.3, 0.5, 0.3), (0.8, 0.5, 0.3))
    },
}


def main() -> None:
    """Print what came of each world asked for."""
    parser = argparse.ArgumentParser(description="Whole probes on many imagined codes whose right answer is known.")
    parser.add_argument("names", nargs="*", help="worlds whose name begins so; without any, list them")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--effort", default="quick", choices=("quick", "standard", "thorough"))
    asked: Any = parser.parse_args()
    for name, world in WORLDS.items():
        if not asked.names:
            print(f"{name:32} truth {world.truth:.3f}")
        elif any(name.startswith(each) for each in asked.names):
            started = time.perf_counter()
            found = calibrate(world, range(asked.first, asked.first + asked.seeds), asked.effort)
            print(f"{name:32} {found.line}  {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
