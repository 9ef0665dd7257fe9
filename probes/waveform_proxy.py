"""Does a code follow the waveform more than the spectrum?

Source: Post 0, section 0.2: the encoder "uses waveforms as a proxy by which oscillatory structure is implicitly
manipulated". In words: play harmonic sounds that have one magnitude spectrum and different phases. Their waveforms
differ, their spectra do not, and to the ear they are nearly one sound. If the code follows the waveform, it tells them
apart as it tells apart sounds of different spectra; if it follows the spectrum, they share a code.

Stimuli   magnitude spectra S (fundamental and envelope, harmonics 1-8, one RMS) x phase patterns Phi (sine, cosine,
          Schroeder+-, random) x start offsets (`waveshapes.phase_factorial`).
Formula   analysis of variance of the code vector (trace), patterns nested in spectra, within offset and frame:
          effect = s2_Phi / (s2_S + s2_Phi) with the unbiased components of variance s2_Phi = MS_within and
          s2_S = (MS_between - MS_within) / patterns. By algebra that is the mean squared distance between two sounds
          of one spectrum and different phases over that between two sounds of different spectra.
Meaning   0: phases do not count. 1: one spectrum in two phase patterns differs as two spectra do. What phases do
          jointly with the spectrum counts as theirs: an encoder has no noise, so that the interaction is no error, and
          random phases have no effect in common across fundamentals that do not share a partial.
Readout   RO3, frames as they are, at the same place in the clip; no average over time, which would remove the phases
          from any linear code.
Frames    Fundamentals are multiples of the frame rate: every frame then sees the waveform at the same phase. Where too
          few of those lie between 70 and 420 Hz they are multiples of an n-th of it, and n frames are kept. Sites
          of other frame rates are compared frame by frame as well, so that whichever piece of the period a frame sees,
          it is the same for all sounds of a spectrum.
Thresholds supported above .3, refuted below .2: phases account for a third and for a fifth of what the code tells apart
          in these sounds.
Parts     order: partial Spearman r(D_z, D_w | D_S) - r(D_z, D_S | D_w) over pairs of sounds: whether distances of codes
          follow those of waveforms or those of ear-wide spectra (.2): it asks for order where the effect asks for size.
Null      phase patterns permuted within spectra, for r(D_z, D_w | D_S): whether phases that make waveforms more
          different make codes more different.
Interval  jackknife over spectra, on the logarithm of the share.
Traps     Unresolved harmonics are phase-sensitive in the ear too: only eight harmonics. A share has no scale: a code
          that hardly tells spectra apart scores high for whatever else it does; the part says if it is waveforms.
Sources   Patterson 1987, J. Acoust. Soc. Am. 82 (phase and timbre); Schroeder 1970, IEEE Trans. Inf. Theory 16; Searle,
          Casella & McCulloch, Variance Components, 1992, ch. 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import waveshapes

from .hearing import Ear, Listen, Probe
from .likeness import distance, ear_spectra, partial_correlation, spectral_distance
from .readouts import Frames
from .records import Measurement, Null, Part, Threshold
from .statistics import jackknife, permutation

VERSION = 1
SIZES = {
    "quick": {"spectra": 12, "patterns": 4, "offsets": 1},
    "standard": {"spectra": 16, "patterns": 6, "offsets": 2},
    "thorough": {"spectra": 24, "patterns": 8, "offsets": 8},
}
DRAWS = {"quick": 199, "standard": 999, "thorough": 1999}
MOST_FRAMES = 8

THRESHOLD = Threshold(0.3, 0.2)
BY_ORDER = Threshold(0.2, 0.2)

HEARD = 1e-5
"""Differences below this share of the code are rounding."""

LEAST = 1e-6
"""Shares below this count as this before their logarithm is taken."""

Floats = NDArray[np.float64]


def waveform_proxy(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure the share of the phase pattern in the code at each site; see the module."""
    rate = max(ear.frame_rates[site] for site in ear.sites)
    frames = min(waveshapes.fundamentals(rate)[0], MOST_FRAMES)
    design = waveshapes.phase_factorial(
        rng, **SIZES[effort], seconds=ear.seconds(frames), sample_rate=ear.sample_rate, frame_rate=rate
    )
    (heard,) = yield [Listen(design.flat, Frames(frames))]
    waves = np.stack([pattern[0].render(ear.sample_rate) for spectrum in design.stimuli for pattern in spectrum])
    # Ramps and rounding to whole periods aside, distances are those of the steady sound.
    spectra = ear_spectra(waves, sample_rate=ear.sample_rate)
    # Row by row: all pairs of waveforms at once would take gigabytes.
    by_waveform = np.stack([distance(waves, each) for each in waves])
    by_spectrum = spectral_distance(spectra[:, None], spectra[None])
    return {
        site: _measure(site, design, heard[site], by_waveform, by_spectrum, DRAWS[effort], rng) for site in ear.sites
    }


def _measure(
    site: str,
    design: waveshapes.PhaseFactorial,
    values: NDArray,
    by_waveform: Floats,
    by_spectrum: Floats,
    draws: int,
    rng: np.random.Generator,
) -> Measurement:
    spectra, patterns = len(design.stimuli), len(design.patterns)
    codes = values.reshape(spectra * patterns, -1).astype(np.float64)
    squared = squared_distances(codes)
    of = np.repeat(np.arange(spectra), patterns)
    heard = squared.mean() > HEARD**2 * np.square(codes).sum(axis=1).mean()
    effect = (
        jackknife(
            lambda kept: share(squared, of, kept),
            spectra,
            name="share of the phase pattern",
            unit="share of variance",
            transform=(_log, _exp),
        )
        if heard
        else None
    )
    order = _Order(np.sqrt(squared), by_waveform, by_spectrum, of)
    contrast = "waveform minus spectrum, partial rank correlations"
    part = jackknife(order.contrast, spectra, name=contrast) if heard else None
    null = None
    if heard:
        everything = np.arange(spectra)
        observed = order.partials(everything)[0]
        p = permutation(observed, order.permuted, rng=rng, draws=draws)
        null = Null(kind="phase patterns permuted within spectra, r(D_z, D_w | D_S)", draws=draws, p=p)
    r = order.partials(np.arange(spectra)) if heard else (0.0, 0.0)
    return Measurement(
        site=site,
        probe="waveform_proxy",
        version=VERSION,
        effect=effect,
        reason=None if heard else "the code does not change with spectrum or phase",
        parts=(
            Part(
                name="order of distances",
                effect=part,
                threshold=BY_ORDER,
                note=f"r(code, waveform | spectrum) = {r[0]:.2f}, r(code, spectrum | waveform) = {r[1]:.2f}"
                if heard
                else "",
            ),
        ),
        null=null,
        sounds=_sounds(design),
        figures={"variance": _components(squared, of)} if heard else {},
    )


def squared_distances(codes: Floats) -> Floats:
    """Return |z - z'|^2 of all pairs, 'sounds values' -> 'sounds sounds'; centred first, for the digits."""
    codes = codes - codes.mean(axis=0)
    energy = np.square(codes).sum(axis=1)
    return np.maximum(energy[:, None] + energy - 2 * codes @ codes.T, 0.0)


def share(squared: Floats, of: NDArray[np.intp], kept: NDArray[np.intp]) -> float:
    """Return mean squared distance within a spectrum over that between spectra, for the spectra kept."""
    inside = np.isin(of, kept)
    squared, of = squared[np.ix_(inside, inside)], of[inside]
    same = of[:, None] == of
    between = squared[~same].mean()
    within = squared[same & ~np.eye(len(of), dtype=bool)].mean()
    return float(within / between) if between > 0 else float("nan")


def _components(squared: Floats, of: NDArray[np.intp]) -> dict[str, float]:
    """Variances of phase pattern and of spectrum, re their sum."""
    phase = share(squared, of, np.unique(of))
    return {"phase pattern": phase, "spectrum": 1.0 - phase}


class _Order:
    """Rank correlations of distances between sounds: of codes, of waveforms, of spectra."""

    def __init__(self, codes: Floats, waveforms: Floats, spectra: Floats, of: NDArray[np.intp]) -> None:
        self._matrices = (codes, waveforms, spectra)
        self._of = of
        upper = np.triu_indices(len(of), 1)
        self._pairs = upper
        self._ranks = [_ranks(matrix[upper]) for matrix in self._matrices]

    def partials(self, kept: NDArray[np.intp]) -> tuple[float, float]:
        """r(code, waveform | spectrum) and r(code, spectrum | waveform) over pairs of sounds of the spectra kept."""
        inside = np.isin(self._of, kept)
        both = inside[self._pairs[0]] & inside[self._pairs[1]]
        return _partials(*(_ranks(matrix[self._pairs][both]) for matrix in self._matrices))

    def contrast(self, kept: NDArray[np.intp]) -> float:
        """The first minus the second."""
        waveform, spectrum = self.partials(kept)
        return waveform - spectrum

    def permuted(self, rng: np.random.Generator) -> float:
        """One draw of r(code, waveform | spectrum) with phase patterns permuted within spectra."""
        # Sorting random numbers within each spectrum permutes its sounds, which keep their places otherwise.
        order = np.lexsort((rng.random(len(self._of)), self._of))
        codes, _, spectra = self._ranks
        waveforms = _ranks(self._matrices[1][np.ix_(order, order)][self._pairs])
        return _partials(codes, waveforms, spectra)[0]


def _partials(codes: Floats, waveforms: Floats, spectra: Floats) -> tuple[float, float]:
    cw, cs, ws = (float(a @ b) for a, b in ((codes, waveforms), (codes, spectra), (waveforms, spectra)))
    return partial_correlation(cw, cs, ws), partial_correlation(cs, cw, ws)


def _ranks(values: Floats) -> Floats:
    """Ranks, centred and of unit length: the product of two is Spearman's rho."""
    # Distances that agree to rounding are ties.
    ranks = stats.rankdata(np.round(values, 9))
    ranks = ranks - ranks.mean()
    length = np.linalg.norm(ranks)
    return np.asarray(ranks / length) if length > 0 else ranks


def _log(value: float) -> float:
    return float(np.log(max(value, LEAST)))


def _exp(value: float) -> float:
    return float(np.exp(value))


def _sounds(design: waveshapes.PhaseFactorial) -> tuple:
    """One spectrum in three phase patterns, and another spectrum."""
    chosen = [*(pattern[0] for pattern in design.stimuli[0][:3]), design.stimuli[1][0][0]]
    return tuple((each.label, each) for each in chosen)
