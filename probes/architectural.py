"""Do a trained encoder and untrained ones of the same architecture behave alike?

Source: Post 0, section 0.3: "I chose these models to prove that the effects were architectural and not model-specific".
In words: what the architecture alone brings about, training does not change. So take the encoder, draw the same
architecture anew several times without training it, at widths of half to twice its own where it can be built so (the
post speaks of scale, too), and ask all of them the same questions. If the effects are architectural, the answers are
the same.

Questions  stability   does a pitch add one direction (`pitch_direction`, frozen frames)? 0: none; 1: one everywhere
           holism      is the code more than its parts (`holistic_texture`, frozen frames)? 0: a sum; 1: a texture
           width       how wide are the units (`selectivity_limited`)? 0: as the ear's filters; 1: all frequencies alike
           collapse    do aliases share a code (`alias_collapse`)? 0: told apart as any pair; 1: the same. At thorough
                      alone: with fewer pairs than many its score is too uncertain to compare
Anchors   every score is (theta - theta_neg) / (theta_pos - theta_neg), theta_neg and theta_pos the effects of the
          controls of its claim. They are known in closed form: 0 and 1 by the normalisation of stability, holism and
          collapse; 0 octaves and the log-coverage of flat tuning re an ear's filter on the tones played, for width.
Stimuli   those of the four claims, fewer of them; every encoder hears draws of its own. Stability is asked in several
          small designs, each of the same six kinds of company (silence, note, two, three, noise, another timbre) with
          other notes: its score is their mean.
Formula   d_k = own score k - mean of the untrained scores k; effect = min over k of .15 - |d_k|: how far the most
          different behaviour stays within .15 of the scale between the two controls.
Interval  of each d_k: untrained draws are the clusters, each of a seed and a width of its own, s_k^2 / draws, plus the
          variance of the own score over its stimuli (jackknife over designs, sets, blocks of tones); Student's t with
          Satterthwaite's degrees of freedom. Every draw heard sounds of its own, so that s_k holds the share of the
          stimuli. The kinds of company are the same for all and no part of the noise: taken for clusters they made the
          interval of a difference up to twenty times too wide (+-.07 where seeds moved by .002).
          Alike means alike in every question: the lower end is the smallest lower end of any (an intersection of tests,
          each at .05 one-sided, keeps .05: Berger 1982). Different means different in any: the upper end is the
          smallest upper end, each at .05 / questions (Bonferroni).
Thresholds 0: all differences are within .15. -.15: one is larger than .30.
Parts     each question alone, .15 - |d_k|.
Large     cannot exceed .15, which is no difference at all.
Traps     Phase-roved readings are too uncertain where a code's mean over frames holds little (+-.2 and more at the cost
          of a claim): all questions are asked of the frames themselves. A mean of |d_k| would grow with noise; an
          interval that holds 0 therefore counts as |d| from 0. The package's own initialisation makes nearly linear
          codes: the untrained are drawn with gain, so that sound passes all layers at its level, and a trained encoder
          that is nearly linear itself is then told from them, as it should be. A question that one side cannot answer
          is left out and says so; without two of them there is no verdict. Alike in these is not alike in everything.
Sources   Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24 (1982); Satterthwaite,
          Biometrics Bulletin 2 (1946); Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987), two one-sided tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import designs

from . import alias_collapse, holistic_texture, pitch_direction, tuning
from .hearing import Ear, Listen, Probe
from .readouts import Frames, power
from .records import Effect, Measurement, Part, Threshold
from .statistics import CONFIDENCE, jackknife, standard_error

VERSION = 2
FRAMES = 24
KINDS = 6
"""Of company that a pitch is heard in."""

MARGIN = 0.15
LEAST_SEEDS = 3
LEAST_QUESTIONS = 2
QUESTIONS = ("stability", "holism", "width", "collapse")

SIZES: Mapping[str, Mapping[str, Any]] = {
    "quick": {"designs": 3, "pitches": 4, "sets": 6, "tones": 48, "pairs": 0},
    "standard": {"designs": 4, "pitches": 5, "sets": 12, "tones": 72, "pairs": 0},
    "thorough": {"designs": 8, "pitches": 6, "sets": 24, "tones": 192, "pairs": 24},
}
THRESHOLD = Threshold(0.0, -MARGIN)


def architectural(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Return the anchored scores of one encoder, as parts of a measurement without effect; see the module."""
    size = SIZES[effort]
    seconds = ear.seconds(FRAMES)
    rates = [ear.frame_rates[site] for site in ear.sites]
    pitches = [
        designs.pitches_in_contexts(
            rng,
            pitches=size["pitches"],
            contexts=KINDS,
            tokens=1,
            crossed=False,
            seconds=seconds,
            frame_rate=min(rates),
            harmonics_below_hz=0.42 * ear.sample_rate,
        )
        for _ in range(size["designs"])
    ]
    subsets = designs.presence_factorial(
        rng,
        sets=size["sets"],
        partials=4,
        tokens=1,
        seconds=seconds,
        chain=ear.chain(min(ear.sites, key=lambda site: ear.frame_rates[site])),
    )
    tones = tuning.tones(rng, count=size["tones"], seconds=seconds, sample_rate=ear.sample_rate, frame_rates=rates)
    # It asks for itself, and knows where nothing folds.
    pairs = alias_collapse.alias_collapse_of(ear, rng, sets=size["pairs"], tokens=2, lines=0) if size["pairs"] else None
    asked = next(pairs) if pairs is not None else []
    frames, loud, soft, *answers = yield [
        Listen(subsets.flat, Frames(FRAMES)),
        Listen(tones.loud, power),
        Listen(tones.soft, power),
        *(Listen(each.stimuli, Frames(FRAMES)) for each in pitches),
        *asked,
    ]
    notes, lines = answers[: len(pitches)], answers[len(pitches) :]
    collapse = {} if pairs is None else _sent(pairs, lines)
    return {
        site: Measurement(
            site=site,
            probe="architectural",
            version=VERSION,
            effect=None,
            reason="scores of one encoder, to be compared with those of others",
            parts=tuple(
                Part(name=name, effect=found, threshold=THRESHOLD)
                for name, found in (
                    ("stability", _stability(pitches, [each[site] for each in notes])),
                    ("holism", _holism(subsets, frames[site])),
                    ("width", _width(tones, loud[site], soft[site])),
                    *((("collapse", collapse[site].effect),) if collapse else ()),
                )
            ),
            sounds=((subsets.stimuli[0][0][-1].label, subsets.stimuli[0][0][-1]), (tones.loud[0].label, tones.loud[0])),
        )
        for site in ear.sites
    }


def compare(own: Measurement, others: Sequence[Measurement]) -> Measurement:
    """Return how far an encoder stays from untrained ones in what it differs most; see the module."""
    if not others:
        return replace(
            own,
            parts=(),
            not_applicable=True,
            reason="it is untrained itself, or no untrained encoders of its architecture are known to compare it with",
        )
    parts, ends = [], []
    scores: dict[str, dict[str, Any]] = {}
    for mine in own.parts:
        theirs = [each.value for each in (_score(other, mine.name) for other in others) if each is not None]
        if mine.effect is None or not math.isfinite(mine.effect.value) or len(theirs) < LEAST_SEEDS:
            parts.append(Part(name=mine.name, effect=None, threshold=THRESHOLD, note=_missing(mine.effect, theirs)))
            continue
        difference, error, freedom = _difference(mine.effect, theirs)
        ends.append((difference, error, freedom))
        parts.append(
            Part(
                name=mine.name,
                effect=_closeness(
                    f"likeness in {mine.name}", difference, error, freedom, seeds=len(theirs), questions=1
                ),
                threshold=THRESHOLD,
                note=f"own score {mine.effect.value:.3f}, untrained {np.mean(theirs):.3f} on average "
                f"({min(theirs):.3f} to {max(theirs):.3f}, {len(theirs)} seeds)",
            )
        )
        scores[mine.name] = {"own": float(mine.effect.value), "untrained": [float(each) for each in theirs]}
    reason = None
    if len(ends) < LEAST_QUESTIONS:
        reason = (
            f"only {len(ends)} of {len(own.parts)} questions have answers on both sides (at least {LEAST_QUESTIONS})"
        )
    return replace(
        own,
        effect=None if reason else _overall(ends, seeds=len(others)),
        reason=reason,
        parts=tuple(parts),
        figures={"scores": scores},
    )


def _overall(ends: Sequence[tuple[float, float, float]], *, seeds: int) -> Effect:
    """The least likeness: alike in every question, or different in any."""
    each = [_closeness("", *end, seeds=seeds, questions=1) for end in ends]
    strict = [_closeness("", *end, seeds=seeds, questions=len(ends)) for end in ends]
    return Effect(
        name="likeness in what differs most",
        value=min(effect.value for effect in each),
        low=min(effect.low for effect in each),
        high=min(effect.high for effect in strict),
        confidence=CONFIDENCE,
        unit="of the scale between the controls",
        n=seeds,
    )


def _difference(mine: Effect, theirs: Sequence[float]) -> tuple[float, float, float]:
    """Difference of an own score from the mean of others, its standard error, and Satterthwaite's degrees."""
    terms = [(float(np.var(theirs, ddof=1)) / len(theirs), len(theirs) - 1), (standard_error(mine) ** 2, mine.n - 1)]
    variance = sum(term for term, _ in terms)
    weight = sum(term**2 / degrees for term, degrees in terms)
    return mine.value - float(np.mean(theirs)), math.sqrt(variance), variance**2 / weight if weight > 0 else 1.0


def _closeness(name: str, difference: float, error: float, freedom: float, *, seeds: int, questions: int) -> Effect:
    """.15 - |d| with the interval that follows from that of d; an interval of d that holds 0 counts as |d| from 0."""
    half = error * float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2 / questions, freedom))
    size = abs(difference)
    return Effect(
        name=name,
        value=MARGIN - size,
        low=MARGIN - size - half,
        high=MARGIN - max(0.0, size - half),
        confidence=CONFIDENCE,
        unit="of the scale between the controls",
        n=seeds,
    )


def _score(measurement: Measurement, name: str) -> Effect | None:
    found = next((part.effect for part in measurement.parts if part.name == name), None)
    return found if found is not None and math.isfinite(found.value) else None


def _missing(mine: Effect | None, theirs: Sequence[float]) -> str:
    if mine is None or not math.isfinite(mine.value):
        return "this encoder gives no answer"
    return f"untrained encoders that answer: {len(theirs)} (at least {LEAST_SEEDS})"


def _stability(played: Sequence[designs.PitchesInContexts], notes: Sequence[NDArray]) -> Effect | None:
    found = []
    for design, heard in zip(played, notes, strict=True):
        increments = pitch_direction._increments(design, heard)
        if not increments.any():
            return None
        stability = pitch_direction.Stability(design, increments, frozen=True)
        found.append(stability.effect(np.ones(stability.shape, dtype=bool)))
    values = np.array(found)
    return _finite(jackknife(lambda kept: float(values[kept].mean()), len(values), name="stability"))


def _holism(design: designs.PresenceFactorial, frames: NDArray) -> Effect | None:
    powers = holistic_texture.powers(design, frames, roved=False)
    return _finite(holistic_texture._holism("holism", powers, len(design.frequencies[0])))


def _width(tones: tuning.Tones, loud: NDArray, soft: NDArray) -> Effect | None:
    squared = tuning.iso_response(loud, soft)
    if not len(squared):
        return None
    ear = tuning.ear_octaves(tones.hz)
    width = tuning.mean_coverage("width", squared, tones.blocks)
    return _finite(_scaled(tuning.shifted(width, -ear, name="width"), 1.0 / -ear))


def _scaled(effect: Effect, by: float) -> Effect:
    return replace(effect, value=effect.value * by, low=effect.low * by, high=effect.high * by)


def _finite(effect: Effect) -> Effect | None:
    return effect if all(map(math.isfinite, (effect.value, effect.low, effect.high))) else None


def _sent(probe: Probe, answers: Sequence[Any]) -> Mapping[str, Measurement]:
    try:
        probe.send(answers)
    except StopIteration as stop:
        found: Mapping[str, Measurement] = stop.value
        return found
    raise AssertionError("alias_collapse asks once")
