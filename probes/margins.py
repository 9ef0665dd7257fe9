"""Margins: how far one stimulus is from contradicting a proposition.

An estimate averages over stimuli drawn at random; a search looks for the one that breaks the rule. It needs a number
for one stimulus: the probe's own statistic on a design so small that it holds a single case (one pitch in two contexts,
one mixture and its subsets, one alias pair beside its control), from the same readouts relative to silence, in the unit
of the effect. Its *margin* is that value less the threshold below which the claim is refuted: positive agrees with the
proposition, negative is a counterexample.

A case is a *recipe*: whole numbers and names only, pitch in MIDI numbers and level in dB, so that a failure shrinks to
something that a musician reads, and can be written into a file. What a recipe leaves open (start phases, controls)
is drawn from a generator: drawn anew, a case can be confirmed.

`PITCH_DIRECTION`       one pitch and another in two contexts: stability of their directions
`SAME_FILTERS`          one pitch in two contexts beside four others: how often its own overlap is larger
`CHORD_ADDITIVITY`      two notes exchanged in two chords: the share of variance that is a sum
`HOLISTIC_TEXTURE`      three partials in all combinations: the share of interactions
`ALIAS_COLLAPSE`        one alias pair beside its control: the share of discriminability lost
`WAVEFORM_PROXY`        two spectra in three phase patterns: distance within over distance between
`LOCAL_SIMILARITY`      one tone and its neighbours: whether the order of distances is kept near by and lost far away
`SELECTIVITY_LIMITED`   a stretch of 8 ERB: the width of the channels there

Where a probe decides between two readouts by what it heard (phase-roved means, or frozen frames), the margin takes the
one that decided.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone.stimuli import (
    Chain,
    Noise,
    Partial,
    Source,
    Stimulus,
    Tone,
    designs,
    harmonic_complex,
    note,
    pitch,
    waveshapes,
)
from testtone.stimuli.designs import LEVEL

from . import alias_collapse, holistic_texture, local_similarity, pitch_direction, same_filters, tuning
from .hearing import Answer, Ear, Listen
from .readouts import Frames, log_power, mean, power

Floats = NDArray[np.float64]
Recipe = Mapping[str, int | str]
"""Field -> value: all that is particular to one case."""

Readings = Mapping[str, str]
"""Site -> name of the effect that decided there; sites may be missing."""


@dataclass(frozen=True)
class Whole:
    """A field that holds a whole number from ``low`` to ``high``; failures shrink towards ``simplest``."""

    low: int
    high: int
    simplest: int
    unit: str = ""

    @property
    def pitch(self) -> bool:
        """Whether it is a MIDI number."""
        return "MIDI" in self.unit

    def holds(self, value: Any) -> bool:
        """Whether a value may stand here."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}{self.unit and ' ' + self.unit}"


@dataclass(frozen=True)
class Choice:
    """A field that holds one of some names; failures shrink towards the first."""

    values: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value may stand here."""
        return value in self.values

    def __str__(self) -> str:
        return f"one of {', '.join(self.values)}"


class Unfit(ValueError):
    """A recipe whose sounds do not meet the conditions of the claim, for this encoder; it says nothing."""


@dataclass(frozen=True)
class Case:
    """One stimulus, or the few that belong together: what is played, what is kept, and what it comes to."""

    label: str
    requests: tuple[Listen, ...]
    values: Callable[[Sequence[Answer]], Mapping[str, float]]
    """Answers -> site -> value in the unit of the effect; nan where the case says nothing."""
    sounds: tuple[tuple[str, Stimulus], ...]
    """(label, stimulus): what a reader should hear, the most telling first."""


@dataclass(frozen=True)
class Margin:
    """What a claim says of one case."""

    name: str
    unit: str
    fields: Callable[[Ear], Mapping[str, Whole | Choice]]
    """What a recipe holds, for an encoder."""
    play: Callable[[Ear, Recipe, np.random.Generator, Readings], Case]
    """The case of a recipe; raises `Unfit`."""
    knife: float = 0.05
    """A margin this near to zero refutes nothing."""

    def checked(self, ear: Ear, recipe: Mapping[str, Any]) -> Recipe:
        """Return a recipe that was written by hand.

        Raises:
            ValueError: for a field that is missing, foreign or out of range for this encoder.
        """
        fields = self.fields(ear)
        if set(recipe) != set(fields):
            raise ValueError(f"a recipe holds {', '.join(fields)}; this one holds {', '.join(recipe) or 'nothing'}")
        for name, field in fields.items():
            if not field.holds(recipe[name]):
                raise ValueError(f"{name}={recipe[name]!r} must be {field}")
        return dict(recipe)


def _number(recipe: Recipe, field: str) -> int:
    return int(recipe[field])


def _said(midi: float) -> str:
    """A pitch to the nearest quarter tone: a musician does not hear where within 10 cents it was tuned."""
    return pitch.name(round(2 * midi) / 2)


def _roved(reading: str) -> bool:
    """Whether the phase-averaged code decided; by default, where nothing decided, it does."""
    return "frozen" not in reading


# One pitch in two contexts

COMPANY = ("silence", "note", "fifth", "major", "minor", "noise")
VOICES = ("sine", "tilt", *(f"program:{each}" for each in designs.SUSTAINED_PROGRAMS))
RELATED = (0, 5, 7)
"""Intervals in semitones, of pitches that share partials."""

DIFFERENT = tuple(each for each in range(-11, 12) if min(abs(each) % 12, -abs(each) % 12) not in (0, 5))
"""Intervals to a different pitch: no octave, fifth or fourth."""

LOW_MIDI, HIGH_MIDI = 48, 84
TOKENS = 2
"""Performances of a case: the fewest that leave no random phase squared. A case that counts is played again."""


def _in_contexts(ear: Ear) -> dict[str, Whole | Choice]:
    return {
        "midi": Whole(LOW_MIDI, HIGH_MIDI, 69, "(MIDI)"),
        "timbre": Choice(VOICES),
        "first_company": Choice(COMPANY),
        "first_root": Whole(LOW_MIDI, HIGH_MIDI - 8, 60, "(MIDI, a quarter tone below it)"),
        "second_company": Choice((*COMPANY[1:], COMPANY[0])),
        "second_root": Whole(LOW_MIDI, HIGH_MIDI - 8, 60, "(MIDI, a quarter tone below it)"),
    }


def _company(kind: str, root: int, ear: Ear, rng: np.random.Generator) -> tuple[str, tuple[Source, ...]]:
    """What else sounds, a quarter tone off the keys, in words and as sources with start phases of their own."""
    midi = root - 0.5
    if kind == "silence":
        return "in silence", ()
    if kind == "noise":
        return "in noise", (Noise(int(rng.integers(2**31)), rms=LEVEL),)
    notes = (midi,) if kind == "note" else pitch.chord(midi, kind)
    names = "-".join(_said(each) for each in notes)
    limit = 0.42 * ear.sample_rate
    return f"over {names}", tuple(note(each, "tilt", rms=LEVEL, rng=rng, max_hz=limit) for each in notes)


def _contexts(
    ear: Ear, recipe: Recipe, rng: np.random.Generator, others: Sequence[int], tokens: int
) -> tuple[designs.PitchesInContexts, str]:
    """Put a pitch and some others into two contexts, each performance with start phases of its own."""
    key, timbre = _number(recipe, "midi"), str(recipe["timbre"])
    companies = [(str(recipe[f"{each}_company"]), _number(recipe, f"{each}_root")) for each in ("first", "second")]
    if companies[0] == companies[1] or companies[0][0] == companies[1][0] in ("silence", "noise"):
        raise Unfit("both contexts are the same")
    keys = [key]
    for interval in others:
        # Beyond the range, the other side of the octave has the same name.
        other = key + interval
        keys.append(other + 12 * ((other < LOW_MIDI) - (other > HIGH_MIDI)))
    slowest = min(ear.frame_rates[site] for site in ear.sites)
    limit = 0.42 * ear.sample_rate
    midi = tuple(each + designs.clear_offset(float(each), slowest, rng) for each in keys)
    if pitch.hz_from_midi(max(midi)) > limit:
        raise Unfit("the pitch lies above what the encoder hears")
    seconds = ear.seconds(pitch_direction.FRAMES)
    found = [[_company(kind, root, ear, rng) for _ in range(tokens)] for kind, root in companies]
    columns = tuple(designs.Column(index, each[0][0], timbre, timbre) for index, each in enumerate(found))

    def sound(column: int, token: int, each: float | None) -> Stimulus:
        said, sources = found[column][token]
        voice = () if each is None else (note(each, timbre, rms=LEVEL, rng=rng, max_hz=limit),)
        label = said if each is None else f"{_said(each)} {timbre} {said}"
        return Stimulus((*sources, *voice), seconds, label=label)

    def performances(column: int, each: float | None) -> tuple[Stimulus, ...]:
        return tuple(sound(column, token, each) for token in range(tokens))

    design = designs.PitchesInContexts(
        midi,
        columns,
        tokens,
        tuple(performances(column, None) for column in (0, 1)),
        tuple(tuple(performances(column, each) for column in (0, 1)) for each in midi),
    )
    return design, f"{_said(key)} {timbre} {found[0][0][0]} and {found[1][0][0]}"


def _heard_in_contexts(design: designs.PitchesInContexts) -> tuple[tuple[str, Stimulus], ...]:
    return tuple((row.label, row) for each in design.together[:2] for row in (each[0][0], each[1][0]))


def _play_pitch_direction(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    interval = int(str(recipe["other"]))
    design, label = _contexts(ear, recipe, rng, (interval,), TOKENS)

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        return {site: pitch_direction.of_one(design, heard) for site, heard in answers[0].items()}

    label = f"{label}, beside {_said(round(design.midi[1]))}"
    return Case(label, (Listen(design.stimuli, mean),), values, _heard_in_contexts(design))


PITCH_DIRECTION = Margin(
    name="stability of one pitch's direction in two contexts",
    unit="normalised cosine",
    fields=lambda ear: _in_contexts(ear) | {"other": Choice(tuple(str(each) for each in sorted(DIFFERENT, key=abs)))},
    play=_play_pitch_direction,
)

RIVALS = (2, -3, 6, -8)
"""Four pitches that share no partial with the one in question, nor most of them with each other."""


def _play_same_filters(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    tokens = TOKENS
    design, label = _contexts(ear, recipe, rng, RIVALS, tokens)
    # The probe takes token 0 for the frozen one and leaves it out: here it is another name of the first.
    padded = dataclasses.replace(
        design,
        tokens=tokens + 1,
        alone=tuple((each[0], *each) for each in design.alone),
        together=tuple(tuple((each[0], *each) for each in row) for row in design.together),
    )

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        return {
            site: same_filters.of_one(
                padded, answers[0][site], answers[1][site], oscillation="RO2" in readings.get(site, "")
            )
            for site in answers[0]
        }

    return Case(
        label, (Listen(padded.stimuli, mean), Listen(padded.stimuli, log_power)), values, _heard_in_contexts(design)
    )


SAME_FILTERS = Margin(
    name="how often the channels of one pitch in two contexts overlap more than those of two pitches",
    unit="area",
    fields=_in_contexts,
    play=_play_same_filters,
)


# Two notes exchanged in two chords


def _chord_fields(ear: Ear) -> Mapping[str, Whole | Choice]:
    return {
        "low": Whole(LOW_MIDI, HIGH_MIDI - 12, 60, "(MIDI)"),
        "low_step": Whole(1, 11, 2, "semitones"),
        "gap": Whole(1, 12, 4, "semitones"),
        "high_step": Whole(1, 11, 2, "semitones"),
        "low_timbre": Choice(VOICES),
        "high_timbre": Choice(VOICES),
        "third": Choice(("none", "below", "above")),
        "level": Whole(-20, 0, 0, "dB re the level of the claim"),
    }


def _play_chord_additivity(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    low = _number(recipe, "low")
    lows = (low, low + _number(recipe, "low_step"))
    high = lows[1] + _number(recipe, "gap")
    highs = (high, high + _number(recipe, "high_step"))
    limit = 0.42 * ear.sample_rate
    if highs[1] > HIGH_MIDI + 12 or pitch.hz_from_midi(highs[1] + 9) > limit:
        raise Unfit("the upper notes lie above the range")
    third = {"none": None, "below": low - 9.0, "above": highs[1] + 8.0}[str(recipe["third"])]
    slowest = min(ear.frame_rates[site] for site in ear.sites)
    rms = LEVEL * 10.0 ** (_number(recipe, "level") / 20.0)
    tuned = {each: each + designs.clear_offset(float(each), slowest, rng) for each in (*lows, *highs)}
    seconds = ear.seconds(pitch_direction.FRAMES)
    chords = [(one, other) for one in lows for other in highs]
    timbres = {each: str(recipe["low_timbre"]) for each in lows} | {each: str(recipe["high_timbre"]) for each in highs}
    sounds = []
    for _ in range(TOKENS):
        # As in the probe a note has one waveform in all chords of a performance.
        voices = {key: note(midi, timbres[key], rms=rms, rng=rng, max_hz=limit) for key, midi in tuned.items()}
        more = () if third is None else (note(third, "tilt", rms=rms, rng=rng, max_hz=limit),)
        for chord in chords:
            names = " and ".join(_said(each) for each in (*chord, *(() if third is None else (third,))))
            sounds.append(Stimulus((*(voices[each] for each in chord), *more), seconds, label=names))

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        found = {}
        for site, averages in answers[0].items():
            roved = _roved(readings.get(site, ""))
            codes = (averages if roved else answers[1][site]).reshape(TOKENS, 4, -1).astype(np.float64)
            # Main effects of either note, and their interaction: a 2 x 2 factorial (Yates 1937).
            effects = np.einsum("es,tsv->tev", _FACTORIAL, codes)
            gram = np.einsum("tev,sev->ets", effects, effects)
            same = np.trace(gram, axis1=1, axis2=2)
            powers = (gram.sum(axis=(1, 2)) - same) / (TOKENS * (TOKENS - 1)) if roved else same / TOKENS
            total = float(powers.sum())
            found[site] = 1.0 - 3.0 * float(powers[2]) / total if total > 0 else math.nan
        return found

    level = _number(recipe, "level")
    label = (
        f"{_said(lows[0])} or {_said(lows[1])} ({recipe['low_timbre']}) under {_said(highs[0])} or {_said(highs[1])} "
        f"({recipe['high_timbre']})"
        + ("" if third is None else f" with {_said(third)}")
        + (f", {level} dB" if level else "")
    )
    stimuli = tuple(sounds)
    return Case(
        label,
        (Listen(stimuli, mean), Listen(stimuli, Frames(pitch_direction.FRAMES))),
        values,
        tuple((each.label, each) for each in stimuli[:4]),
    )


_FACTORIAL = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 4.0

CHORD_ADDITIVITY = Margin(
    name="share of the variance of four chords that is a sum of their notes",
    unit="share of variance",
    fields=_chord_fields,
    play=_play_chord_additivity,
)


# Three partials in all combinations


def _partial_fields(ear: Ear) -> Mapping[str, Whole | Choice]:
    return {
        "lowest": Whole(51, 90, 69, "(MIDI)"),
        "first_gap": Whole(3, 9, 4, "ERB"),
        "second_gap": Whole(3, 9, 4, "ERB"),
        "first_level": Whole(-3, 3, 0, "dB"),
        "second_level": Whole(-3, 3, 0, "dB"),
        "third_level": Whole(-3, 3, 0, "dB"),
    }


def _spaced(lowest: int, gaps: Sequence[int], chain: Chain) -> tuple[float, ...]:
    """MIDI numbers of partials some ERB apart, each off its key by as few cents as keep the alias lines apart."""
    found: list[float] = []
    least = float(lowest)
    for gap in (0, *gaps):
        if found:
            erbs = designs.erb_rate(pitch.hz_from_midi(found[-1])) + gap
            least = math.ceil(pitch.midi_from_hz(designs.hz_from_erb_rate(erbs)))
        for cents in sorted(range(-45, 46, 5), key=abs):
            tried = [*found, least + cents / 100.0]
            if designs.aliases_apart([pitch.hz_from_midi(each) for each in tried], chain=chain):
                found = tried
                break
        else:
            raise Unfit("the alias frequencies of the partials cannot be told apart")
    return tuple(found)


def _play_holistic_texture(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    chain = ear.chain(min(ear.sites, key=lambda site: ear.frame_rates[site]))
    midi = _spaced(_number(recipe, "lowest"), [_number(recipe, "first_gap"), _number(recipe, "second_gap")], chain)
    hz = tuple(pitch.hz_from_midi(each) for each in midi)
    if hz[-1] > min(8000.0, 0.42 * ear.sample_rate):
        raise Unfit("the partials reach above what the claim plays")
    levels = [_number(recipe, f"{each}_level") for each in ("first", "second", "third")]
    seconds, tokens = ear.seconds(holistic_texture.FRAMES), TOKENS
    performances = []
    for _ in range(tokens):
        phases = rng.uniform(0.0, 2.0 * np.pi, 3).tolist()
        tones = [
            Tone((Partial(each, LEVEL * 10.0 ** (level / 20.0), phase),))
            for each, level, phase in zip(hz, levels, phases, strict=True)
        ]
        performances.append(
            tuple(
                Stimulus(
                    tuple(tone for bit, tone in enumerate(tones) if subset >> bit & 1),
                    seconds,
                    label="partials at " + ", ".join(pitch.name(m) for bit, m in enumerate(midi) if subset >> bit & 1)
                    if subset
                    else "silence",
                )
                for subset in range(8)
            )
        )
    design = designs.PresenceFactorial((hz,), (tuple(performances),))

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        found = {}
        for site, averages in answers[0].items():
            roved = _roved(readings.get(site, ""))
            first, higher = holistic_texture.powers(design, averages if roved else answers[1][site], roved=roved)[0]
            total = float(first + higher)
            found[site] = float(higher) / total / (4.0 / 7.0) if total > 0 else math.nan
        return found

    said = ", ".join(
        pitch.name(each) + (f" at {level:+d} dB" if level else "") for each, level in zip(midi, levels, strict=True)
    )
    everything = performances[0]
    return Case(
        f"partials at {said}",
        (Listen(design.flat, mean), Listen(design.flat, Frames(holistic_texture.FRAMES))),
        values,
        tuple((each.label, each) for each in (everything[7], everything[1], everything[2], everything[4])),
    )


HOLISTIC_TEXTURE = Margin(
    name="share of interactions in three partials",
    unit="share of interactions",
    fields=_partial_fields,
    play=_play_holistic_texture,
)


# One alias pair

DISTANCES_HZ = ("50", "10", "200", "800")


def _folding(ear: Ear) -> Mapping[float, tuple[str, ...]]:
    """Frame rate -> sites of that rate at which frequencies fold."""
    found: dict[float, tuple[str, ...]] = {}
    for site in ear.sites:
        chain = ear.chain(site)
        whole = abs(ear.sample_rate / ear.frame_rates[site] - chain.hop) < 1e-6
        if site not in ear.shifted and chain.hop >= 2 and whole:
            found[ear.frame_rates[site]] = (*found.get(ear.frame_rates[site], ()), site)
    return found


def _alias_fields(ear: Ear) -> Mapping[str, Whole | Choice]:
    kinds = ["translation", "mirror"]
    for sites in _folding(ear).values():
        kinds += [each for each in designs.alias_kinds(ear.chain(sites[0])) if each not in kinds]
    return {
        "kind": Choice(tuple(kinds)),
        "midi": Whole(50, 120, 69, "(MIDI)"),
        "cents": Whole(-50, 50, 0, "cents"),
        "times": Whole(1, 12, 1, "frame rates apart"),
        "apart": Choice(DISTANCES_HZ),
    }


def _alias_pair(kind: str, hz: float, times: int, apart: float, chain: Chain) -> tuple[float, float]:
    """Two frequencies of one alias class near ``hz``, the lower first."""
    rate = chain.rate
    if kind == "translation":
        return hz, hz + times * rate
    if kind == "mirror":
        other = (math.ceil(hz / rate) + times) * rate - hz
        return min(hz, other), max(hz, other)
    if kind not in designs.alias_kinds(chain):
        raise Unfit(f"there is no {kind} at {rate:g} frames a second")
    fold = float(kind.removeprefix("fold at ").removesuffix(" Hz"))
    distance = min(max(apart, rate / 10), fold)
    n = max(1, round(hz / fold))
    return fold * n - distance / 2, fold * n + distance / 2


def _play_alias_collapse(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    hz = pitch.hz_from_midi(_number(recipe, "midi") + _number(recipe, "cents") / 100.0)
    kind, high = str(recipe["kind"]), 0.45 * ear.sample_rate
    played: list[tuple[tuple[str, ...], designs.AliasPair, tuple[Stimulus, ...], float]] = []
    requests = []
    tokens = 3
    for rate, sites in _folding(ear).items():
        chain = ear.chain(sites[0])
        pair = _alias_pair(kind, hz, _number(recipe, "times"), float(str(recipe["apart"])), chain)
        if max(pair) > high or min(pair) < 75.0 or pair[1] - pair[0] < rate / 12 or pair[1] > 2.2 * pair[0]:
            raise Unfit("the pair lies out of range, or too near or too far apart")
        found = None
        for _ in range(100):
            found = designs.matched_pair(rng, kind, pair, chain=chain, low_hz=150.0, high_hz=high)
            if found is not None:
                break
        if found is None:
            raise Unfit("no control as far apart can be told from it")
        seconds = ear.seconds(alias_collapse.FRAMES * tokens, sites=sites)
        clips = alias_collapse.clips_of(found, seconds, rng)
        requests.append(Listen(clips, alias_collapse.readout_of(found, chain, tokens), sites))
        played.append((sites, found, clips, rate))
    if not played:
        raise Unfit("nothing folds")

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        return {
            site: alias_collapse.theta_of_one(answer[site], found, ear.chain(site))
            for answer, (sites, found, _, _) in zip(answers, played, strict=True)
            for site in sites
        }

    _, first, clips, _ = played[0]
    low, upper = first.alias_hz
    names = " and ".join(_said(pitch.midi_from_hz(each)) for each in first.alias_hz)
    label = f"{kind}: {low:.1f} and {upper:.1f} Hz, near {names}"
    return Case(label, tuple(requests), values, tuple((each.label, each) for each in clips[::2]))


ALIAS_COLLAPSE = Margin(
    name="share of the control pair's discriminability that one alias pair has lost",
    unit="share of d'",
    fields=_alias_fields,
    play=_play_alias_collapse,
)


# Two spectra in three phase patterns


def _grid(ear: Ear) -> tuple[int, tuple[float, ...], float]:
    rate = max(ear.frame_rates[site] for site in ear.sites)
    frames, grid = waveshapes.fundamentals(rate)
    return min(frames, 8), grid, rate


def _spectrum_fields(ear: Ear) -> Mapping[str, Whole | Choice]:
    _, grid, _ = _grid(ear)
    fields: dict[str, Whole | Choice] = {}
    for which in ("first", "second"):
        fields |= {
            f"{which}_f0": Whole(0, len(grid) - 1, 0, "(place among the fundamentals that fit the frame rate)"),
            f"{which}_tilt": Whole(-9, 0, -6, "dB per octave"),
            f"{which}_formant": Whole(62, 99, 81, "(MIDI)"),
        }
    return fields | {"pattern": Choice(("random", "cosine", "schroeder+", "schroeder-"))}


def _play_waveform_proxy(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    frames, grid, rate = _grid(ear)
    spectra = [
        (
            grid[_number(recipe, f"{which}_f0")],
            _number(recipe, f"{which}_tilt"),
            pitch.hz_from_midi(_number(recipe, f"{which}_formant")),
        )
        for which in ("first", "second")
    ]
    if spectra[0][0] == spectra[1][0]:
        # What the phases do jointly with the spectrum is theirs only where fundamentals do not share their partials.
        raise Unfit("both spectra have one fundamental")
    patterns = ("sine", str(recipe["pattern"]), "random")
    shift = float(rng.uniform(0.0, waveshapes.fundamentals(rate)[0] / rate))
    sounds = tuple(
        Stimulus.of(
            waveshapes.moved(
                harmonic_complex(
                    f0,
                    harmonics=waveshapes.HARMONICS,
                    tilt_db_per_octave=float(tilt),
                    formant_hz=((centre, 0.4 * centre),),
                    phases=name,
                    rng=rng,
                    rms=2 * LEVEL,
                    max_hz=0.45 * ear.sample_rate,
                ),
                shift,
            ),
            seconds=ear.seconds(frames),
            label=f"{f0:.0f} Hz under {centre:.0f} Hz, {name} phase",
        )
        for f0, tilt, centre in spectra
        for name in patterns
    )

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        found = {}
        for site, heard in answers[0].items():
            codes = heard.reshape(6, -1).astype(np.float64)
            apart = np.square(codes[:, None] - codes[None]).sum(axis=2)
            own = np.arange(6) // 3
            same = (own[:, None] == own) & ~np.eye(6, dtype=bool)
            between = float(apart[own[:, None] != own].mean())
            heard_at_all = between > 1e-10 * float(np.square(codes).sum(axis=1).mean())
            found[site] = float(apart[same].mean()) / between if heard_at_all else math.nan
        return found

    label = " against ".join(f"{f0:.0f} Hz under {centre:.0f} Hz at {tilt} dB/oct" for f0, tilt, centre in spectra)
    return Case(
        f"{label}, {' and '.join(patterns)} phase",
        (Listen(sounds, Frames(frames)),),
        values,
        tuple((each.label, each) for each in sounds[:4]),
    )


WAVEFORM_PROXY = Margin(
    name="squared distance between phases of one spectrum over that between two spectra",
    unit="share of variance",
    fields=_spectrum_fields,
    play=_play_waveform_proxy,
)


# One tone and its neighbours


def _play_local_similarity(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    counts = {
        site: max(2, int(np.ceil(local_similarity.STRETCH_SECONDS * ear.frame_rates[site]))) for site in ear.sites
    }
    seconds = max(ear.seconds(counts[site], sites=(site,)) for site in ear.sites)
    midi = _number(recipe, "midi") + _number(recipe, "cents") / 100.0
    design = waveshapes.neighbours(rng, tones=1, near=5, far=4, seconds=seconds, of=[(midi, str(recipe["timbre"]))])
    waves = np.stack([each.render(ear.sample_rate) for each in design.flat]).astype(np.float64)
    requests = tuple(Listen(design.flat, Frames(counts[site]), (site,)) for site in ear.sites)

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        return {
            site: local_similarity.of_one(ear, site, counts[site], design, waves, answer[site])
            for site, answer in zip(ear.sites, answers, strict=True)
        }

    noisy, shifted, turned = design.others[0]
    chosen = (design.base[0], noisy[-1], shifted[-1], turned[-1])
    return Case(
        f"{pitch.name(midi)} {recipe['timbre']}", requests, values, tuple((each.label, each) for each in chosen)
    )


LOCAL_SIMILARITY = Margin(
    name="order of distances kept near one tone, and lost far from it",
    unit="rank correlation",
    fields=lambda ear: {
        "midi": Whole(48, 72, 69, "(MIDI)"),
        "cents": Whole(-50, 50, 0, "cents"),
        "timbre": Choice(waveshapes.DOMINATED),
    },
    play=_play_local_similarity,
)


# A stretch of the frequency axis

STRETCH_ERB = 8
STRETCH_TONES = 16


def _play_selectivity_limited(ear: Ear, recipe: Recipe, rng: np.random.Generator, readings: Readings) -> Case:
    middle = designs.erb_rate(pitch.hz_from_midi(_number(recipe, "midi")))
    low, high = middle - STRETCH_ERB / 2, middle + STRETCH_ERB / 2
    if low < designs.erb_rate(tuning.LOW_HZ) or high > designs.erb_rate(tuning.HIGH * ear.sample_rate):
        raise Unfit("the stretch reaches beyond what the encoder hears")
    numbers = low + STRETCH_ERB * (np.arange(STRETCH_TONES) + rng.random(STRETCH_TONES)) / STRETCH_TONES
    hz = np.array([designs.hz_from_erb_rate(each) for each in numbers])
    seconds = ear.seconds(tuning.FRAMES)
    loud = tuple(
        Stimulus.of(
            Tone((Partial(float(each), tuning.AMPLITUDE, float(rng.uniform(0, 2 * np.pi))),)),
            seconds=seconds,
            label=f"{each:.0f} Hz",
        )
        for each in hz
    )
    soft = tuple(each.scaled(-tuning.STEP_DB) for each in loud)

    def values(answers: Sequence[Answer]) -> Mapping[str, float]:
        found = {}
        for site in answers[0]:
            squared = tuning.iso_response(answers[0][site], answers[1][site])
            width = float(tuning.coverage_octaves(squared).mean()) if len(squared) else math.nan
            found[site] = width - tuning.ear_octaves(hz)
        return found

    label = f"around {_said(_number(recipe, 'midi'))}: {hz[0]:.0f} to {hz[-1]:.0f} Hz"
    chosen = (loud[len(loud) // 2], loud[0], loud[-1])
    return Case(label, (Listen(loud, power), Listen(soft, power)), values, tuple((each.label, each) for each in chosen))


SELECTIVITY_LIMITED = Margin(
    name="width of the channels re the ear's, over 8 ERB",
    unit="octaves",
    fields=lambda ear: {"midi": Whole(58, 108, 69, "(MIDI)")},
    play=_play_selectivity_limited,
)
