"""Presence: which partials of a mixture a reader finds in its code, in company that it knows and in other company.

What `separable`, `stable_across_contexts` and `contained_not_exposed` share. They play the same sounds: `listen` with a
family's generator before anything else is drawn, and each sound is heard once for all of them.

Stimuli   tokens in which each of some 24 partials is on or off by a coin (`testtone.stimuli.presence`), in families of
          tokens that share their company. Deciding tokens have one level in all; the first two families are played
          again with a level for each component. At `standard` partials and company are drawn twice.
Features  of a sequence: RO1 and RO2 side by side, mean over frames and log power; of a frame: RO3, one frame as it is;
          RO7, each channel's complex amplitude at the alias frequency of each candidate.
Own audio Recordings of the user's own (`Ear.backgrounds`), where there are some, are the company of up to `RECORDINGS`
          further families. They are drawn apart and heard as parts: a verdict that hinged on them could not be
          repeated by who lacks the files.
Readers   Linear (`decoding`): a ridge for each partial, learning which tokens hold it.
          Matched: from the complex amplitudes at a partial's own line, in all channels, a ridge estimates the partial's
          complex amplitude, phase included, and says how large it is. What the start phase is in a token it does not
          know: with noise that is Gaussian, this is the likelihood ratio test for a tone of unknown phase (Kay,
          Fundamentals of Statistical Signal Processing II, 1998, ch. 7 and 13), its direction in channel space learned.
Scores    area under the ROC curve between tokens with and without the partial, tokens of one family and one fold
          compared with each other only. Readers never learn from the fold that they are scored on.
Traps     Readers that have heard few sounds separate less than the code allows. So readers of all families, each one's
          mean taken off, stand beside those of one family; and from readers of half the sounds follows what readers of
          endless ones would reach (`endless`). Partners share an alias with a main candidate of the same tokens: they
          are scored apart, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from testtone.stimuli import Stimulus, folding, presence
from testtone.stimuli.presence import Mixtures

from .decoding import ridge, sequence_features
from .hearing import Answer, Ear, Listen
from .readouts import Frames, log_power, mean
from .records import Effect, Null
from .statistics import CONFIDENCE, as_share
from .statistics import ranks as ranked

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

FRAMES = 24
SECONDS = 0.25
"""Least length free of edges: partials 60 Hz apart are then told from each other, at any frame rate."""

FOLDS = 6
SIZES = {
    "quick": {"draws": 1, "families": 6, "tokens": 48},
    "standard": {"draws": 2, "families": 6, "tokens": 120},
    "thorough": {"draws": 2, "families": 12, "tokens": 240},
}
BY_COMPONENT = 2
"""Families that are played again with a level for each component."""

LEAST_REMAINDER = 0.05
"""Of a channel's variance: what is left where all that sounds is known counts as no less."""

RECORDINGS = 3
"""Families in the company of a person's own recordings, at most; where there is one file, two excerpts of it."""

MATCHED_STRENGTHS = (1e-4, 1e-2, 1.0)
"""Of the matched reader's penalty, re the mean power of its features; which serves is learned."""


@dataclass(frozen=True)
class Lines:
    """RO7, one line at a time: complex amplitude of each channel at each of `hz`, all frames, 'lines channels'.

    The sign says which way the line turns: a partial above a multiple of the frame rate turns forwards, one below it
    backwards, and its start phase with it.
    """

    hz: tuple[float, ...]

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.complex64]:
        """``'channels frames'`` -> complex ``'lines channels'``."""
        turning = np.exp(-2j * np.pi * np.outer(np.arange(frames.shape[1]) / rate, self.hz))
        centred = frames - frames.mean(axis=1, keepdims=True)
        return (centred @ (turning * (2.0 / frames.shape[1]))).T.astype(np.complex64)


@dataclass(frozen=True)
class Design:
    """The sounds: with one level in all, and the first families again with a level for each component."""

    total: Mixtures
    component: Mixtures
    recorded: Mixtures | None = None
    """One level in all, in the company of recordings."""

    @property
    def main(self) -> int:
        """Candidates that stand alone in their alias class, the first of each row."""
        return self.total.candidates.main

    @property
    def sounds(self) -> tuple[tuple[str, Stimulus], ...]:
        """What a reader should hear: one mixture in two kinds of company, and another."""
        chosen = (self.total.stimuli[0][0], self.total.stimuli[1][0], self.total.stimuli[3][1])
        return tuple((each.label, each) for each in chosen)


@dataclass(frozen=True)
class Code:
    """What a site answered, 'families tokens ...'; sequence and frame features are `scaled`."""

    sequence: Floats
    frame: Floats
    lines: NDArray[np.complex64]
    """'families tokens lines channels', a line for each candidate."""
    component: Floats
    """Sequence features of the tokens with a level for each component."""
    recorded: Floats | None = None
    """Sequence features of the tokens in the company of recordings, in the units of `sequence`."""
    recorded_lines: NDArray[np.complex64] | None = None

    @property
    def answers(self) -> bool:
        """Whether anything in the code depends on the sound."""
        flat = self.sequence.reshape(-1, self.sequence.shape[-1])
        return bool(np.ptp(flat, axis=0).max(initial=0.0) > 0.0)


@dataclass(frozen=True)
class Heard:
    """One draw of partials and company, and what a site answered to it."""

    design: Design
    code: Code


Draws = Mapping[str, tuple[Heard, ...]]
"""Site -> what it answered, draw by draw."""


def listen(ear: Ear, rng: np.random.Generator, effort: str) -> Generator[Sequence[Listen], Sequence[Answer], Draws]:
    """Draw partials and company as often as the effort says, and hear each draw at every site.

    Between partials a code may differ by far more than chance in its sounds: sixteen are a small sample of it. Partials
    of several draws, each with company of its own, decide together (`together`).
    """
    designs = draws_of(ear, rng, effort)
    answers = yield [each for design in designs for each in ask(ear, design)]
    return heard(ear, designs, answers)


def draws_of(ear: Ear, rng: np.random.Generator, effort: str) -> list[Design]:
    """Draw the sounds as often as the effort says; each design is to be asked about (`ask`)."""
    return [draw(ear, rng, effort) for _ in range(SIZES[effort]["draws"])]


def heard(ear: Ear, designs: Sequence[Design], answers: Sequence[Answer]) -> Draws:
    """Return what each site answered, from the answers to the requests of all designs, one after the other."""
    found: dict[str, tuple[Heard, ...]] = dict.fromkeys(ear.sites, ())
    for design in designs:
        count = len(ask(ear, design))
        own, answers = answers[:count], answers[count:]
        for site, code in codes(ear, design, own).items():
            found[site] += (Heard(design, code),)
    return found


def hz_of(draws: Sequence[Heard], *, partners: bool = False) -> Floats:
    """Return the frequencies in Hz of the main candidates of all draws, draw by draw; or those of their partners."""
    part = [slice(each.design.main, None) if partners else slice(each.design.main) for each in draws]
    return np.concatenate(
        [each.design.total.candidates.hz[which] for each, which in zip(draws, part, strict=True)], dtype=np.float64
    )


def together(draws: Sequence[Heard], values: Sequence[Floats], *, partners: bool = False) -> Floats:
    """Return what was found of each draw's main candidates, 'partials ...', of all draws in order of frequency."""
    return np.concatenate(values)[np.argsort(hz_of(draws, partners=partners))]


def answering(draws: Sequence[Heard]) -> bool:
    """Whether anything in the code depends on the sound, in each of the draws."""
    return all(each.code.answers for each in draws)


def null_of(observed: Sequence[float], drawn: Sequence[Floats], kind: str) -> Null:
    """Return how the mean over draws of partials compares with those of permuted labels, 'permutations' each."""
    null, draws = np.mean(drawn, axis=0), len(drawn[0])
    p = float((1 + (null >= np.mean(observed)).sum()) / (1 + draws))
    return Null(kind=kind, draws=draws, p=p)


def draw(ear: Ear, rng: np.random.Generator, effort: str) -> Design:
    """Draw the sounds; the same generator, sites and effort give the same ones."""
    size = SIZES[effort]
    seconds = max(
        ear.seconds(max(FRAMES, int(np.ceil(SECONDS * ear.frame_rates[site]))), sites=(site,)) for site in ear.sites
    )
    among = presence.candidates(
        rng, sample_rate=ear.sample_rate, frame_rates=[ear.frame_rates[site] for site in ear.sites]
    )
    company = presence.families(rng, size["families"], among=among, sample_rate=ear.sample_rate)
    options: dict[str, Any] = {
        "among": among,
        "tokens": size["tokens"],
        "seconds": seconds,
        "sample_rate": ear.sample_rate,
    }
    recorded = None
    if ear.backgrounds:
        # A generator of its own: the other sounds stay those of a run without recordings.
        (apart,) = rng.spawn(1)
        count = min(RECORDINGS, max(2, len(ear.backgrounds)))
        own = presence.recorded(apart, count, seconds=seconds, found=ear.backgrounds)
        recorded = presence.mixtures(apart, company=own, level="total", **options)
    return Design(
        presence.mixtures(rng, company=company, level="total", **options),
        presence.mixtures(rng, company=company[:BY_COMPONENT], level="component", **options),
        recorded,
    )


def ask(ear: Ear, design: Design) -> list[Listen]:
    """Return the requests whose answers `codes` reads."""
    total, component = design.total.flat, design.component.flat
    return [
        Listen(total, mean, sites=ear.sites),
        Listen(total, log_power, sites=ear.sites),
        Listen(total, Frames(1), sites=ear.sites),
        Listen(component, mean, sites=ear.sites),
        Listen(component, log_power, sites=ear.sites),
        *(Listen(total, Lines(turns(design, ear.frame_rates[site])), sites=(site,)) for site in ear.sites),
        *_ask_recorded(ear, design),
    ]


def _ask_recorded(ear: Ear, design: Design) -> list[Listen]:
    if design.recorded is None:
        return []
    sounds = design.recorded.flat
    return [
        Listen(sounds, mean, sites=ear.sites),
        Listen(sounds, log_power, sites=ear.sites),
        *(Listen(sounds, Lines(turns(design, ear.frame_rates[site])), sites=(site,)) for site in ear.sites),
    ]


def turns(design: Design, rate: float) -> tuple[float, ...]:
    """Return the alias frequency of each candidate at a frame rate, negative where it turns backwards."""
    return tuple(
        float(folding.fold(hz, rate) * (1.0 if hz % rate <= rate / 2 else -1.0)) for hz in design.total.candidates.hz
    )


def codes(ear: Ear, design: Design, answers: Sequence[Answer]) -> Mapping[str, Code]:
    """Return what each site answered to the requests of `ask`."""
    means, powers, frames, component_means, component_powers, *lines = answers
    lines, of_recordings = lines[: len(ear.sites)], lines[len(ear.sites) :]
    shape = design.total.present.shape[:2]
    found = {}
    for place, (site, at_lines) in enumerate(zip(ear.sites, lines, strict=True)):
        sequence = sequence_features(means[site], powers[site])
        component = sequence_features(component_means[site], component_powers[site])
        frame = frames[site].astype(np.float64).reshape(len(sequence), -1)
        found[site] = Code(
            scaled(sequence.reshape(*shape, -1)),
            scaled(frame.reshape(*shape, -1)),
            at_lines[site].reshape(*shape, *at_lines[site].shape[1:]),
            scaled(component.reshape(BY_COMPONENT, shape[1], -1)),
            *_recorded(design, sequence, site, of_recordings, of_recordings[2 + place] if of_recordings else {}),
        )
    return found


def _recorded(
    design: Design, sequence: Floats, site: str, answers: Sequence[Answer], lines: Answer
) -> tuple[Floats, NDArray[np.complex64]] | tuple[()]:
    """What a site answered to the tokens in the company of recordings, features in the units of the others."""
    if design.recorded is None:
        return ()
    shape = design.recorded.present.shape[:2]
    features = sequence_features(answers[0][site], answers[1][site])
    spread = sequence.std(axis=0)
    features = np.divide(features, spread, out=np.zeros_like(features), where=spread > 0)
    return features.reshape(*shape, -1), lines[site].reshape(*shape, *lines[site].shape[1:])


def folds(tokens: int) -> NDArray[np.intp]:
    """Return the fold of each token of a family: coins fall in an order of their own, so any split is at random."""
    return np.arange(tokens) % FOLDS


def area(said: Floats, labels: Labels, groups: NDArray[np.intp] | None = None) -> Floats:
    """Return the area under the ROC curve of each column, 'tokens labels' -> 'labels'; pairs within groups only.

    As `decoding.areas`, for many columns at once. nan where no group holds both values.
    """
    groups = np.zeros(len(said), dtype=np.intp) if groups is None else groups
    won, pairs = np.zeros(said.shape[1]), np.zeros(said.shape[1])
    for group in np.unique(groups):
        inside = groups == group
        yes = labels[inside].sum(axis=0).astype(float)
        ranks = ranked(said[inside])
        won += (ranks * labels[inside]).sum(axis=0) - yes * (yes + 1) / 2
        pairs += yes * (inside.sum() - yes)
    return np.divide(won, pairs, out=np.full(said.shape[1], np.nan), where=pairs > 0)


@dataclass(frozen=True)
class Reading:
    """Areas of linear readers that learned within a family."""

    within: Floats
    """'partials families': on the tokens of its own family that it did not learn from."""
    across: Floats
    """'partials families families': learned in the first family, scored in the second; nan on the diagonal."""
    said: Floats
    """'families tokens partials', of tokens by readers that did not learn from them."""
    abroad: Floats
    """'families tokens partials', mean rank of each token in what the readers of other families say."""


def scaled(features: Floats) -> Floats:
    """Return features 'families tokens features' in units of their spread over all tokens; constant ones are 0.

    One scale for all families: by the spread of its own family, a channel that is quiet there would count as much as
    any, and drown the reader in another family where it is not. Labels are not looked at.
    """
    spread = features.reshape(-1, features.shape[-1]).std(axis=0)
    return np.divide(features, spread, out=np.zeros_like(features), where=spread > 0)


def remainder(features: Floats, present: Labels) -> Floats:
    """Return how far each feature scatters where the same partials sound, all families together, 'features'.

    In units of it, and weighed alike, channels count for a partial by what it adds to them over what nobody explains,
    as they do for the best of linear readers. In units of the spread over all tokens (`scaled`) a channel counts the
    less, the more its partial moves it: readers of few sounds, which weigh channels nearly alike, would prefer faint
    channels to strong ones. Of a channel without a remainder `LEAST_REMAINDER` of its variance counts as one.

    Args:
        features: 'families tokens features'.
        present: 'families tokens candidates', all that may sound.
    """
    unknown, whole = np.zeros((2, features.shape[-1]))
    for heard, sounding in zip(features, present.astype(float), strict=True):
        heard, sounding = heard - heard.mean(axis=0), sounding - sounding.mean(axis=0)
        axes, sizes, _ = np.linalg.svd(sounding, full_matrices=False)
        axes = axes[:, sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-300)]
        left = heard - axes @ (axes.T @ heard)
        unknown += np.square(left).sum(axis=0) / max(len(heard) - 1 - axes.shape[1], 1)
        whole += np.square(heard).sum(axis=0) / (len(heard) - 1)
    return np.asarray(np.sqrt(np.maximum(unknown, LEAST_REMAINDER * whole) / len(features)))


def divided(features: Floats, unit: Floats) -> Floats:
    """Return features in units of their own, 'features'; those whose unit is 0 are 0."""
    return np.divide(features, unit, out=np.zeros_like(features), where=unit > 0)


@dataclass(frozen=True)
class Halves:
    """Readers of half of a family's sounds, two at a time, whose mean is scored; the first family is learned in.

    What two readers say that share no sound has in common what such sounds teach on average; the rest is chance in the
    sounds that each has heard. So the covariance of what they say is the scatter of the reader that they are on
    average, without bias (as split halves give the reliability of a test: Spearman 1910; Brown 1910).
    """

    areas: Floats
    """'partials families families'; where both families are one, on folds that neither learned from."""
    scatter: Floats
    """The same shape: variance of what both say together, with and without the partial apart."""
    lasting: Floats
    """Their covariance: what is left of the scatter of a reader that is the mean of endless ones."""


def read_halves(features: Floats, labels: Labels) -> Halves:
    """Let readers learn from halves of a family's sounds, and score them there and in every other.

    Args:
        features: 'families tokens features'.
        labels: 'families tokens partials'.
    """
    count, tokens, partials = labels.shape
    fold_of = folds(tokens)
    shape = (2, FOLDS, count, count, partials)
    areas, scatter, lasting, free = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    said = np.empty((2, *labels.shape))
    for home in range(count):
        others = [index for index in range(count) if index != home]
        for fold in range(FOLDS):
            inside = fold_of == fold
            known, learned = features[home][~inside], labels[home][~inside].astype(float)
            tested = np.concatenate([features[home][inside], *(features[other] for other in others)])
            starts = inside.sum() + tokens * np.arange(count - 1)
            for split, both in enumerate(_in_two(len(known))):
                pair = [ridge(known[half], learned[half], tested, standardise=False) for half in both]
                # A reader's own length is no matter: it would count the more, the more chance there is in it.
                for each in pair:
                    abroad = each[inside.sum() :].reshape(count - 1, tokens, partials)
                    length = np.sqrt(abroad.var(axis=1).mean(axis=0))
                    each /= np.where(length > 0, length, 1.0)
                said[split, home, inside] = (pair[0] + pair[1])[: inside.sum()]
                one, other = (np.split(each, starts) for each in pair)
                for place, family in enumerate((home, *others)):
                    heard = labels[home][inside] if family == home else labels[family]
                    here = split, fold, home, family
                    if family != home:
                        areas[here] = area(one[place] + other[place], heard)
                    scatter[here], lasting[here], free[here] = _together(one[place], other[place], heard)
    areas = areas.reshape(-1, *shape[2:]).mean(axis=0)
    areas[np.arange(count), np.arange(count)] = np.mean([area_by_family(each, labels).T for each in said], axis=0)
    total = np.maximum(free.sum(axis=(0, 1)), 1.0)
    found = areas, scatter.sum(axis=(0, 1)) / total, lasting.sum(axis=(0, 1)) / total
    return Halves(*(np.moveaxis(each, -1, 0) for each in found))


def _in_two(tokens: int) -> tuple[tuple[slice, slice], ...]:
    """Two ways to halve tokens whose coins fall in an order of their own."""
    middle = tokens // 2
    return (slice(0, None, 2), slice(1, None, 2)), (slice(None, middle), slice(middle, None))


def _together(one: Floats, other: Floats, labels: Labels) -> tuple[Floats, Floats, Floats]:
    """Squares of the mean of two readers, products of both, and degrees of freedom, by partial, within its presence."""
    yes = labels.astype(float)
    counts = yes.sum(axis=0), (1.0 - yes).sum(axis=0)
    usable = np.minimum(*counts) > 0

    def centred(said: Floats) -> Floats:
        sums = (said * yes).sum(axis=0), (said * (1.0 - yes)).sum(axis=0)
        means = [each / np.maximum(n, 1.0) for each, n in zip(sums, counts, strict=True)]
        return np.asarray(said - np.where(labels, *means))

    one, other = centred(one), centred(other)
    return (
        np.where(usable, np.square((one + other) / 2.0).sum(axis=0), 0.0),
        np.where(usable, (one * other).sum(axis=0), 0.0),
        np.where(usable, len(labels) - 2.0, 0.0),
    )


def read(features: Floats, labels: Labels, *, elsewhere: bool = True, homes: Sequence[int] | None = None) -> Reading:
    """Let readers learn in each family, and score them there and (with `elsewhere`) in every other.

    Args:
        features: 'families tokens features', `scaled`.
        labels: 'families tokens partials'.
        elsewhere: score them in other families as well.
        homes: families in which readers learn; all by default. What others would have said is nan.
    """
    count, tokens, partials = labels.shape
    fold_of = folds(tokens)
    said, abroad = np.full(labels.shape, np.nan), np.zeros(labels.shape)
    across = np.full((FOLDS, partials, count, count), np.nan)
    for home in range(count) if homes is None else homes:
        others = [index for index in range(count) if index != home] if elsewhere else []
        for fold in range(FOLDS):
            inside = fold_of == fold
            tested = np.concatenate([features[home][inside], *(features[other] for other in others)])
            answer = ridge(features[home][~inside], labels[home][~inside].astype(float), tested, standardise=False)
            said[home][inside] = answer[: inside.sum()]
            for place, other in enumerate(others):
                start = inside.sum() + place * tokens
                across[fold, :, home, other] = area(answer[start : start + tokens], labels[other])
                abroad[other] += ranked(answer[start : start + tokens])
    return Reading(area_by_family(said, labels), across.mean(axis=0), said, abroad)


def read_pooled(features: Floats, labels: Labels) -> Floats:
    """Let readers learn from all families at once; what they say of folds they did not learn from, as `labels`."""
    said = np.empty(labels.shape)
    fold_of = folds(labels.shape[1])
    for fold in range(FOLDS):
        inside = fold_of == fold
        said[:, inside] = _pooled(features[:, ~inside], labels[:, ~inside], features[:, inside])
    return said


def read_elsewhere(features: Floats, labels: Labels) -> Floats:
    """Let readers learn from all families but one; what they say of the one, as `labels`."""
    said = np.empty(labels.shape)
    for family in range(len(labels)):
        known = np.arange(len(labels)) != family
        said[family] = _pooled(features[known], labels[known], features[~known])[0]
    return said


def read_new(features: Floats, labels: Labels, others: Floats) -> Floats:
    """Let readers learn from all families; what they say of tokens of others, 'families tokens partials'."""
    return _pooled(features, labels, others)


def _pooled(learned: Floats, known: Labels, tested: Floats) -> Floats:
    """Readers of tokens from several families, each family's mean taken off: company is no news to them."""
    centred = learned - learned.mean(axis=1, keepdims=True)
    flat = tested.reshape(-1, tested.shape[-1])
    said = ridge(
        centred.reshape(-1, learned.shape[-1]),
        known.reshape(-1, known.shape[-1]).astype(float),
        flat,
        standardise=False,
    )
    return said.reshape(*tested.shape[:2], -1)


def endless(every: Floats, half: Floats) -> Floats:
    """Return what areas would be of readers that had heard endless sounds, from those with all and with half of them.

    A reader's shortfall falls about as the reciprocal of the sounds it learned from; so the difference that the second
    half made is what is still missing (Quenouille 1956). No area exceeds 1.
    """
    return np.minimum(2.0 * every - half, 1.0)


def grown(areas: Floats, factor: Floats, tokens: int) -> Floats:
    """Return areas with d' so many times as large."""
    edge = 1.0 / (2.0 * tokens)
    return np.asarray(stats.norm.cdf(factor * stats.norm.ppf(np.clip(areas, edge, 1.0 - edge))))


def read_matched(lines: NDArray[np.complex64], mixtures: Mixtures, step: slice = slice(None)) -> list[Floats]:
    """Let matched readers learn from all families at once; what they say, one `read_pooled` for each strength.

    A reader regresses a partial's complex amplitude on the complex amplitudes of all channels at the partial's line,
    and says the logarithm of the size of its estimate.
    """
    count, tokens, partials, _ = lines.shape
    fold_of = folds(tokens)
    truth = (mixtures.amplitude * np.exp(1j * mixtures.phase))[:, step, :partials]
    said = [np.empty((count, tokens, partials)) for _ in MATCHED_STRENGTHS]
    for index in range(partials):
        heard = lines[:, :, index].astype(np.complex128)
        for fold in range(FOLDS):
            inside = fold_of == fold
            learned = heard[:, ~inside].reshape(-1, heard.shape[-1])
            target = truth[:, ~inside, index].ravel()
            tested = heard[:, inside].reshape(-1, heard.shape[-1])
            for strength, estimate in enumerate(_estimates(learned, target, tested)):
                said[strength][:, inside, index] = np.log(np.abs(estimate) + 1e-12).reshape(count, -1)
    return said


def _estimates(learned: NDArray, target: NDArray, tested: NDArray) -> list[NDArray[np.complex128]]:
    """Complex ridge estimates of `target` for `tested`, one for each strength; no constant, for phases have no mean."""
    spread = np.sqrt(np.square(np.abs(learned)).mean(axis=0))
    heard = spread > 1e-9 * max(float(spread.max(initial=0.0)), 1e-300)
    if not heard.any():
        return [np.zeros(len(tested), complex) for _ in MATCHED_STRENGTHS]
    learned, tested = learned[:, heard] / spread[heard], tested[:, heard] / spread[heard]
    # Whichever is smaller: equations of channels, or of tokens.
    primal = learned.shape[1] <= len(learned)
    gram = learned.conj().T @ learned if primal else learned @ learned.conj().T
    known = learned.conj().T @ target if primal else target
    side = tested if primal else tested @ learned.conj().T
    penalty = float(np.trace(gram).real) / len(gram) * np.eye(len(gram))
    return [side @ linalg.solve(gram + each * penalty, known, assume_a="pos") for each in MATCHED_STRENGTHS]


@dataclass(frozen=True)
class Spread:
    """What readers of few sounds say, how far it scatters, and how far it would after endless sounds.

    A reader of mean differences weighs channels by M (mean with - mean without), where M, a metric, was learned from
    sounds of other families. Chance in those means adds to the scatter of what it says and, on average, nothing to the
    distance between what it says with and without. How much it adds is known without bias, since chance in one sound
    has nothing to do with chance in another: products of a sound with itself are left out (Hoeffding 1948).
    """

    areas: Floats
    """'partials pairs' as heard; a pair is the family learned in and the family scored."""
    apart: Floats
    """'partials pairs', mean of what is said with the partial less mean without."""
    scatter: Floats
    """'partials pairs', variance of what is said, with and without apart."""
    lasting: Floats
    """'partials pairs', what of it endless sounds leave."""

    def of(self, partials: NDArray[Any]) -> Spread:
        """The same of some partials."""
        return Spread(self.areas[partials], self.apart[partials], self.scatter[partials], self.lasting[partials])


METRIC_STRENGTHS = (0.1, 1.0, 100.0)
"""Of the metric's penalty, re the mean power of features; the one that reads best at home, one for a code."""

MOST_REACH = 8.0
"""By which d' of such readers may grow: where nothing is told apart, what would grow is chance."""

LEAST_SHARE = 0.1
"""Of the mean over partials: the lasting scatter of one that is hardly read counts as no less."""


def spread_at_home(features: Floats, labels: Labels, strength: float | None = None) -> tuple[Spread, float]:
    """Let readers of mean differences learn in each family and score them there; also which metric served best.

    Args:
        features: 'families tokens features', `scaled`.
        labels: 'families tokens partials'.
        strength: of the metric's penalty; the best of `METRIC_STRENGTHS` by default.
    """
    grams, width = _grams(features)
    fold_of = folds(labels.shape[1])

    def at(strength: float) -> Spread:
        rows = []
        for family in range(len(labels)):
            inner = _metric(grams, width, (family, family), strength)
            tested = [(np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)) for fold in range(FOLDS)]
            rows.append(_score(inner, labels[family], labels[family], tested))
        return Spread(*np.stack(rows, axis=-1))

    found = {each: at(each) for each in (METRIC_STRENGTHS if strength is None else (strength,))}
    best = max(found, key=lambda each: float(np.nanmean(found[each].areas)))
    return found[best], best


def reach(home: Spread, spread: Spread) -> Floats:
    """Return by what factor d' of readers grows with endless sounds, 'partials', from 1 to `MOST_REACH`.

    In the best of metrics what lasts of the scatter at home is in proportion to how far apart a partial is; elsewhere
    it is so many times as large for all. So single partials, which say little of their own scatter, borrow from all.
    """
    apart, lasting = home.apart.mean(axis=1), float(spread.lasting.mean())
    if not (apart.mean() > 0 and lasting > 0):
        return np.full(len(apart), MOST_REACH)
    share = np.maximum(apart / apart.mean(), LEAST_SHARE)
    chance = max(float(spread.scatter.mean()) - lasting, 0.0)
    return np.minimum(np.sqrt(1.0 + chance / (lasting * share)), MOST_REACH)


def _grams(features: Floats) -> tuple[Floats, int]:
    """Inner products of all tokens, each family's mean taken off, over the number of features that change."""
    centred = features - features.mean(axis=1, keepdims=True)
    centred = centred[..., centred.any(axis=(0, 1))]
    count, tokens, width = centred.shape
    flat = centred.reshape(-1, width)
    return (flat @ flat.T).reshape(count, tokens, count, tokens).swapaxes(1, 2) / max(width, 1), width


def _metric(grams: Floats, width: int, ends: tuple[int, int], strength: float) -> Floats:
    """Inner products of tokens of two families, 'tokens tokens', in the metric that all other families give.

    The metric is the inverse of their covariance with a penalty on its diagonal, re its mean.
    """
    known = [index for index in range(len(grams)) if index not in ends]
    gram = np.concatenate([np.concatenate(list(grams[each, known]), axis=1) for each in known])
    penalty = strength * max(float(np.trace(gram)) / len(gram), 1e-300)
    values, vectors = linalg.eigh(gram)
    kept = values > 1e-9 * max(float(values[-1]), 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    one, other = (np.concatenate(list(grams[end, known]), axis=1) @ vectors for end in ends)
    less = 1.0 / (values * width / len(gram) + penalty) - 1.0 / penalty
    return np.asarray(grams[ends[0], ends[1]] / penalty + (one * (less / values)) @ other.T)


def _score(
    inner: Floats, asked: Labels, learned: Labels, splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
) -> Floats:
    """Areas, distance, scatter and lasting scatter of readers of mean differences, '4 partials'.

    Args:
        inner: inner products 'tokens tokens' of what is asked about and what is learned from.
        asked: labels 'tokens partials' of the former.
        learned: of the latter.
        splits: which tokens are asked about together, and which are learned from for that.
    """
    partials = asked.shape[1]
    apart, weight, scatter, lasting, free = np.zeros((5, partials))
    said, group = np.empty(asked.shape), np.empty(len(asked), dtype=np.intp)
    for number, (rows, columns) in enumerate(splits):
        known = learned[columns]
        with_it = known.sum(axis=0)
        contrast = np.where(known, 1.0 / with_it, -1.0 / (len(known) - with_it))
        block = inner[np.ix_(rows, columns)]
        said[rows], group[rows] = block @ contrast, number
        for partial in range(partials):
            on, yes = asked[rows, partial], known[:, partial]
            if min(on.sum(), (~on).sum()) < 1 or min(yes.sum(), (~yes).sum()) < 2:
                continue
            means = block[on].mean(axis=0), block[~on].mean(axis=0)
            share = on.sum() * (~on).sum() / len(on)
            apart[partial] += share * float((means[0] - means[1]) @ contrast[:, partial])
            weight[partial] += share
            rest = block - np.where(on[:, None], *means)
            scatter[partial] += float(np.square(rest @ contrast[:, partial]).sum())
            lasting[partial] += _without_itself(rest[:, yes], rest[:, ~yes])
            free[partial] += len(on) - 2
    free, weight = np.maximum(free, 1.0), np.maximum(weight, 1e-300)
    return np.stack([area(said, asked, group), apart / weight, scatter / free, lasting / free])


def _without_itself(yes: Floats, no: Floats) -> float:
    """Sum over rows of the squared difference of two means over columns, of products of different columns only."""
    pairs = [(np.square(each.sum(axis=1)) - np.square(each).sum(axis=1)) for each in (yes, no)]
    counts = [each.shape[1] * (each.shape[1] - 1) for each in (yes, no)]
    both = yes.mean(axis=1) * no.mean(axis=1)
    return float((pairs[0] / counts[0] + pairs[1] / counts[1] - 2.0 * both).sum())


def area_by_family(said: Floats, labels: Labels) -> Floats:
    """Return areas 'partials families' of what readers say, pairs within a family and a fold."""
    fold_of = folds(labels.shape[1])
    return np.stack([area(said[index], labels[index], fold_of) for index in range(len(labels))], axis=1)


def chosen(rivals: Sequence[Floats], labels: Labels) -> Floats:
    """Return areas 'partials families' of the better of several readers, chosen where it is not scored.

    For each partial the even folds choose the reader that is scored on the odd ones, and the other way round.
    """
    fold_of = folds(labels.shape[1])
    halves = [np.flatnonzero(fold_of % 2 == half) for half in (0, 1)]
    tables = [
        np.stack(
            [
                np.stack([area(said[f][half], labels[f][half], fold_of[half]) for f in range(len(labels))], axis=1)
                for said in rivals
            ]
        )
        for half in halves
    ]
    best = [np.nan_to_num(np.nanmean(table, axis=2)).argmax(axis=0) for table in tables]
    partials = np.arange(labels.shape[2])
    return np.nanmean([tables[0][best[1], partials], tables[1][best[0], partials]], axis=0)


def mean_over_partials(name: str, values: Floats, *, unit: str = "AUC", confidence: float = CONFIDENCE) -> Effect:
    """Return the mean over partials in order of frequency, with an interval that leaves out what is no chance.

    Candidates stand one in each of equal cells of the ear's scale. That lower ones are read better than higher ones, or
    the other way round, is then the same in every draw; how much neighbours differ is not. So the variance comes from
    successive differences (von Neumann 1941; Wolter 1984, for systematic samples), with the degrees of freedom that
    they have in independent samples, 2 (n - 1)^2 / (3 n - 4). Where neighbours are unrelated it is the ordinary one.
    """
    n = len(values)
    error = float(np.sqrt(np.square(np.diff(values)).sum() / (2.0 * (n - 1)) / n))
    half = error * float(stats.t.ppf(0.5 + confidence / 2, 2.0 * (n - 1) ** 2 / (3.0 * n - 4.0)))
    value = float(values.mean())
    return Effect(name=name, value=value, low=value - half, high=value + half, confidence=confidence, unit=unit, n=n)


def ratio_over_partials(name: str, above: Floats, below: Floats, *, unit: str = "share") -> Effect:
    """Return the ratio of two means over partials, with the interval of `mean_over_partials`, linearised.

    Either end is no nearer than that of a share of partials that keep all (`statistics.as_share`).
    """
    value = float(above.mean() / below.mean()) if below.mean() > 0 else float("nan")
    return as_share(mean_over_partials(name, value + (above - value * below) / below.mean(), unit=unit))


@dataclass(frozen=True)
class Separation:
    """How well linear readers tell tokens with a partial from tokens without it, company known."""

    areas: Floats
    """'partials', means over families."""
    half: Floats
    """The same of readers that heard half as many sounds."""
    said: Floats
    """'families tokens partials', what readers that learned within a family say."""

    @property
    def endless(self) -> Floats:
        """'partials': what readers of endless sounds would reach."""
        return endless(self.areas, self.half)


def separate(features: Floats, labels: Labels) -> Separation:
    """Read partials off by readers of their own family or by readers of all families, whichever does better elsewhere.

    A code that depends on company calls for the former; where it does not, the latter have heard more. `chosen` picks.
    """

    def rivals(step: slice) -> list[Floats]:
        some, known = features[:, step], labels[:, step]
        return [read(some, known, elsewhere=False).said, read_pooled(some, known)]

    every = rivals(slice(None))
    half = [
        np.nanmean(chosen(rivals(step), labels[:, step]), axis=1) for step in (slice(0, None, 2), slice(1, None, 2))
    ]
    return Separation(np.nanmean(chosen(every, labels), axis=1), np.mean(half, axis=0), every[0])


def permuted_areas(said: Floats, labels: Labels, rng: np.random.Generator, draws: int) -> Floats:
    """Return mean areas, 'draws', with the labels of each partial permuted within each family and fold."""
    count, tokens, _ = labels.shape
    fold_of = folds(tokens)
    areas = np.zeros(draws)
    cells = 0
    for family in range(count):
        for fold in range(FOLDS):
            inside = fold_of == fold
            ranks = ranked(said[family][inside])
            yes = labels[family][inside].sum(axis=0)
            pairs = yes * (inside.sum() - yes)
            usable = pairs > 0
            order = rng.random((draws, *ranks.shape)).argsort(axis=1)
            drawn = np.take_along_axis(np.broadcast_to(ranks, order.shape), order, axis=1)
            first = np.arange(inside.sum())[:, None] < yes
            won = (drawn * first).sum(axis=1) - yes * (yes + 1) / 2
            areas += (won[:, usable] / pairs[usable]).sum(axis=1)
            cells += int(usable.sum())
    return areas / max(cells, 1)
