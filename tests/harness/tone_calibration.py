"""Calibration through whole probes that play tones and clicks, as `note_calibration` does for those that play notes.

    python -m testtone.tests.harness.tone_calibration                  # all, 100 seeds, standard
    python -m testtone.tests.harness.tone_calibration alias_collapse --seeds 200 --effort quick

The codes are drawn anew for each seed from a population whose effect is known: filters of widths about a mean, alias
pairs of coherences about a mean. So the truth is that of the population, as the intervals have it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.probes import spectral_to_semantic, tuning
from testtone.stimuli import Click, Stimulus
from testtone.stimuli.designs import erb_hz, erb_rate, hz_from_erb_rate
from testtone.stimuli.folding import fold
from testtone.tests.harness.imagined import EAR, Code, draws
from testtone.tests.harness.note_calibration import SLOW, Reference, main

Floats = NDArray[np.float64]

# --- filters that answer to a click ---------------------------------------------------------------------------------

FIRST = replace(EAR, sample_rate=8000, frame_rates={"latent": 8000.0}, strides=(1,))
"""An ear without a stride: frames are samples."""


def bells(octaves: float, spread: float, filters: int) -> Callable[[int], Code]:
    """Bell-shaped filters whose noise bandwidth lies `octaves` above the ear's on average, in octaves, normal.

    A bell of deviation tau in time has |H|^2 = exp(-(2 pi (f - centre) tau)^2) and a bandwidth of 1 / (2 sqrt(pi) tau).
    """

    def with_seed(seed: int) -> Code:
        rng = draws(seed, "bells")
        centres = np.array(
            [hz_from_erb_rate(each) for each in rng.uniform(erb_rate(1200.0), erb_rate(2800.0), filters)]
        )
        wider = octaves + spread * rng.standard_normal(filters)
        widths = np.array([erb_hz(each) for each in centres]) * 2.0**wider
        taus = 1.0 / (2.0 * math.sqrt(math.pi) * widths)

        def code(stimulus: Stimulus) -> Floats:
            (click,) = (each for each in stimulus.sources if isinstance(each, Click))
            seconds = np.arange(round(stimulus.seconds * 8000)) / 8000 - click.at_seconds
            bell = np.exp(-0.5 * np.square(seconds / taus[:, None]))
            return np.asarray(click.amplitude * bell * np.cos(2 * np.pi * centres[:, None] * seconds))

        return code

    return with_seed


def _first_layer_isolates() -> Iterator[Reference]:
    for truth in (-1.0, -0.5, -2.0):
        for filters in (8, 32):
            said = "midpoint, " if truth != -1.0 else ""
            code = bells(-truth, 0.4, filters)
            yield Reference(
                "first_layer_isolates", f"{said}{filters} filters", truth, code, ear=FIRST, sites=("first_conv",)
            )


# --- units that answer to tones -------------------------------------------------------------------------------------


def _places(sample_rate: int) -> tuple[float, float]:
    """Ends of the grid of tones on the ERB-number scale."""
    return erb_rate(tuning.LOW_HZ), erb_rate(tuning.HIGH * sample_rate)


def tuned(site: str, octaves: float, spread: float, units: int, seed: int) -> Callable[[Stimulus], Floats]:
    """Bell-shaped tuning on the ERB-number scale, `octaves` of log2 coverage on average: sqrt(4 pi) s / range."""
    low, high = _places(EAR.sample_rate)
    rng = draws(seed, site)
    deviations = 2.0 ** (octaves + spread * rng.standard_normal(units)) * (high - low) / math.sqrt(4.0 * math.pi)
    # No bell is cut off: else its coverage would not be that of a bell.
    centres = rng.uniform(low + 4.0 * deviations, high - 4.0 * deviations)

    def code(stimulus: Stimulus) -> Floats:
        (partial,) = stimulus.partials
        answer = np.exp(-0.25 * np.square((erb_rate(partial.hz) - centres) / deviations))
        return np.asarray(partial.amplitude * answer)

    return code


@cache
def ears_coverage() -> float:
    """Log2 coverage of the ear's filters on a dense grid."""
    low, high = _places(EAR.sample_rate)
    return tuning.ear_octaves(np.array([hz_from_erb_rate(each) for each in np.linspace(low, high, 4000)]))


def _selectivity_limited() -> Iterator[Reference]:
    for truth in (1.0, 0.5, 0.0):
        for units in (8, 128):
            said = "midpoint, " if truth == 0.0 else ""

            def with_seed(seed: int, truth: float = truth, units: int = units) -> Code:
                return tuned("latent", truth + ears_coverage(), 0.4, units, seed)

            yield Reference("selectivity_limited", f"{said}{units} units", truth, with_seed)


def _stack_end_selectivity() -> Iterator[Reference]:
    for truth in (1.0, 0.5, 0.0):
        for units in (8, 128):
            said = "midpoint, " if truth == 0.0 else ""

            def with_seed(seed: int, truth: float = truth, units: int = units) -> Code:
                first = tuned("first", -3.0, 0.4, units, seed)
                last = tuned("last", -3.0 - truth, 0.4, units, seed)
                return lambda stimulus: {"first_conv": first(stimulus), "stack_end": last(stimulus)}

            sites = ("first_conv", "stack_end")
            yield Reference("stack_end_selectivity", f"{said}{units} units", truth, with_seed, sites=sites)


# --- pairs that fold ------------------------------------------------------------------------------------------------

CHANNELS = 96
NOISE = 0.35


def coherent(theta: float, spread: float) -> Callable[[int], Code]:
    """Tones of one alias have responses of a coherence that makes theta what is asked, on average.

    A response is a unit vector: a share g of its energy in a real direction of the alias (which mirroring leaves as it
    is), the rest in a direction of its own. Two of them have coherence g, and theta = 1 - sqrt(1 - g^2). With a spread
    each alias draws a theta of its own, a Beta variate of that size; 0 for none.
    """

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            if len(stimulus.partials) > 1:
                # Whole classes at once, which do not decide.
                return np.zeros((CHANNELS, round(stimulus.seconds * 75)))
            (partial,) = stimulus.partials
            alias = round(fold(partial.hz, 75.0), 3)
            wanted = theta if not spread else draws(seed, "theta", alias).beta(theta * spread, (1 - theta) * spread)
            share = math.sqrt(max(1.0 - (1.0 - wanted) ** 2, 0.0))
            together = draws(seed, "alias", alias).standard_normal(CHANNELS)
            apart = draws(seed, "own", round(partial.hz, 3)).standard_normal((2, CHANNELS)).T @ [1, 1j]
            # Unit vectors at right angles, so that the coherence is exact.
            together /= np.linalg.norm(together)
            apart -= together * (together @ apart)
            apart /= max(float(np.linalg.norm(apart)), 1e-12)
            response = math.sqrt(share) * together + math.sqrt(1 - share) * apart
            above = partial.hz - 75.0 * math.floor(partial.hz / 75.0)
            turn = np.exp(1j * (2 * np.pi * alias * np.arange(round(stimulus.seconds * 75)) / 75.0 + partial.phase))
            heard = (response if above <= 37.5 else response.conj())[:, None] * turn
            noise = draws(seed, stimulus.sha256).standard_normal(heard.shape)
            return np.asarray(heard.real + NOISE * noise)

        return code

    return with_seed


def _alias_collapse() -> Iterator[Reference]:
    for truth in (0.5, 0.2, 0.75, 0.1):
        for spread in (0.0, 8.0):
            said = "midpoint, " if truth in (0.75, 0.1) else ""
            kind = f"thetas of size {spread:g}" if spread else "one theta"
            yield Reference("alias_collapse", f"{said}{kind}", truth, coherent(truth, spread))


# --- names ----------------------------------------------------------------------------------------------------------

WIDE = 24
SELDOM = replace(SLOW, frame_rates={"latent": 50.0}, strides=(160,))
"""Fewer frames a second, so that a quarter of a second is as many as an imagined code has."""


def named(weight: float) -> Callable[[int], Code]:
    """Every name has a direction, `weight` times as long as what is peculiar to a sound, and nothing else counts."""

    def with_seed(seed: int) -> Code:
        def code(stimulus: Stimulus) -> Floats:
            # An additive note in another octave, a render, a voicing: the name is what all of them share.
            own = draws(seed, stimulus.sha256).standard_normal(WIDE)
            return np.asarray(weight * draws(seed, name_of(stimulus)).standard_normal(WIDE) + own)

        return code

    return with_seed


def name_of(stimulus: Stimulus) -> tuple[int, ...]:
    """Pitch classes, in order."""
    return tuple(sorted({round(each) % 12 for each in stimulus.pitches}))


@cache
def area_of_names(weight: float) -> float:
    """P(two sounds of one name lie nearer than two of different names), by a million draws."""
    rng = np.random.default_rng(0)
    same = 2.0 * rng.chisquare(WIDE, 10**6)
    other = 2.0 * (1.0 + weight**2) * rng.chisquare(WIDE, 10**6)
    return float((same < other).mean())


@cache
def weight_of_names(area: float) -> float:
    """The weight that gives an area."""
    # The ratio of two chi-squares is an F variate.
    return math.sqrt(float(stats.f.ppf(area, WIDE, WIDE)) - 1.0)


def _spectral_to_semantic() -> Iterator[Reference]:
    for truth in (0.0, -0.1, 0.075, -0.225):
        said = "midpoint, " if truth in (0.075, -0.225) else ""
        code = named(weight_of_names(spectral_to_semantic.CHANCE - truth))
        yield Reference("spectral_to_semantic", f"{said}names beside chance", truth, code, SELDOM)


REFERENCES: Mapping[str, Callable[[], Iterator[Any]]] = {
    "alias_collapse": _alias_collapse,
    "first_layer_isolates": _first_layer_isolates,
    "selectivity_limited": _selectivity_limited,
    "spectral_to_semantic": _spectral_to_semantic,
    "stack_end_selectivity": _stack_end_selectivity,
}

if __name__ == "__main__":
    main(sys.argv[1:], REFERENCES)
