"""Do filters neither tile the frequency axis evenly nor form a tight frame?

Source: Post 0, section 0.3: "learned filters do not appear to form an orthogonal or evenly spaced basis", which
"encourages entangled representations". Two readings, and the post means both: filters stand unevenly along the
frequency axis, and they overlap more than they must.

Stimuli   clicks, one for each sample of the first layer's stride: its filters, where the encoder does not tell them; at
          the end of the stack tones, evenly on the ERB-number scale, as in `tuning`.
Formula   spacing CV: standard deviation over mean of the gaps between neighbouring centre frequencies (where a filter
          answers most) on the ERB-number scale: 0 is a lattice, about 1 are centres at random, above 1 are clumps.
          FPX = sum_ij <w_i, w_j>^2 / max(n, n^2 / d) - 1 for n filters of d numbers each, unit length: the frame
          potential over the least it can be, 0 for a tight frame or an orthonormal set (Benedetto & Fickus 2003).
          effect = min(spacing CV - .5, FPX / FPX_random - .5).
          At the first layer w are kernels, and FPX_random is that of Gaussian kernels, (d - 1) / n for n >= d and
          (n - 1) / d below. At the end of the stack w are tuning curves; they have no negative entries, so that any two
          overlap, and FPX_random is that of the absolute values of Gaussian numbers, drawn.
Interval  Spacing: of gamma-distributed gaps with a stated CV, the CVs of n - 1 of them are drawn; those stated values
          are in the interval for which the measured one is no surprise at either end (a parametric bootstrap inverted:
          Carpenter 1999). Filters drawn with replacement have gaps of zero, and a filter left out joins two gaps:
          neither bootstrap nor jackknife over filters knows the spread of gaps. FPX: jackknife over filters, on the
          mean of <w_i, w_j>^2 over pairs, n and d fixed. The minimum: its lower end is the lower of both; its upper
          end is the lower of both at half the error each, because either may refute (Holm 1979).
Null      as many centres uniform on the ERB-number scale between the outermost ones: how often their gaps vary as much.
Parts     both readings alone; largest coherence less the Welch bound; largest over smallest sum of squared answers over
          frequency, in octaves, between the outermost centres.
Threshold above 0: gaps vary by more than half of what chance gives, and the overlap that could be avoided is more than
          half of chance's. Below -.25 one of them is a quarter or less.
Traps     n filters in d < n dimensions cannot be orthogonal: compare with tight and random, never with no correlation.
          Centres are found no finer than tones stand: among more filters than tones, gaps look random; what their
          places are uncertain by is said, and it never makes a bank look more even. Filters that are zero are left out.
Sources   Benedetto & Fickus 2003 (frame potential); Welch 1974; Glasberg & Moore 1990; Carpenter 1999 (test inversion).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import Stimulus
from testtone.stimuli.designs import erb_rate

from . import tuning
from .first_layer_isolates import AMPLITUDE, SILENT, clicks_for, filters_from_clicks
from .hearing import Ear, Listen, Probe
from .readouts import Frames, power
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, jackknife

Floats = NDArray[np.float64]

VERSION = 2
FIRST = "first_conv"
FEWEST = 6
"""Filters whose places say nothing about a rule that placed them if there are fewer."""

POINTS = 2**16
"""Of the spectrum in which centres are found."""

BINS = 512
DRAWS = 999
SUPREME = "of the filters that there are; no interval over others"
GRID = np.concatenate([np.arange(0.0, 0.1, 0.01) + 0.005, np.geomspace(0.1, 12.0, 100)])
"""Values of the spacing CV between which its interval is found."""

THRESHOLD = Threshold(0.0, -0.25)
COHERENCE = Threshold(0.25, 0.1)
RATIO = Threshold(2.0, 1.0)
"""Octaves: fourfold differences of what a frequency gives in all, or less than twofold ones."""


def entangled_basis(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how unevenly the filters of each site stand and how much they overlap; see the module."""
    tones = tuning.tones_for(ear, rng, effort)
    requests, found = [], {}
    clicks: tuple[Stimulus, ...] = ()
    kernels = ear.first_conv_filters
    if FIRST in ear.sites and kernels is None:
        try:
            clicks, frames = clicks_for(ear)
            requests.append(Listen(clicks, Frames(frames), sites=(FIRST,)))
        except ValueError as error:
            found[FIRST] = _unmeasured(FIRST, str(error))
    deep = tuple(site for site in ear.sites if site != FIRST)
    if deep:
        requests += [Listen(tones.loud, power, sites=deep), Listen(tones.soft, power, sites=deep)]
    answers = list((yield requests))
    if clicks:
        kernels = filters_from_clicks(answers.pop(0)[FIRST] / AMPLITUDE)
    if FIRST in ear.sites and kernels is not None:
        sounds = (("a click", clicks[0]),) if clicks else ()
        found[FIRST] = _first_layer(kernels, ear.sample_rate, rng, sounds)
    for site in deep:
        found[site] = _deep(site, tones, tuning.iso_response(answers[0][site], answers[1][site]), rng)
    return {site: found[site] for site in ear.sites}


def _first_layer(
    kernels: Floats, sample_rate: int, rng: np.random.Generator, sounds: tuple[tuple[str, Stimulus], ...]
) -> Measurement:
    norms = np.linalg.norm(kernels, axis=1)
    kernels = kernels[norms > SILENT * norms.max()] if norms.max() > 0 else kernels[:0]
    unit = kernels / np.linalg.norm(kernels, axis=1, keepdims=True)
    # A filter longer than the spectrum would be cut short.
    points = max(POINTS, 2 * kernels.shape[1])
    centres = [float(np.argmax(np.abs(np.fft.rfft(each, points)))) * sample_rate / points for each in unit]
    count, size = unit.shape
    if count == 0:
        return _unmeasured(FIRST, "no filter answers to a click")
    chance = (size - 1) / count if count >= size else (count - 1) / size
    coarse = max(BINS, 2 * size)
    spectra = np.square(np.abs(np.fft.rfft(unit, coarse)))
    hz = np.arange(spectra.shape[1]) * sample_rate / coarse
    return _measure(FIRST, unit, np.array(centres), chance, spectra, hz, rng, sounds)


def _deep(site: str, tones: tuning.Tones, squared: Floats, rng: np.random.Generator) -> Measurement:
    curves = np.sqrt(squared)
    unit = curves / np.maximum(np.linalg.norm(curves, axis=1, keepdims=True), 1e-300)
    centres = np.array([_summit(tones.hz, each) for each in squared])
    sounds = ((f"a tone of {tones.hz[len(tones.hz) // 2]:.0f} Hz", tones.loud[len(tones.hz) // 2]),)
    chance = _nonnegative_chance(len(unit), unit.shape[1], rng) if len(unit) > 1 else math.nan
    return _measure(site, unit, centres, chance, squared, tones.hz, rng, sounds)


def _measure(
    site: str,
    unit: Floats,
    centres: Floats,
    chance: float,
    squared: Floats,
    hz: Floats,
    rng: np.random.Generator,
    sounds: tuple[tuple[str, Stimulus], ...],
) -> Measurement:
    count, size = unit.shape
    if count < FEWEST or chance <= 0:
        return _unmeasured(site, f"{count} filters of {size} numbers answer; places of at least {FEWEST} say something")
    places = np.sort([erb_rate(float(each)) for each in centres])
    if np.ptp(places) <= 0:
        return _unmeasured(site, f"all {count} filters answer most at {centres[0]:.0f} Hz: there are no gaps")
    variation, wide = (spacing(np.diff(places), confidence) for confidence in (CONFIDENCE, _halved()))
    overlap, broad = (excess(unit, chance, confidence) for confidence in (CONFIDENCE, _halved()))
    name = "lesser of unevenness and overlap, less half of chance"
    effect = Effect(
        name=name,
        value=min(variation.value, overlap.value),
        low=min(variation.low, overlap.low),
        high=min(wide.high, broad.high),
        confidence=CONFIDENCE,
        unit="",
        n=count,
    )
    welch = math.sqrt(max(0.0, (count - size) / (size * (count - 1))))
    between = (hz >= centres.min()) & (hz <= centres.max())
    scattered = _scattered(count, rng)
    parts = (
        Part(
            name="spacing CV alone",
            effect=variation,
            threshold=THRESHOLD,
            note=f"CV {_cv(np.diff(places)):.2f}; as many centres at random {scattered.mean():.2f}",
        ),
        Part(
            name="overlap alone",
            effect=overlap,
            threshold=THRESHOLD,
            note=f"FPX {(overlap.value + 0.5) * chance:.3g}; at random {chance:.3g}; {count} filters of {size} numbers",
        ),
        Part(
            name="largest coherence, less the Welch bound",
            effect=_of_these("coherence above the Welch bound", _coherence(unit) - welch, count),
            threshold=COHERENCE,
            note=SUPREME,
        ),
        Part(
            name="largest over smallest sum of answers",
            effect=_of_these("frame ratio", _ratio(squared[:, between]), count, unit="octaves")
            if between.sum() > 1
            else None,
            threshold=RATIO,
            note=SUPREME if between.sum() > 1 else "the centres leave no frequencies between them",
        ),
    )
    reached = int((scattered >= _cv(np.diff(places))).sum())
    return Measurement(
        site=site,
        probe="entangled_basis",
        version=VERSION,
        effect=effect,
        parts=parts,
        null=Null(kind="as many centres uniform on the ERB-number scale", draws=DRAWS, p=(1 + reached) / (1 + DRAWS)),
        sounds=sounds,
        figures={
            "centres_hz": np.sort(centres).tolist(),
            "spacing_cv": _cv(np.diff(places)),
            "spacing_cv_random": float(scattered.mean()),
            "fpx": (overlap.value + 0.5) * chance,
            "fpx_random": chance,
            "filters": count,
            "numbers": size,
        },
    )


def spacing(gaps: Floats, confidence: float) -> Effect:
    """Return spacing CV - .5 with an interval: the CVs of gamma gaps that the measured one is no surprise for."""
    measured = _cv(gaps)
    low, high = _surprises(len(gaps), confidence)
    # Both quantiles grow with the stated value: the ends are where they cross the measured one.
    bottom = float(np.interp(measured, np.concatenate([[0.0], high]), np.concatenate([[0.0], GRID])))
    top = float(np.interp(measured, np.concatenate([[0.0], low]), np.concatenate([[0.0], GRID])))
    return Effect(
        name="spacing CV, less one half",
        value=measured - 0.5,
        low=min(bottom, measured) - 0.5,
        high=max(top, measured) - 0.5,
        confidence=confidence,
        unit="",
        n=len(gaps) + 1,
    )


@lru_cache(maxsize=64)
def _surprises(gaps: int, confidence: float) -> tuple[Floats, Floats]:
    """Return the quantiles of measured CVs, low and high, for each stated one of `GRID`; from draws of their own."""
    rng = np.random.default_rng(gaps)
    found = []
    for stated in GRID:
        shape = stated**-2
        drawn = rng.gamma(shape, size=(2000, gaps)) if shape > 0.02 else np.exp(_log_gamma(rng, shape, (2000, gaps)))
        measured = drawn.std(axis=1) / np.maximum(drawn.mean(axis=1), 1e-300)
        found.append(np.quantile(measured, [(1 - confidence) / 2, (1 + confidence) / 2]))
    low, high = np.maximum.accumulate(np.array(found), axis=0).T
    return low, high


def _log_gamma(rng: np.random.Generator, shape: float, size: tuple[int, int]) -> Floats:
    """Logarithms of gamma draws of a small shape, which themselves would round to zero; largest of each row 0."""
    logs = np.log(rng.gamma(shape + 1, size=size)) + np.log(rng.random(size)) / shape
    return np.asarray(logs - logs.max(axis=1, keepdims=True))


def excess(unit: Floats, chance: float, confidence: float) -> Effect:
    """Return FPX / FPX_random - .5 with a jackknife interval over filters, for unit filters 'filters numbers'."""
    count, size = unit.shape
    gram = np.square(unit @ unit.T)
    np.fill_diagonal(gram, 0.0)
    rows, total = gram.sum(axis=1), float(gram.sum())

    def statistic(kept: NDArray[np.intp]) -> float:
        # At most one filter is ever out, and takes its pairs with it.
        out = np.setdiff1d(np.arange(count), kept)
        pairs = total - 2 * float(rows[out].sum())
        mean = pairs / (len(kept) * (len(kept) - 1))
        potential = count + count * (count - 1) * mean
        return (potential / max(count, count**2 / size) - 1.0) / chance - 0.5

    found = jackknife(
        statistic, count, name="overlap re overlap of random filters, less one half", confidence=confidence
    )
    # No frame has less than none.
    return replace(found, low=max(found.low, min(found.value, -0.5)))


def _halved() -> float:
    """Confidence at which each end errs half as often."""
    return 1.0 - (1.0 - CONFIDENCE) / 2


def _nonnegative_chance(count: int, size: int, rng: np.random.Generator) -> float:
    """Mean FPX of `count` curves of absolute Gaussian numbers, from the mean squared cosine of drawn pairs."""
    drawn = np.abs(rng.standard_normal((2, 999, size)))
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    mean = float(np.square((drawn[0] * drawn[1]).sum(axis=1)).mean())
    return (count + count * (count - 1) * mean) / max(count, count**2 / size) - 1.0


def _summit(hz: Floats, squared: Floats) -> float:
    """Frequency of the largest answer, Hz: the top of a parabola through the logarithms about it, on the ERB scale."""
    top = int(np.argmax(squared))
    if not 0 < top < len(hz) - 1:
        return float(hz[top])
    scale = np.array([erb_rate(float(each)) for each in hz[top - 1 : top + 2]])
    logs = np.log(np.maximum(squared[top - 1 : top + 2], 1e-12))
    (left, right), (fall, rise) = np.diff(scale), np.diff(logs)
    bend = (rise / right - fall / left) / (scale[2] - scale[0])
    if bend >= 0:
        return float(hz[top])
    slope = (fall / left * right + rise / right * left) / (left + right)
    at = scale[1] - slope / (2 * bend)
    at = min(max(at, (scale[0] + scale[1]) / 2), (scale[1] + scale[2]) / 2)
    return float((10.0 ** (at / 21.4) - 1.0) / 4.37e-3)


def _cv(gaps: Floats) -> float:
    return float(gaps.std() / gaps.mean())


def _scattered(count: int, rng: np.random.Generator) -> Floats:
    """Spacing CVs of `count` uniform places, 'draws': gaps of uniform places are exponentials over their sum."""
    gaps = rng.exponential(size=(DRAWS, count - 1))
    return np.asarray(gaps.std(axis=1) / gaps.mean(axis=1))


def _coherence(unit: Floats) -> float:
    cosines = np.abs(unit @ unit.T)
    np.fill_diagonal(cosines, 0.0)
    return float(cosines.max())


def _ratio(squared: Floats) -> float:
    total = squared.sum(axis=0)
    return float(np.log2(total.max() / max(float(total.min()), 1e-9 * float(total.max()))))


def _of_these(name: str, value: float, count: int, *, unit: str = "") -> Effect:
    """A largest or smallest of the filters that there are: known as it is, and of others it says nothing."""
    return Effect(name=name, value=value, low=value, high=value, confidence=CONFIDENCE, unit=unit, n=count)


def _unmeasured(site: str, reason: str) -> Measurement:
    return Measurement(site=site, probe="entangled_basis", version=VERSION, effect=None, reason=reason)
