"""Labels: notes and triads whose names recur in other octaves, timbres and voicings.

`named_sounds`  pitch classes x octaves x timbres, and triads x voicings in octaves: what shares a name shares no height
"""

from dataclasses import dataclass

import numpy as np

from testtone.stimuli import pitch
from testtone.stimuli.designs import LEVEL, SUSTAINED_PROGRAMS
from testtone.stimuli.stimulus import Stimulus
from testtone.stimuli.timbre import note

LOWEST_MIDI = 53
"""F3. A semitone is 10 Hz wide there: further down no stretch of sound this short tells keys apart."""

OCTAVES = 2
VOICINGS = (("close", 0, 0), ("open", 0, 12), ("close", 2, 0))
"""Voicing, inversion, and semitones by which the root is moved up: mean heights lie at 0, 16 and 8 semitones."""

ADDITIVE = ("tilt", "formant", "odd", "flat")
"""Harmonic timbres with more than one partial."""
CENTS = 10.0


@dataclass(frozen=True)
class Named:
    """Sounds with a name, where it stands among the names, and what is not in the name."""

    stimuli: tuple[Stimulus, ...]
    names: tuple[str, ...]
    label: tuple[int, ...]
    """Index of the name, per sound."""
    register: tuple[int, ...]
    """Octave of a note, voicing of a triad: pairs are formed between registers."""
    timbre: tuple[str, ...]
    height: tuple[float, ...]
    """Mean MIDI number of the notes."""


@dataclass(frozen=True)
class NamedSounds:
    """Notes named by pitch class, and triads named by root and quality."""

    notes: Named
    triads: Named

    @property
    def flat(self) -> tuple[Stimulus, ...]:
        """Notes, then triads."""
        return self.notes.stimuli + self.triads.stimuli


_Row = tuple[int, int, str, tuple[float, ...]]
"""Label, register, timbre, MIDI numbers."""


def named_sounds(
    rng: np.random.Generator, *, timbres: int, triads: int, voicings: int, seconds: float, harmonics_below_hz: float
) -> NamedSounds:
    """Draw all twelve pitch classes in two octaves and ``timbres`` timbres, and ``triads`` triads in ``voicings``.

    Half the timbres are additive, half FluidSynth programs, all at one RMS, with start phases and up to 10 cents of
    tuning drawn. Triads are major and minor on half as many roots; each voicing stands in a timbre drawn anew.
    """
    programs = [f"program:{each}" for each in rng.choice(SUSTAINED_PROGRAMS, timbres - timbres // 2, replace=False)]
    chosen = [*(str(each) for each in rng.choice(ADDITIVE, timbres // 2, replace=False)), *programs]
    rows: list[_Row] = []
    for key in range(12):
        for octave in range(OCTAVES):
            for timbre in chosen:
                rows.append((key, octave, timbre, (float(LOWEST_MIDI + key + 12 * octave),)))
    names = tuple(pitch.NAMES[(LOWEST_MIDI + key) % 12] for key in range(12))
    notes = _named(rng, rows, names, seconds, harmonics_below_hz)
    roots = np.sort(rng.choice(12, triads // 2, replace=False))
    rows, names = [], ()
    for root in roots:
        for quality in ("major", "minor"):
            for register, (voicing, inversion, up) in enumerate(VOICINGS[:voicings]):
                midi = pitch.chord(float(LOWEST_MIDI + root + up), quality, inversion=inversion, voicing=voicing)
                rows.append((len(names), register, str(rng.choice(chosen)), midi))
            names = (*names, f"{pitch.NAMES[(LOWEST_MIDI + root) % 12]} {quality}")
    return NamedSounds(notes, _named(rng, rows, names, seconds, harmonics_below_hz))


def _named(
    rng: np.random.Generator,
    rows: list[_Row],
    names: tuple[str, ...],
    seconds: float,
    harmonics_below_hz: float,
) -> Named:
    stimuli = []
    for label, _, timbre, midi in rows:
        cents = float(rng.uniform(-CENTS, CENTS))
        sources = tuple(
            note(each + cents / 100.0, timbre, rms=LEVEL / np.sqrt(len(midi)), rng=rng, max_hz=harmonics_below_hz)
            for each in midi
        )
        said = f"{names[label]}: {', '.join(pitch.name(round(each)) for each in midi)} ({timbre})"
        stimuli.append(Stimulus(sources, seconds, label=said))
    labels, registers, timbres, notes = zip(*rows, strict=True)
    return Named(tuple(stimuli), names, labels, registers, timbres, tuple(float(np.mean(each)) for each in notes))
