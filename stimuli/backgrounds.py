"""Backgrounds: natural sound for tones to stand in, where a question does not need every frequency to be exact.

`backgrounds`  recordings where there are some, else ensembles
`ensemble`     some instruments of a General MIDI SoundFont that hold a chord
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from testtone.stimuli import pitch, recordings
from testtone.stimuli.designs import LEVEL, SUSTAINED_PROGRAMS
from testtone.stimuli.renders import soundfont
from testtone.stimuli.sources import Note, Recording, Render, Source


@dataclass(frozen=True)
class Background:
    """Sources that sound together, and what a person would call them."""

    label: str
    sources: tuple[Source, ...]

    def again(self, rng: np.random.Generator) -> Background:
        """Return another performance: every source starts a little earlier or later."""
        return Background(self.label, tuple(each.with_phases(rng) for each in self.sources))


def backgrounds(
    rng: np.random.Generator,
    count: int,
    *,
    seconds: float,
    found: Sequence[Recording] = (),
    rms: float = LEVEL,
    max_hz: float | None = None,
) -> tuple[Background, ...]:
    """Draw ``count`` backgrounds: excerpts of the recordings ``found``, each file used equally often, else ensembles.

    Args:
        rng: draws files, places and instruments.
        count: how many.
        seconds: length of the clips they are for.
        found: recordings, as `recordings.folder` gives them.
        rms: of each, re full scale; of a recording less, where its peak would leave no room for other sources.
        max_hz: ensembles hold nothing above it.

    Raises:
        ValueError: if no recording lasts long enough.
    """
    if not found:
        return tuple(ensemble(rng, rms=rms, max_hz=max_hz) for _ in range(count))
    usable = [(each, starts) for each in found if (starts := recordings.places(each, seconds=seconds))]
    if not usable:
        raise ValueError(
            f"seconds={seconds:.2f} is longer than any of {len(found)} recordings goes on from a place that sounds; "
            "give longer ones"
        )
    order = [int(index) for _ in range(-(-count // len(usable))) for index in rng.permutation(len(usable))]
    drawn = []
    for index in order[:count]:
        recording, starts = usable[index]
        place = Recording(
            recording.file_sha256, start_seconds=float(rng.choice(starts)), rms=rms, title=recording.title
        )
        drawn.append(Background(f"the recording {recording.title or recording.file_sha256[:12]}", (place,)))
    return tuple(drawn)


def ensemble(
    rng: np.random.Generator,
    *,
    voices: int = 3,
    rms: float = LEVEL,
    max_hz: float | None = None,
    soundfont_sha256: str | None = None,
) -> Background:
    """Draw instruments that hold a chord together, one note each, from a fifth of a second after their onset.

    Instruments of a SoundFont have tunings, vibrato and beats of their own: no frequency in it is exact.
    """
    if voices < 1:
        raise ValueError(f"voices={voices} must be at least 1")
    sha256 = soundfont_sha256 or soundfont()
    root = int(rng.integers(45, 61))
    quality = str(rng.choice(["major", "minor"]))
    tones = pitch.chord(float(root), quality)
    programs = rng.choice(SUSTAINED_PROGRAMS, voices, replace=voices > len(SUSTAINED_PROGRAMS))
    sources = []
    for voice, program in enumerate(programs):
        key = tones[voice % len(tones)] + 12.0 * (voice // len(tones))
        source = Render(
            (Note(min(key, 96.0)),),
            int(program),
            sha256,
            rms / math.sqrt(voices),
            skip_seconds=0.2,
            max_hz=max_hz,
            timbre=f"program:{program}",
        )
        sources.append(source.with_phases(rng))
    return Background(f"an ensemble, {pitch.name(float(root))} {quality}", tuple(sources))
