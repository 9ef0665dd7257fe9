"""Can a learner over the codes use one part of a mixture apart from the rest?

Source: Post 0, section 0.3: a model over such codes "cannot learn semantic relationships between parts of those
textures". In words: two voices sound together. What the first plays next follows from what it plays now, by a fixed
rule; the second plays whatever it likes. A learner sees the codes of some combinations and what came next, and is then
asked about combinations that it has not seen. If it can use the first voice apart from the second, it knows.

Stimuli   every note of one voice beside every note of another, 12 x 12 (`mixtures.two_voices`), the voices alike in
          timbre, register and level.
Readouts  RO1, mean over frames, and RO2, log power about the mean floored 30 dB below a channel's mean power.
Formula   a ridge regression of the next note (one of 12) on RO1 + RO2 (`decoding.ridge`); its largest answer counts.
          Combinations fall into three thirds by the Latin square (b - a) mod 12; a learner hears two thirds of them, in
          all performances but one, so that it has heard every note with eight others. acc_seen: the performance left
          out of the combinations it learned from. acc_held: all performances of those it did not, every combination
          once.
          Eight companions are few: a note may show in some combinations only, and a learner that met none of these
          fails on the others for want of hearing, not for want of parts in the code. What endless company would add is
          estimated from learners with half the companions: acc_held + (acc_held - acc_half) / 2. Where notes are
          blurred by their company, errors fall as the reciprocal of the companions, and all of the difference is still
          missing (Quenouille 1956); where notes show in some combinations, errors fall geometrically, and less of it
          is: half of it stands between the two, and errs on neither side.
          G = (acc_held, so corrected and at most 1, - 1/12) / (acc_seen - 1/12); effect = 1 - G: 0 is a learner that
          takes parts as parts, 1 one that knows the combinations it has heard and nothing of the rest.
Gate      the lower end of acc_seen must exceed .5: who has not learned cannot fail to generalise: insufficient.
Parts     acc_seen and acc_held; 1 - G as heard, without what endless company would add. At thorough the same for a
          learner with a hidden layer: 512 rectified random sums of the features (Huang, Zhu & Siew 2006), read by
          ridge.
Null      the next notes permuted among the notes of the first voice, combination by combination, in what is asked.
Interval  two-way jackknife over notes of the first and of the second voice; its upper end no nearer than that of a
          share (`statistics.as_share`): where few notes are lost, a draw may miss some, and their variance with them.
          Counted at .8, where most are lost, the lower end needs no such room.
Thresholds  above .8 at most a fifth of what was learned carries over; below .2 at least four fifths do.
Traps     The second voice must tell nothing of the first: all combinations occur, in all thirds equally often. The rule
          is a permutation: what comes next says as much as what is now. Twelve notes are few where a note shows in all
          of its combinations or in none: none of twelve may show by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import mixtures

from .decoding import choices, floored_features, ridge
from .hearing import Ear, Listen, Probe
from .readouts import log_power, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import as_share, jackknife_two_way, permutation

VERSION = 3
FRAMES = 24
NOTES = 12
THIRDS = 3
MORE = 0.5
"""Of what company of twice the size added: how much endless company would add to that."""

GATE = 0.5
HIDDEN = 512
THRESHOLD = Threshold(0.8, 0.2)
SIZES: Mapping[str, Mapping[str, int]] = {
    "quick": {"notes": NOTES, "tokens": 3},
    "standard": {"notes": NOTES, "tokens": 4},
    "thorough": {"notes": NOTES, "tokens": 9},
}
DRAWS = {"quick": 199, "standard": 499, "thorough": 1999}
Floats = NDArray[np.float64]


def no_part_relations(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure what a learner over the codes loses on combinations it has not heard, at each site; see the module."""
    design = mixtures.two_voices(
        rng,
        **SIZES[effort],
        seconds=ear.seconds(FRAMES),
        frame_rate=min(ear.frame_rates[site] for site in ear.sites),
        harmonics_below_hz=0.42 * ear.sample_rate,
    )
    averages, powers = yield [Listen(design.flat, mean), Listen(design.flat, log_power)]
    return {
        site: _measure(
            site,
            design,
            averages[site],
            powers[site],
            hidden=effort == "thorough",
            rng=np.random.default_rng(rng.integers(2**63)),
            draws=DRAWS[effort],
        )
        for site in ear.sites
    }


def _measure(
    site: str,
    design: mixtures.TwoVoices,
    averages: Floats,
    powers: Floats,
    *,
    hidden: bool,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    features = floored_features(averages, powers).reshape(len(design.stimuli), NOTES, NOTES, -1)
    learned = Learned(features, design.follows)
    seen = learned.over_voices("accuracy on combinations learned", lambda kept: learned.accuracy(learned.seen, kept))
    held = learned.over_voices("accuracy on other combinations", lambda kept: learned.accuracy(learned.held, kept))
    effect = learned.over_voices("1 - G, linear learner", learned.lost)
    parts = [
        Part(name="combinations learned", effect=seen, threshold=Threshold(GATE, GATE), note="must be supported"),
        Part(
            name="other combinations", effect=held, threshold=Threshold(GATE, 2 / NOTES), note="chance is one twelfth"
        ),
        Part(
            name="as heard",
            effect=learned.over_voices("1 - G, linear learner as heard", learned.lost_as_heard),
            threshold=THRESHOLD,
            note="without what endless company would add",
        ),
    ]
    if hidden and seen.low > GATE:
        layered = Learned(features, design.follows, hidden=np.random.default_rng(rng.integers(2**63)))
        parts.append(
            Part(
                name="a learner with a hidden layer",
                effect=layered.over_voices("1 - G, hidden layer", layered.lost),
                threshold=THRESHOLD,
                note=f"accuracy {layered.accuracy(layered.seen):.2f} on combinations learned, "
                f"{layered.accuracy(layered.held):.2f} on others",
            )
        )
    reason = None
    if not np.ptp(features.reshape(-1, features.shape[-1]), axis=0).any():
        reason, parts = "the code does not change with the notes present", []
    elif not seen.low > GATE:
        reason = (
            f"the learner does not know even the combinations it has heard: accuracy {seen.value:.2f}, lower end "
            f"{seen.low:.2f}, needed above {GATE}"
        )
    return Measurement(
        site=site,
        probe="no_part_relations",
        version=VERSION,
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(parts),
        null=None
        if reason is not None
        else Null(
            kind="what comes next permuted among first voices",
            draws=draws,
            # More right answers are the smaller effect: the null is tested on them.
            p=permutation(learned.accuracy(learned.held), learned.permuted, rng=rng, draws=draws),
        ),
        sounds=_sounds(design),
        figures={"accuracy": {"combinations learned": float(seen.value), "other combinations": float(held.value)}}
        if reason is None
        else {},
    )


class Learned:
    """What a learner says of every combination: of those it learned from (`seen`) and of the others (`held`).

    Shares of right answers, 'first second': of new performances, averaged. `half` is `held` of learners that met each
    note in half the company.
    """

    def __init__(
        self, features: Floats, follows: tuple[int, ...], *, hidden: np.random.Generator | None = None
    ) -> None:
        self._features, self._hidden = features, hidden
        first, second = np.indices((NOTES, NOTES))
        diagonal = (second - first) % NOTES
        self._next = np.array(follows)[first]
        self._said = np.zeros((len(features), NOTES, NOTES), dtype=np.intp)
        self.seen, self.held, self.half = np.zeros((3, NOTES, NOTES))
        for left_out in range(THIRDS):
            outside, inside = diagonal % THIRDS == left_out, diagonal % THIRDS != left_out
            new, other = self._learn(inside, outside)
            self.seen[inside] += (new == self._next[inside]) / (THIRDS - 1)
            self._said[:, outside] = other
            # By turns three diagonals: either half holds near and far ones.
            halves = (diagonal // THIRDS) % 2 == 0
            for some in (inside & halves, inside & ~halves):
                self.half[outside] += (self._learn(some, outside)[1] == self._next[outside]).mean(axis=0) / 2
        self.held = (self._said == self._next).mean(axis=0)

    def _learn(
        self, inside: NDArray[np.bool_], outside: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Learn combinations; return what is said of new performances of them, and of others 'tokens combinations'."""
        tokens, width = len(self._features), self._features.shape[-1]
        train = self._features[:-1][:, inside].reshape(-1, width)
        labels = np.tile(np.eye(NOTES)[self._next[inside]], (tokens - 1, 1))
        test = np.concatenate([self._features[-1][inside], self._features[:, outside].reshape(-1, width)])
        if self._hidden is not None:
            train, test = _layer(train, test, self._hidden)
        said = choices(ridge(train, labels, test, shared=True))
        known = int(inside.sum())
        return said[:known], said[known:].reshape(tokens, -1)

    def accuracy(self, right: Floats, kept: NDArray[np.bool_] | None = None) -> float:
        """Return the share of right answers over the combinations kept."""
        return float(right.mean() if kept is None else right[kept].mean())

    def lost(self, kept: NDArray[np.bool_] | None = None) -> float:
        """Return 1 - G over the combinations kept, in endless company; nan where nothing was learned."""
        return self._lost(self.held + MORE * (self.held - self.half), kept)

    def lost_as_heard(self, kept: NDArray[np.bool_] | None = None) -> float:
        """Return 1 - G over the combinations kept, in the company there was; nan where nothing was learned."""
        return self._lost(self.held, kept)

    def _lost(self, right: Floats, kept: NDArray[np.bool_] | None) -> float:
        chance = 1.0 / NOTES
        seen, held = self.accuracy(self.seen, kept), min(self.accuracy(right, kept), 1.0)
        return 1.0 - (held - chance) / (seen - chance) if seen > 2 * chance else float("nan")

    def over_voices(self, name: str, statistic: Any) -> Effect:
        """Return a statistic of combinations with an interval over the notes of either voice."""
        found = jackknife_two_way(statistic, (NOTES, NOTES), name=name, unit="share")
        return replace(found, high=as_share(found).high)

    def permuted(self, rng: np.random.Generator) -> float:
        """The share right on other combinations, were next notes permuted there: one draw from the null."""
        order = np.argsort(rng.random((NOTES, NOTES)), axis=0)
        return float((self._said == np.take_along_axis(self._next, order, axis=0)).mean())


def _layer(train: Floats, test: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return features beside `HIDDEN` rectified random sums of them, standardised by the training sounds."""
    centre, spread = train.mean(axis=0), train.std(axis=0)
    alive = spread > 1e-9 * max(float(spread.max(initial=0.0)), 1e-300)
    train, test = ((each[:, alive] - centre[alive]) / spread[alive] for each in (train, test))
    weights = rng.standard_normal((train.shape[1], HIDDEN)) / np.sqrt(max(train.shape[1], 1))
    offsets = rng.standard_normal(HIDDEN)
    one, other = (np.maximum(each @ weights + offsets, 0.0) for each in (train, test))
    return np.concatenate([train, one], axis=1), np.concatenate([test, other], axis=1)


def _sounds(design: mixtures.TwoVoices) -> tuple:
    """A combination, and one that may come next: the first voice as the rule has it, the second as it likes."""
    now, then = design.stimuli[0][0][0], design.stimuli[0][design.follows[0]][5]
    return ((f"now: {now.label}", now), (f"next: {then.label}", then))
