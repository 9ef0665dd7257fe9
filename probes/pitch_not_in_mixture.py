"""Does the code of a pitch alone fail to find that pitch in a mixture?

Source: Post 0, section 0.3: chunks that hold a single pitch "could not be semantically equated to pitches within
mixtures". In words: teach a detector what a pitch sounds like by playing it alone, in many timbres, phases and levels.
Then let it listen to mixtures, and see whether it finds the pitch there.

Stimuli   pitches alone in four timbres, and mixtures of two to four of them at the same RMS, levels roved from
          performance to performance (`mixtures.notes_in_company`).
Readouts  RO1, mean over frames, and strength: the RMS over frames of a channel's answer, its steady part and its
          oscillation together. (Oscillation about the mean alone, RO2, is how much a sound beats: it tells mixtures
          from notes, and low notes from high ones, whatever the code makes of pitch.)
Formula   a ridge detector for each pitch (`decoding.ridge`), learned from isolated notes: this pitch or another. The
          area under the ROC curve of its scores over mixtures that hold the pitch and mixtures of as many notes that do
          not; averaged over pitches.
          effect = .6 - area: 0.1 is chance; negative where isolated notes find their like.
Readers   of both readouts side by side: it decides. Of each alone, reported: a linear code has no mean to speak of, and
          a detector of means then finds nothing where one of strengths finds all.
Gate      detectors learned from mixtures must find pitches in new performances of the *same* mixtures with an area
          above .8 (lower end), by any of the readers: else the code does not tell mixtures apart, and that isolated
          notes do not find anything says nothing: insufficient. Even a code of wholes passes that, since a mixture is
          a whole that comes again.
Parts     each reader; mixtures of two, three and four notes; the gate; notes in natural company (`natural`): in each of
          twelve backgrounds, the sound that holds the pitch against those that hold another.
Null      the pitches of the mixtures permuted among mixtures of as many notes.
Interval  two-way over pitches and mixtures (`mean_area`), on the logit of the area. A jackknife over pitches as nodes,
          which takes a quarter of the mixtures with each, counts the chance of a mixture once for each of its notes.
Thresholds  an area of .6 is little better than chance: below it pitches alone are of no use for mixtures. Above .75
          (effect -.15) they find the pitch in three of four comparisons.
Traps     Mixtures of unequal level would give the number of notes away: one RMS for all. Octaves and fifths make
          mistakes likelier; they stay in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import Stimulus, mixtures, pitch
from testtone.stimuli.designs import LEVEL
from testtone.stimuli.timbre import note as played_note

from . import natural
from .decoding import ridge
from .hearing import Ear, Listen, Probe
from .readouts import mean, power
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, jackknife_two_way, permutation

VERSION = 1
FRAMES = 24
USELESS = 0.6
"""Area below which detectors of isolated notes are of no use in mixtures."""

GATE = 0.8
EDGE = 0.005
"""Areas are taken this far from 0 and 1 where their logit is formed."""

DECIDES = "means and strength"
IN_MUSIC = "in natural company"
THRESHOLD = Threshold(0.0, -0.15)
SIZES: Mapping[str, Mapping[str, int]] = {
    "quick": {"pitches": 24, "mixtures": 90, "alone_tokens": 1, "mixed_tokens": 2},
    "standard": {"pitches": 24, "mixtures": 120, "alone_tokens": 2, "mixed_tokens": 3},
    "thorough": {"pitches": 24, "mixtures": 240, "alone_tokens": 16, "mixed_tokens": 6},
}
DRAWS = {"quick": 199, "standard": 499, "thorough": 1999}
Floats = NDArray[np.float64]


def pitch_not_in_mixture(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure how well isolated notes find their pitch in mixtures at each site; see the module."""
    design = mixtures.notes_in_company(
        rng,
        **SIZES[effort],
        seconds=ear.seconds(FRAMES),
        frame_rate=min(ear.frame_rates[site] for site in ear.sites),
        harmonics_below_hz=0.42 * ear.sample_rate,
    )
    alone = tuple(each for timbre in design.alone for token in timbre for each in token)
    sounds = alone + tuple(each for token in design.mixed for each in token)
    (apart,) = rng.spawn(1)
    music = _music(ear, apart, effort, design)
    played = tuple(each for row in music for each in row)
    averages, powers, *in_music = yield [
        Listen(each, readout) for each in (sounds, played) if each for readout in (mean, power)
    ]
    found = {}
    for site in ear.sites:
        seen = readers(averages[site], powers[site])
        heard = _measure(site, design, seen, rng=np.random.default_rng(rng.integers(2**63)), draws=DRAWS[effort])
        if in_music and heard.effect is not None:
            tested = readers(in_music[0][site], in_music[1][site])[DECIDES]
            said = np.tile(np.eye(len(design.midi)), (len(alone) // len(design.midi), 1))
            scores = ridge(seen[DECIDES][: len(alone)], said, tested).reshape(len(music), len(music[0]), -1)
            part = _in_music(scores[:, :, ::2], note=natural.kind(ear))
            heard = replace(heard, parts=(*heard.parts, part))
        found[site] = heard
    return found


def _music(ear: Ear, rng: np.random.Generator, effort: str, design: mixtures.NotesInCompany) -> list[list[Stimulus]]:
    """Every second pitch in each of some backgrounds: ``[background][pitch]``."""
    return [
        [
            Stimulus(
                (
                    *sources,
                    played_note(design.midi[index], "tilt", rms=LEVEL, rng=rng, max_hz=0.42 * ear.sample_rate),
                ),
                ear.seconds(FRAMES),
                label=f"{pitch.name(design.midi[index])} in {label}",
            )
            for index in range(0, len(design.midi), 2)
        ]
        for label, sources in natural.numbered(natural.company(ear, rng, effort, seconds=ear.seconds(FRAMES)))
    ]


def _in_music(scores: Floats, *, note: str) -> Part:
    """Isolated notes look for their pitch in music: 'backgrounds pitches detectors', the pitches being the detectors'.

    Within a background, the sound that holds the pitch against each that holds another.
    """
    own = np.diagonal(scores, axis1=1, axis2=2)
    others = len(own[0]) - 1
    beaten = (own[:, None] > scores).sum(axis=1) + 0.5 * ((own[:, None] == scores).sum(axis=1) - 1)
    areas = beaten / others
    effect = jackknife_two_way(
        lambda kept: USELESS - float(areas[kept].mean()), areas.shape, name=f"{USELESS} - area in music", unit="area"
    )
    return Part(name=IN_MUSIC, effect=effect, threshold=THRESHOLD, note=f"{note}; {DECIDES}")


def readers(averages: NDArray[Any], powers: NDArray[Any]) -> dict[str, Floats]:
    """Return what each reader sees of each sound, 'sounds features', by name."""
    steady, strength = averages.astype(np.float64), np.sqrt(powers.astype(np.float64))
    return {
        "means (RO1)": steady,
        "strength": strength,
        "means and strength": np.concatenate([steady, strength], axis=1),
    }


def _measure(
    site: str,
    design: mixtures.NotesInCompany,
    seen: Mapping[str, Floats],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    pitches, tokens, chords = len(design.midi), len(design.mixed), len(design.members)
    isolated = sum(len(token) for timbre in design.alone for token in timbre)
    alone = np.tile(np.eye(pitches), (isolated // pitches, 1))
    present = np.zeros((chords, pitches))
    for row, chord in enumerate(design.members):
        present[row, list(chord)] = 1.0
    found = {name: Found(*_scores(features, alone, present, tokens), present) for name, features in seen.items()}
    gate = max((each.effect_of_gate() for each in found.values()), key=lambda effect: effect.value)
    effect = found[DECIDES].effect(f"{USELESS} - area, {DECIDES}")
    parts = [
        Part(
            name=name,
            effect=each.effect(f"{USELESS} - area, {name}"),
            threshold=THRESHOLD,
            note="decides" if name == DECIDES else "",
        )
        for name, each in found.items()
    ]
    parts += [
        Part(
            name=f"mixtures of {size}",
            effect=found[DECIDES].effect(f"{USELESS} - area, mixtures of {size}", size=size),
            threshold=THRESHOLD,
            note=DECIDES,
        )
        for size in (2, 3, 4)
    ]
    parts.append(
        Part(
            name="detectors learned from mixtures",
            effect=gate,
            threshold=Threshold(GATE, GATE),
            note="new performances of the same mixtures; must be supported for the claim to be judged",
        )
    )
    reason = None
    # Not a number: no two sounds differ.
    if not gate.low > GATE:
        reason = (
            "even detectors that learned from these mixtures do not find pitches in new performances of them: area "
            f"{gate.value:.2f}, lower end {gate.low:.2f}, needed above {GATE}"
        )
    return Measurement(
        site=site,
        probe="pitch_not_in_mixture",
        version=VERSION,
        effect=effect if reason is None else None,
        reason=reason,
        parts=tuple(parts) if any(np.ptp(each, axis=0).any() for each in seen.values()) else (),
        null=None
        if reason is not None
        else Null(
            kind="mixtures permuted among those of as many notes",
            draws=draws,
            # A larger area is the smaller effect: the null is tested on the area.
            p=permutation(found[DECIDES].by_isolated(), found[DECIDES].permuted, rng=rng, draws=draws),
        ),
        sounds=_sounds(design),
        figures={
            "area_by_pitch": {
                "midi": [float(each) for each in design.midi],
                "alone": [float(each) for each in found[DECIDES].by_pitch()],
            }
        }
        if reason is None
        else {},
    )


def _scores(features: Floats, alone: Floats, present: Floats, tokens: int) -> tuple[Floats, Floats]:
    """Scores of all mixtures, 'tokens mixtures pitches', by detectors of isolated notes and of mixtures.

    The latter learn from all performances but one, and hear that one.
    """
    mixed = features[len(alone) :].reshape(tokens, len(present), -1)
    everything = mixed.reshape(-1, mixed.shape[2])
    by_isolated = ridge(features[: len(alone)], alone, everything).reshape(tokens, len(present), -1)
    learned = mixed[:-1].reshape(-1, mixed.shape[2])
    by_mixed = ridge(learned, np.tile(present, (tokens - 1, 1)), mixed[-1])[None]
    return by_isolated, by_mixed


class Found:
    """How well detectors find their pitch in mixtures."""

    def __init__(self, by_isolated: Floats, by_mixed: Floats, present: Floats) -> None:
        self._isolated, self._mixed, self._present = by_isolated, by_mixed, present
        self._size = present.sum(axis=1)

    def by_isolated(self) -> float:
        """Return the mean area of detectors of isolated notes."""
        return float(self.by_pitch().mean())

    def by_pitch(self) -> Floats:
        """Return the area of each of them."""
        won, pairs = comparisons(self._isolated, self._present, self._size)
        held = self._present > 0.5
        return np.asarray((won * held).sum(axis=0) / (pairs * held).sum(axis=0))

    def effect(self, name: str, *, size: int | None = None) -> Effect:
        """Return `USELESS` less the mean area, over mixtures of one size or all, with its interval."""
        inside = slice(None) if size is None else self._size == size
        area = mean_area(self._isolated[:, inside], self._present[inside], name=name)
        return replace(area, value=USELESS - area.value, low=USELESS - area.high, high=USELESS - area.low)

    def effect_of_gate(self) -> Effect:
        """Return the mean area of detectors learned from mixtures, with its interval."""
        return mean_area(self._mixed, self._present, name="area of detectors learned from mixtures")

    def permuted(self, rng: np.random.Generator) -> float:
        """The mean area with mixtures permuted among those of as many notes: one draw from the null."""
        order = np.arange(len(self._present))
        for size in np.unique(self._size):
            rows = np.flatnonzero(self._size == size)
            order[rows] = rng.permutation(rows)
        return Found(self._isolated, self._mixed, self._present[order]).by_isolated()


def comparisons(scores: Floats, present: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Return what each mixture wins, and in how many comparisons, 'mixtures pitches' each.

    A mixture that holds a pitch is compared with those of as many notes that do not, within a performance, and the
    other way round; ties count half, performances are averaged.

    Args:
        scores: 'performances mixtures pitches'.
        present: 'mixtures pitches', 0 or 1.
        size: notes of each mixture.
    """
    won, pairs = np.zeros(present.shape), np.zeros(present.shape)
    for each in np.unique(size):
        rows = size == each
        holds, said = present[rows] > 0.5, scores[:, rows]
        above = (said[:, :, None] > said[:, None]).mean(axis=0) + 0.5 * (said[:, :, None] == said[:, None]).mean(axis=0)
        # 'holders others pitches': the share of performances in which the first of two wins.
        compared = holds[:, None] & ~holds[None]
        beats = above * compared
        won[rows] = beats.sum(axis=1) + beats.sum(axis=0)
        pairs[rows] = compared.sum(axis=1) + compared.sum(axis=0)
    return won, pairs


def mean_area(scores: Floats, present: Floats, *, name: str) -> Effect:
    """Return the mean area over pitches with a two-way interval, on the logit scale.

    The squared standard error is that of pitches, plus that of mixtures, whose comparisons all detectors share, minus
    that of single scores, which both of them hold (Cameron, Gelbach & Miller 2011), never below the larger.
    """
    pitches = present.shape[1]
    won, pairs = comparisons(scores, present, present.sum(axis=1))
    holds = present > 0.5
    total = (pairs * holds).sum(axis=0)
    areas = np.divide((won * holds).sum(axis=0), total, out=np.full(pitches, np.nan), where=total > 0)
    value = float(areas.mean())
    influence = (won - areas * pairs) / total / pitches
    by_pitch = float(np.square(areas - value).sum()) / pitches / (pitches - 1)
    by_mixture = float(np.square(influence.sum(axis=1)).sum())
    error = math.sqrt(max(by_pitch + by_mixture - float(np.square(influence).sum()), by_pitch, by_mixture))
    centre = min(max(value, EDGE), 1.0 - EDGE)
    middle = math.log(centre / (1.0 - centre))
    half = error / (centre * (1.0 - centre)) * float(stats.t.ppf(0.5 + CONFIDENCE / 2, pitches - 1))
    low, high = (1.0 / (1.0 + math.exp(-end)) for end in (middle - half, middle + half))
    return Effect(
        name=name,
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=CONFIDENCE,
        unit="area",
        n=pitches,
    )


def _sounds(design: mixtures.NotesInCompany) -> tuple:
    """A mixture of three, and one of its notes alone."""
    row = next(index for index, chord in enumerate(design.members) if len(chord) == 3)
    mixture, single = design.mixed[0][row], design.alone[1][0][design.members[row][0]]
    return ((mixture.label, mixture), (single.label, single))
