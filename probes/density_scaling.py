"""Does it get harder to hear out a partial as more of them sound, faster than for the ear?

Source: Post 0, section 0.3: deep filters lack the selectivity to tease partials apart, "and this problem scales with
signal density". For the ear it does too, a little: so an encoder is compared with a bank of ear-wide filters, which
hears sounds of its own through the same probe.

Stimuli   a target partial is there or not, in white noise, among N partials at random frequencies at least one ERB
          from it (`density.crowd`); every partial keeps its level whatever N. All between 100 and 3360 Hz.
Readers   a ridge regression for each target and each N, heard out on clips that it did not learn from; on RO1, RO2
          (mean and log power of each channel) or both, whichever served the clips that it learned from best; equally
          many clips for every N and every encoder, half of them with the target: 72 and 72.
Formula   d'(N) = sqrt(2) z(area), area under the ROC curve, mean over targets; at most what half a wrong clip leaves.
          fall = minus the least-squares slope of d'(N) on log2(N + 1), times 2 over d'(0): d' lost per doubling of
          what would be a d' of 2 for a lone partial.
          effect = fall of the encoder - fall of the ear-like bank.
Parts     the fall itself; companions within half an ERB of the target; the densest clips brought to the level of the
          sparsest; one reader for all N, which cannot adapt to the density.
Interval  two-way jackknife over targets and blocks of clips; the variances of the encoder and of the bank, which heard
          other draws, add.
Null      targets shuffled between encoder and bank.
Threshold .15 d' per doubling is three quarters of a d' from a lone partial to 32 companions, a third of what there is
          to lose; below .05 a quarter of a d', which no listener would notice.
Traps     Readers that learn from few sounds do not undo a mixture of channels, though it could be undone: with 24 clips
          of either kind, and log powers beside the means, the bank behind a random map of its channels read .30 where 0
          is true. Log powers of mixed channels tell nothing and drown the means, hence the choice; and more clips for
          fewer targets turn what was lost to learning into what can be read. What is left of it: see
          `tests/harness/test_probes_density.py`. It cannot be nothing, for a bank of wide filters is itself a mixture
          of narrow bands, one that only endlessly many sounds would undo. Where power is all that a code holds of a
          sound (a linear encoder), no reader of powers could undo a mixture of its channels.
          The noise makes a lone partial about d' = 2 for the bank: without it d' is as large as the number of clips
          allows, for all but the densest, and no slope is seen. A site that does not hear a lone partial in it would
          have nothing to lose, however it copes with company: its noise is softened, in steps of 2 dB and on sounds of
          their own, until it does. So all start from about the same d', as listeners of an audiogram do; what is left
          of the difference, a step of noise more or less, would be read as steeper or flatter (a code that loses all
          of it loses the more the more it had), and is divided out. A code in
          which a lone partial is not heard even so (d' below 1) has nothing to lose: no effect. A code that has lost
          all of it (d' below .5 at the densest), or that hears a lone partial without fail, would fall further if it
          could: what is measured is then the least that the effect can be, and does not refute. Readers that learn
          from few clips lose some d' to chance, the more the more channels they must choose from; both encoders lose
          it, and duplicated or permuted channels move nothing. Per-component levels make dense clips louder: the part
          at a fixed level tells.
Sources   Glasberg & Moore 1990; Macmillan & Creelman 2005, ch. 3 (d'_a from an area); Moore 2012, ch. 3 (partials are
          heard out when more than about one ERB from their neighbours).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import Stimulus, density

from . import decoding
from .hearing import Answer, Ear, Listen, Probe
from .readouts import log_power, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, d_prime_from_auc, jackknife_two_way, permutation, standard_error
from .tuning import joined

Features = tuple[NDArray[np.float64], ...]
"""Of the same sounds, several readouts to choose from, each 'sounds features'."""

VERSION = 2
FRAMES = 12
LEAST_SECONDS = 0.16
"""Free of edges at every site, however fast its frames."""

TARGETS = 12
BLOCKS = 12
FOLDS = 6
SIZES: dict[str, dict[str, Any]] = {
    "quick": {"companions": (0, 32), "present": 6, "runs": 4, "whole": 0},
    "standard": {"companions": (0, 4, 32), "present": 6, "runs": 6, "whole": 1},
    "thorough": {"companions": (0, 1, 2, 4, 8, 16, 32), "present": 6, "runs": 40, "whole": 4},
}
"""Numbers of companions; how often each target sounds in each of the blocks for each; and how many runs of the whole
experiment an encoder hears whose clips last `SHORT_SECONDS`, as the ear-like bank's do. Of longer clips it hears fewer,
in inverse proportion to their length, at least one run; where that is more than twice its due, it hears no parts, and
the fewest and the most companions alone: what lies between has a weight of a hundredth in the slope. Runs are alike, so
that readers learn from equally many clips whoever listens. In the first of them, `whole`, the parts are played too."""

DENSEST = 32
AIM = 1.7
"""d' of a lone partial that the noise is set for, where a reader learns from as few clips as `_quiet_enough` plays."""

STEP_DB = 2.0
STEPS_AT_ONCE = 6
SOFTEST_DB = 48.0
ROUNDS = 4
HEARD = 1.0
"""d' of a lone partial below which there is nothing to lose."""

START = 2.0
"""d' of a lone partial that falls are stated for."""

NEAR_CEILING = 0.3
SHUFFLED_TOKENS = 64
SHORT_SECONDS = 0.3
LOST = 0.5
"""d' at the densest below which next to nothing is left to lose."""

DRAWS = 999
THRESHOLD = Threshold(0.15, 0.05)
FALL = "d' lost per doubling"


@dataclass(frozen=True)
class Trials:
    """How often a reader ranked a clip with its target above one without: 'targets blocks blocks', and of how many."""

    companions: int
    won: NDArray[np.float64]
    pairs: NDArray[np.float64]

    @property
    def areas(self) -> NDArray[np.float64]:
        """Area of each target, 'targets'."""
        return np.asarray(self.won.sum(axis=(1, 2)) / self.pairs.sum(axis=(1, 2)))

    def area(self, kept: NDArray[np.bool_]) -> float:
        """Mean area over targets, of the cells 'targets blocks' that are in."""
        both = kept[:, :, None] & kept[:, None, :]
        pairs = (self.pairs * both).sum(axis=(1, 2))
        won = (self.won * both).sum(axis=(1, 2))
        heard = pairs > 0
        return float((won[heard] / pairs[heard]).mean())


def density_scaling(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how d' falls with the number of companions at each site; see the module and `compare`."""
    size = SIZES[effort]
    rates = [ear.frame_rates[site] for site in ear.sites]
    seconds = max(ear.seconds(FRAMES), ear.seconds(1) + LEAST_SECONDS)
    clock = {
        "seconds": seconds,
        "heard_seconds": max(LEAST_SECONDS, FRAMES / min(rates)),
        "sample_rate": ear.sample_rate,
        "frame_rates": rates,
    }
    quiet = yield from _quiet_enough(ear, rng, clock)
    groups = {level: tuple(site for site in ear.sites if quiet[site] == level) for level in sorted(set(quiet.values()))}
    played: dict[float, list[Run]] = {}
    affordable = size["runs"] * SHORT_SECONDS / seconds / len(groups)
    runs_each = max(1, round(affordable))
    companions, whole = size["companions"], size["whole"]
    if affordable < 0.5:
        companions, whole = (companions[0], companions[-1]), 0
    for level in groups:
        noise = clock | {"quiet_db": level}
        played[level] = [
            _run(rng, companions, size["present"], noise, whole=index < whole) for index in range(runs_each)
        ]
    shuffle = int(rng.integers(2**31))
    requests = []
    for level, sites in groups.items():
        sounds = tuple(each for run in played[level] for crowd in run.crowds for each in crowd.stimuli)
        requests += [Listen(sounds, mean, sites=sites), Listen(sounds, log_power, sites=sites)]
    answers = yield requests
    found = {}
    for index, (level, sites) in enumerate(groups.items()):
        means, powers = answers[2 * index : 2 * index + 2]
        runs = played[level]
        edges = np.cumsum([len(crowd.stimuli) for run in runs for crowd in run.crowds])[:-1]
        for site in sites:
            readouts = _readouts(means[site], powers[site])
            features = [tuple(part) for part in zip(*(np.split(each, edges) for each in readouts), strict=True)]
            starts = np.cumsum([0, *(len(run.crowds) for run in runs)])
            read = [run.read(features[start:]) for run, start in zip(runs, starts, strict=False)]
            found[site] = _measure(site, read, runs[0], level, shuffle)
    return {site: found[site] for site in ear.sites}


def _quiet_enough(
    ear: Ear, rng: np.random.Generator, clock: dict[str, Any]
) -> Generator[Sequence[Listen], Sequence[Answer], dict[str, float]]:
    """Find for each site by how many dB the noise must be softer than for the ear, in steps of `STEP_DB`.

    d' of a lone partial grows about with the ratio of its power to the noise's.
    """
    quiet = dict.fromkeys(ear.sites, 0.0)
    pending = list(ear.sites)
    for _ in range(ROUNDS):
        levels = sorted({quiet[site] for site in pending})
        groups = {level: tuple(site for site in pending if quiet[site] == level) for level in levels}
        crowds, requests = [], []
        for level, sites in groups.items():
            targets = density.spread_targets(
                rng, TARGETS, sample_rate=ear.sample_rate, frame_rates=clock["frame_rates"]
            )[::2]
            crowds.append(density.crowd(rng, targets, 0, blocks=BLOCKS, present=2, quiet_db=level, **clock))
            sounds = crowds[-1].stimuli
            requests += [Listen(sounds, mean, sites=sites), Listen(sounds, log_power, sites=sites)]
        answers = yield requests
        for index, sites in enumerate(groups.values()):
            means, powers = answers[2 * index : 2 * index + 2]
            for site in sites:
                heard = d_prime(trials(crowds[index], _readouts(means[site], powers[site])))
                # The noise comes from too loud: to the nearest step it would stop short as a rule.
                steps = round(10.0 * math.log10(AIM / max(heard, 0.1)) / STEP_DB + 0.2)
                # What the ear-like bank hears well enough by chance is not made easier for it.
                if quiet[site] == 0.0 and heard >= HEARD:
                    steps = 0
                softer = quiet[site] + STEP_DB * min(max(steps, -STEPS_AT_ONCE), STEPS_AT_ONCE)
                softer = min(max(softer, 0.0), SOFTEST_DB)
                if softer == quiet[site]:
                    pending.remove(site)
                quiet[site] = softer
        if not pending:
            break
    return quiet


@dataclass(frozen=True)
class Readings:
    """What readers made of one run; of the parts, for each its trials by density."""

    spaced: list[Trials]
    parts: Mapping[str, list[Trials]]


@dataclass(frozen=True)
class Run:
    """A whole experiment of fixed size, with targets of its own; where it is whole, with the sounds of the parts."""

    spaced: list[density.Crowd]
    crowded: density.Crowd | None
    level: density.Crowd | None

    @property
    def crowds(self) -> list[density.Crowd]:
        """All of them, in order."""
        return [*self.spaced, *(each for each in (self.crowded, self.level) if each is not None)]

    def read(self, features: Sequence[Features]) -> Readings:
        """Let readers learn and be scored, on features in the order of `crowds`."""
        count = len(self.spaced)
        spaced = [trials(*each) for each in zip(self.spaced, features, strict=False)]
        if self.crowded is None or self.level is None:
            return Readings(spaced, {})
        return Readings(
            spaced,
            {
                "companions within half an ERB of the target": [spaced[-2], trials(self.crowded, features[count])],
                "the densest at the level of the sparsest": [spaced[-2], trials(self.level, features[count + 1])],
                "one reader for all densities": adapted(self.spaced, features[:count]),
            },
        )


def _run(
    rng: np.random.Generator, companions: Sequence[int], present: int, clock: dict[str, Any], *, whole: bool
) -> Run:
    targets = density.spread_targets(rng, TARGETS, sample_rate=clock["sample_rate"], frame_rates=clock["frame_rates"])

    def crowd(number: int, **how: Any) -> density.Crowd:
        return density.crowd(rng, targets, number, **({"blocks": BLOCKS, "present": present} | clock | how))

    spaced = [crowd(each) for each in companions]
    if not whole:
        return Run(spaced, None, None)
    return Run(spaced, *(crowd(DENSEST, **{how: True}) for how in ("crowded", "level")))


def _measure(site: str, read: Sequence[Readings], run: Run, quiet_db: float, shuffle: int) -> Measurement:
    main = [each.spaced for each in read]
    effect = fall(FALL, main)
    curve = _curve(main)
    lone, ceiling = curve[0], d_prime_from_auc(1.0, _tokens(main[0][0]))
    reason = None
    if not math.isfinite(effect.value) or lone < HEARD:
        reason = f"a lone partial in the noise is heard with a d' of {lone:.2f}, less than {HEARD:g}: nothing to lose"
    return Measurement(
        site=site,
        probe="density_scaling",
        version=VERSION,
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(
            Part(name=name, effect=fall(FALL, found), threshold=THRESHOLD, note=_said(found))
            for name in read[0].parts
            for found in [[each.parts[name] for each in read if each.parts]]
        ),
        sounds=_sounds(run.spaced),
        figures={
            "companions": [each.companions for each in main[0]],
            "d_prime": curve,
            "areas": [np.concatenate([each[n].areas for each in main]).tolist() for n in range(len(curve))],
            "ceiling": ceiling,
            "noise_softer_db": quiet_db,
            "shuffle": shuffle,
        },
    )


def compare(own: Measurement, company: Sequence[Measurement]) -> Measurement:
    """Return the measurement that decides: how much faster d' falls than for the ear-like bank."""
    ear = company[0] if company else None
    curve = " ".join(f"{each:.2f}" for each in own.figures["d_prime"])
    parts = [
        Part(name="what is lost, whoever else loses it", effect=own.effect, threshold=THRESHOLD, note=f"d' {curve}")
    ]
    if ear is None or ear.effect is None:
        why = "there is no ear-like bank to compare with" if ear is None else f"of the ear-like bank, {ear.reason}"
        return replace(own, effect=None, reason=own.reason or why, parts=(*parts, *own.parts))
    others = {part.name: part.effect for part in ear.parts}
    name = "d' lost per doubling more than by an ear-like bank"
    for part in own.parts:
        theirs = others.get(part.name)
        if part.effect is not None and theirs is not None:
            parts.append(replace(part, effect=_less(name, part.effect, theirs)))
    figures = dict(own.figures) | {"ear_d_prime": ear.figures["d_prime"]}
    if own.effect is None:
        return replace(own, parts=tuple(parts), figures=figures)
    effect = _less(name, own.effect, ear.effect)
    reason = None
    if effect.high < THRESHOLD.refuted_below:
        reason = _least(own)
    return replace(
        own,
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(parts),
        null=_null(own, ear, effect.value),
        figures=figures,
    )


def _readouts(means: NDArray[np.float64], powers: NDArray[np.float64]) -> Features:
    """Features that readers choose from: means, log powers, and both, each 'sounds features'."""
    flat = means.reshape(len(means), -1), powers.reshape(len(powers), -1)
    return (*flat, np.concatenate(flat, axis=1))


def trials(crowd: density.Crowd, features: Features) -> Trials:
    """Let a reader for each target learn from other clips of the crowd, and say which of the rest hold it."""
    count = crowd.sounding.shape[1]
    won, pairs = np.zeros((2, count, BLOCKS, BLOCKS))
    folds = crowd.blocks % FOLDS
    # Targets that share all their trials are learned together.
    alike = np.unique(crowd.judged, axis=1, return_inverse=True)[1].ravel()
    for group in np.unique(alike):
        members = np.flatnonzero(alike == group)
        inside = crowd.judged[:, members[0]]
        labels = crowd.sounding[inside][:, members].astype(float)
        said = decoding.held_out_best([each[inside] for each in features], labels, folds[inside])
        for index, target in enumerate(members):
            _count(won[target], pairs[target], said[:, index], labels[:, index] > 0.5, crowd.blocks[inside])
    return Trials(crowd.companions, won, pairs)


def adapted(crowds: Sequence[density.Crowd], features: Sequence[Features]) -> list[Trials]:
    """Let one reader for each target learn from clips of all densities, and score it at each."""
    count = crowds[0].sounding.shape[1]
    found = [Trials(each.companions, *np.zeros((2, count, BLOCKS, BLOCKS))) for each in crowds]
    everything = [np.concatenate(each) for each in zip(*features, strict=True)]
    blocks = np.concatenate([each.blocks for each in crowds])
    where = np.repeat(np.arange(len(crowds)), [len(each.stimuli) for each in crowds])
    judged = np.concatenate([each.judged for each in crowds])
    sounding = np.concatenate([each.sounding for each in crowds])
    for target in range(count):
        inside = judged[:, target]
        labels = sounding[inside, target]
        kept = [each[inside] for each in everything]
        said = decoding.held_out_best(kept, labels[:, None].astype(float), blocks[inside] % FOLDS)[:, 0]
        for index, each in enumerate(found):
            here = where[inside] == index
            _count(each.won[target], each.pairs[target], said[here], labels[here], blocks[inside][here])
    return found


def _count(
    won: NDArray[np.float64],
    pairs: NDArray[np.float64],
    said: NDArray[np.float64],
    sounding: NDArray[np.bool_],
    blocks: NDArray[np.intp],
) -> None:
    """Enter pairs of a clip with the target and one without, of one fold: readers of two folds do not compare."""
    yes, no = said[sounding], said[~sounding]
    ranked = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    with_it, without = blocks[sounding][:, None], blocks[~sounding][None, :]
    one_fold = with_it % FOLDS == without % FOLDS
    places = np.broadcast_arrays(with_it, without)
    np.add.at(won, tuple(each[one_fold] for each in places), ranked[one_fold])
    np.add.at(pairs, tuple(each[one_fold] for each in places), 1.0)


def d_prime(trials: Trials, kept: NDArray[np.bool_] | None = None) -> float:
    """Return d' of the mean area over targets."""
    return d_prime_from_auc(trials.area(np.ones(trials.won.shape[:2], bool) if kept is None else kept), _tokens(trials))


def fall(name: str, runs: Sequence[Sequence[Trials]]) -> Effect:
    """Return minus the slope of d' on log2(N + 1), mean over runs, with its interval over targets and blocks.

    Where lone partials are among the trials it is stated for a lone d' of `START`, which is drawn with the rest: in
    every jackknife replicate it is that replicate's own. Runs share nothing: their variances add, and so do their
    degrees of freedom.
    """
    weights = _weights([each.companions for each in runs[0]])

    def lost(found: Sequence[Trials], kept: NDArray[np.bool_]) -> float:
        heard = [d_prime(trials, kept) for trials in found]
        start = max(heard[0], HEARD / 2) if found[0].companions == 0 else START
        return -float(weights @ heard) * START / start

    def of_run(found: Sequence[Trials]) -> Effect:
        return jackknife_two_way(
            lambda kept: lost(found, kept),
            (TARGETS, BLOCKS),
            name=name,
            unit="d' per doubling",
        )

    each = [of_run(found) for found in runs]
    value = float(np.mean([one.value for one in each]))
    error = math.sqrt(sum(standard_error(one) ** 2 for one in each)) / len(each)
    n = 1 + sum(one.n - 1 for one in each)
    half = error * float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    return replace(each[0], value=value, low=value - half, high=value + half, n=n)


def _weights(companions: Sequence[int]) -> NDArray[np.float64]:
    """Of a least-squares slope on log2(N + 1)."""
    octaves = np.log2(np.array(companions) + 1.0)
    away = octaves - octaves.mean()
    return np.asarray(away / np.square(away).sum())


def _tokens(trials: Trials) -> int:
    """Clips of a target: each fold's pairs are those of half as many with it and half as many without."""
    return max(1, round(2 * math.sqrt(trials.pairs[0].sum() * FOLDS)))


def _curve(runs: Sequence[Sequence[Trials]]) -> list[float]:
    """Return d' among each number of companions, mean over runs."""
    return [float(each) for each in np.mean([[d_prime(trials) for trials in found] for found in runs], axis=0)]


def _said(runs: Sequence[Sequence[Trials]]) -> str:
    pairs = zip(_curve(runs), runs[0], strict=True)
    return "d' " + ", ".join(f"{value:.2f} among {trials.companions}" for value, trials in pairs)


def _less(name: str, own: Effect, ear: Effect) -> Effect:
    return joined(own.value - ear.value, name, own, ear)


def _least(own: Measurement) -> str | None:
    """Why a small effect may be small only because d' could not fall further, or because it is cut off above."""
    lone, densest = own.figures["d_prime"][0], own.figures["d_prime"][-1]
    if densest < LOST:
        return f"d' falls from {lone:.2f} to {densest:.2f}: next to nothing is left, and no more can be lost"
    if lone > own.figures["ceiling"] - NEAR_CEILING:
        return f"a lone partial is heard without fail (d' of {lone:.2f}): what is lost of it is not seen"
    return None


def _null(own: Measurement, ear: Measurement, observed: float) -> Null:
    """Shuffle targets between encoder and bank."""
    weights = _weights(own.figures["companions"])
    # Who hears long clips hears fewer numbers of companions than the bank.
    shared = [ear.figures["companions"].index(each) for each in own.figures["companions"]]
    areas = np.concatenate([np.array(own.figures["areas"]), np.array(ear.figures["areas"])[shared]], axis=1)
    count = len(own.figures["areas"][0])

    def slopes(order: NDArray[np.intp]) -> float:
        mine, theirs = ([_z(each) for each in areas[:, some].mean(axis=1)] for some in (order[:count], order[count:]))
        fell = [-float(weights @ each) * START / max(each[0], HEARD / 2) for each in (mine, theirs)]
        return fell[0] - fell[1]

    rng = np.random.default_rng(own.figures["shuffle"])
    reached = slopes(np.arange(areas.shape[1]))
    p = permutation(reached, lambda rng: slopes(rng.permutation(areas.shape[1])), rng=rng, draws=DRAWS)
    return Null(kind="targets shuffled between the encoder and the ear-like bank", draws=DRAWS, p=p)


def _z(area: float) -> float:
    return d_prime_from_auc(area, SHUFFLED_TOKENS)


def _sounds(crowds: Sequence[density.Crowd]) -> tuple[tuple[str, Stimulus], ...]:
    """A lone partial, noise alone, and the densest clip."""
    chosen = [crowds[0].stimuli[0], crowds[0].stimuli[-1], crowds[-1].stimuli[0]]
    return tuple((each.label, each) for each in chosen)
