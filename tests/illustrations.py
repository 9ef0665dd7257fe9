"""One sound in three representations, as a record: what it is in words, how it looks, what an encoder makes of it.

It decides nothing. The post opens with such a figure; a report shows it anew with the encoders on trial.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtone import stimuli
from testtone.models.listening import EncoderFault, Listener
from testtone.stimuli import Note, Render, Stimulus, renders

SITES = ("stack_end", "latent", "quantised", "first_conv")
"""Where a feature map is taken: at the first of these that the encoder offers with frames of its own."""

CHORDS = (
    ("C major", (60, 64, 67), 36),
    ("A minor", (57, 60, 64), 33),
    ("F major", (57, 60, 65), 29),
    ("G major", (59, 62, 67), 31),
)
CHORD_SECONDS = 0.75
PIANO, BASS = 0, 32
RMS = 0.08

PAGE_RATE = 24_000
"""Hz: what the page plays, whoever is on trial. Each encoder hears the same at its own rate."""

CHANNELS = 48
FRAMES = 120
NUMBERS = 8
SHADES = "0123456789abcdef"
NO_FRAMES = 8
"""Fewer frames a second than this make no picture."""


def sound(least_seconds: float) -> tuple[Stimulus, str]:
    """Return the sound, at least so long, and the prose that a listener might write of it."""
    seconds = max(len(CHORDS) * CHORD_SECONDS, least_seconds)
    if not renders.available():
        held = max(1.5, least_seconds)
        notes = [stimuli.harmonic_complex(stimuli.hz_from_midi(m), rms=0.05, midi=float(m)) for m in CHORDS[0][1]]
        return (
            Stimulus.of(*notes, seconds=held, label="a C major chord"),
            "Three tones of eight partials each sound together, C, E and G, and stay: a C major chord on an organ "
            "without a room.",
        )
    hash_of = stimuli.soundfont()
    upper, lower = [], []
    for index, (_, keys, root) in enumerate(CHORDS):
        start = index * CHORD_SECONDS
        end = start + CHORD_SECONDS if index < len(CHORDS) - 1 else None
        upper += [Note(float(key), 90, start, end) for key in keys]
        lower.append(Note(float(root), 100, start, end))
    return (
        Stimulus.of(
            Render(tuple(upper), PIANO, hash_of, RMS, 0.0, 0.0),
            Render(tuple(lower), BASS, hash_of, RMS / 2, 0.0, 0.0),
            seconds=seconds,
            label="four chords on a piano, with a bass",
        ),
        "A piano plays four chords, C major, A minor, F major and G major, three quarters of a second each. A bass "
        "plays their roots. It could be the opening of any of a thousand songs.",
    )


def illustration(listener: Listener) -> dict[str, Any] | None:
    """Return what an encoder makes of the sound, with the sound; None where it offers nothing to look at."""
    try:
        rate = listener.sample_rate
        site = next(
            (
                s
                for s in SITES
                if s in listener.sites and s not in listener.shifted and listener.frame_rates[s] >= NO_FRAMES
            ),
            None,
        )
        if site is None:
            return None
        played, prose = sound(listener.least_seconds)
        wave = played.render(rate)
        clip = wave[None].astype(np.float32)
        # By itself, where no windows are needed: nothing is measured here, so a batch need not have the usual shape.
        alone = listener.window_samples is None
        heard = (listener.ask(clip) if alone else listener.listen(clip).values)[site][0]
    except (EncoderFault, ValueError):
        return None
    # The edges hear padding as well; nothing is measured here, and a picture of the middle alone would be short.
    heard = np.asarray(heard, dtype=np.float64)
    if heard.shape[1] < NO_FRAMES or not np.isfinite(heard).all():
        return None
    kept, rows = feature_map(heard)
    return {
        "sha256": played.sha256,
        "prose": prose,
        "site": site,
        "channels": int(heard.shape[0]),
        "frames": int(heard.shape[1]),
        "kept": kept,
        "rows": rows,
        "numbers": [float(f"{value:.4g}") for value in heard[kept[int(heard[kept].std(axis=1).argmax())], :NUMBERS]],
        "sound": {"label": played.label, "seconds": played.seconds, "sample_rate": PAGE_RATE, "truth": played.truth()},
    }


def feature_map(values: NDArray[np.float64]) -> tuple[list[int], list[str]]:
    """Return the channels that move most, in order, and a row of digits for each: how far it lies from its mean.

    Args:
        values: 'channels frames'.
    """
    away = np.abs(values - values.mean(axis=1, keepdims=True))
    kept = np.sort(np.argsort(-away.mean(axis=1), kind="stable")[:CHANNELS])
    columns = np.array_split(away[kept], min(FRAMES, values.shape[1]), axis=1)
    ink = np.stack([column.mean(axis=1) for column in columns], axis=1)
    loud = float(np.quantile(ink, 0.99)) or 1.0
    digits = np.clip(np.round((ink / loud).round(9) * (len(SHADES) - 1)), 0, len(SHADES) - 1).astype(int)
    return kept.tolist(), ["".join(SHADES[shade] for shade in row) for row in digits]
