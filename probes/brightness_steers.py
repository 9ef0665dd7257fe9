"""Can a code be steered towards brighter, and not towards one partial?

Source: Post 0, section 0.3: "help us better steer things that can be expressed as broad oscillatory mixtures (e.g.,
"make this brighter" or "make this more pop-like"), but we may continue struggling to steer seemingly basic things like
partials". In words: change many sounds in one way, and average what that does to their codes. This average is the
direction in which one would steer. Steer other sounds by it: does it do to their codes what the change itself does,
and does it do so better than the directions of other changes?

Stimuli   contexts over one set of 24 partials, each with levels of its own; in each of them 8 broad edits (brighter,
          louder, six ripples of the spectrum that leave level and centroid alone) and local ones (one partial 6 dB
          up), all of one size |dx| (`edits.spectral_edits`). The local ones come in families of 8 partials, two or
          three to the critical band apart; all partials together are a dozen clusters and more. Edits keep start
          phases; contexts do not share them.
Formula   dz = code of the edited sound - code of the sound as it is. q_k = mean dz of edit k over the other half of the
          contexts. Over the held-out half, both halves in turn,
          e(k|j) = 1 - sum |dz_k - a q_j|^2 / sum |dz_k|^2: the share of edit k that direction j explains. For j = k the
          strength a is that fitted in training, which is 1; for a rival it is the best between -1 and 1. |q|^2 is
          taken from pairs of different contexts: e is that of any number of contexts to learn from.
          sel_k = e(k|k) - max over the 7 other edits j of its family of e(k|j).
          effect = sel_brighter - mean sel over the local edits: what brightness has over a partial, in shares of the
          change steered for.
Readouts  Roved: RO1, mean over frames, squares formed as products of performances that share no start phase; decides
          where these products clear their noise floor (3 standard errors). Else frozen: RO6, all frames, every partial
          with one start phase in all contexts. Both are reported. RO1 of a linear code holds nothing.
Natural   a part repeats the question with a background under each context that no edit touches (`natural`).
Null      random directions: mixtures of all the training half's changes. p: how often one of them, its strength free,
          explains brightening as well as the direction of brightness does.
Interval  over contexts by jackknife; over partials, which stand evenly along the frequency axis and are a systematic
          sample of it, by differences of neighbours (Wolter 1984: the usual spread is too large where neighbours are
          alike). The variances add, less what both of them hold, the chance of single partials in the contexts drawn
          (Cameron, Gelbach & Miller 2011); never below the larger. Student's t with one degree less than there are
          contexts, or partials if they are fewer.
Thresholds  .2: a fifth more of the change is hit. 0: partials are steered at least as well.
Large     brightness has a direction of its own that holds in all contexts, and partials have none.
Traps     Without rivals a code of two numbers (level and centroid) 'steers' partials: each moves the centroid. Families
          of different sizes would be unfair: the largest of 7 is larger than the largest of 1 (a part repeats it with
          one rival each). Broad rivals that change the centroid would be brightness under another name; that is why
          ripples leave it where it is. Without the bound on a, a rival that does next to nothing in a small code would
          explain everything once magnified; edits are of one size, and so is steering. The bound also keeps an
          edit's opposite a rival: one axis is not two. A partial that an encoder does not hear changes nothing, and
          nothing explains it: its selectivity counts as 0, and does not end the measurement. No decoder is asked: this
          is about the code.
Sources   steering by differences of means: Rimsky et al., Steering Llama 2 via contrastive activation addition, ACL
          2024; of music models: Facchiano et al., Activation patching for interpretable steering in music generation,
          2025. Split halves: Spearman 1910, Brown 1910.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import Stimulus, edits
from testtone.stimuli.backgrounds import Background
from testtone.stimuli.edits import BRIGHTER, LOUDER, SpectralEdits

from . import natural
from .hearing import Ear, Listen, Probe
from .readouts import Frames, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, above_noise, jackknife, permutation

VERSION = 2
FRAMES = 24
TOKENS = 2
SIZES: Mapping[str, Mapping[str, int]] = {
    "quick": {"contexts": 12, "families": 2},
    "standard": {"contexts": 16, "families": 2},
    "thorough": {"contexts": 32, "families": 2},
}

DRAWS = {"quick": 199, "standard": 499, "thorough": 1999}
THRESHOLD = Threshold(0.2, 0.0)
ALONE = Threshold(0.5, 0.5)
"""For the selectivity of one kind of edit: whether more than half of the change is hit."""


def brightness_steers(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how much better brightness can be steered than partials at each site; see the module."""
    design = edits.spectral_edits(
        rng,
        **SIZES[effort],
        tokens=TOKENS,
        seconds=ear.seconds(FRAMES),
        sample_rate=ear.sample_rate,
        frame_rate=min(ear.frame_rates[site] for site in ear.sites),
    )
    (apart,) = rng.spawn(1)
    music = _music(ear, apart, effort, design)
    averages, frames, *in_music = yield [
        Listen(design.flat, mean),
        Listen(_frozen(design), Frames(FRAMES)),
        *([Listen(music.flat, mean), Listen(_frozen(music), Frames(FRAMES))] if music else []),
    ]
    found = {}
    for site in ear.sites:
        heard = _measure(
            site,
            design,
            _changes(design, averages[site], TOKENS),
            _changes(design, frames[site], 1),
            rng=np.random.default_rng(rng.integers(2**63)),
            draws=DRAWS[effort],
        )
        if music and heard.effect is not None:
            by_roving, by_freezing = in_music
            part = _in_music(
                music,
                _changes(music, by_roving[site], TOKENS),
                _changes(music, by_freezing[site], 1),
                note=natural.kind(ear),
            )
            heard = replace(heard, parts=(*heard.parts, part))
        found[site] = heard
    return found


def _music(ear: Ear, rng: np.random.Generator, effort: str, design: SpectralEdits) -> SpectralEdits | None:
    """The first contexts again, each over a background that no edit touches; None where there is no time for it."""
    company = natural.company(ear, rng, effort, seconds=design.plain[0][0].seconds)
    count = min(len(company), len(design.plain))
    if not count:
        return None

    def over(stimulus: Stimulus, background: Background) -> Stimulus:
        return replace(
            stimulus,
            sources=(*stimulus.sources, *background.sources),
            label=f"{stimulus.label}, over {background.label}",
        )

    # Every performance of a context has a performance of its background.
    played = [[each, *(each.again(rng) for _ in range(TOKENS - 1))] for each in company[:count]]
    return replace(
        design,
        amplitudes=design.amplitudes[:count],
        plain=tuple(
            tuple(over(each, music) for each, music in zip(plain, own, strict=True))
            for plain, own in zip(design.plain, played, strict=False)
        ),
        edited=tuple(
            tuple(tuple(over(each, music) for each in edited) for edited, music in zip(context, own, strict=True))
            for context, own in zip(design.edited, played, strict=False)
        ),
    )


def _frozen(design: SpectralEdits) -> tuple[Stimulus, ...]:
    """Token 0, context by context: the sound as it is, then each edit of it."""
    return tuple(
        each for plain, changed in zip(design.plain, design.edited, strict=True) for each in (plain[0], *changed[0])
    )


def _changes(design: SpectralEdits, values: NDArray, tokens: int) -> NDArray[np.float64]:
    """``'stimuli ...'`` -> ``'contexts tokens edits values'``: edited, minus as it was."""
    codes = values.reshape(len(design.plain), tokens, 1 + len(design.names), -1).astype(np.float64)
    return codes[:, :, 1:] - codes[:, :, :1]


def _measure(
    site: str,
    design: SpectralEdits,
    roved: NDArray[np.float64],
    frozen: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    if not frozen.any():
        return Measurement(
            site=site,
            probe="brightness_steers",
            version=VERSION,
            effect=None,
            reason="no edit changes the code",
            sounds=_sounds(design),
        )
    by_roving, by_freezing = Steering(roved, design.broad, design.local), Steering(frozen, design.broad, design.local)
    heard = by_roving.clears()
    deciding = by_roving if heard else by_freezing

    def estimate(name: str, measured: Steering, *, one_rival: bool = False, bright: bool = True) -> Effect:
        return _over_both(
            lambda contexts: measured.advantages(contexts, one_rival=one_rival, bright=bright),
            measured.shape[0],
            name=name,
        )

    effect = estimate("selectivity of brightness over that of partials", deciding)
    parts = (
        Part(
            name="phase-roved means (RO1)",
            effect=estimate("advantage of brightness, phase-roved", by_roving) if heard else None,
            threshold=THRESHOLD,
            note="decides" if heard else "the mean over frames holds no change above its noise floor",
        ),
        Part(
            name="frozen frames (RO6)",
            effect=estimate("advantage of brightness, frozen", by_freezing),
            threshold=THRESHOLD,
            note="" if heard else "decides",
        ),
        Part(
            name="brightness alone",
            effect=jackknife(
                lambda kept: deciding.brightness(kept),
                deciding.shape[0],
                name="selectivity of brightness",
                unit="share of the change",
            ),
            threshold=ALONE,
        ),
        Part(
            name="single partials alone",
            effect=_negative(estimate("selectivity of partials", deciding, bright=False)),
            threshold=ALONE,
        ),
        Part(
            name="one rival each",
            effect=estimate("advantage of brightness, one rival each", deciding, one_rival=True),
            threshold=THRESHOLD,
            note="brightness against loudness alone; a partial against each other one in turn, averaged",
        ),
    )
    reason = None if np.isfinite([effect.value, effect.low, effect.high]).all() else "too little changes to compare"
    observed = deciding.explained(BRIGHTER)
    null = Null(
        kind="random directions among the changes of the other half",
        draws=draws,
        p=permutation(observed, deciding.random, rng=rng, draws=draws),
    )
    return Measurement(
        site=site,
        probe="brightness_steers",
        version=VERSION,
        effect=effect if reason is None else None,
        reason=reason,
        parts=parts,
        null=null if reason is None else None,
        sounds=_sounds(design),
        figures={"selectivity": deciding.table(design.names)} if reason is None else {},
    )


def _over_both(advantages: Callable[[NDArray[np.intp]], NDArray[np.float64]], contexts: int, *, name: str) -> Effect:
    """Mean over partials of what ``advantages`` gives for some contexts, with an interval over both."""
    everything = np.arange(contexts)
    each = advantages(everything)
    value, partials = float(each.mean()), len(each)
    without = np.array([advantages(np.delete(everything, i)) for i in everything])
    shrunk = (contexts - 1) / contexts
    by_context = shrunk * float(np.square(without.mean(axis=1) - without.mean()).sum())
    by_partial = float(np.square(np.diff(each)).sum()) / (2 * partials * (partials - 1))
    apart = without - without.mean(axis=1, keepdims=True)
    both = shrunk * float(np.square(apart - apart.mean(axis=0)).sum()) / (partials * (partials - 1))
    n = min(partials, contexts)
    error = math.sqrt(max(by_context + by_partial - both, by_context, by_partial))
    half = error * float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    return Effect(
        name=name,
        value=value,
        low=value - half,
        high=value + half,
        confidence=CONFIDENCE,
        unit="share of the change",
        n=n,
    )


def _in_music(design: SpectralEdits, roved: NDArray[np.float64], frozen: NDArray[np.float64], *, note: str) -> Part:
    """The same question, every context over a background: phase-roved where that clears its noise floor."""
    measured = Steering(roved, design.broad, design.local)
    heard = measured.clears()
    if not heard:
        measured = Steering(frozen, design.broad, design.local)
    effect = _over_both(measured.advantages, measured.shape[0], name="advantage of brightness in music")
    return Part(
        name="in natural company",
        effect=effect,
        threshold=THRESHOLD,
        note=f"{note}; {'phase-roved means (RO1)' if heard else 'frozen frames (RO6)'}",
    )


def _negative(effect: Effect) -> Effect:
    return replace(effect, value=-effect.value, low=-effect.high, high=-effect.low)


class Steering:
    """What the directions of edits explain of edits: all from the inner products of changes, for any selection.

    With several tokens every product is one of performances that share no start phase: token 0 of a context with its
    other tokens, whose phases are its own; between contexts, the other tokens alone.
    """

    def __init__(self, changes: NDArray[np.float64], broad: int, local: Sequence[int]) -> None:
        contexts, tokens, count, values = changes.shape
        self.shape = (contexts, count - broad)
        self._broad = broad
        self._by_frequency = np.argsort(local, kind="stable")
        first = changes[:, 0].reshape(contexts * count, values)
        other = changes[:, 1:].mean(axis=1).reshape(contexts * count, values) if tokens > 1 else first
        # 'context edit context edit': a change to be explained, by a change to steer with.
        explained = (first @ other.T + other @ other.T) / 2 if tokens > 1 else first @ first.T
        self._products = explained.reshape(contexts, count, contexts, count)
        self._between = (other @ other.T).reshape(contexts, count, contexts, count)
        within = np.einsum("cv,cv->c", first, other).reshape(contexts, count)
        self._energy = within
        self._halves = np.arange(contexts) % 2

    def clears(self) -> bool:
        """Whether the energy of the changes, a product of performances, clears its noise floor."""
        carried = self._energy.sum(axis=1)
        total = jackknife(lambda kept: float(carried[kept].mean()), len(carried), name="change of the mean")
        return above_noise(total)

    def advantages(
        self, contexts: NDArray[np.intp], *, one_rival: bool = False, bright: bool = True
    ) -> NDArray[np.float64]:
        """Selectivity of brightness (or 0) minus that of each partial, over some contexts, in order of frequency."""
        broad, *families = self._families(self._shares(contexts))
        if one_rival:
            own = [np.diag(local) for local in families]
            partials = np.concatenate(
                [e - (local.sum(axis=1) - e) / (len(local) - 1) for e, local in zip(own, families, strict=True)]
            )
            brightness = broad[BRIGHTER, BRIGHTER] - broad[BRIGHTER, LOUDER]
        else:
            partials = np.concatenate([_selectivities(local) for local in families])
            brightness = _selectivities(broad)[BRIGHTER]
        return np.asarray((brightness if bright else 0.0) - partials[self._by_frequency])

    def brightness(self, contexts: NDArray[np.intp]) -> float:
        """Selectivity of brightness over some contexts."""
        return float(_selectivities(self._families(self._shares(contexts))[0])[BRIGHTER])

    def _families(self, shares: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Broad edits, then each family of local ones: who competes with whom, all families being of one size."""
        size = self._broad
        return [shares[at : at + size, at : at + size] for at in range(0, len(shares), size)]

    def explained(self, edit: int) -> float:
        """Share of an edit that its own direction explains."""
        return float(self._shares(np.arange(self.shape[0]))[edit, edit])

    def random(self, rng: np.random.Generator) -> float:
        """Share of brightening that a random mixture of the other half's changes explains, its strength free."""
        gained, energy = 0.0, 0.0
        for half in (0, 1):
            test, train = np.flatnonzero(self._halves == half), np.flatnonzero(self._halves != half)
            count = self._energy.shape[1]
            mixture = rng.standard_normal(len(train) * count)
            among = self._between[train][:, :, train].reshape(len(mixture), -1)
            length = float(mixture @ among @ mixture)
            along = self._products[test, BRIGHTER][:, train].reshape(len(test), -1) @ mixture
            gained += float(along.sum()) ** 2 / len(test) / length if length > 0 else 0.0
            energy += float(self._energy[test, BRIGHTER].sum())
        return gained / energy if energy > 0 else float("nan")

    def table(self, names: tuple[str, ...]) -> dict[str, list]:
        """Per edit: how much its own direction explains, and how much the best rival, for the picture."""
        shares = self._shares(np.arange(self.shape[0]))
        own = np.diag(shares)
        rivals = own - np.concatenate([_selectivities(family) for family in self._families(shares)])
        return {
            "names": list(names),
            "own": [float(each) for each in own],
            "best_rival": [float(each) for each in rivals],
        }

    def _shares(self, contexts: NDArray[np.intp]) -> NDArray[np.float64]:
        """e(k|j), ``'edits edits'``, over the contexts kept, each half explained by the other."""
        count = self._energy.shape[1]
        missed, energy = np.zeros((count, count)), np.zeros(count)
        for half in (0, 1):
            test = contexts[self._halves[contexts] == half]
            train = contexts[self._halves[contexts] != half]
            tested, learned = len(test), len(train)
            # <dz_k, q_j> summed over the test half; |q_j|^2 from pairs of contexts, without what one has with itself.
            along = self._products[np.ix_(test, range(count), train)].sum(axis=(0, 2)) / learned
            same = np.einsum("cjdj->cdj", self._between[np.ix_(train, range(count), train)])
            length = (same.sum(axis=(0, 1)) - np.einsum("ccj->j", same)) / (learned * (learned - 1))
            # |dz_k - a q_j|^2 = |dz_k|^2 - 2 a along + a^2 tested |q_j|^2, least for a rival's best strength.
            size = np.broadcast_to(tested * np.maximum(length, 0.0), along.shape)
            strength = np.clip(np.divide(along, size, out=np.zeros_like(along), where=size > 0), -1.0, 1.0)
            np.fill_diagonal(strength, 1.0)
            missed += strength**2 * tested * length - 2 * strength * along
            energy += self._energy[test].sum(axis=0)
        # Shares lie between 0 and 1; of an edit that all but leaves the code where it was, their estimates may not.
        explained = -missed / np.where(energy > 0, energy, 1.0)[:, None]
        return np.where(energy[:, None] > 0, np.clip(explained, -1.0, 1.0), 0.0)


def _selectivities(family: NDArray[np.float64]) -> NDArray[np.float64]:
    """What its own direction explains of each edit more than the best rival's, ``'edits edits'`` -> ``'edits'``."""
    rivals = np.where(np.eye(len(family), dtype=bool), -np.inf, family)
    return np.asarray(np.diag(family) - rivals.max(axis=1))


def _sounds(design: SpectralEdits) -> tuple:
    """A sound as it is, brighter, and with one partial louder."""
    plain, edited = design.plain[0][0], design.edited[0][0]
    return tuple((each.label, each) for each in (plain, edited[BRIGHTER], edited[design.broad + design.broad // 2]))
