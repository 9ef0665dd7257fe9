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
                Stimulus(tuple(voices[i] for i in chord), seconds, label=" and ".join(pitch.name(midi[i]) for i in chord))
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
