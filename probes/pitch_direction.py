"""Does a pitch add the same direction to a code whatever surrounds it?

Source: Post 0, section 0.2: "This would make pitch a stable direction in activation space". In words: play a context c,
then the same context with a pitch p in it. The difference of the two codes is the direction that the pitch adds there.
If pitches are stable directions, the directions of one pitch in different contexts agree, and agree better than those
of different pitches do.

Stimuli   pitches x contexts x timbres (sine, additive, FluidSynth) x tokens (`designs.pitches_in_contexts`).
Readout   RO1: the mean over frames, relative to silence.
Formula   u(p,c,k) = mean z(c + p) - mean z(c), token k.
          S_same = mean cosine of u(p,c), u(p,c'), c != c'; S_diff = mean cosine of u(p,c), u(p',c'), p != p', c != c',
          p and p' not an octave, fifth or fourth apart (those share partials).
          Both are formed within a timbre and averaged over the three timbres.
          effect = (S_same - S_diff) / (1 - S_diff): 1 is one direction per pitch, 0 no more alike than other pitches.
Phases    Roved: cosines are taken only between sounds that share no start phase. They are stated for directions
          averaged over `PHASES` = 16 start phases, whatever number of tokens was played: with reliability r (the cosine
          between two tokens of one cell, averaged over the pitches of a context), a vector of one token shrinks under
          averaging by a factor (1 + 15 r) / 16 in energy (Spearman 1910; Brown 1910), and cosines grow accordingly;
          exact for tokens that are exchangeable. A direction cannot agree with others better than with itself: the
          upper end of the interval is at most 16 r / (1 + 15 r) at the upper end of r. That settles encoders whose
          average over frames holds next to nothing, where the growth would magnify noise.
Parts     frozen: the same over all frames (RO6), the pitch with one waveform in all contexts; the lenient reading.
          corrected: divided by r, as if over infinitely many phases. Each timbre alone. From timbre A to timbre B.
Null      pitch labels permuted within each context.
Interval  two-way jackknife over pitches and contexts.
Own audio Recordings of the user's own (`Ear.backgrounds`), where there are some, are up to `RECORDINGS` further
          contexts; nothing else is drawn differently.
Traps     Without silence subtracted every cosine is near 1. The frozen reading is 1 for any linear encoder, whatever it
          does to pitch. The effect has no meaning where S_diff nears 1 (limit .95): insufficient; where it does so by
          chance in a resampled estimate, the divisor stops at .05. Level is not matched between
          c and c + p: adding a pitch adds level, in every context alike; S_diff takes that out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import designs
from testtone.stimuli.backgrounds import backgrounds
from testtone.stimuli.sources import Source

from .hearing import Ear, Listen, Probe
from .readouts import Frames, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import jackknife_two_way, permutation

VERSION = 1
PHASES = 16
"""Start phases that the deciding directions are averaged over, by definition of the claim."""

RECORDINGS = 6
FRAMES = 24
CEILING = 0.95
"""Above this cosine between different pitches, 1 - S_diff is too small to divide by."""

SIZES: Mapping[str, Mapping[str, Any]] = {
    "quick": {"pitches": 12, "contexts": 12, "tokens": 3, "crossed": False},
    "standard": {"pitches": 12, "contexts": 12, "tokens": 4, "crossed": False},
    "thorough": {"pitches": 24, "contexts": 12, "tokens": 8, "crossed": True},
}
DRAWS = {"quick": 199, "standard": 499, "thorough": 1999}
THRESHOLD = Threshold(0.5, 0.5)

Cosines = NDArray[np.float64]
"""``'cells cells'``, cells being pitch-major over (pitch, column)."""


def pitch_direction(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure the stability of pitch directions at each site; see the module."""
    size = SIZES[effort]
    slowest = min(ear.frame_rates[site] for site in ear.sites)
    seconds = ear.seconds(FRAMES)
    own: tuple[tuple[str, tuple[Source, ...]], ...] = ()
    if ear.backgrounds:
        # A generator of its own: the other sounds stay those of a run without recordings.
        (apart,) = rng.spawn(1)
        count = min(RECORDINGS, len(ear.backgrounds))
        own = tuple(
            (each.label, each.sources) for each in backgrounds(apart, count, seconds=seconds, found=ear.backgrounds)
        )
    design = designs.pitches_in_contexts(
        rng,
        **size,
        seconds=seconds,
        frame_rate=slowest,
        harmonics_below_hz=0.42 * ear.sample_rate,
        backgrounds=own,
    )
    averages, frames = yield [Listen(design.stimuli, mean), Listen(design.stimuli, Frames(FRAMES))]
    return {
        site: _measure(
            site,
            design,
            averages[site],
            frames[site],
            rng=np.random.default_rng(rng.integers(2**63)),
            draws=DRAWS[effort],
        )
        for site in ear.sites
    }


def _measure(
    site: str,
    design: designs.PitchesInContexts,
    averages: NDArray,
    frames: NDArray,
    *,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    changes = _increments(design, frames)
    if not changes.any():
        return Measurement(
            site=site,
            probe="pitch_direction",
            version=VERSION,
            effect=None,
            reason="the code does not change with the pitches present",
            sounds=_sounds(design),
        )
    stability = Stability(design, _increments(design, averages))
    frozen = Stability(design, changes, frozen=True)
    timbres = list(dict.fromkeys(column.timbre for column in design.columns))
    said = {column.timbre: column.timbre_name for column in design.columns}

    def estimate(name: str, measure: Callable[[NDArray[np.bool_]], float]) -> Effect:
        return jackknife_two_way(measure, stability.shape, name=name, unit="normalised cosine")

    reliability = estimate("reliability", stability.reliability)
    effect = _capped(estimate("phase-roved stability", stability.effect), reliability)
    different = stability.different()
    reason = None
    if not np.isfinite(effect.value):
        reason = "no pair of increments is left to compare"
    elif different > CEILING and reliability.low > 0:
        reason = (
            f"different pitches already share a direction (mean cosine {different:.3f}, limit {CEILING}): nothing is "
            "left to tell a pitch apart by"
        )
    parts = [
        Part(
            name="frozen components (RO6)",
            effect=estimate("frozen stability", frozen.effect),
            threshold=THRESHOLD,
            note="the component keeps its waveform bit for bit; 1 for every linear encoder",
        ),
        Part(
            name="corrected for reliability",
            effect=estimate("corrected stability", stability.corrected),
            threshold=THRESHOLD,
            note=f"reliability of one token {stability.reliability():.3f}",
        ),
        *(
            Part(
                name=f"timbre: {said[timbre]}",
                threshold=THRESHOLD,
                effect=estimate(f"phase-roved stability, {said[timbre]}", partial(stability.effect, timbres=(timbre,))),
            )
            for timbre in timbres
        ),
        Part(
            name="from timbre A to timbre B",
            effect=estimate("stability across timbres", stability.across_timbres),
            threshold=THRESHOLD,
            note="same pitch, other context and other timbre",
        ),
    ]
    if reason is not None:
        return Measurement(
            site=site,
            probe="pitch_direction",
            version=VERSION,
            effect=None,
            reason=reason,
            parts=tuple(parts),
            sounds=_sounds(design),
        )
    null = Null(
        kind="pitch labels permuted within context",
        draws=draws,
        p=permutation(effect.value, stability.permuted, rng=rng, draws=draws),
    )
    return Measurement(
        site=site,
        probe="pitch_direction",
        version=VERSION,
        effect=effect,
        parts=tuple(parts),
        null=null,
        sounds=_sounds(design),
        figures={"cosines": stability.distributions()},
    )


def of_one(design: designs.PitchesInContexts, averages: NDArray) -> float:
    """The effect in a design of one pitch, another and two contexts, without an interval; nan where nothing moves."""
    increments = _increments(design, averages)
    if not increments.any():
        return float("nan")
    stability = Stability(design, increments)
    r = max(stability.reliability(), 0.0)
    value = stability.effect(np.ones(stability.shape, dtype=bool))
    # Without any reliability there is no direction, stable or not: the cap of the effect is 0.
    cap = PHASES * r / (1 + (PHASES - 1) * r)
    return min(value, cap) if np.isfinite(value) else cap


def _capped(effect: Effect, reliability: Effect) -> Effect:
    """The effect with its upper end no higher than the reliability of a 16-phase direction allows.

    The cap moves an interval that is wider than the scale on its own side only; it leaves the estimate between its
    ends.
    """
    r = max(reliability.high, 0.0)
    cap = PHASES * r / (1 + (PHASES - 1) * r)
    high = min(effect.high, cap)
    return replace(effect, value=min(effect.value, high), low=min(effect.low, high), high=high)


class Stability:
    """Cosines between increments, and what follows from them for any selection of cells ``'pitches contexts'``."""

    def __init__(
        self, design: designs.PitchesInContexts, increments: NDArray[np.float64], *, frozen: bool = False
    ) -> None:
        self._timbre = np.array([column.timbre for column in design.columns])
        self._context = np.array([column.context for column in design.columns])
        self._pitch = np.arange(len(design.midi))
        self._frozen = frozen
        self.shape = (len(design.midi), int(self._context.max()) + 1)
        pitches, columns, tokens, values = increments.shape
        unit = increments.reshape(-1, values)
        length = np.linalg.norm(unit, axis=1, keepdims=True)
        unit = unit / np.where(length > 0, length, 1)
        gram = (unit @ unit.T).reshape(pitches * columns, tokens, pitches * columns, tokens)
        self._cosines: Cosines = gram[:, 0, :, 0] if frozen else _between_performances(gram)
        self._own = np.diag(self._cosines).copy()
        self._cells = pitch, column = np.repeat(self._pitch, columns), np.tile(np.arange(columns), pitches)
        self._same = pitch[:, None] == pitch
        self._different = design.unrelated[np.ix_(pitch, pitch)]
        self._away = self._context[column][:, None] != self._context[column]
        self._one_timbre = self._timbre[column][:, None] == self._timbre[column]
        self._pairs = {
            timbre: self._pairs_of(np.flatnonzero(self._timbre[column] == timbre), self._away)
            for timbre in dict.fromkeys(self._timbre)
        }
        self._across = self._pairs_of(np.arange(pitches * columns), self._away & ~self._one_timbre)

    def effect(self, kept: NDArray[np.bool_], timbres: Sequence[str] | None = None) -> float:
        """The effect over the cells kept, in some timbres or all: for 16 phases (roved) or as it is (frozen)."""
        return self._normalised(kept, timbres)

    def corrected(self, kept: NDArray[np.bool_]) -> float:
        """The effect as if averaged over infinitely many phases; nan where nothing repeats."""
        return self._normalised(kept, phases=np.inf)

    def across_timbres(self, kept: NDArray[np.bool_]) -> float:
        """Same pitch against other pitches, both in another context and another timbre."""
        inside = self._inside(kept)
        return _contrast(*self._across.means(self._weights(inside), inside))

    def permuted(self, rng: np.random.Generator) -> float:
        """The effect with pitch labels permuted within each column: one draw from the null."""
        pitches, columns = len(self._pitch), len(self._timbre)
        order = np.stack([rng.permutation(pitches) for _ in range(columns)], axis=1)
        index = (order * columns + np.arange(columns)).ravel()
        return _contrast(*np.mean([pairs.relabelled(self._all, index) for pairs in self._pairs.values()], axis=0))

    def reliability(self, kept: NDArray[np.bool_] | None = None) -> float:
        """Mean cosine between two tokens of one cell."""
        inside = self._inside(np.ones(self.shape, dtype=bool) if kept is None else kept)
        return float(self._own[inside].mean())

    def different(self) -> float:
        """Mean cosine of different pitches, within a timbre and in other contexts."""
        pairs = self._away & self._one_timbre & self._different
        return float(self._all[pairs].mean()) if pairs.any() else float("nan")

    def distributions(self) -> Mapping[str, list[float]]:
        """Deciles of the cosines of same and of different pitches, for the picture."""
        cosines = self._all
        pairs = self._away & self._one_timbre
        deciles = np.arange(0, 101, 10)
        return {
            "same": [float(each) for each in np.percentile(cosines[pairs & self._same], deciles)],
            "other": [float(each) for each in np.percentile(cosines[pairs & self._different], deciles)],
        }

    def _normalised(
        self, kept: NDArray[np.bool_], timbres: Sequence[str] | None = None, phases: float = PHASES
    ) -> float:
        inside = self._inside(kept)
        weights = self._weights(inside, phases)
        means = [self._pairs[timbre].means(weights, inside) for timbre in timbres or self._pairs]
        return _contrast(*np.mean(means, axis=0))

    def _pairs_of(self, cells: NDArray[np.intp], pairs: NDArray[np.bool_]) -> "_Pairs":
        block = np.ix_(cells, cells)
        same, different = pairs[block] & self._same[block], pairs[block] & self._different[block]
        cosines = self._cosines[block]
        return _Pairs(
            cells,
            same.astype(float),
            different.astype(float),
            np.where(same, cosines, 0),
            np.where(different, cosines, 0),
        )

    def _weights(self, inside: NDArray[np.bool_], phases: float = PHASES) -> NDArray[np.float64]:
        """Factors, 'cells', that make cosines of single tokens those of means over ``phases``; frozen ones stay."""
        _, column = self._cells
        if self._frozen:
            return np.ones(len(column))
        counts = np.bincount(column, inside, len(self._timbre))
        r = np.bincount(column, self._own * inside, len(self._timbre)) / np.maximum(counts, 1)
        r = np.maximum(r, 0.0)
        energy = r if np.isinf(phases) else (1 + (phases - 1) * r) / phases
        return np.asarray((1 / np.sqrt(np.where(energy > 0, energy, np.nan)))[column])

    @cached_property
    def _all(self) -> Cosines:
        """Cosines for averages over `PHASES` tokens, all cells."""
        weights = self._weights(self._inside(np.ones(self.shape, dtype=bool)))
        return self._cosines * np.outer(weights, weights)

    def _inside(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        pitch, column = self._cells
        return kept[pitch, self._context[column]]


@dataclass(frozen=True)
class _Pairs:
    """Pairs of cells to compare: which are of the same pitch and which of different ones, 'cells cells', as 0 and 1."""

    cells: NDArray[np.intp]
    same: NDArray[np.float64]
    different: NDArray[np.float64]
    same_cosines: Cosines
    different_cosines: Cosines

    def means(self, weights: NDArray[np.float64], inside: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean cosine of same and of different pitches, of the cells that are in; nan where there is none."""
        there = inside[self.cells].astype(float)
        same, different = self.same @ there, self.different @ there
        pairs = there @ same, there @ different
        if not all(pairs):
            return float("nan"), float("nan")
        # A cell without a partner counts for nothing, whatever its weight.
        weight = np.where(there * (same + different) > 0, weights[self.cells], 0.0)
        sums = weight @ self.same_cosines @ weight, weight @ self.different_cosines @ weight
        return float(sums[0] / pairs[0]), float(sums[1] / pairs[1])

    def relabelled(self, cosines: Cosines, index: NDArray[np.intp]) -> tuple[float, float]:
        """The same of other cosines, each cell being taken for another: cell i for cell ``index[i]``."""
        pairs = self.same.sum(), self.different.sum()
        if not all(pairs):
            return float("nan"), float("nan")
        taken = cosines[np.ix_(index[self.cells], index[self.cells])]
        return float(np.vdot(taken, self.same) / pairs[0]), float(np.vdot(taken, self.different) / pairs[1])


def _contrast(same: float, different: float) -> float:
    return float((same - different) / (1 - min(different, CEILING)))


def _between_performances(gram: NDArray[np.float64]) -> Cosines:
    """Mean cosine of two cells, ``'cells tokens cells tokens'`` -> ``'cells cells'``, over tokens that share no phase.

    Between contexts only token 0 shares a waveform, that of the frozen pitch. Within a cell every token shares its own,
    so there different tokens are compared: the diagonal is the reliability.
    """
    tokens = gram.shape[1]
    free = np.ones((tokens, tokens), dtype=bool)
    free[0, 0] = False
    other = ~np.eye(tokens, dtype=bool)
    cosines = np.einsum("atbs,ts->ab", gram, free) / free.sum()
    np.fill_diagonal(cosines, np.einsum("atas,ts->a", gram, other) / other.sum())
    return cosines


def _increments(design: designs.PitchesInContexts, values: NDArray) -> NDArray[np.float64]:
    """``'stimuli ...'`` -> ``'pitches columns tokens values'``: with the pitch, minus without."""
    columns, tokens, pitches = len(design.columns), design.tokens, len(design.midi)
    flat = values.reshape(len(values), -1).astype(np.float64)
    alone = flat[: columns * tokens].reshape(columns, tokens, -1)
    together = flat[columns * tokens :].reshape(pitches, columns, tokens, -1)
    return together - alone


def _sounds(design: designs.PitchesInContexts) -> tuple:
    """One pitch in three contexts of one timbre."""
    row = len(design.midi) // 2
    timbre = design.columns[1].timbre
    columns = [index for index, column in enumerate(design.columns) if column.timbre == timbre][:3]
    return tuple((design.together[row][column][0].label, design.together[row][column][0]) for column in columns)
