"""Single sounds: partials, complexes, notes, chords, multisines, noise, and mixtures of them, each a `Stimulus`."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from testtone.stimuli import pitch
from testtone.stimuli.complexes import harmonic_complex, start_phases
from testtone.stimuli.sources import TWO_PI, Noise, Partial, Source, Tone
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.strategies import bounds
from testtone.stimuli.timbre import PROGRAM, TIMBRES, note

LOW_MIDI, HIGH_MIDI = 45, 84
LOW_DB, HIGH_DB = -60, -20
SAMPLE_RATE = 24_000
SECONDS = 0.5
HARMONICS = 8
QUALITIES = ("major", *(each for each in pitch.QUALITIES if each != "major"))

PROGRAM_NAMES = {
    16: "drawbar organ", 19: "church organ", 20: "reed organ", 40: "violin", 42: "cello", 56: "trumpet",
    60: "French horn", 61: "brass section", 68: "oboe", 70: "bassoon", 71: "clarinet", 73: "flute", 75: "pan flute",
}  # fmt: skip
"""What a musician calls the sustained General MIDI programs."""


def pitches(*, low_midi: int = LOW_MIDI, high_midi: int = HIGH_MIDI, cents: int = 0) -> SearchStrategy[float]:
    """Pitches as MIDI numbers: a key from ``low_midi`` to ``high_midi``, up to ``cents`` off it. They shrink to A4.

    Raises:
        ValueError: if a key lies outside 0..127, none lies between them, or ``cents`` outside 0..50.
    """
    bounds.keys(low_midi, high_midi, cents)
    key = st.integers(low_midi - 69, high_midi - 69)
    return st.builds(lambda steps, off: 69 + steps + off / 100, key, st.integers(-cents, cents))


def levels_db(*, low_db: int = LOW_DB, high_db: int = HIGH_DB) -> SearchStrategy[int]:
    """Levels in whole dB, RMS re full scale 1. They shrink to the one nearest 0 dB.

    Raises:
        ValueError: if ``low_db`` exceeds ``high_db``.
    """
    bounds.levels(low_db, high_db, crest=0.0)
    return st.integers(low_db, high_db)


def timbres(*, additive: Sequence[str] = tuple(TIMBRES), programs: Sequence[int] = ()) -> SearchStrategy[str]:
    """Names of timbres, as `testtone.stimuli.note` takes them: additive ones, then programs played by FluidSynth.

    ``programs`` are General MIDI numbers from 0, such as `SUSTAINED_PROGRAMS`; none unless asked for, because they need
    the FluidSynth library. They shrink to the first one named.

    Raises:
        ValueError: for an unknown name, a program outside 0..127, or if both are empty.
    """
    for each in additive:
        if each not in TIMBRES:
            raise ValueError(f"additive={each!r} is unknown; known: {', '.join(TIMBRES)}")
    for number in programs:
        bounds.whole(number, "programs", least=0, most=127)
    names = [*additive, *(f"{PROGRAM}{number}" for number in programs)]
    if not names:
        raise ValueError("additive=() and programs=() leave no timbre")
    return st.sampled_from(names)


@dataclass(frozen=True)
class PhasePattern:
    """A rule for the start phases of a complex, and the seed where the rule is to draw them."""

    rule: str
    seed: int = 0

    def radians(self, amplitudes: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one start phase per partial, radians on a cosine, for amplitudes in order of harmonic number."""
        sizes = np.asarray(amplitudes, dtype=np.float64)
        if self.rule == "alternating":
            return np.where(np.arange(sizes.size) % 2 == 0, -math.pi / 2, 0.0)
        rng = np.random.default_rng(self.seed) if self.rule == "random" else None
        return start_phases(self.rule, sizes, rng)

    def on(self, tone: Tone) -> Tone:
        """Return the tone with these start phases; frequencies and amplitudes stay."""
        phases = self.radians([each.amplitude for each in tone.partials]).tolist()
        partials = (dataclasses.replace(p, phase=phase) for p, phase in zip(tone.partials, phases, strict=True))
        return dataclasses.replace(tone, partials=tuple(partials))

    def __str__(self) -> str:
        return f"random phases {self.seed}" if self.rule == "random" else f"{self.rule} phases"


RULES = ("sine", "cosine", "alternating", "schroeder+", "schroeder-", "random")


def phase_patterns(*, rules: Sequence[str] = RULES) -> SearchStrategy[PhasePattern]:
    """Phase patterns: sine, cosine, sine and cosine in turn, Schroeder's two, or random. They shrink to the first.

    Raises:
        ValueError: for an unknown rule, or none.
    """
    for rule in rules:
        if rule not in RULES:
            raise ValueError(f"rules={rule!r} is unknown; known: {', '.join(RULES)}")
    if not rules:
        raise ValueError("rules=() leaves no phase pattern")
    seeds = st.integers(0, 2**16)
    return st.sampled_from(list(rules)).flatmap(
        lambda rule: (
            seeds.map(lambda seed: PhasePattern(rule, seed)) if rule == "random" else st.just(PhasePattern(rule))
        )
    )


def partials(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    cents: int = 50,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Stimulus]:
    """One sinusoid each, its start phase a multiple of a sixteenth of a turn: ``A4 sine at -20 dB``.

    Args:
        low_midi: lowest key.
        high_midi: highest key.
        cents: largest distance from a key.
        low_db: lowest level, RMS re full scale 1 (a sine of amplitude 1 has -3 dB).
        high_db: highest level.
        sample_rate: lowest rate in Hz at which the sounds are rendered; partials lie below 0.45 of it.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing, or that allow more than full scale.
    """
    bounds.keys(low_midi, high_midi, cents)
    bounds.levels(low_db, high_db, crest=math.sqrt(2.0))
    bounds.audible(high_midi, sample_rate, above_cents=cents)
    bounds.seconds(seconds)

    def sound(midi: float, db: int, sixteenths: int) -> Stimulus:
        partial = Partial(pitch.hz_from_midi(midi), math.sqrt(2.0) * ratio(db), TWO_PI * sixteenths / 16 - math.pi / 2)
        phase = f", phase {sixteenths}/16" if sixteenths else ""
        return Stimulus(
            (Tone((partial,), midi=midi, timbre="sine"),), seconds, label=f"{_said(midi, 'sine', db)}{phase}"
        )

    return st.builds(
        sound,
        pitches(low_midi=low_midi, high_midi=high_midi, cents=cents),
        levels_db(low_db=low_db, high_db=high_db),
        st.integers(0, 15),
    )


def harmonic_complexes(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    cents: int = 0,
    max_harmonics: int = 12,
    tilts_db_per_octave: tuple[int, int] = (-12, 0),
    phases: SearchStrategy[PhasePattern] | None = None,
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Stimulus]:
    """Harmonic complexes of one to ``max_harmonics`` harmonics, all or the odd ones, tilted, with a phase pattern.

    Args:
        low_midi: lowest key of the fundamental.
        high_midi: highest key of the fundamental.
        cents: largest distance from a key.
        max_harmonics: the highest harmonic number; those above 0.45 of the sample rate are left out.
        tilts_db_per_octave: steepest and shallowest tilt, whole dB.
        phases: which phase patterns; all unless given.
        low_db: lowest level, RMS re full scale 1.
        high_db: highest level.
        sample_rate: lowest rate in Hz at which the sounds are rendered.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing, or that allow more than full scale.
    """
    bounds.keys(low_midi, high_midi, cents)
    bounds.whole(max_harmonics, "max_harmonics", least=1)
    bounds.ordered(*tilts_db_per_octave, ("tilts_db_per_octave[0]", "tilts_db_per_octave[1]"), unit="dB per octave")
    # By Cauchy and Schwarz, n sinusoids in phase have a crest of at most sqrt(2 n).
    bounds.levels(low_db, high_db, crest=math.sqrt(2.0 * max_harmonics), voices=f"{max_harmonics} harmonics in phase")
    most = bounds.audible(high_midi, sample_rate, above_cents=cents)
    bounds.seconds(seconds)

    def sound(midi: float, harmonics: int, only: str, tilt: int, pattern: PhasePattern, db: int) -> Stimulus:
        tone = pattern.on(
            harmonic_complex(
                pitch.hz_from_midi(midi),
                harmonics=harmonics,
                only=only,
                tilt_db_per_octave=tilt,
                rms=ratio(db),
                midi=midi,
                max_hz=most,
            )
        )
        which = "odd harmonics up to" if only == "odd" else "harmonics up to"
        said = f"{pitch.name(midi)} with {which} {harmonics} at {db} dB, {tilt} dB per octave, {pattern}"
        return Stimulus((tone,), seconds, label=said)

    return st.builds(
        sound,
        pitches(low_midi=low_midi, high_midi=high_midi, cents=cents),
        st.integers(1, max_harmonics),
        st.sampled_from(["all", "odd"]),
        st.integers(*tilts_db_per_octave),
        phase_patterns() if phases is None else phases,
        levels_db(low_db=low_db, high_db=high_db),
    )


def notes(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    cents: int = 0,
    additive: Sequence[str] = tuple(TIMBRES),
    programs: Sequence[int] = (),
    low_db: int = LOW_DB,
    high_db: int = HIGH_DB,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Stimulus]:
    """One note each in a named timbre, in sine phase or with start phases drawn by a seed: ``A4 sine at -20 dB``.

    Args:
        low_midi: lowest key.
        high_midi: highest key.
        cents: largest distance from a key.
        additive: additive timbres, keys of `testtone.stimuli.TIMBRES`.
        programs: General MIDI programs (from 0) that FluidSynth plays.
        low_db: lowest level, RMS re full scale 1.
        high_db: highest level.
        sample_rate: lowest rate in Hz at which the sounds are rendered; nothing sounds above 0.45 of it.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing, or that allow more than full scale.
    """
    bounds.keys(low_midi, high_midi, cents)
    bounds.levels(low_db, high_db, crest=_crest(programs))
    most = bounds.audible(high_midi, sample_rate, above_cents=cents + _STRETCH_CENTS)
    bounds.seconds(seconds)

    def sound(midi: float, timbre: str, db: int, seed: int) -> Stimulus:
        source = _played(midi, timbre, db=db, seed=seed, max_hz=most)
        return Stimulus((source,), seconds, label=_said(midi, timbre, db) + _drawn(seed))

    return st.builds(
        sound,
        pitches(low_midi=low_midi, high_midi=high_midi, cents=cents),
        timbres(additive=additive, programs=programs),
        levels_db(low_db=low_db, high_db=high_db),
        st.integers(0, 2**16),
    )


def chords(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = HIGH_MIDI,
    qualities: Sequence[str] = QUALITIES,
    additive: Sequence[str] = tuple(TIMBRES),
    programs: Sequence[int] = (),
    low_db: int = LOW_DB,
    high_db: int = -26,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Stimulus]:
    """Chords of up to four notes in one timbre, all inversions: ``C4-E4-G4 at -26 dB``, the level that of each note.

    Args:
        low_midi: lowest key of a chord.
        high_midi: highest key of a chord.
        qualities: keys of `testtone.stimuli.QUALITIES`.
        additive: additive timbres.
        programs: General MIDI programs (from 0) that FluidSynth plays.
        low_db: lowest level of a note, RMS re full scale 1.
        high_db: highest level of a note.
        sample_rate: lowest rate in Hz at which the sounds are rendered; nothing sounds above 0.45 of it.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing or allow more than full scale, for an unknown quality, or where a
            chord does not fit between its keys.
    """
    bounds.keys(low_midi, high_midi, 0)
    shapes = [(quality, turn) for quality in qualities for turn in range(len(pitch.chord(60, quality)))]
    if not shapes:
        raise ValueError("qualities=() leaves no chord")
    spans = {shape: pitch.chord(0.0, shape[0], inversion=shape[1]) for shape in shapes}
    for (quality, turn), steps in spans.items():
        if steps[-1] - steps[0] > high_midi - low_midi:
            raise ValueError(
                f"{quality!r} (inversion {turn}) spans {steps[-1] - steps[0]:.0f} semitones and does not fit between "
                f"low_midi={low_midi} and high_midi={high_midi}"
            )
    voices = max(len(steps) for steps in spans.values())
    bounds.levels(low_db, high_db, crest=voices * _crest(programs), voices=f"{voices} notes")
    most = bounds.audible(high_midi, sample_rate, above_cents=_STRETCH_CENTS)
    bounds.seconds(seconds)

    @st.composite
    def sound(draw: DrawFn) -> Stimulus:
        shape = draw(st.sampled_from(shapes))
        steps = spans[shape]
        root = 60 + draw(st.integers(low_midi - int(steps[0]) - 60, high_midi - int(steps[-1]) - 60))
        timbre = draw(timbres(additive=additive, programs=programs))
        db = draw(levels_db(low_db=low_db, high_db=high_db))
        seed = draw(st.integers(0, 2**16))
        midi = [root + step for step in steps]
        sources = tuple(
            _played(each, timbre, db=db, seed=seed and seed + place, max_hz=most) for place, each in enumerate(midi)
        )
        names = "-".join(pitch.name(each) for each in midi)
        kind = "" if timbre == "sine" else f" {timbre_name(timbre)}"
        return Stimulus(sources, seconds, label=f"{names}{kind} at {db} dB{_drawn(seed)}", chord=shape[0])

    return sound()


def multisines(
    *,
    low_midi: int = LOW_MIDI,
    high_midi: int = 108,
    cents: int = 50,
    max_partials: int = 8,
    apart_semitones: int = 2,
    low_db: int = LOW_DB,
    high_db: int = -26,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Stimulus]:
    """Two to ``max_partials`` sinusoids that need not be related, each with a level and a start phase of its own.

    Args:
        low_midi: lowest key.
        high_midi: highest key.
        cents: largest distance from a key.
        max_partials: how many at most.
        apart_semitones: least distance of the keys of two partials.
        low_db: lowest level of a partial, RMS re full scale 1.
        high_db: highest level of a partial.
        sample_rate: lowest rate in Hz at which the sounds are rendered; partials lie below 0.45 of it.
        seconds: length.

    Raises:
        ValueError: for bounds that leave nothing or allow more than full scale, or too few keys for the partials.
    """
    bounds.keys(low_midi, high_midi, cents)
    bounds.whole(max_partials, "max_partials", least=2)
    bounds.whole(apart_semitones, "apart_semitones", least=1)
    places = (high_midi - low_midi) // apart_semitones + 1
    if places < max_partials:
        raise ValueError(
            f"max_partials={max_partials}, {apart_semitones} semitones apart, do not fit between low_midi={low_midi} "
            f"and high_midi={high_midi}: {places} do"
        )
    bounds.levels(low_db, high_db, crest=math.sqrt(2.0) * max_partials, voices=f"{max_partials} partials")
    bounds.audible(high_midi, sample_rate, above_cents=cents)
    bounds.seconds(seconds)
    slack = (high_midi - low_midi) - apart_semitones * (max_partials - 1)

    @st.composite
    def sound(draw: DrawFn) -> Stimulus:
        count = draw(st.integers(2, max_partials))
        # Keys at least so far apart, without rejection: sorted steps with repetition, spread by the least distance.
        room = slack + apart_semitones * (max_partials - count)
        steps = sorted(draw(st.lists(st.integers(0, room), min_size=count, max_size=count)))
        tones, said = [], []
        for place, step in enumerate(steps):
            key = low_midi + step + apart_semitones * place
            midi = key + draw(st.integers(-cents, cents)) / 100
            db = draw(levels_db(low_db=low_db, high_db=high_db))
            phase = TWO_PI * draw(st.integers(0, 15)) / 16 - math.pi / 2
            tones.append(Tone((Partial(pitch.hz_from_midi(midi), math.sqrt(2.0) * ratio(db), phase),), midi=midi))
            said.append(f"{pitch.name(midi)} at {db} dB")
        return Stimulus(tuple(tones), seconds, label=", ".join(said))

    return sound()


def noises(*, low_db: int = LOW_DB, high_db: int = HIGH_DB, seconds: float = SECONDS) -> SearchStrategy[Stimulus]:
    """White Gaussian noise from a seed: ``noise 0 at -20 dB``.

    Raises:
        ValueError: for bounds that leave nothing, or that allow more than full scale.
    """
    bounds.levels(low_db, high_db, crest=bounds.CREST_NOISE)
    bounds.seconds(seconds)
    return st.builds(
        lambda seed, db: Stimulus((Noise(seed, rms=ratio(db)),), seconds, label=f"noise {seed} at {db} dB"),
        st.integers(0, 2**16),
        levels_db(low_db=low_db, high_db=high_db),
    )


def mixtures(
    foreground: SearchStrategy[Stimulus] | None = None,
    background: SearchStrategy[Stimulus] | None = None,
    *,
    sample_rate: int = SAMPLE_RATE,
    seconds: float = SECONDS,
) -> SearchStrategy[Stimulus]:
    """One sound over another: ``A4 sine at -20 dB over C4-E4-G4 at -32 dB``.

    Without strategies of your own the foreground is a note, the background a chord, a note or noise; together they stay
    below full scale. Your own sounds must be equally long, and may clip: then a render raises ValueError.

    Args:
        foreground: what sounds over it; a note unless given.
        background: what sounds beneath; a chord, a note or noise unless given.
        sample_rate: lowest rate in Hz at which the sounds of the defaults are rendered.
        seconds: length of the defaults.
    """
    options = {"sample_rate": sample_rate, "seconds": seconds}
    if foreground is None:
        foreground = notes(**options)  # type: ignore[arg-type]  # up to -20 dB: a peak of 0.4
    if background is None:
        background = st.one_of(
            chords(high_db=-32, **options),  # type: ignore[arg-type]  # four notes: a peak of 0.4
            notes(high_db=-26, **options),  # type: ignore[arg-type]
            noises(high_db=-32, seconds=seconds),
        )
    return st.builds(_over, foreground, background)


def stimuli(*, sample_rate: int = SAMPLE_RATE, seconds: float = SECONDS) -> SearchStrategy[Stimulus]:
    """Any sound of this module; what ``hypothesis.strategies.from_type(Stimulus)`` draws from.

    FluidSynth is not needed for any of them.
    """
    options = {"sample_rate": sample_rate, "seconds": seconds}
    return st.one_of(
        notes(**options),  # type: ignore[arg-type]
        partials(**options),  # type: ignore[arg-type]
        harmonic_complexes(**options),  # type: ignore[arg-type]
        chords(**options),  # type: ignore[arg-type]
        multisines(**options),  # type: ignore[arg-type]
        noises(seconds=seconds),
        mixtures(**options),  # type: ignore[arg-type]
    )


def ratio(db: float) -> float:
    """Return the RMS re full scale 1 of a level in dB."""
    return float(10.0 ** (db / 20.0))


def timbre_name(timbre: str) -> str:
    """Return what a musician calls a timbre: ``"violin"`` for ``"program:40"``."""
    number = timbre.removeprefix(PROGRAM)
    return timbre if number == timbre else PROGRAM_NAMES.get(int(number), f"General MIDI {number}")


# The lowest partial of the timbre "inharmonic" lies 1.7 cents above its pitch.
_STRETCH_CENTS = 2.0


def _crest(programs: Sequence[int]) -> float:
    """Peak over RMS that a note may have: of eight harmonics in phase, or of a render."""
    return max(math.sqrt(2.0 * HARMONICS), bounds.CREST_RENDER if programs else 0.0)


def _played(midi: float, timbre: str, *, db: int, seed: int, max_hz: float) -> Source:
    rng = np.random.default_rng(seed) if seed else None
    return note(midi, timbre, rms=ratio(db), rng=rng, max_hz=max_hz)


def _said(midi: float, timbre: str, db: int) -> str:
    return f"{pitch.name(midi)} {timbre_name(timbre)} at {db} dB"


def _drawn(seed: int) -> str:
    return f", phases {seed}" if seed else ""


def _over(above: Stimulus, beneath: Stimulus) -> Stimulus:
    return dataclasses.replace(above + beneath, label=f"{above.label} over {beneath.label}", chord=beneath.chord)
