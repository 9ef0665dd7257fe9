"""Random music: the material that encoders are trained on and that their held-out figures come from.

A `Piece` is a recipe: parts with programs and notes, percussion, a level. It says what it holds in tags, so that a
tagger can be trained on it. `play` renders many pieces in one go with one synthesizer, which is some hundred times
faster than real time; the claims, which need single sounds that are exact, use `renders` instead.

Programs and tonics are divided once for all: what is held out here was never trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from testtone.stimuli.renders import in_turn, soundfont
from testtone.stimuli.sources import Note

FAMILIES: dict[str, tuple[int, ...]] = {
    "keys": tuple(range(0, 8)),
    "mallets": tuple(range(8, 16)),
    "organ": tuple(range(16, 24)),
    "guitar": tuple(range(24, 32)),
    "bass": tuple(range(32, 40)),
    "bowed": (*range(40, 45), *range(48, 52)),
    "voice": (52, 53, 54),
    "brass": tuple(range(56, 64)),
    "reed": tuple(range(64, 72)),
    "pipe": tuple(range(72, 80)),
    "lead": tuple(range(80, 88)),
    "pad": tuple(range(88, 96)),
}
"""General MIDI programs, counted from 0, by the family that a listener would name."""

HELD_OUT_PROGRAMS = frozenset(
    {1, 5, 11, 13, 17, 20, 25, 28, 33, 36, 41, 49, 53, 57, 60, 66, 71, 73, 75, 81, 85, 89, 93, 98, 105, 114, 122}
)
"""Programs that no training hears: about two of each family, chosen before the first training."""

HELD_OUT_TONICS = frozenset({1, 6})
"""Tonics that no training hears, as pitch classes: D-flat and G-flat."""

QUALITIES: dict[str, tuple[int, ...]] = {
    "octaves": (0, 12),
    "fifths": (0, 7, 12),
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6, 9),
    "augmented": (0, 4, 8),
    "cluster": (0, 1, 2, 3),
}
"""Chords by their quality, in semitones above the root."""

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 8, 11), (0, 2, 4, 7, 9))
DRUMS = (35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 53, 54, 56, 57, 60, 62, 64, 69, 70, 75, 76)
BEATS = (0.25, 0.5, 0.5, 1.0, 1.0, 2.0, 4.0)
LEVELS_DB = (-36.0, -14.0)
PEAK = 0.95
SILENT = 1e-5

REGISTERS = {"low": (0.0, 47.0), "middle": (48.0, 71.0), "high": (72.0, 127.0)}
"""Registers by MIDI number."""


@dataclass(frozen=True)
class Part:
    """Notes of one General MIDI program; bank 128 is percussion."""

    program: int
    notes: tuple[Note, ...]
    bank: int = 0


@dataclass(frozen=True)
class Piece:
    """Some seconds of music.

    Args:
        parts: who plays what.
        seconds: length.
        rms: of the whole, re full scale 1; less where its peak would exceed `PEAK`.
        tonic: pitch class, 0 is C.
        quality: name of its chord where the piece stays on one, else None.
    """

    parts: tuple[Part, ...]
    seconds: float
    rms: float
    tonic: int
    quality: str | None = None

    @property
    def polyphony(self) -> int:
        """Largest number of tonal notes that sound together."""
        notes = [note for part in self.parts if part.bank != 128 for note in part.notes]
        return max((sum(_sounds(other, note.start_seconds) for other in notes) for note in notes), default=0)

    @property
    def onsets_per_second(self) -> float:
        """Different onsets a second, percussion included."""
        starts = {round(note.start_seconds, 2) for part in self.parts for note in part.notes}
        return len(starts) / self.seconds

    def families(self) -> frozenset[str]:
        """Return the instrument families that play."""
        programs = {part.program for part in self.parts if part.bank != 128}
        return frozenset(name for name, members in FAMILIES.items() if programs & set(members))

    def registers(self) -> frozenset[str]:
        """Return the registers in which tonal notes sound."""
        keys = [note.midi for part in self.parts if part.bank != 128 for note in part.notes]
        return frozenset(name for name, (low, high) in REGISTERS.items() if any(low <= key < high + 1 for key in keys))


def trained_programs() -> tuple[int, ...]:
    """Return the programs that training may use."""
    return tuple(program for program in range(128) if program not in HELD_OUT_PROGRAMS)


def trained_tonics() -> tuple[int, ...]:
    """Return the tonics that training may use."""
    return tuple(tonic for tonic in range(12) if tonic not in HELD_OUT_TONICS)


def piece(
    rng: np.random.Generator,
    *,
    seconds: float,
    programs: Sequence[int],
    tonics: Sequence[int],
    quality: str | None = None,
    max_polyphony: int = 6,
    percussion: float = 0.35,
) -> Piece:
    """Draw a piece: one to four parts that play chords, a bass or a melody, and now and then percussion.

    Args:
        rng: source of everything drawn.
        seconds: length of the piece.
        programs: General MIDI programs to draw from.
        tonics: pitch classes to draw the tonic from.
        quality: stay on one chord of this quality; None changes chords with the bars.
        max_polyphony: largest number of tonal notes that start together, 1 to 6.
        percussion: probability that percussion plays.

    Raises:
        ValueError: for an unknown quality, or a polyphony out of range.
    """
    if quality is not None and quality not in QUALITIES:
        raise ValueError(f"quality={quality!r} must be one of {', '.join(QUALITIES)}")
    if not 1 <= max_polyphony <= 6:
        raise ValueError(f"max_polyphony={max_polyphony} must lie in 1 to 6")
    tonic = int(rng.choice(list(tonics)))
    beat = 60.0 / rng.uniform(60.0, 180.0)
    harmony = _Harmony.drawn(rng, tonic, quality, bar=4.0 * beat, seconds=seconds)
    polyphony = int(rng.integers(1, max_polyphony + 1))
    if quality is not None:
        polyphony = max(polyphony, len(QUALITIES[quality]))
    parts: list[Part] = []
    left = polyphony
    while left > 0 and len(parts) < 4:
        voices = left if quality is not None and not parts else int(rng.integers(1, left + 1))
        program = int(rng.choice(list(programs)))
        melody = quality is None and voices == 1 and rng.random() < 0.7
        notes = _notes(rng, harmony, voices=voices, melody=melody, beat=beat, seconds=seconds)
        parts.append(Part(program, notes))
        left -= voices
    if rng.random() < percussion:
        parts.append(Part(0, _percussion(rng, beat=beat, seconds=seconds), bank=128))
    level_db = rng.uniform(*LEVELS_DB)
    return Piece(tuple(parts), seconds, 10.0 ** (level_db / 20.0), tonic, quality)


def play(pieces: Iterable[Piece], *, sample_rate: int, soundfont_sha256: str | None = None) -> list[np.ndarray]:
    """Return each piece as float32 ``samples``.

    One fresh synthesizer plays them in order, so the same pieces in the same order give the same bits. A piece that
    the SoundFont leaves silent, for lack of its keys, stays silent.

    Raises:
        FluidSynthMissingError: if FluidSynth is not installed.
    """
    pieces = list(pieces)
    waves = in_turn(
        [
            ([(part.program, part.bank, part.notes) for part in each.parts], round(each.seconds * sample_rate))
            for each in pieces
        ],
        sample_rate=sample_rate,
        soundfont_sha256=soundfont_sha256 or soundfont(),
    )
    return [_levelled(wave, each.rms) for wave, each in zip(waves, pieces, strict=True)]


def _levelled(wave: np.ndarray, rms: float) -> np.ndarray:
    actual = math.sqrt(float(np.mean(wave.astype(np.float64) ** 2)))
    if actual < SILENT:
        return np.zeros_like(wave)
    return (wave * min(rms / actual, PEAK / float(np.abs(wave).max()))).astype(np.float32)


def _sounds(note: Note, seconds: float) -> bool:
    return note.start_seconds <= seconds and (note.end_seconds is None or seconds < note.end_seconds)


@dataclass(frozen=True)
class _Harmony:
    """Chords in turn: start in seconds, root as a pitch class, semitones above it; and the scale for melodies."""

    chords: tuple[tuple[float, int, tuple[int, ...]], ...]
    scale: tuple[int, ...]

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, tonic: int, quality: str | None, *, bar: float, seconds: float
    ) -> _Harmony:
        scale = tuple((tonic + step) % 12 for step in SCALES[int(rng.integers(len(SCALES)))])
        if quality is not None:
            return cls(((0.0, tonic, QUALITIES[quality]),), scale)
        names = ("major", "minor", "major", "minor", "diminished", "augmented", "fifths")
        chords = []
        start = 0.0
        while start < seconds:
            root = scale[int(rng.integers(len(scale)))]
            chords.append((start, root, QUALITIES[names[int(rng.integers(len(names)))]]))
            start += bar * rng.choice((0.5, 1.0, 1.0, 2.0))
        return cls(tuple(chords), scale)

    def at(self, seconds: float) -> tuple[int, tuple[int, ...]]:
        """Return root and intervals of the chord that sounds at a time."""
        _, root, intervals = [chord for chord in self.chords if chord[0] <= seconds + 1e-9][-1]
        return root, intervals


def _notes(
    rng: np.random.Generator, harmony: _Harmony, *, voices: int, melody: bool, beat: float, seconds: float
) -> tuple[Note, ...]:
    """Draw the notes of a part: `voices` at once, in a register and a rhythm of their own."""
    centre = float(rng.uniform(36.0, 84.0))
    loudness = float(rng.uniform(45.0, 115.0))
    length = float(rng.choice(BEATS)) * beat
    steady, legato, rest = rng.random() < 0.5, rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.25)
    inversion = int(rng.integers(4))
    previous = centre
    notes: list[Note] = []
    start = float(rng.uniform(0.0, 0.2))
    while start < seconds:
        if rng.random() >= rest or not notes:
            root, intervals = harmony.at(start)
            if melody:
                keys = [_nearest(rng.choice(harmony.scale), previous + rng.normal(0.0, 3.0), low=28.0, high=100.0)]
                previous = 0.9 * keys[0] + 0.1 * centre
            else:
                keys = _voiced(root, intervals, voices, centre, inversion)
            for key in keys:
                velocity = int(np.clip(round(loudness + rng.normal(0.0, 8.0)), 20, 127))
                notes.append(Note(float(key), velocity, start, start + max(0.05, legato * length)))
        start += length
        if not steady:
            length = float(rng.choice(BEATS)) * beat
    return tuple(notes)


def _voiced(root: int, intervals: tuple[int, ...], voices: int, centre: float, inversion: int) -> list[float]:
    """Return `voices` keys of a chord: close position from the inversion on, repeated an octave higher."""
    tones = sorted({(root + step) % 12 for step in intervals}) if len(intervals) < 4 or max(intervals) > 3 else None
    if tones is None:  # a cluster stays one: its notes are neighbours
        lowest = _nearest(root, centre, low=30.0, high=90.0)
        return [lowest + step for step in range(voices)]
    order = [(tones[(inversion + k) % len(tones)], (inversion + k) // len(tones)) for k in range(voices)]
    first = _nearest(order[0][0], centre, low=28.0, high=84.0)
    keys = [first]
    for tone, _ in order[1:]:
        keys.append(keys[-1] + ((tone - keys[-1] - 1) % 12 + 1))
    return [key for key in keys if key <= 108.0]


def _nearest(pitch_class: float, midi: float, *, low: float, high: float) -> float:
    """Return the key of a pitch class that is nearest to `midi` and lies between `low` and `high`."""
    key = pitch_class + 12.0 * round((midi - pitch_class) / 12.0)
    while key < low:
        key += 12.0
    while key > high:
        key -= 12.0
    return float(key)


def _percussion(rng: np.random.Generator, *, beat: float, seconds: float) -> tuple[Note, ...]:
    """Draw a pattern of a bar on a grid of half or quarter beats, repeated."""
    step = beat / float(rng.choice((1.0, 2.0, 2.0, 4.0)))
    slots = 8
    drums = rng.choice(DRUMS, size=int(rng.integers(1, 5)), replace=False)
    pattern = rng.random((len(drums), slots)) < rng.uniform(0.15, 0.6, (len(drums), 1))
    pattern[0, 0] = True
    loudness = rng.uniform(50.0, 120.0)
    notes: list[Note] = []
    for tick in range(int(seconds / step) + 1):
        for drum, hits in zip(drums, pattern, strict=True):
            if hits[tick % slots] and tick * step < seconds:
                velocity = int(np.clip(round(loudness + rng.normal(0.0, 10.0)), 20, 127))
                notes.append(Note(float(drum), velocity, tick * step, tick * step + 0.1))
    return tuple(notes)
