"""Natural company: what a claim finds where its tones stand in music instead of other tones.

A claim that does not need every frequency to be exact asks its question once more among backgrounds: recordings of the
user's own where there are some (`Ear.backgrounds`), else ensembles of a General MIDI SoundFont (`stimuli.backgrounds`).
What comes out is a part of the record. It never decides, and its sounds are drawn by a generator of its own: the
deciding effect is the same number with and without recordings. At `quick` it is asked only if there are recordings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from testtone.stimuli.backgrounds import Background, backgrounds
from testtone.stimuli.designs import LEVEL

from .hearing import Ear

COMPANIES = 12
"""Backgrounds: clusters of a part's interval."""


def company(
    ear: Ear, rng: np.random.Generator, effort: str, *, seconds: float, count: int = COMPANIES, rms: float = LEVEL
) -> tuple[Background, ...]:
    """Return ``count`` backgrounds for clips of ``seconds``, or none where an effort has no time for them."""
    if effort == "quick" and not ear.backgrounds:
        return ()
    return backgrounds(rng, count, seconds=seconds, found=ear.backgrounds, rms=rms, max_hz=0.45 * ear.sample_rate)


def kind(ear: Ear) -> str:
    """Return what a part says of its company."""
    return "recordings of the user's own" if ear.backgrounds else "ensembles of a General MIDI SoundFont"


def numbered(found: Sequence[Background]) -> tuple[tuple[str, tuple], ...]:
    """Return label and sources of each, the labels told apart by a number."""
    return tuple((f"{each.label} ({index + 1})", each.sources) for index, each in enumerate(found))
