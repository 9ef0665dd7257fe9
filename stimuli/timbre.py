"""Named timbres, and one function that plays a pitch with any of them.

``sine``        the fundamental alone
``tilt``        harmonics 1-8 falling 6 dB per octave
``flat``        harmonics 1-8 at equal level
``odd``         harmonics 1, 3, 5, 7 falling 6 dB per octave
``formant``     harmonics 1-8 under resonances at 600, 1200 and 2500 Hz
``inharmonic``  partials 1-8 of a stiff string, B = 0.002: the eighth lies 104 cents above the harmonic
``program:N``   a FluidSynth render of General MIDI program N, 0 to 127, counted from 0

Eight harmonics at most: the eleventh and twelfth would lie a quarter tone and a semitone from other keys' partials.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from testtone.stimuli import renders
from testtone.stimuli.complexes import harmonic_complex
from testtone.stimuli.pitch import hz_from_midi
from testtone.stimuli.sources import Note, Render, Tone

PROGRAM = "program:"
SKIP_SECONDS = 0.2  # attacks of the General MIDI programs are over by then; plucked and struck ones still ring
VELOCITY = 100


class Timbre(Protocol):
    """What ``TIMBRES`` holds: a function that plays one pitch as a tone."""

    def __call__(
        self, midi: float, *, rms: float = 0.05, rng: np.random.Generator | None = None, max_hz: float | None = None
    ) -> Tone:
        """Return the tone of this timbre at a fractional MIDI number."""


def _additive(name: str, options: Mapping[str, Any]) -> Timbre:
    """Return the timbre ``name``: a harmonic complex with the options given."""

    def play(
        midi: float, *, rms: float = 0.05, rng: np.random.Generator | None = None, max_hz: float | None = None
    ) -> Tone:
        phases = "sine" if rng is None else "random"
        return harmonic_complex(
            hz_from_midi(midi), rms=rms, rng=rng, phases=phases, midi=midi, timbre=name, max_hz=max_hz, **options
        )

    return play


RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "sine": {"harmonics": 1},
        "tilt": {},
        "flat": {"tilt_db_per_octave": 0.0},
        "odd": {"only": "odd"},
        "formant": {"formant_hz": ((600.0, 120.0), (1200.0, 180.0), (2500.0, 300.0))},
        "inharmonic": {"inharmonicity": 0.002},
    }
)
"""Options of ``harmonic_complex`` for each additive timbre."""

TIMBRES: Mapping[str, Timbre] = MappingProxyType({name: _additive(name, options) for name, options in RECIPES.items()})
"""The additive timbres by name: functions that play one pitch."""


def note(
    midi: float,
    timbre: str,
    *,
    rms: float = 0.05,
    rng: np.random.Generator | None = None,
    max_hz: float | None = None,
) -> Tone | Render:
    """Return one note as a source.

    Args:
        midi: MIDI number, fractional between the keys; a render takes the nearest key and a pitch bend.
        timbre: a key of ``TIMBRES``, or ``"program:N"``.
        rms: RMS re full scale 1.
        rng: draws the start phases; of a render, the start within its sustained part. Without it phases are sine phase
            and renders start after ``SKIP_SECONDS``.
        max_hz: nothing sounds above it.

    Raises:
        ValueError: for an unknown timbre, a program outside 0..127, or a ``max_hz`` that leaves nothing.
    """
    if timbre in TIMBRES:
        return TIMBRES[timbre](midi, rms=rms, rng=rng, max_hz=max_hz)
    number = timbre.removeprefix(PROGRAM)
    if number == timbre or not number.isdecimal():
        raise ValueError(f"timbre={timbre!r} is unknown; known: {', '.join(TIMBRES)}, program:0 to program:127")
    if max_hz is not None and hz_from_midi(midi) > max_hz:
        raise ValueError(f"max_hz={max_hz} lies below the pitch (midi={midi}, {hz_from_midi(midi):.2f} Hz)")
    source = Render(
        (Note(midi, VELOCITY),), int(number), renders.soundfont(), rms, SKIP_SECONDS, max_hz=max_hz, timbre=timbre
    )
    return source if rng is None else source.with_phases(rng)
