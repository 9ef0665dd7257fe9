"""Do partials survive unequally, and do signal and architecture predict which?

Source: Post 0, section 0.3: "original narrowband components from different kinds of signals are preserved unequally
under harsh aliasing (I show that this representability is predictable from the interaction of the signal and the
architecture design)". In words: partials that fold onto one line compete for the channels there. Who wins should follow
from how strong each is (the signal) and from how the encoder answers it and its rivals (the architecture). So measure
the answers with soft sounds, one partial at a time, predict, and then play dense sounds and see who was there.

Stimuli     `stimuli.alias_classes`: 256 members of each of 12 alias classes (all, where a class has fewer), in sounds
            of several families, which have the same members at different strengths: flat, like the harmonics of a note,
            pink. Sizes and phases drawn anew in each sound; -20 dB re full scale.
Prediction  rho(f) = p v^H C^-1 v with C = sum over the class of p v v^H + sigma^2: R2 of the best linear reader of an
            encoder that answers linearly and adds noise. p from the spectrum, v(f) from soft sounds
            (`alias_lines`), sigma^2 from other dense sounds: what of them sum v a, times the best common gain, does not
            explain, per channel and line. Nothing is fitted to the sounds that are predicted.
Measured    R2(f) of the complex amplitude by least squares on the channels at the alias line, corrected for the finite
            number of sounds (adjusted R2): that of a reader that has heard endlessly many sounds, which is what rho
            predicts. Ridge regression, held out sound by sound, serves for the spread and for the ceiling below.
Formula     effect = partial Spearman correlation of rho and R2 over the members of a class, given log p and log f; mean
            over families; mean over classes. Given p, because that loud partials survive needs no theory; given f,
            because all else that falls along frequency would do as well.
Not applicable where there is no derivative at rest (pools of maxima, power detectors), so no v, and no linear variant
            of the encoder either, which has the same v from weights alone.
Insufficient where R2 does not differ from member to member (`LEAST_SPREAD`, which the lower end of the spread's
            interval must reach), as in a code with more channels than members; where the order of the members, given p
            and f, is noise: the reliability of R2's ranks, from its scores on even and odd sounds, would keep even a
            perfect prediction below `CEILING` (Spearman 1904, Brown 1910); and where rho follows from p and f alone,
            so that nothing is left to predict (a single channel).
            Families of which this is true have no say; a prediction must not be refuted by noise.
Parts       Unequal: spread of R2 over the members, from the covariance of its scores on even and odd sounds, so that
            noise does not count. Against received power: the same correlation given log p |v|^2 as well, which leaves
            what competition adds; the harder claim. Baselines: received power p |v|^2 and gain |v| in place of rho,
            power alone; the naive cascade (`alias_lines.cascade`), the layers' own anti-aliasing gains multiplied,
            where the encoder tells the kernels that it strides with; rho from the weights of another seed, untrained,
            on the same sounds, where such encoders are known: what the architecture tells without the weights.
            Shuffled: rho with the answers dealt to other members. Each family. Budget: by counting, sum of rho <=
            number of channels; what is left of it by the sum of the measured R2 (adjusted for the number of sounds).
Interval    jackknife over alias classes, 12; members of one class compete and are not independent.
Null        rho dealt to other members within its class.
Thresholds  .3: a tenth of what p and f leave in the ranks; .1: a hundredth.
Traps       Loud partials survive, and rho rises with p: without partialling p out any monotone rule predicts (.97 on
            EnCodec with gain). A prediction fitted to the same sounds would be circular. Below as many partials as
            channels all survive. The spread of R2 contains its noise. A product of the layers' own anti-aliasing gains
            is no substitute for v: channels differ in phase, and their interference decides.
Sources     Ribeiro & Schön, How Convolutional Neural Networks Deal with Aliasing, ICASSP 2021 (redundant channels keep
            aliases apart); Pintelon & Schoukens, System Identification, 2012 (multisines, residuals as noise).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import Stimulus

from . import alias_lines
from .alias_lines import Components, Derivative, Group, Twin
from .hearing import Answer, Ear, Listen, Probe
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import jackknife

VERSION = 2
THRESHOLD = Threshold(0.3, 0.1)
UNEQUAL = Threshold(0.1, 0.05)
"""Standard deviation of R2 over the members of a class."""

BUDGET = Threshold(-0.02, -0.05)

LEAST_SPREAD = 0.02
"""Standard deviation of R2, freed of its noise, below which members survive alike and there is nothing to predict."""

CEILING = 0.5
"""Of the correlation that the noise of R2 allows: well above the threshold, or noise would refute."""

LEAST_NOISE = 1e-10
"""Of sigma^2, re the power of the answer: 100 dB below it, where rounding would be next."""

ALIKE = 1e-6
"""Share of the variance of ranks below which what is left of them is rounding."""

DRAWS = {"quick": 99, "standard": 499, "thorough": 999}
POINTS = 480
"""Points of the picture at most."""

SHUFFLED = "rho with shuffled answers"

GRID = "grid"
"""Figure that holds what `compare` needs, until the encoder has been compared with its company: arrays."""

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


def unequal_and_predictable(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how well rho predicts which partials survive at each site; see the module."""
    groups, out = alias_lines.groups(ear, rng, effort)
    measurements: dict[str, Measurement] = {site: _without(site, why, not_applicable=True) for site, why in out.items()}
    checks = [group.check() for group in groups]
    answers = list((yield [request for each in checks for request in each]))
    plays = []
    for group, check in zip(groups, checks, strict=True):
        own, answers = answers[: len(check)], answers[len(check) :]
        plays.append(_Play(ear, group, *group.derivatives(own), effort))
    answers = list((yield [request for play in plays for request in play.requests]))
    for play in plays:
        own, answers = answers[: len(play.requests)], answers[len(play.requests) :]
        heard = dict(zip(play.names, own, strict=True))
        for site in play.group.sites:
            measurements[site] = play.measure(site, heard, np.random.default_rng(rng.integers(2**63)))
    return {site: measurements[site] for site in ear.sites}


def compare(own: Measurement, company: Sequence[Measurement]) -> Measurement:
    """Add what the weights of another encoder of this architecture would have predicted; it heard the same sounds."""
    figures = dict(own.figures)
    mine, theirs = figures.pop(GRID, None), company[0].figures.get(GRID) if company else None
    if mine is None or theirs is None:
        return replace(own, figures=figures)
    rows = [
        _partials(theirs[name]["rho"], mine[name]["r2"], (mine[name]["power"], mine["hz"]))
        for name in mine["speaking"]
        if theirs[name]["rho"].shape == mine[name]["r2"].shape
    ]
    part = Part(
        name="baseline: another seed's weights",
        effect=_over_classes(np.stack(rows), "Spearman(rho of another seed, R2 | p, f)") if rows else None,
        threshold=THRESHOLD,
        note="the same architecture, untrained, heard the same sounds: what the architecture tells without the weights",
    )
    parts = (*own.parts, part)
    return replace(own, figures=figures | {"predictors": _predictors(own.effect, parts)}, parts=parts)


def _without(site: str, reason: str, *, not_applicable: bool = False) -> Measurement:
    return Measurement(
        site=site,
        probe="unequal_and_predictable",
        version=VERSION,
        effect=None,
        reason=reason,
        not_applicable=not_applicable,
    )


@dataclass(frozen=True)
class Family:
    """One family of sounds at one site; arrays are 'classes members'."""

    name: str
    power: Floats
    received: Floats
    """p |v|^2, summed over channels."""
    rho: Floats
    shuffled: Floats
    """rho with answers dealt to other members."""
    r2: Floats
    """R2 of a reader that has heard endlessly many sounds."""
    halves: Floats
    """R2 held out, on even and on odd sounds, '2 classes members'."""
    noise: float
    """sigma^2 re the power that the members' answers have at a line, dB."""

    def ceiling(self, hz: Floats) -> float:
        """The largest partial correlation that the noise of R2 allows: root of the reliability of its ranks."""
        half = _partials(self.halves[0], self.halves[1], (self.power, hz))
        mean = float(half[np.isfinite(half)].mean()) if np.isfinite(half).any() else 0.0
        return float(np.sqrt(max(2 * mean / (1 + mean), 0.0)))


class _Play:
    """What is asked about the sites of one frame rate, and what comes of it."""

    def __init__(self, ear: Ear, group: Group, level: int, derivatives: Mapping[str, Derivative], effort: str) -> None:
        self.group, self.twin, self.effort = group, Twin(ear, group, level, derivatives), effort
        self.cascade = _cascade(ear, group)
        asked = self.twin.requests()
        if self.twin.known:
            for family in group.dense:
                asked[f"dense {family}"] = Listen(group.dense[family].stimuli, group.readout, self.twin.known)
                asked[f"other {family}"] = Listen(group.residual[family].stimuli, group.readout, self.twin.known)
        self.names, self.requests = tuple(asked), tuple(asked.values())

    def measure(self, site: str, heard: Mapping[str, Answer], rng: np.random.Generator) -> Measurement:
        if site not in self.twin.known:
            why, lacks = self.twin.unknown(site)
            return _without(site, why, not_applicable=lacks)
        group, classes = self.group, self.group.classes
        found = self.twin.responses(site, heard)
        families = []
        for name in group.dense:
            dense, other = (np.asarray(heard[f"{kind} {name}"][site], complex) for kind in ("dense", "other"))
            family = self._family(name, found, dense, other, rng)
            if family is None:
                return _without(site, "the code does not move with the sounds")
            families.append(family)
        channels, members = found.shape[2], classes.harmonics.shape[1]
        hz = np.log(classes.hz)
        spread = {each.name: _spread([each]) for each in families}
        ceilings = {each.name: each.ceiling(hz) for each in families}
        unequal = [each for each in families if spread[each.name].low >= LEAST_SPREAD]
        speaking = [each for each in unequal if ceilings[each.name] >= CEILING]
        effect: Effect | None = None
        reason: str | None = None
        if not unequal:
            widest = max(spread.values(), key=lambda each: each.value)
            reason = (
                f"nothing is unequal: R2 of the members has a standard deviation of {widest.value:.3f} "
                f"[{widest.low:.3f}, {widest.high:.3f}] (its lower end must reach {LEAST_SPREAD:g}) with "
                f"{channels} channels for {members} members; mean R2 "
                f"{float(np.mean([each.r2 for each in families])):.3f}"
            )
        elif not speaking:
            reason = (
                "which of the members survive, given their power and frequency, is not told from noise: even a perfect "
                f"prediction could not reach a correlation of {CEILING:g} (at most {max(ceilings.values()):.2f}) with "
                f"{len(next(iter(group.dense.values())).stimuli)} sounds; mean R2 "
                f"{float(np.mean([each.r2 for each in families])):.3f}"
            )
        else:
            table = np.stack([_partials(each.rho, each.r2, (each.power, hz)) for each in speaking])
            effect = _over_classes(table, "partial Spearman(rho, R2 | p, f)")
            if effect is None:
                reason = (
                    f"rho follows from power and frequency alone ({channels} channels): nothing is left for the "
                    "architecture to decide"
                )
        parts = self._parts(families, speaking, spread, hz, channels)
        return Measurement(
            site=site,
            probe="unequal_and_predictable",
            version=VERSION,
            effect=effect,
            reason=reason,
            parts=tuple(parts),
            null=None if effect is None else self._null(speaking, hz, effect, rng),
            sounds=self._sounds(),
            figures=self._figures(families, channels, site)
            | {"predictors": _predictors(effect, parts)}
            | {"ceiling": ceilings, GRID: _grid(families, [each.name for each in speaking], hz)},
        )

    def _family(
        self, name: str, found: Complex, dense: Complex, other: Complex, rng: np.random.Generator
    ) -> Family | None:
        group = self.group
        sounds, apart = group.dense[name], group.residual[name]
        predicted = np.einsum("nik,ikc->nci", apart.drawn, found)
        explained = float((np.abs(predicted) ** 2).sum())
        if not explained > 0 or not (np.abs(dense) > 0).any():
            return None
        gain = complex((predicted.conj() * other).sum()) / explained
        residual = float((np.abs(other - gain * predicted) ** 2).mean())
        total = explained / predicted.size
        # Where the gain is nothing, all is noise, and rho is received power.
        noise = max(residual / max(abs(gain) ** 2, 1e-9), LEAST_NOISE * total)
        rho, shuffled, halves, r2 = [], [], [], []
        for index, (v, p) in enumerate(zip(found, sounds.power, strict=True)):
            rho.append(alias_lines.best_r2(v, p, noise))
            shuffled.append(alias_lines.best_r2(v[rng.permutation(len(v))], p, noise))
            components = Components.of(alias_lines.by_class(dense, index))
            halves.append(components.held_out(sounds.drawn[:, index]))
            r2.append(components.r2(sounds.drawn[:, index]))
        return Family(
            name=name,
            power=sounds.power,
            received=sounds.power * (np.abs(found) ** 2).sum(axis=-1),
            rho=np.stack(rho),
            shuffled=np.stack(shuffled),
            r2=np.stack(r2),
            halves=np.stack(halves, axis=1),
            noise=float(10 * np.log10(noise / total)),
        )

    def _parts(
        self,
        families: Sequence[Family],
        speaking: Sequence[Family],
        spread: Mapping[str, Effect],
        hz: Floats,
        channels: int,
    ) -> list[Part]:
        def correlation(what: str, *given: str) -> Effect | None:
            """Partial Spearman of a quantity and R2, given others, over the families that speak."""
            if not speaking:
                return None
            rows = []
            for each in speaking:
                known = {"p": each.power, "f": hz, "received": each.received}
                rows.append(_partials(getattr(each, what), each.r2, tuple(known[name] for name in given)))
            return _over_classes(np.stack(rows), f"Spearman({what}, R2{' | ' if given else ''}{', '.join(given)})")

        def gain() -> Effect | None:
            rows = [_partials(each.received / each.power, each.r2, (each.power, hz)) for each in speaking]
            return _over_classes(np.stack(rows), "Spearman(gain, R2 | p, f)") if rows else None

        def naive() -> Effect | None:
            if self.cascade is None or not speaking:
                return None
            rows = [_partials(self.cascade, each.r2, (each.power, hz)) for each in speaking]
            return _over_classes(np.stack(rows), "Spearman(Q, R2 | p, f)")

        parts = [
            Part(
                name="unequal",
                effect=_spread(families),
                threshold=UNEQUAL,
                note="standard deviation of R2 over members, freed of noise",
            ),
            Part(
                name="rho against received power",
                effect=correlation("rho", "p", "f", "received"),
                threshold=THRESHOLD,
                note="given received power as well: what competition adds",
            ),
            Part(name="baseline: received power", effect=correlation("received", "p", "f"), threshold=THRESHOLD),
            Part(name="baseline: gain", effect=gain(), threshold=THRESHOLD),
            Part(name="baseline: power alone", effect=correlation("power"), threshold=THRESHOLD),
            Part(
                name="baseline: naive cascade",
                effect=naive(),
                threshold=THRESHOLD,
                note="the anti-aliasing gains of the strided layers, multiplied"
                if self.cascade is not None
                else "the encoder does not tell the kernels of its strides (`strided_kernels`)",
            ),
            Part(
                name=SHUFFLED,
                effect=correlation("shuffled", "p", "f"),
                threshold=THRESHOLD,
                note="answers dealt to other members of the class: should predict nothing",
            ),
        ]
        for each in families:
            speaks = any(each is other for other in speaking)
            found = _over_classes(_partials(each.rho, each.r2, (each.power, hz))[None], f"{each.name} sounds")
            parts.append(
                Part(
                    name=f"family: {each.name}",
                    effect=found if speaks else None,
                    threshold=THRESHOLD,
                    note=f"spread of R2 {spread[each.name].value:.3f}, mean rho {each.rho.mean():.3f}, "
                    f"mean R2 {each.r2.mean():.3f}",
                )
            )
        room = min(channels, families[0].power.shape[1])
        left = np.mean([1 - each.r2.sum(axis=1) / room for each in families], axis=0)
        parts.append(
            Part(
                name="budget",
                effect=jackknife(
                    lambda kept: float(left[kept].mean()), len(left), name="1 - sum of R2 / room", unit="share"
                ),
                threshold=BUDGET,
                note=f"room for {room} members of {families[0].power.shape[1]}; the sum of R2 cannot exceed it",
            )
        )
        return parts

    def _null(self, speaking: Sequence[Family], hz: Floats, effect: Effect, rng: np.random.Generator) -> Null:
        """Ranks of rho, freed of p and f, dealt to other members."""
        draws = DRAWS[self.effort]
        pairs = [
            (
                _left_of(each.rho[index], (each.power[index], hz[index])),
                _left_of(each.r2[index], (each.power[index], hz[index])),
            )
            for each in speaking
            for index in range(len(hz))
        ]
        usable = [(a / np.linalg.norm(a), b / np.linalg.norm(b)) for a, b in pairs if a is not None and b is not None]
        dealt = np.zeros(draws)
        for a, b in usable:
            dealt += rng.permuted(np.tile(a, (draws, 1)), axis=1) @ b / len(usable)
        reached = int((dealt >= effect.value).sum())
        return Null(kind="rho dealt to other members of its class", draws=draws, p=(1 + reached) / (1 + draws))

    def _sounds(self) -> tuple[tuple[str, Stimulus], ...]:
        dense = [each.stimuli[0] for each in self.group.dense.values()]
        return tuple((f"a dense sound: {each.label}", each) for each in dense[:2])

    def _figures(self, families: Sequence[Family], channels: int, site: str) -> dict[str, Any]:
        hz, missed = self.group.classes.hz, float(self.twin.derivatives[site].missed)
        step = max(1, -(-len(families) * hz.size // POINTS))
        points = [
            {
                "family": each.name,
                "hz": float(hz.flat[index]),
                "rho": float(each.rho.flat[index]),
                "r2": float(each.r2.flat[index]),
            }
            for each in families
            for index in range(0, hz.size, step)
        ]
        return {
            "points": points,
            "sum_of_rho": {each.name: float(each.rho.sum(axis=1).mean()) for each in families},
            "sum_of_r2": {each.name: float(each.r2.sum(axis=1).mean()) for each in families},
            "noise_db": {each.name: each.noise for each in families},
            "channels": int(channels),
            "members": int(hz.shape[1]),
            "hop": int(self.group.classes.chain.hop),
            "twin": self.twin.source(site),
            "derivative_missed": missed if np.isfinite(missed) else None,
        }


def _predictors(effect: Effect | None, parts: Sequence[Part]) -> dict[str, float]:
    """How well each prediction does, for a picture: rho, what stands in its place, and rho with shuffled answers."""
    found = {"rho": effect} | {
        each.name.removeprefix("baseline: "): each.effect
        for each in parts
        if each.name.startswith("baseline: ") or each.name == SHUFFLED
    }
    return {name: float(each.value) for name, each in found.items() if each is not None and effect is not None}


def _cascade(ear: Ear, group: Group) -> Floats | None:
    """The naive cascade of the members, 'classes members'; None where the kernels of its strides are not told."""
    strides, kernels = group.classes.chain.strides, ear.strided_kernels
    if kernels is None or (ear.strides or ())[: len(strides)] != strides:
        return None
    return alias_lines.cascade(kernels[: len(strides)], strides, group.classes.hz, ear.sample_rate)


def _grid(families: Sequence[Family], speaking: Sequence[str], hz: Floats) -> dict[str, Any]:
    """What is needed to compare with another encoder: of all families, and which of them speak; log f."""
    kept = {each.name: {"rho": each.rho, "r2": each.r2, "power": each.power} for each in families}
    return {"speaking": list(speaking), "hz": hz, **kept}


def _left_of(values: Floats, given: Sequence[Floats]) -> Floats | None:
    """What the ranks of the others leave of a quantity's ranks; None where that is rounding."""
    ranks = stats.rankdata(values)
    others = np.stack([np.ones(len(ranks)), *(stats.rankdata(each) for each in given)], axis=1)
    left = ranks - others @ np.linalg.lstsq(others, ranks, rcond=None)[0]
    variance = float(ranks.var())
    return left if variance > 0 and float(left.var()) > ALIKE * variance else None


def _partials(predicted: Floats, measured: Floats, given: Sequence[Floats]) -> Floats:
    """Partial Spearman correlation within each class, ``'classes members'`` -> ``'classes'``; nan where undefined."""
    found = []
    for index in range(len(predicted)):
        known = [each[index] for each in given]
        a, b = _left_of(predicted[index], known), _left_of(measured[index], known)
        found.append(np.nan if a is None or b is None else float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    return np.array(found)


def _over_classes(table: Floats, name: str) -> Effect | None:
    """Mean over families and classes of ``'families classes'``; None where no family can be had in all classes."""
    rows = table[np.isfinite(table).all(axis=1)]
    if not len(rows):
        return None
    by_class = rows.mean(axis=0)
    return jackknife(lambda kept: float(by_class[kept].mean()), len(by_class), name=name, unit="correlation")


def _spread(families: Sequence[Family]) -> Effect:
    """Standard deviation of R2 over members within a class, without the noise that its two halves do not share."""
    shared = np.mean(
        [[np.cov(half[0], half[1])[0, 1] for half in np.moveaxis(each.halves, 1, 0)] for each in families], axis=0
    )
    return jackknife(
        lambda kept: float(np.sqrt(max(shared[kept].mean(), 0.0))), len(shared), name="spread of R2", unit="R2"
    )
