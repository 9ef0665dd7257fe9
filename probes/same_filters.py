"""Do the same channels respond to a pitch whatever surrounds it?

Source: Post 0, section 0.2: "the same subset of filters would activate for a given pitch, regardless of context". In
words: add a pitch to a context and note which tenth of the channels the addition moves most. Do that in other
contexts. If a pitch has filters of its own, the sets of one pitch overlap more than those of different pitches do.

Stimuli   pitches x contexts x timbres x tokens, the sounds of `pitch_direction` (`designs.pitches_in_contexts`).
Readouts  RO1, mean over frames: how far a channel moves and stays. RO2, log power about the mean, floored 30 dB below
          the channel's mean power over all sounds: how much more a channel oscillates. Increments are averaged over the
          tokens that share no start phase with any other sound.
Formula   r(p,c) = readout of c + p, minus readout of c; s_k = standard deviation of channel k over all increments of a
          timbre. The active set is the `SHARE` = 10 % of channels (at least 2) with the largest |r_k| / s_k.
          effect = probability that the Jaccard overlap of two sets of one pitch in different contexts exceeds that of
          two sets of different pitches in different contexts, ties counted half (Mann & Whitney 1947); octaves, fifths
          and fourths, which share partials, left out of the different ones. Formed within each pair of contexts of one
          timbre, averaged over pairs: some contexts leave less room than others for whatever is added, and that says
          nothing of pitch. .5: a pitch has no channels of its own; 1: it always has.
Decides   RO1 where its sets repeat: where two performances of one pitch in one context overlap more than different
          pitches do with a probability above .8. Below that it could not support the proposition, for want of signal
          and not for want of filters; then the readout decides that repeats better. A code without repeatable sets in
          either readout has no filters for a pitch, in one context or in many.
Parts     both readouts, how well each repeats, and the overlap from timbre to timbre; the same in natural company
          (`natural`): twelve backgrounds are the contexts.
Null      pitch labels permuted within each context.
Interval  two-way over pitches and contexts, on the arcsine of the area's root (`crossed_with_pairs`): on the logit it
          errs too often below and too seldom above. A jackknife over contexts would count the chance of each pair
          twice, once for either context. Contexts are compared within a timbre: each timbre costs a degree of freedom.
Thresholds  .8: four of five comparisons name the pitch. Below .7 three of ten comparisons, and more, are won by another
          pitch: more exception than rule once there are several other pitches to choose from.
Traps     Two random tenths overlap by .05. A channel with a large gain would be in every set: hence s_k. With fewer
          than `FEWEST` channels a tenth is no set: insufficient. A bank of wide filters scores low because neighbours
          share filters: that is an answer to the question, not an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from testtone.stimuli import designs

from . import natural
from .hearing import Ear, Listen, Probe
from .pitch_direction import DRAWS, FRAMES, SIZES
from .readouts import FLOOR, log_power, mean
from .records import Effect, Measurement, Null, Part, Threshold
from .statistics import CONFIDENCE, permutation

VERSION = 2
SHARE = 0.1
FEWEST = 8
REPEATS = 0.8
"""Area between performances of one cell from which a readout's sets count as repeatable."""

POWER_FLOOR = 1e-3
"""Of a channel's mean power over all sounds: below it nothing counts as oscillation."""

EDGE = 0.01
"""Areas are taken this far from 0 and 1 where their standard error is brought to the arcsine scale."""

IN_MUSIC = "in natural company"
THRESHOLD = Threshold(0.8, 0.7)
Floats = NDArray[np.float64]


def same_filters(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
    """Measure at each site how well the overlap of active sets names a pitch; see the module."""
    slowest = min(ear.frame_rates[site] for site in ear.sites)
    # Drawn first and with the arguments of `pitch_direction`: claims of one family then share these sounds.
    design = designs.pitches_in_contexts(
        rng,
        **SIZES[effort],
        seconds=ear.seconds(FRAMES),
        frame_rate=slowest,
        harmonics_below_hz=0.42 * ear.sample_rate,
    )
    (apart,) = rng.spawn(1)
    music = designs.pitches_in_contexts(
        apart,
        **{**SIZES[effort], "contexts": 0, "tokens": 3, "crossed": False},
        seconds=ear.seconds(FRAMES),
        frame_rate=slowest,
        harmonics_below_hz=0.42 * ear.sample_rate,
        backgrounds=natural.numbered(natural.company(ear, apart, effort, seconds=ear.seconds(FRAMES))),
    )
    averages, powers, *in_music = yield [
        Listen(sounds.stimuli, readout) for sounds in (design, music) if sounds.columns for readout in (mean, log_power)
    ]
    found = {}
    for site in ear.sites:
        heard = _measure(
            site,
            design,
            averages[site],
            powers[site],
            rng=np.random.default_rng(rng.integers(2**63)),
            draws=DRAWS[effort],
        )
        if in_music and heard.effect is not None:
            part = _in_music(music, in_music[0][site], in_music[1][site], note=natural.kind(ear))
            heard = replace(heard, parts=(*heard.parts, part))
        found[site] = heard
    return found


def _measure(
    site: str,
    design: designs.PitchesInContexts,
    averages: Floats,
    powers: Floats,
    *,
    rng: np.random.Generator,
    draws: int,
) -> Measurement:
    channels = averages.shape[1]

    def without(reason: str) -> Measurement:
        return Measurement(
            site=site,
            probe="same_filters",
            version=VERSION,
            effect=None,
            reason=reason,
            sounds=_sounds(design),
        )

    if channels < FEWEST:
        return without(f"{channels} channels are too few to have an active tenth (at least {FEWEST})")
    heard = _readings(design, averages, powers)
    if not heard:
        return without("the code does not change with the pitches present")
    repeats = {name: reading.repeats() for name, reading in heard.items()}
    decides = _deciding(repeats)
    deciding = heard[decides]
    effect = deciding.area()
    parts = [
        Part(
            name=reading.label,
            effect=effect if name == decides else reading.area(),
            threshold=THRESHOLD,
            note=("decides; " if name == decides else "")
            + f"area between performances of one pitch in one context {repeats[name]:.3f}",
        )
        for name, reading in heard.items()
    ]
    parts.append(
        Part(
            name="from timbre to timbre",
            effect=deciding.across_timbres(),
            threshold=THRESHOLD,
            note=f"{deciding.label}; same pitch, other context and other timbre",
        )
    )
    null = Null(
        kind="pitch labels permuted within context",
        draws=draws,
        p=permutation(effect.value, deciding.permuted, rng=rng, draws=draws),
    )
    return Measurement(
        site=site,
        probe="same_filters",
        version=VERSION,
        effect=effect,
        parts=tuple(parts),
        null=null,
        sounds=_sounds(design),
        figures={"overlaps": deciding.distributions()},
    )


def of_one(design: designs.PitchesInContexts, averages: Floats, powers: Floats, *, oscillation: bool) -> float:
    """How often the first pitch's own overlap in two contexts exceeds that of different pitches; nan without sets."""
    if averages.shape[1] < FEWEST:
        return float("nan")
    values = floored(powers.astype(np.float64)) if oscillation else averages.astype(np.float64)
    overlap = Overlap(design, values, label="")
    return overlap.placement(0) if overlap.heard else float("nan")


def _readings(design: designs.PitchesInContexts, averages: Floats, powers: Floats) -> dict[str, Overlap]:
    """Overlaps in those readouts that hear anything."""
    readings = {
        "RO1": Overlap(design, averages.astype(np.float64), label="means (RO1)"),
        "RO2": Overlap(design, floored(powers.astype(np.float64)), label="oscillation (RO2)"),
    }
    return {name: reading for name, reading in readings.items() if reading.heard}


def _deciding(repeats: Mapping[str, float]) -> str:
    """RO1 where its sets repeat, else the readout whose sets repeat better."""
    return "RO1" if repeats.get("RO1", 0.0) > REPEATS else max(repeats, key=lambda name: repeats[name])


def _in_music(design: designs.PitchesInContexts, averages: Floats, powers: Floats, *, note: str) -> Part:
    """The same question, every context a piece of music."""
    heard = _readings(design, averages, powers)
    if not heard:
        return Part(name=IN_MUSIC, effect=None, threshold=THRESHOLD, note=note)
    repeats = {name: reading.repeats() for name, reading in heard.items()}
    reading = heard[_deciding(repeats)]
    effect = replace(reading.area(), name=f"area of overlaps in music, {reading.label}")
    said = f"{note}; {reading.label}; area between performances {max(repeats.values()):.3f}"
    return Part(name=IN_MUSIC, effect=effect, threshold=THRESHOLD, note=said)


def floored(powers: Floats) -> Floats:
    """Return log powers 'sounds channels' with what lies far below a channel's mean power raised to a floor."""
    linear = np.maximum(np.exp(powers) - FLOOR, 0.0)
    floor = POWER_FLOOR * linear.mean(axis=0)
    return np.log(np.maximum(linear, np.where(floor > 0, floor, 1.0)))


def active_sets(increments: Floats) -> NDArray[np.bool_]:
    """Return which channels are active, '... channels': the `SHARE` moved most, re each channel's spread over all."""
    spread = increments.reshape(-1, increments.shape[-1]).std(axis=0)
    alive = spread > 1e-9 * max(float(spread.max(initial=0.0)), 1e-300)
    moved = np.abs(increments) / np.where(alive, spread, np.inf)
    count = max(2, round(SHARE * increments.shape[-1]))
    ranked = np.argsort(-moved, axis=-1, kind="stable")[..., :count]
    active = np.zeros(increments.shape, dtype=bool)
    np.put_along_axis(active, ranked, True, axis=-1)
    return active & (moved > 0)


def jaccard(sets: NDArray[np.bool_], others: NDArray[np.bool_]) -> Floats:
    """Return the overlap of all pairs of sets, 'cells cells': shared members over all members; 0 for two empty ones."""
    one, other = sets.astype(np.float32), others.astype(np.float32)
    shared = (one @ other.T).astype(np.float64)
    union = one.sum(axis=1)[:, None] + other.sum(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


class Overlap:
    """Overlaps of the active sets of all cells (pitch, column) in one readout, and how well they name a pitch."""

    def __init__(self, design: designs.PitchesInContexts, values: Floats, *, label: str) -> None:
        self.label = label
        self._columns = design.columns
        columns, tokens, pitches = len(design.columns), design.tokens, len(design.midi)
        alone = values[: columns * tokens].reshape(columns, tokens, -1)
        together = values[columns * tokens :].reshape(pitches, columns, tokens, -1)
        # Token 0 is frozen: its pitches share waveforms between contexts.
        roved = (together - alone)[:, :, 1:]
        self.heard = bool(np.any(np.abs(roved) > 0))
        half = max(1, roved.shape[2] // 2)
        timbres = np.array([column.timbre for column in design.columns])
        sets, first, second = (np.zeros((pitches, columns, values.shape[1]), dtype=bool) for _ in range(3))
        for timbre in dict.fromkeys(timbres):
            inside = timbres == timbre
            sets[:, inside] = active_sets(roved[:, inside].mean(axis=2))
            first[:, inside] = active_sets(roved[:, inside, :half].mean(axis=2))
            second[:, inside] = active_sets(roved[:, inside, half:].mean(axis=2))
        self._different = design.unrelated
        pairs = [(i, j) for i in range(columns) for j in range(i) if self._context(i) != self._context(j)]
        self._within = {pair: jaccard(sets[:, pair[0]], sets[:, pair[1]]) for pair in pairs if self._alike(pair)}
        self._across = {pair: jaccard(sets[:, pair[0]], sets[:, pair[1]]) for pair in pairs if not self._alike(pair)}
        self._repeated = {(i, i): jaccard(first[:, i], second[:, i]) for i in range(columns)}

    def area(self) -> Effect:
        """Same pitch against other pitches in other contexts, within timbres."""
        return self._estimate(f"area of overlaps, {self.label}", self._within)

    def placement(self, pitch: int) -> float:
        """The area for one pitch, over all pairs of contexts within timbres."""
        return float(self._placements(self._within)[pitch].mean())

    def across_timbres(self) -> Effect:
        """The same, both in another context and another timbre."""
        return self._estimate(f"area of overlaps across timbres, {self.label}", self._across)

    def repeats(self) -> float:
        """Two performances of one cell against performances of different pitches, in one context and timbre."""
        return float(self._placements(self._repeated).mean())

    def permuted(self, rng: np.random.Generator) -> float:
        """The area with pitch labels permuted within each column: one draw from the null."""
        order = [rng.permutation(len(self._different)) for _ in self._columns]
        drawn = {(i, j): table[np.ix_(order[i], order[j])] for (i, j), table in self._within.items()}
        return float(self._placements(drawn).mean())

    def distributions(self) -> Mapping[str, list[float]]:
        """Deciles of the overlaps of same and of different pitches, for the picture."""
        tables = np.stack(list(self._within.values()))
        deciles = np.arange(0, 101, 10)
        same = np.diagonal(tables, axis1=1, axis2=2)
        return {
            "same": [float(each) for each in np.percentile(same, deciles)],
            "other": [float(each) for each in np.percentile(tables[:, self._different], deciles)],
        }

    def _context(self, column: int) -> int:
        return self._columns[column].context

    def _alike(self, pair: tuple[int, int]) -> bool:
        return self._columns[pair[0]].timbre == self._columns[pair[1]].timbre

    def _placements(self, tables: Mapping[tuple[int, int], Floats]) -> Floats:
        """Share of different-pitch overlaps that a same-pitch overlap exceeds, 'pitches pairs', ties counted half."""
        found = []
        for table in tables.values():
            other = np.sort(table[self._different])
            same = np.diagonal(table)
            # Overlaps are ratios of small whole numbers: equal ones are equal to the bit.
            below, upto = np.searchsorted(other, same, "left"), np.searchsorted(other, same, "right")
            found.append((below + upto) / (2 * len(other)))
        return np.array(found).T

    def _estimate(self, name: str, tables: Mapping[tuple[int, int], Floats]) -> Effect:
        nodes = [frozenset((self._context(i), self._context(j))) for i, j in tables]
        contexts = len(dict.fromkeys(column.context for column in self._columns))
        # A context that stands in one timbre only is compared with those of that timbre alone.
        timbres = len(dict.fromkeys(column.timbre for column in self._columns))
        groups = timbres if contexts == len(self._columns) else 1
        pitches = len(self._different)
        return crossed_with_pairs(
            self._placements(tables),
            nodes,
            n=min(pitches, contexts),
            degrees=min(pitches - 1, contexts - groups),
            name=name,
        )


def crossed_with_pairs(
    placements: Floats, nodes: Sequence[frozenset[int]], *, n: int, degrees: int, name: str
) -> Effect:
    """Return the mean of 'pitches pairs' with an interval for pitches crossed with pairs of contexts.

    The squared standard error is that of pitches, plus that of pairs which share a context, minus that of single
    values, which both of them hold (Cameron, Gelbach & Miller 2011; Aronow, Samii & Assenova 2015); never below the
    larger one. On the scale of arcsin sqrt, where the variance of a proportion is one number.
    """
    value = float(placements.mean())
    rest = placements - value
    by_pair = rest.sum(axis=0)
    shares = np.array([[bool(one & other) for other in nodes] for one in nodes], dtype=np.float64)
    # Deviations from a mean are smaller than those from the truth, the more so the more of the pairs hang together.
    pairs = len(nodes) / (len(nodes) - shares.sum() / len(nodes))
    pitches = len(placements) / (len(placements) - 1)
    pitch = float(np.square(rest.sum(axis=1)).sum()) / placements.size**2 * pitches
    context = max(float(by_pair @ shares @ by_pair), 0.0) / placements.size**2 * pairs
    alone = float(np.square(rest).sum()) / placements.size**2
    error = float(np.sqrt(max(pitch + context - alone, pitch, context)))
    centre = min(max(value, EDGE), 1.0 - EDGE)
    half = error / (2.0 * math.sqrt(centre * (1.0 - centre))) * float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees))
    middle = math.asin(math.sqrt(centre))
    low = math.sin(max(middle - half, 0.0)) ** 2
    high = math.sin(min(middle + half, math.pi / 2)) ** 2
    return Effect(
        name=name, value=value, low=min(low, value), high=max(high, value), confidence=CONFIDENCE, unit="area", n=n
    )


def _sounds(design: designs.PitchesInContexts) -> tuple:
    """One pitch in silence and in two kinds of company, of one timbre."""
    row = len(design.midi) // 2
    timbre = design.columns[0].timbre
    columns = [index for index, column in enumerate(design.columns) if column.timbre == timbre][:3]
    return tuple((design.together[row][column][0].label, design.together[row][column][0]) for column in columns)
