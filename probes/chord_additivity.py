"""Is the code of a chord the sum of its pitches' codes?

Source: Post 0, sections 0.2 and 0.3: pitches "could combine with others to form more complex structures such as
chords"; encoders "do not, in general, behave compositionally". In words: learn, from many chords, what each note
contributes to a code. Then predict the codes of chords never heard before by adding up their notes.

Stimuli   12 notes alone, and pairs and triads of them (`mixtures.chords_of_notes`), each note at its own level whoever
          sounds with it, in two performances or more.
Formula   (i) zhat = b + sum of c_p over the notes of a chord, c by ridge regression of codes on notes (penalty
          `PENALTY`; the composition is linear by definition: with a free one everything composes, Korbak et al. 2020;
          the measure is tree reconstruction error, Andreas 2019). All chords are predicted once, from folds that do not
          hold them; the notes alone are always learned from.
          effect = 1 - mean |z - zhat|^2 / mean |z - zbar|^2, zbar the mean chord of as many notes: 1 is a sum of notes,
          0 no better than the mean chord. Counting notes is not knowing them: against one mean for all chords a level
          meter would pass for a composer.
Noise     Phases are not part of a chord. Squares are therefore products of two performances that share no phase, each
          with a prediction learned from its own: <z1 - zhat1, z2 - zhat2>. Noise of either drops out on average, that
          of the prediction included: the effect is stated for codes averaged over all phases.
Readouts  Roved: RO1, mean over frames, as above. Frozen: RO6, all frames, where a note keeps its waveform in all chords
          of a performance; nothing is random then and squares are squares. Roved decides where the mean holds at least
          `HELD` of what tells chords apart in a frame and clears its noise floor (more than 3 standard errors above 0),
          else frozen. Both are reported. (The floor alone let the draw choose: the code of a nearly linear encoder
          oscillates, its mean holds 2 to 10 %, and what these few say is another matter. Bundled codes hold less than
          .1 or more than .85.)
Parts     zero-shot (ii): zhat = a * (sum of the codes of the notes alone) + b * (mean chord), two numbers fitted; pairs
          (iii): what terms for pairs of notes add on triads never heard; frozen sums at other levels: one waveform
          each, z(p + q) against z(p) + z(q), nothing fitted. Where that is nearly 1 for sounds played softly the
          encoder is in its linear regime there, and additivity says that it is smooth, not that it composes.
Null      the notes of the chords shuffled among them.
Interval  jackknife over notes: with a note go all chords that hold it, from the mean chord too; on a scale that is
          logarithmic in what is left unexplained. What is peculiar to a chord leaves with each of its notes and would
          count two or three times: a jackknife over chords says how much that is, and it counts once (as in the
          variance of dyads: Aronow, Samii & Assenova 2015; Cameron, Gelbach & Miller 2011).
Thresholds  .8: four fifths of what distinguishes chords follow from their notes. Below .6 two fifths and more do not.
Traps     A code that holds the level of a chord and nothing else does not tell chords of one size apart: insufficient.
          A whole is louder than its parts: where an encoder normalises level no code is a sum, by construction. Power
          adds up only on average over phases: frozen, a filterbank is a little less than additive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import mixtures

from .hearing import Ear, Listen, Probe
from .readouts import Frames, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, above_noise, permutation

VERSION = 2
FRAMES = 24
FOLDS = 6
PENALTY = 1e-2
"""Of the ridge on notes, in chords: a note is in dozens of them."""

HELD = 0.25
"""Share of the variance of chords in a frame from which on the mean over frames speaks for a code."""

PAIR_PENALTY = 1.0
"""Of the ridge on pairs, in chords: a pair is in a few of them."""

LINEAR = 0.95
"""Frozen additivity of soft sounds from which an encoder counts as linear there."""

THRESHOLD = Threshold(0.8, 0.6)
GAIN = Threshold(0.1, 0.05)
"""For what terms of pairs add to the share explained."""

SIZES: Mapping[str, Mapping[str, int]] = {
    "quick": {"notes": 12, "pairs": 36, "triads": 36, "tokens": 2},
    "standard": {"notes": 12, "pairs": 66, "triads": 66, "tokens": 2},
    "thorough": {"notes": 12, "pairs": 66, "triads": 220, "tokens": 8},
}
LEVELS = {"quick": (), "standard": (-34.0, -20.0, 3.0), "thorough": (-40.0, -34.0, -20.0, 3.0)}
"""In dB re the deciding level, an RMS of .05 a note: pairs of about .0014, .007 and .1. Louder ones could clip."""

PAIRS_PER_LEVEL = 18
DRAWS = {"quick": 199, "standard": 499, "thorough": 1999}
Floats = NDArray[np.float64]

NEAR_ONE = 0.02
SHARES = (
    lambda share: -math.asinh((1.0 - share) / NEAR_ONE),
    lambda scaled: 1.0 - NEAR_ONE * math.sinh(-scaled),
)
"""Shares explained and the scale of their intervals: logarithmic in what is left over, linear once that is nothing."""


def chord_additivity(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how much of the code of unheard chords their notes explain at each site; see the module."""
    seconds, slowest = ear.seconds(FRAMES), min(ear.frame_rates[site] for site in ear.sites)
    common: dict[str, Any] = {"seconds": seconds, "frame_rate": slowest, "harmonics_below_hz": 0.42 * ear.sample_rate}
    design = mixtures.chords_of_notes(rng, **SIZES[effort], **common)
    sweep = [
        mixtures.chords_of_notes(rng, notes=12, pairs=PAIRS_PER_LEVEL, triads=0, tokens=1, level_db=level, **common)
        for level in LEVELS[effort]
    ]
    averages, frames, *levels = yield [
        Listen(design.flat, mean),
        Listen(design.flat, Frames(FRAMES)),
        *(Listen(each.flat, Frames(FRAMES)) for each in sweep),
    ]
    return {
        site: _measure(
            site,
            design,
            averages[site],
            frames[site],
            list(zip(LEVELS[effort], sweep, [level[site] for level in levels], strict=True)),
            rng=np.random.default_rng(rng.integers(2**63)),
            draws=DRAWS[effort],
        )
        for site in ear.sites
    }


def _measure(
    site: str,
    design: mixtures.ChordsOfNotes,
    averages: NDArray[Any],
    frames: NDArray[Any],
    levels: Sequence[tuple[float, mixtures.ChordsOfNotes, NDArray[Any]]],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    tokens = len(design.stimuli)
    roved = products(averages.reshape(tokens, len(design.members), -1), roved=True)
    frozen = products(frames.reshape(tokens, len(design.members), -1), roved=False)
    folds = _folds(design.members, rng)
    by_roving, by_freezing = Sums(design.members, roved, folds), Sums(design.members, frozen, folds)
    variance = by_roving.over_notes("variance of chords", by_roving.spread)
    in_frames = by_freezing.spread(by_freezing.chords) * averages.size / frames.size
    held = variance.value / in_frames if in_frames > 0 else math.nan
    heard = above_noise(variance) and held >= HELD
    reading = by_roving if heard else by_freezing
    name = "phase-roved means" if heard else "frozen frames"
    roved_effect, frozen_effect = (
        each.additivity(f"additivity, {said}")
        for each, said in ((by_roving, "phase-roved means"), (by_freezing, "frozen frames"))
    )
    effect = roved_effect if heard else frozen_effect
    at_levels = [(0.0, frozen_sums(design, frames[: len(design.members)]))]
    at_levels += [(level, frozen_sums(each, values)) for level, each, values in levels]
    parts = [
        Part(
            name="phase-roved means (RO1)",
            effect=roved_effect if heard else None,
            threshold=THRESHOLD,
            note="decides" if heard else _unheard(held, above_noise(variance)),
        ),
        Part(name="frozen frames (RO6)", effect=frozen_effect, threshold=THRESHOLD, note="" if heard else "decides"),
        Part(
            name="zero-shot",
            effect=reading.zero_shot(f"zero-shot additivity, {name}"),
            threshold=THRESHOLD,
            note="the codes of the notes alone, added up; two numbers fitted",
        ),
        Part(
            name="terms of pairs",
            effect=reading.gain_of_pairs(f"gain by pairs on unheard triads, {name}"),
            threshold=GAIN,
            note="what is explained besides by terms for pairs of notes",
        ),
        *(
            Part(
                name=f"frozen sums, {level:+.0f} dB",
                effect=found,
                threshold=THRESHOLD,
                note="linear regime" if level < 0 and found.value > LINEAR else "",
            )
            for level, found in sorted(at_levels, key=lambda each: each[0])
        ),
    ]
    finite = bool(np.isfinite([effect.value, effect.low, effect.high]).all())
    null = None
    if finite:
        null = Null(
            kind="notes of chords shuffled",
            draws=draws,
            p=permutation(effect.value, reading.shuffled, rng=rng, draws=draws),
        )
    sizes = np.array([len(each) for each in design.members])
    return Measurement(
        site=site,
        probe="chord_additivity",
        version=VERSION,
        effect=effect if finite else None,
        reason=None if finite else "the code does not change with the notes present",
        parts=tuple(parts),
        null=null,
        sounds=_sounds(design),
        figures={
            "explained": {
                said: share
                for said, size in (("pairs", 2), ("triads", 3))
                if np.isfinite(share := reading.share(sizes == size))
            }
        }
        if finite
        else {},
    )


def products(codes: NDArray[Any], *, roved: bool) -> Floats:
    """Return inner products of chords' codes, 'tokens chords values' -> 'chords chords'.

    Roved: of different tokens, so that nothing random is multiplied by itself; frozen: of the same.
    """
    codes = codes.astype(np.float64)
    tokens = len(codes)
    same = sum(each @ each.T for each in codes)
    if not roved:
        return np.asarray(same / tokens)
    total = codes.sum(axis=0)
    return np.asarray((total @ total.T - same) / (tokens * (tokens - 1)))


class Sums:
    """How well sums of notes explain codes, from their inner products alone."""

    def __init__(self, members: Sequence[tuple[int, ...]], gram: Floats, folds: NDArray[np.intp]) -> None:
        self._members, self._gram, self._folds = members, gram, folds
        self._notes = 1 + max(note for chord in members for note in chord)
        self._present = np.zeros((len(members), self._notes))
        for row, chord in enumerate(members):
            self._present[row, list(chord)] = 1.0
        self._size = self._present.sum(axis=1)
        self.chords = folds >= 0
        self._rest = self._squares(self._residuals(self._present, np.full(self._notes, PENALTY)))

    def additivity(self, name: str) -> Effect:
        """Return the share of the chords' variance that sums of notes explain, with its interval."""
        return self.over_notes(name, self.share, SHARES)

    def share(self, inside: NDArray[np.bool_]) -> float:
        """Return the share explained of some of the chords; nan where they do not differ."""
        return self._explained(self._rest, inside & self.chords)

    def zero_shot(self, name: str) -> Effect:
        """Return the share explained by the codes of the notes alone, times one number, plus another of the mean."""
        chords = np.flatnonzero(self.chords)
        alone = np.zeros((len(self._members), len(self._members)))
        alone[:, : self._notes] = self._present
        average = np.zeros_like(alone)
        average[:, chords] = 1.0 / len(chords)
        terms = (alone, average)
        products = [[float((one @ self._gram * other)[chords].sum()) for other in terms] for one in terms]
        target = [float((one @ self._gram)[chords, chords].sum()) for one in terms]
        a, b = np.linalg.lstsq(np.array(products), np.array(target), rcond=None)[0]
        rest = self._squares(np.eye(len(self._members)) - a * alone - b * average, learned=False)
        return self.over_notes(name, lambda inside: self._explained(rest, inside & self.chords), SHARES)

    def gain_of_pairs(self, name: str) -> Effect:
        """Return what terms of pairs add to the share explained of triads."""
        first, second = np.triu_indices(self._notes, 1)
        both = self._present[:, first] * self._present[:, second]
        penalty = np.concatenate([np.full(self._notes, PENALTY), np.full(len(first), PAIR_PENALTY)])
        rest = self._squares(self._residuals(np.concatenate([self._present, both], axis=1), penalty))

        def gain(inside: NDArray[np.bool_]) -> float:
            triads = inside & self.chords & (self._size == 3)
            return self._explained(rest, triads) - self._explained(self._rest, triads)

        return self.over_notes(name, gain)

    def shuffled(self, rng: np.random.Generator) -> float:
        """The share explained with the chords' notes shuffled among them: one draw from the null."""
        order = np.arange(len(self._members))
        order[self.chords] = rng.permutation(order[self.chords])
        rest = self._squares(self._residuals(self._present[order], np.full(self._notes, PENALTY)))
        return self._explained(rest, self.chords)

    def spread(self, inside: NDArray[np.bool_]) -> float:
        """Return the mean squared distance of chords from the mean of their size, as of a mean of infinitely many.

        The mean is that of the chords inside: what a note contributes to the variance goes when its chords do.
        """
        total, chords = 0.0, 0
        for size in np.unique(self._size[inside]):
            rows = inside & (self._size == size)
            alike, count = self._gram[np.ix_(rows, rows)], int(rows.sum())
            if count > 1:
                total += float(np.trace(alike) - alike.sum() / count) * count / (count - 1)
                chords += count
        return total / chords if chords else float("nan")

    def _explained(self, rest: Floats, inside: NDArray[np.bool_]) -> float:
        spread = self.spread(inside)
        return 1.0 - float(rest[inside].mean()) / spread if spread > 0 else float("nan")

    def over_notes(
        self,
        name: str,
        statistic: Callable[[NDArray[np.bool_]], float],
        transform: tuple[Callable[[float], float], Callable[[float], float]] | None = None,
    ) -> Effect:
        """Return a statistic of chords with an interval over notes."""
        return over_notes(name, statistic, self._present > 0, self.chords, transform)

    def _squares(self, operator: Floats, *, learned: bool = True) -> Floats:
        """Squared length of each row of an operator on the codes, 'rows chords' -> 'rows'.

        A row with weights l on the chords learned from takes a share |l|^2 of what is peculiar to each of them into the
        prediction. Divided by 1 + |l|^2 the square is as if learned from infinitely many chords.
        """
        squares = np.einsum("ij,ij->i", operator @ self._gram, operator)
        return np.asarray(squares / np.square(operator).sum(axis=1) if learned else squares)

    def _residuals(self, features: Floats, penalty: Floats) -> Floats:
        """Operator from codes to what a ridge on features, learned from other folds and from single notes, leaves."""
        operator = np.eye(len(self._members))
        for fold in np.unique(self._folds[self.chords]):
            held, learned = self._folds == fold, self._folds != fold
            centre = features[learned].mean(axis=0)
            inside = features[learned] - centre
            slopes = np.linalg.solve(inside.T @ inside + np.diag(penalty), inside.T)
            operator[np.ix_(held, learned)] -= (features[held] - centre) @ slopes + 1.0 / learned.sum()
        return operator


def over_notes(
    name: str,
    statistic: Callable[[NDArray[np.bool_]], float],
    holds: NDArray[np.bool_],
    chords: NDArray[np.bool_],
    transform: tuple[Callable[[float], float], Callable[[float], float]] | None = None,
) -> Effect:
    """Return a statistic of chords with an interval over notes, in which what is peculiar to a chord counts once.

    Args:
        name: what the effect is called.
        statistic: of a mask of chords, 'chords'.
        holds: which chord holds which note, 'chords notes'.
        chords: which rows are chords at all.
        transform: forward and back, as of `statistics.jackknife`.
    """
    forward, back = transform or (_same, _same)
    rows = np.flatnonzero(chords)

    def without(left_out: NDArray[np.bool_]) -> float:
        inside = chords & ~left_out
        return forward(statistic(inside)) if inside.any() else float("nan")

    notes = np.array([without(holds[:, note]) for note in range(holds.shape[1])])
    single = np.array([without(np.arange(len(chords)) == row) for row in rows])
    value = statistic(chords)
    by_note = (len(notes) - 1) / len(notes) * float(np.square(notes - notes.mean()).sum())
    by_chord = (len(rows) - 1) / len(rows) * np.square(single - single.mean())
    # A chord of m notes stands in m of the sums over notes.
    again = float(((holds[rows].sum(axis=1) - 1) * by_chord).sum())
    half = math.sqrt(max(by_note - again, float(by_chord.sum()))) * float(
        stats.t.ppf(0.5 + CONFIDENCE / 2, len(notes) - 1)
    )
    centre = forward(value)
    return Effect(
        name=name,
        value=value,
        low=back(centre - half),
        high=back(centre + half),
        confidence=CONFIDENCE,
        unit="share of variance",
        n=len(notes),
    )


def _same(value: float) -> float:
    return value


def _unheard(held: float, clear: bool) -> str:
    if not clear:
        return "the mean over frames holds nothing above its noise floor"
    return f"the mean over frames holds {held:.0%} of what tells chords apart: it does not speak for the code"


def frozen_sums(design: mixtures.ChordsOfNotes, frames: NDArray[Any]) -> Effect:
    """Return how well z(p) + z(q) explains z(p + q) for one waveform of each note, 'chords ...', over notes."""
    codes = frames.reshape(len(frames), -1).astype(np.float64)
    pairs = [(row, chord) for row, chord in enumerate(design.members) if len(chord) == 2]
    together = np.stack([codes[row] for row, _ in pairs])
    apart = np.stack([codes[p] + codes[q] for _, (p, q) in pairs])
    rest = np.square(together - apart).sum(axis=1)
    holds = np.array([[note in chord for note in range(len(design.midi))] for _, chord in pairs])

    def statistic(inside: NDArray[np.bool_]) -> float:
        spread = float(together[inside].var(axis=0, ddof=1).sum())
        return 1.0 - float(rest[inside].mean()) / spread if spread > 0 else float("nan")

    return over_notes("frozen sums", statistic, holds, np.ones(len(pairs), dtype=bool), SHARES)


def _folds(members: Sequence[tuple[int, ...]], rng: np.random.Generator) -> NDArray[np.intp]:
    """Fold of each chord, -1 for single notes: each size of chord spread evenly over the folds."""
    folds = np.full(len(members), -1, dtype=np.intp)
    sizes = np.array([len(each) for each in members])
    for size in (2, 3):
        rows = rng.permutation(np.flatnonzero(sizes == size))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def _sounds(design: mixtures.ChordsOfNotes) -> tuple:
    """A triad, and its notes one by one."""
    row = next(index for index, chord in enumerate(design.members) if len(chord) == 3)
    clips = design.stimuli[0]
    chosen = [clips[row], *(clips[note] for note in design.members[row])]
    return tuple((each.label, each) for each in chosen)
