"""Pitches as MIDI numbers, their names, and chords built from them.

A pitch is a MIDI number, fractional where it lies between the keys: 69 is A4 at 440 Hz, 69.25 lies 25 cents above it.
Frequencies in Hz, intervals in semitones, small intervals in cents.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

A4_MIDI = 69
A4_HZ = 440.0

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

QUALITIES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "fifth": (0, 7),
        "major": (0, 4, 7),
        "minor": (0, 3, 7),
        "diminished": (0, 3, 6),
        "augmented": (0, 4, 8),
        "sus2": (0, 2, 7),
        "sus4": (0, 5, 7),
        "major7": (0, 4, 7, 11),
        "minor7": (0, 3, 7, 10),
        "dominant7": (0, 4, 7, 10),
        "half-diminished7": (0, 3, 6, 10),
        "diminished7": (0, 3, 6, 9),
    }
)
"""Semitones above the root, close position, by the name of the chord."""

JUST_RATIOS: tuple[Fraction, ...] = tuple(
    Fraction(*pair)
    for pair in (
        (1, 1),
        (16, 15),
        (9, 8),
        (6, 5),
        (5, 4),
        (4, 3),
        (45, 32),
        (3, 2),
        (8, 5),
        (5, 3),
        (9, 5),
        (15, 8),
    )
)
"""Frequency ratio to the root for 0 to 11 semitones: the five-limit scale (Ellis, in Helmholtz 1885, appendix XX)."""

VOICINGS = ("close", "open", "drop2")


def hz_from_midi(midi: float) -> float:
    """Return the frequency in Hz of a MIDI number, equal temperament, A4 = 440 Hz.

    >>> hz_from_midi(57)
    220.0
    """
    return A4_HZ * math.exp2((midi - A4_MIDI) / 12.0)


def midi_from_hz(hz: float) -> float:
    """Return the fractional MIDI number of a frequency in Hz.

    >>> midi_from_hz(440.0)
    69.0

    Raises:
        ValueError: if ``hz`` is not a positive number.
    """
    if not (math.isfinite(hz) and hz > 0):
        raise ValueError(f"hz={hz!r} must be a positive frequency in Hz")
    return A4_MIDI + 12.0 * math.log2(hz / A4_HZ)


def name(midi: float) -> str:
    """Return the name of a pitch, sharps only: ``"A4"`` for 69, ``"A4 +25 c"`` for 69.25.

    The offset is in cents from the nearest key, rounded to one cent; half way up belongs to the lower key.
    """
    if not math.isfinite(midi):
        raise ValueError(f"midi={midi!r} must be a finite MIDI number (69 is A4)")
    key = math.ceil(midi - 0.5)
    cents = round(100.0 * (midi - key))
    plain = f"{NAMES[key % 12]}{key // 12 - 1}"
    return plain if cents == 0 else f"{plain} {cents:+d} c"


def just_semitones(semitones: int) -> float:
    """Return the just interval nearest in name to a whole number of semitones, as fractional semitones."""
    octaves, step = divmod(semitones, 12)
    return 12.0 * (octaves + math.log2(JUST_RATIOS[step]))


def chord(
    root_midi: float, quality: str, *, inversion: int = 0, voicing: str = "close", tuning: str = "equal"
) -> tuple[float, ...]:
    """Return the MIDI numbers of a chord, lowest first.

    Args:
        root_midi: MIDI number of the root in close root position.
        quality: a key of ``QUALITIES``.
        inversion: how many of the lowest notes move up an octave; applied before the voicing.
        voicing: ``"close"``; ``"open"`` lifts the second note from below an octave; ``"drop2"`` lowers the second
            note from above an octave.
        tuning: ``"equal"``, or ``"just"`` with ``JUST_RATIOS`` above the root.

    Raises:
        ValueError: for an unknown quality, voicing or tuning, or an inversion that the chord does not have.

    >>> chord(60, "major", inversion=1)
    (64.0, 67.0, 72.0)
    """
    steps = _choice("quality", quality, QUALITIES)
    _choice("voicing", voicing, {each: each for each in VOICINGS})
    interval = _choice("tuning", tuning, {"equal": float, "just": just_semitones})
    if not 0 <= inversion < len(steps):
        raise ValueError(f"inversion={inversion} of {quality!r} must lie in 0..{len(steps) - 1}")
    notes = sorted([step + 12 for step in steps[:inversion]] + list(steps[inversion:]))
    if voicing == "open":
        notes[1] += 12
    elif voicing == "drop2":
        notes[-2] -= 12
    return tuple(root_midi + interval(step) for step in sorted(notes))


def _choice(argument: str, value: str, choices: Mapping[str, Any]) -> Any:
    """Return ``choices[value]``, or raise with the names there are."""
    if value not in choices:
        raise ValueError(f"{argument}={value!r} is unknown; known: {', '.join(choices)}")
    return choices[value]
