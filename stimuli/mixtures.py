"""Mixtures of notes: chords beside their notes, mixtures at the level of a note, two voices, and notes by property.

=================  ==================================================================================================
`chords_of_notes`  singles, pairs and triads of a set of notes, each note with a timbre of its own
`notes_in_company` isolated notes in four timbres, and mixtures of two to four of them at the same level
`two_voices`       every note of one voice beside every note of another
`notes_by_property` notes that cross equally many pitches, levels and timbres
=================  ==================================================================================================

Pitches stand evenly over a range and a little off their places, so that no two sets are tuned alike and partials of
different notes do not coincide. A *token* is one performance: new start phases, the rest the same.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from testtone.stimuli import pitch
from testtone.stimuli.designs import LEVEL, SUSTAINED_PROGRAMS
from testtone.stimuli.sources import Source
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.timbre import note

LOW_MIDI, HIGH_MIDI = 48.0, 84.0
CLEAR_HZ = 4.0
"""Fundamentals keep this far from multiples of half the frame rate, where an alias would stand still."""


def spread_pitches(
    rng: np.random.Generator,
    count: int,
    *,
    frame_rate: float,
    low_midi: float = LOW_MIDI,
    high_midi: float = HIGH_MIDI,
    jitter: float = 0.3,
) -> tuple[float, ...]:
    """Return ``count`` fractional MIDI numbers, one in each of as many equal cells, lowest first.

    Within its cell a pitch keeps to ``jitter`` cells about the middle, and its fundamental to `CLEAR_HZ` from multiples
    of half the frame rate where one of 64 draws does so.
    """
    cell = (high_midi - low_midi) / count
    found = []
    for index in range(count):
        drawn = low_midi + cell * (index + 0.5 + jitter * rng.uniform(-1.0, 1.0, 64))
        hz = np.array([pitch.hz_from_midi(each) for each in drawn])
        folded = np.mod(hz, frame_rate / 2)
        clear = np.minimum(folded, frame_rate / 2 - folded) >= CLEAR_HZ
        found.append(float(drawn[np.argmax(clear)]))
    return tuple(found)


def sustained(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """Return ``count`` different FluidSynth timbres that hold a tone."""
    programs = rng.choice(SUSTAINED_PROGRAMS, count, replace=False)
    return tuple(f"program:{program}" for program in programs)


# Chords beside their notes


@dataclass(frozen=True)
class ChordsOfNotes:
    """``stimuli[token][chord]``: in a token a note keeps one waveform in all of its chords; tokens share no phase."""

    midi: tuple[float, ...]
    timbres: tuple[str, ...]
    """Of each note."""
    members: tuple[tuple[int, ...], ...]
    """Notes of each chord, singles first."""
    stimuli: tuple[tuple[Stimulus, ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Token by token."""
        return tuple(each for token in self.stimuli for each in token)


def chords_of_notes(
    rng: np.random.Generator,
    *,
    notes: int,
    pairs: int,
    triads: int,
    tokens: int,
    seconds: float,
    frame_rate: float,
    harmonics_below_hz: float,
    level_db: float = 0.0,
) -> ChordsOfNotes:
    """Return ``notes`` notes alone, and some of their pairs and triads, each note at the same level wherever it sounds.

    The notes take turns over three timbres: sine, tilt and one FluidSynth program. Pairs and triads are drawn without
    repetition, evenly over the notes. A note has an RMS of 0.05 full scale, ``level_db`` louder.
    """
    midi = spread_pitches(rng, notes, frame_rate=frame_rate)
    kinds = ("sine", "tilt", *sustained(rng, 1))
    timbres = tuple(kinds[index % 3] for index in range(notes))
    members = tuple(
        [(index,) for index in range(notes)] + _evenly(rng, notes, 2, pairs) + _evenly(rng, notes, 3, triads)
    )
    rms = LEVEL * 10.0 ** (level_db / 20.0)
    stimuli = []
    for _ in range(tokens):
        voices = [
            note(each, timbre, rms=rms, rng=rng, max_hz=harmonics_below_hz)
            for each, timbre in zip(midi, timbres, strict=True)
        ]
        stimuli.append(
            tuple(
                Stimulus(
                    tuple(voices[i] for i in chord), seconds, label=" and ".join(pitch.name(midi[i]) for i in chord)
                )
                for chord in members
            )
        )
    return ChordsOfNotes(midi, timbres, members, tuple(stimuli))


def _evenly(rng: np.random.Generator, notes: int, size: int, count: int) -> list[tuple[int, ...]]:
    """Return ``count`` of all subsets of a size, in which the notes occur about equally often."""
    left = list(itertools.combinations(range(notes), size))
    rng.shuffle(left)
    if count >= len(left):
        return sorted(left)
    uses, chosen = np.zeros(notes), []
    for _ in range(count):
        best = min(range(len(left)), key=lambda index: sum(uses[i] ** 2 for i in left[index]))
        chosen.append(left.pop(best))
        uses[list(chosen[-1])] += 1
    return sorted(chosen)


# Notes alone, and mixtures at the level of a note


@dataclass(frozen=True)
class NotesInCompany:
    """``alone[timbre][token][pitch]``; ``mixed[token][mixture]``, the same mixture in every token but for phase."""

    midi: tuple[float, ...]
    timbres: tuple[str, ...]
    alone: tuple[tuple[tuple[Stimulus, ...], ...], ...]
    members: tuple[tuple[int, ...], ...]
    """Pitches of each mixture."""
    mixed: tuple[tuple[Stimulus, ...], ...]


def notes_in_company(
    rng: np.random.Generator,
    *,
    pitches: int,
    mixtures: int,
    alone_tokens: int,
    mixed_tokens: int,
    seconds: float,
    frame_rate: float,
    harmonics_below_hz: float,
    rove_db: float = 3.0,
) -> NotesInCompany:
    """Return every pitch alone in four timbres, and ``mixtures`` of two, three and four of them.

    A note and a mixture have the same RMS, 0.1 full scale, each performance roved by +- ``rove_db``. The notes of a
    mixture are equally strong and each has one of the four timbres: sine, tilt, odd harmonics and a FluidSynth program.
    """
    midi = spread_pitches(rng, pitches, frame_rate=frame_rate)
    timbres = ("sine", "tilt", "odd", *sustained(rng, 1))
    total = 2.0 * LEVEL

    def level(notes: int) -> float:
        return total / notes**0.5 * 10.0 ** (rng.uniform(-rove_db, rove_db) / 20.0)

    def sound(index: int, timbre: str, rms: float) -> Source:
        return note(midi[index], timbre, rms=rms, rng=rng, max_hz=harmonics_below_hz)

    alone = tuple(
        tuple(
            tuple(
                Stimulus((sound(index, timbre, level(1)),), seconds, label=f"{pitch.name(midi[index])} ({timbre})")
                for index in range(pitches)
            )
            for _ in range(alone_tokens)
        )
        for timbre in timbres
    )
    third = -(-mixtures // 3)
    chords = [chord for size in (2, 3, 4) for chord in _evenly(rng, pitches, size, third)]
    voices = [tuple(str(rng.choice(timbres)) for _ in chord) for chord in chords]
    mixed = []
    for _ in range(mixed_tokens):
        performed = []
        for chord, played in zip(chords, voices, strict=True):
            rms = level(len(chord))
            performed.append(
                Stimulus(
                    tuple(sound(index, timbre, rms) for index, timbre in zip(chord, played, strict=True)),
                    seconds,
                    label=" and ".join(
                        f"{pitch.name(midi[i])} ({timbre})" for i, timbre in zip(chord, played, strict=True)
                    ),
                )
            )
        mixed.append(tuple(performed))
    return NotesInCompany(midi, timbres, alone, tuple(chords), tuple(mixed))


# Two voices


@dataclass(frozen=True)
class TwoVoices:
    """``stimuli[token][a][b]``: note a of the first voice beside note b of the second.

    ``follows[a]`` is the note of the first voice that comes after note a, whatever the second voice plays.
    """

    first_midi: tuple[float, ...]
    second_midi: tuple[float, ...]
    follows: tuple[int, ...]
    stimuli: tuple[tuple[tuple[Stimulus, ...], ...], ...]

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Token by token, first voice by first voice."""
        return tuple(each for token in self.stimuli for row in token for each in row)


def two_voices(
    rng: np.random.Generator,
    *,
    notes: int,
    tokens: int,
    seconds: float,
    frame_rate: float,
    harmonics_below_hz: float,
    rove_db: float = 3.0,
) -> TwoVoices:
    """Return all combinations of the notes of two voices, each performance with phases and levels of its own.

    The voices share timbre, register and level, and every note of one meets every note of the other: nothing about the
    second voice tells of the first. Their notes alternate on one scale, so that none belongs to both. The timbre, that
    of a note whoever plays beside it, is by turns tilt and one FluidSynth program. Either voice has an RMS of 0.05 full
    scale, both roved together by +- ``rove_db``.
    """
    scale = spread_pitches(rng, 2 * notes, frame_rate=frame_rate, jitter=0.15)
    kinds = ("tilt", *sustained(rng, 1))
    voices = tuple(tuple((scale[2 * index + voice], kinds[index % 2]) for index in range(notes)) for voice in range(2))
    follows = tuple(int(each) for each in rng.permutation(notes))

    def performed(a: int, b: int) -> Stimulus:
        rms = LEVEL * 10.0 ** (rng.uniform(-rove_db, rove_db) / 20.0)
        pair = (voices[0][a], voices[1][b])
        return Stimulus(
            tuple(note(midi, timbre, rms=rms, rng=rng, max_hz=harmonics_below_hz) for midi, timbre in pair),
            seconds,
            label=f"{pitch.name(pair[0][0])} (first voice) and {pitch.name(pair[1][0])} (second voice)",
        )

    stimuli = tuple(tuple(tuple(performed(a, b) for b in range(notes)) for a in range(notes)) for _ in range(tokens))
    return TwoVoices(tuple(midi for midi, _ in voices[0]), tuple(midi for midi, _ in voices[1]), follows, stimuli)


# Notes by property


@dataclass(frozen=True)
class NotesByProperty:
    """Notes that cross pitch, level and timbre, as many classes of each; ``classes[note]`` = (pitch, level, timbre)."""

    midi: tuple[float, ...]
    levels_db: tuple[float, ...]
    timbres: tuple[str, ...]
    classes: tuple[tuple[int, int, int], ...]
    stimuli: tuple[Stimulus, ...]


ADDITIVE = ("sine", "tilt", "flat", "odd", "formant", "inharmonic")


def notes_by_property(
    rng: np.random.Generator,
    *,
    squares: int,
    seconds: float,
    frame_rate: float,
    harmonics_below_hz: float,
    classes: int = 12,
    step_db: float = 3.0,
    step_semitones: float = 3.0,
) -> NotesByProperty:
    """Return isolated notes of ``classes`` pitches, levels and timbres, from ``squares`` Latin squares.

    In one square every pair of classes of two properties occurs once. Pitches lie ``step_semitones`` apart, a little
    off their places; levels ``step_db`` apart, the loudest an RMS of 0.1 full scale; timbres are six additive ones and
    as many FluidSynth programs, in random order. Every note has phases of its own.
    """
    low = HIGH_MIDI - classes * step_semitones
    midi = spread_pitches(rng, classes, frame_rate=frame_rate, low_midi=low, jitter=0.1)
    levels = tuple(-step_db * (classes - 1 - index) for index in range(classes))
    names = [*ADDITIVE, *sustained(rng, classes - len(ADDITIVE))]
    timbres = tuple(str(each) for each in rng.permutation(names))
    chosen: list[tuple[int, int, int]] = []
    for _ in range(squares):
        rows, columns, symbols = (rng.permutation(classes) for _ in range(3))
        chosen += [
            (int(rows[i]), int(columns[j]), int(symbols[(i + j) % classes]))
            for i in range(classes)
            for j in range(classes)
        ]
    stimuli = tuple(
        Stimulus(
            (
                note(
                    midi[p],
                    timbres[t],
                    rms=2.0 * LEVEL * 10.0 ** (levels[v] / 20.0),
                    rng=rng,
                    max_hz=harmonics_below_hz,
                ),
            ),
            seconds,
            label=f"{pitch.name(midi[p])} ({timbres[t]}, {levels[v]:.0f} dB)",
        )
        for p, v, t in chosen
    )
    return NotesByProperty(midi, levels, timbres, tuple(chosen), stimuli)
