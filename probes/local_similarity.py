"""Do near waveforms get near codes, and far ones codes that no longer tell how far?

Source: Post 0, section 0.2: the assumption that similar waveforms map to similar spectral structures "may hold locally,
when waveform shapes are sufficiently similar". In words: change a tone's waveform a little, more, and a lot. Local
similarity means that the code follows small changes, and that beyond them it loses track: all waveforms that are far
are merely other sounds.

Stimuli   tones dominated by one partial, each with neighbours in three families: white noise added, the tone shifted by
          part of its period, the strongest partial turned alone (`waveshapes.neighbours`).
Formula   d(a, b) = |a - b| / sqrt(|a|^2 + |b|^2): d_w of waveforms, d_z of codes relative to silence, frame by frame.
          near = mean Spearman(d_w, d_z) over neighbours with d_w < .3, within each tone and family;
          far  = 1 - mean Spearman(d_w, d_z) over neighbours with d_w > .8, which shifts and turned partials reach;
          effect = min(near, far): the sentence says both.
Readout   RO3: a stretch of frames that spans several periods. d_w is taken over the samples that these very frames
          stand for (of a site heard in windows: over the windows).
Thresholds .5 and .5: whether the order of distances is more kept than lost.
Parts     near and far in each family; and whether noise moves codes as it moves ear-wide spectra.
Null      codes exchanged among the neighbours of a tone and family: near by chance.
Interval  jackknife over tones of near and of far, on Fisher's scale (atanh of .95 rho). Supported needs both: the lower
          end is the lower of the two. Refuted needs either, and either may err: after Holm, each has half the error,
          so that the upper end is the lower of two upper ends at 95 %.
Traps     A shift changes a waveform a lot and its spectrum not at all: pooled over families and tones the correlation
          would be that of the families (Simpson 1951). Distances in code are rounded at 1e-6, where float32 ends: a
          code that does not move at all has no order, and counts as 0. Independent sounds have d = 1, a sound and
          itself in noise as loud .58: only shifts and phases reach .8.
Sources   Spearman 1904, Am. J. Psychol. 15; Holm 1979, Scand. J. Statist. 6; Simpson 1951, J. R. Statist. Soc. B 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import waveshapes

from .hearing import Ear, Listen, Probe
from .likeness import distance, ear_spectra, rank_correlation, spectral_distance
from .readouts import Frames
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, jackknife, permutation

VERSION = 2
SIZES: Mapping[str, Mapping[str, Any]] = {
    "quick": {"tones": 12, "near": 3, "far": 3},
    "standard": {"tones": 24, "near": 5, "far": 5},
    "thorough": {"tones": 48, "near": 8, "far": 8},
}
DRAWS = {"quick": 99, "standard": 199, "thorough": 999}
STRETCH_SECONDS = 0.05
NEAR, FAR = 0.3, 0.8
DIGITS = 6

THRESHOLD = Threshold(0.5, 0.5)

SHRUNK = 0.95
"""Correlations are multiplied by this before their atanh is taken: near waveforms often come in perfect order, and on
Fisher's own scale a single tone that does not would be infinitely far from the rest."""

Floats = NDArray[np.float64]


def local_similarity(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how far codes follow waveforms near by and far away, at each site; see the module."""
    counts = {site: max(2, int(np.ceil(STRETCH_SECONDS * ear.frame_rates[site]))) for site in ear.sites}
    seconds = max(ear.seconds(counts[site], sites=(site,)) for site in ear.sites)
    design = waveshapes.neighbours(rng, **SIZES[effort], seconds=seconds, max_hz=0.45 * ear.sample_rate)
    answers = yield [Listen(design.flat, Frames(counts[site]), (site,)) for site in ear.sites]
    waves = np.stack([each.render(ear.sample_rate) for each in design.flat]).astype(np.float64)
    found = {}
    for site, answer in zip(ear.sites, answers, strict=True):
        start, stop = samples_of(ear, site, counts[site])
        heard = answer[site].reshape(len(waves), -1).astype(np.float64)
        table = _Table(design, waves[:, start:stop], heard, ear.sample_rate)
        found[site] = _measure(site, design, table, DRAWS[effort], rng)
    return found


def samples_of(ear: Ear, site: str, frames: int) -> tuple[int, int]:
    """Return the samples that the first ``frames`` frames free of edges stand for: (start, stop)."""
    hop = ear.sample_rate / ear.frame_rates[site]
    left, _ = ear.free(site)
    last = ear.least_seconds * ear.sample_rate if site in ear.shifted else hop
    return round(left * hop), round((left + frames - 1) * hop + last)


def of_one(
    ear: Ear, site: str, count: int, design: waveshapes.Neighbours, waves: Floats, frames: NDArray[Any]
) -> float:
    """The effect in a design of one tone, without an interval; nan where its code does not move."""
    start, stop = samples_of(ear, site, count)
    heard = frames.reshape(len(waves), -1).astype(np.float64)
    table = _Table(design, waves[:, start:stop], heard, ear.sample_rate)
    if not table.moves:
        return float("nan")
    families = range(len(design.families))
    near = np.nanmean([table.near(family)[0] for family in families])
    far = [table.far(family)[0] for family in families if design.families[family] != "noise"]
    spoken = [each for each in far if np.isfinite(each)]
    return float(min(near, 1.0 - np.mean(spoken))) if spoken else float("nan")


class _Table:
    """Distances of every neighbour from its tone: of waveforms, codes and spectra, 'tones families neighbours'."""

    def __init__(self, design: waveshapes.Neighbours, waves: Floats, codes: Floats, sample_rate: int) -> None:
        spectra = ear_spectra(waves, sample_rate=sample_rate)
        self.waveforms: list[list[Floats]] = []
        self.codes: list[list[Floats]] = []
        self.spectra: list[list[Floats]] = []
        at = len(design.base)
        for tone, families in enumerate(design.others):
            rows: tuple[list[Floats], ...] = ([], [], [])
            for family in families:
                these = slice(at, at + len(family))
                at += len(family)
                rows[0].append(distance(waves[these], waves[tone]))
                rows[1].append(np.round(distance(codes[these], codes[tone]), DIGITS))
                rows[2].append(spectral_distance(spectra[these], spectra[tone]))
            for kept, row in zip((self.waveforms, self.codes, self.spectra), rows, strict=True):
                kept.append(row)

    @property
    def moves(self) -> bool:
        """Whether any code moves at all."""
        return any(family.any() for tone in self.codes for family in tone)

    def near(self, family: int, rng: np.random.Generator | None = None) -> Floats:
        """Spearman(d_w, d_z) of each tone over near neighbours of a family; with ``rng``, codes exchanged."""
        return self._correlations(self.codes, family, near=True, rng=rng)

    def far(self, family: int) -> Floats:
        """The same over far neighbours; nan where fewer than three are far."""
        return self._correlations(self.codes, family, near=False)

    def spectral(self, family: int) -> Floats:
        """Spearman(d_S, d_z) of each tone over near neighbours."""
        return np.array(
            [
                rank_correlation(spectra[family], codes[family])
                for spectra, codes in zip(self.spectra, self.codes, strict=True)
            ]
        )

    def _correlations(
        self, values: list[list[Floats]], family: int, *, near: bool, rng: np.random.Generator | None = None
    ) -> Floats:
        found = []
        for waveforms, codes in zip(self.waveforms, values, strict=True):
            d = waveforms[family]
            inside = d < NEAR if near else d > FAR
            if inside.sum() < 3:
                found.append(np.nan)
                continue
            answers = codes[family][inside]
            found.append(rank_correlation(d[inside], answers if rng is None else rng.permutation(answers)))
        return np.array(found)


def _measure(
    site: str, design: waveshapes.Neighbours, table: _Table, draws: int, rng: np.random.Generator
) -> Measurement:
    if not table.moves:
        return Measurement(
            site=site,
            probe="local_similarity",
            version=VERSION,
            effect=None,
            reason="the code of a tone is the same whatever is done to its waveform",
            sounds=_sounds(design),
        )
    families = design.families
    near = {name: table.near(index) for index, name in enumerate(families)}
    far = {name: table.far(index) for index, name in enumerate(families) if name != "noise"}
    both = [
        ("near", np.nanmean(list(near.values()), axis=0), 1.0),
        ("far", np.nanmean(list(far.values()), axis=0), -1.0),
    ]
    parts = [
        *(
            _part(f"{which}: {name}", rho, sign)
            for which, sign, group in (("near", 1.0, near), ("far", -1.0, far))
            for name, rho in group.items()
        ),
        _part("near, by ear-wide spectra: noise", table.spectral(0), 1.0),
    ]
    effect = least(
        [_order(name, rho, sign) for name, rho, sign in both],
        [_order(name, rho, sign, 1.0 - (1.0 - CONFIDENCE) / 2.0) for name, rho, sign in both],
        name="min(near, far)",
    )
    names = range(len(families))
    p = permutation(
        float(np.nanmean(both[0][1])),
        lambda draw: float(np.nanmean([table.near(index, draw) for index in names])),
        rng=rng,
        draws=draws,
    )
    return Measurement(
        site=site,
        probe="local_similarity",
        version=VERSION,
        effect=effect,
        parts=tuple(parts),
        null=Null(kind="codes exchanged among the near neighbours of a tone and family", draws=draws, p=p),
        sounds=_sounds(design),
        figures={
            "distances": {
                name: {
                    "waveform": [float(each) for tone in table.waveforms for each in tone[index]],
                    "code": [float(each) for tone in table.codes for each in tone[index]],
                }
                for index, name in enumerate(families)
            }
        },
    )


def _part(name: str, rho: Floats, sign: float) -> Part:
    return Part(name=name, effect=_order(name, rho, sign), threshold=THRESHOLD)


def _order(name: str, rho: Floats, sign: float, confidence: float = CONFIDENCE) -> Effect | None:
    """Mean correlation over tones (sign 1), or one minus it (-1); None where too few tones speak."""
    rho = rho[np.isfinite(rho)]
    if len(rho) < 3:
        return None
    fisher = jackknife(
        lambda kept: float(rho[kept].mean()),
        len(rho),
        name=name,
        unit="rank correlation",
        confidence=confidence,
        transform=(_to_fisher, _from_fisher),
    )
    if sign > 0:
        return fisher
    return replace(
        fisher, value=1.0 - fisher.value, low=1.0 - fisher.high, high=1.0 - fisher.low, unit="1 - correlation"
    )


def least(effects: list[Effect | None], wider: list[Effect | None], *, name: str) -> Effect | None:
    """Return the least of several effects that must all hold.

    All must clear a threshold to support, with no penalty; one that stays below is enough to refute, so that each may
    err by its share only (Holm's first step). ``wider`` holds the effects again at the confidence for that.
    """
    if any(each is None for each in (*effects, *wider)):
        return None
    own = [each for each in effects if each is not None]
    return replace(
        min(own, key=lambda each: each.value),
        name=name,
        unit="rank correlation",
        low=min(each.low for each in own),
        high=min(each.high for each in wider if each is not None),
        n=min(each.n for each in own),
    )


def _to_fisher(value: float) -> float:
    return float(np.arctanh(SHRUNK * value))


def _from_fisher(value: float) -> float:
    return float(np.clip(np.tanh(value) / SHRUNK, -1.0, 1.0))


def _sounds(design: waveshapes.Neighbours) -> tuple:
    """A tone, its nearest and farthest shift, and the tone in noise."""
    noisy, shifted, _ = design.others[0]
    return tuple((each.label, each) for each in (design.base[0], noisy[-1], shifted[0], shifted[-1]))
