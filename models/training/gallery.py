"""What a codec leaves of music, to be heard: a few held-out clips as they were and as they come back at every bit rate.

The clips are fixed, and picked by what plays rather than by how well they come out: lines and chords, low and high,
percussion, everything together. Programs and tonics are those that no training hears. All clips have one level.

The record is plain JSON: sounds as FLAC in base64 under their SHA-256, a sound that several takes share once; a
spectrogram as digits. `testtone.reports` makes a page of it and needs nothing else.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtone.models import encodec_mini as mini
from testtone.stimuli import music, renders

from .codec import HELD_OUT_SEED, _mel_filters, log_mel_distance_db, si_sdr_db

SCHEMA = "testtone-gallery/1"
SECONDS = 2.0
LEVEL_DB = -26.0
"""RMS of a clip re full scale: in the middle of the levels that training hears."""

BANDS = 64
FRAME_SAMPLES = 300
RANGE_DB = 60.0
"""A spectrogram shows what lies less than this below the loudest place of its original."""

SHADES = "0123456789abcdef"
SAME = 2.0**-15
"""Sounds that differ nowhere by more than a step of 16 bits are one sound."""

TONICS = ("C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B")


@dataclass(frozen=True)
class Scene:
    """What a clip is drawn from.

    Attributes:
        label: what a listener is told.
        programs: General MIDI programs, counted from 0; held-out ones.
        voices: least and largest number of tonal notes that sound together; (0, 0) leaves percussion alone.
        percussion: whether percussion plays.
        registers: registers in which tonal notes must sound; empty for any.
    """

    label: str
    programs: tuple[int, ...]
    voices: tuple[int, int]
    percussion: bool = False
    registers: frozenset[str] = frozenset()


SCENES = (
    Scene("A clarinet, one note at a time", (71,), (1, 1), registers=frozenset({"middle"})),
    Scene("A bright piano in chords", (1,), (3, 6)),
    Scene("A fingered bass alone", (33,), (1, 1), registers=frozenset({"low"})),
    Scene("A steel-string guitar over percussion", (25,), (2, 4), percussion=True),
    Scene("String ensemble in five parts or more", (49,), (5, 8)),
    Scene("A xylophone up high", (13,), (1, 2), registers=frozenset({"high"})),
    Scene("Percussion alone", (1,), (0, 0), percussion=True),
    Scene("A band: several programs and percussion", (5, 20, 36, 57, 66, 73), (4, 8), percussion=True),
)
"""The clips, by what plays."""


def pieces(scenes: Sequence[Scene] = SCENES) -> list[music.Piece]:
    """Return the piece of each scene: the first draw, from a seed of the scene's own, that fits it."""
    return [_piece(np.random.default_rng((HELD_OUT_SEED, 1, index)), scene) for index, scene in enumerate(scenes)]


def gallery(
    encoder: mini.EncodecMini,
    twin: mini.EncodecMini,
    *,
    soundfonts: Sequence[tuple[str, str]],
    figures: Mapping[str, Any] | None = None,
    command: str = "",
    scenes: Sequence[Scene] = SCENES,
) -> dict[str, Any]:
    """Return the record of a gallery, plain data under `SCHEMA`.

    Every clip is taken as it was, as it comes back at each bit rate, and from the twin at the top bit rate. A take's
    figures are of the sound as it came out. The twin's sound is then centred and brought to the clip's level so that
    it can be listened to; the take says by how many dB.

    Args:
        encoder: the trained one.
        twin: the same architecture, untrained.
        soundfonts: (name, SHA-256) of the SoundFonts that play, the clips in turn.
        figures: what `codec.held_out_figures` returned for this encoder; the page shows it beside the clips.
        command: the command line, as typed.
        scenes: what plays.
    """
    drawn = pieces(scenes)
    originals = _played(drawn, soundfonts)
    heard = [(rate, encoder.reconstruct(originals, bandwidth_kbps=rate)) for rate in mini.BANDWIDTHS_KBPS]
    untrained = twin.reconstruct(originals, bandwidth_kbps=mini.BANDWIDTHS_KBPS[-1])
    sounds = _Sounds()
    clips = []
    for index, (scene, piece) in enumerate(zip(scenes, drawn, strict=True)):
        original = originals[index]
        takes = [_take("original", original, original, sounds)]
        takes += [_take("reconstruction", wave[index], original, sounds, kbps=rate) for rate, wave in heard]
        takes.append(_take("untrained", untrained[index], original, sounds, kbps=mini.BANDWIDTHS_KBPS[-1]))
        font = soundfonts[index % len(soundfonts)]
        clips.append({"label": scene.label, "seconds": SECONDS, "soundfont": font[0], **_holds(piece), "takes": takes})
    return {
        "schema": SCHEMA,
        "command": command,
        "encoder": _described(encoder),
        "twin": _described(twin),
        "soundfonts": [{"name": name, "sha256": sha256} for name, sha256 in soundfonts],
        "environment": {
            "versions": {name: metadata.version(name) for name in ("torch", "numpy", "encodec", "pretty-midi")}
            | {"python": platform.python_version(), "fluidsynth": renders.fluidsynth_version()},
            "threads": torch.get_num_threads(),
        },
        "spectrogram": {
            "bands": BANDS,
            "scale": "mel",
            "low_hz": 0.0,
            "high_hz": mini.SAMPLE_RATE / 2,
            "range_db": RANGE_DB,
            "frame_seconds": FRAME_SAMPLES / mini.SAMPLE_RATE,
        },
        "held_out": _held_out(figures) if figures is not None else None,
        "clips": clips,
        "sounds": sounds.kept,
    }


def of_weights(
    weights: Path | None, *, soundfonts: Sequence[tuple[str, str]], figures: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """Return `gallery` of weights in a file, or of the bundled ones, beside their untrained twin.

    Raises:
        WeightsError: if there are no such weights.
    """
    twin = mini.untrained(bandwidth_kbps=mini.BANDWIDTHS_KBPS[-1])
    return gallery(mini.trained(path=weights), twin, soundfonts=soundfonts, figures=figures, command=command)


def write(record: Mapping[str, Any], path: Path) -> Path:
    """Write a record as JSON and return its path."""
    path.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


class _Sounds:
    """Sounds under their hashes; one that was there already is kept once."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self._waves: dict[str, NDArray[np.float64]] = {}

    def keep(self, wave: Tensor) -> str:
        """Keep 'samples', cut off at full scale, and return the key of the sound."""
        samples = wave.double().clamp(-1.0, 1.0).numpy()
        for key, known in self._waves.items():
            if known.shape == samples.shape and float(np.abs(known - samples).max()) <= SAME:
                return key
        file = io.BytesIO()
        soundfile.write(
            file, samples, mini.SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0
        )  # level 1.0 is the smallest file
        key = hashlib.sha256(samples.tobytes()).hexdigest()
        self._waves[key] = samples
        self.kept[key] = {
            "seconds": len(samples) / mini.SAMPLE_RATE,
            "sample_rate": mini.SAMPLE_RATE,
            "flac": base64.b64encode(file.getvalue()).decode("ascii"),
        }
        return key


def _piece(rng: np.random.Generator, scene: Scene) -> music.Piece:
    least, most = scene.voices
    while True:
        found = music.piece(
            rng,
            seconds=SECONDS,
            programs=scene.programs,
            tonics=sorted(music.HELD_OUT_TONICS),
            max_polyphony=max(1, min(most, 6)),
            percussion=float(scene.percussion),
        )
        if most == 0:
            found = dataclasses.replace(found, parts=tuple(part for part in found.parts if part.bank == 128))
        if least <= found.polyphony <= most and scene.registers <= found.registers():
            return dataclasses.replace(found, rms=10.0 ** (LEVEL_DB / 20.0))


def _played(drawn: Sequence[music.Piece], soundfonts: Sequence[tuple[str, str]]) -> Tensor:
    """Return 'clips samples', clip i played by SoundFont i, and round again."""
    waves: dict[int, NDArray[np.float32]] = {}
    for first, (_, sha256) in enumerate(soundfonts):
        places = range(first, len(drawn), len(soundfonts))
        played = music.play([drawn[i] for i in places], sample_rate=mini.SAMPLE_RATE, soundfont_sha256=sha256)
        waves.update(zip(places, played, strict=True))
    return torch.from_numpy(np.stack([waves[i] for i in range(len(drawn))]))


def _take(kind: str, wave: Tensor, original: Tensor, sounds: _Sounds, *, kbps: float | None = None) -> dict[str, Any]:
    """Return a take of a clip: its figures, what it sounds like and looks like."""
    take: dict[str, Any] = {"kind": kind, "bandwidth_kbps": kbps, "si_sdr_db": None, "log_mel_db": None, "gain_db": 0.0}
    if kind != "original":
        take["si_sdr_db"] = round(float(si_sdr_db(wave[None], original[None])), 2)
        take["log_mel_db"] = round(float(log_mel_distance_db(wave[None], original[None])), 2)
    if kind == "untrained":
        centred = wave - wave.mean()
        gain = float(original.square().mean().sqrt() / centred.square().mean().sqrt().clamp_min(1e-9))
        wave = gain * centred
        take["gain_db"] = round(20.0 * float(np.log10(gain)), 1)
    return take | {"sound": sounds.keep(wave), "spectrogram": _spectrogram(wave, original)}


def _spectrogram(wave: Tensor, original: Tensor) -> list[str]:
    """Return rows of digits 0 to f, the lowest band first: `RANGE_DB` below the original's loudest place, up to it."""
    ours, theirs = (_log_mel(each) for each in (wave, original))
    top = float(theirs.max())
    shades = ((ours - (top - RANGE_DB)) / RANGE_DB * (len(SHADES) - 1)).round().clamp(0, len(SHADES) - 1)
    return ["".join(SHADES[int(shade)] for shade in row) for row in shades]


def _log_mel(wave: Tensor) -> Tensor:
    """Return 'bands frames' of 'samples', dB; as many frames as fit, each centred on its own samples."""
    size = 1024
    power = (torch.stft(wave, size, FRAME_SAMPLES, window=torch.hann_window(size), return_complex=True).abs().square())[
        :, : len(wave) // FRAME_SAMPLES
    ]
    return 10.0 * torch.log10(torch.from_numpy(_mel_filters(BANDS, size, mini.SAMPLE_RATE)) @ power + 1e-12)


def _holds(piece: music.Piece) -> dict[str, Any]:
    """Return what a piece holds, for its caption."""
    tonal = [part for part in piece.parts if part.bank != 128]
    programs = sorted({part.program for part in tonal})
    return {
        "programs": [pretty_midi.program_to_instrument_name(program) for program in programs],
        "families": sorted(piece.families()),
        "polyphony": piece.polyphony,
        "percussion": len(tonal) < len(piece.parts),
        "registers": [name for name in music.REGISTERS if name in piece.registers()],
        "tonic": TONICS[piece.tonic] if tonal else None,
    }


def _described(encoder: mini.EncodecMini) -> dict[str, Any]:
    return {
        "name": encoder.name,
        "sample_rate": encoder.sample_rate,
        "parameters": encoder.parameters,
        "weights_sha256": encoder.weights_sha256,
    }


def _held_out(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return medians over the held-out clips by bit rate; what the figures do not hold is left null."""
    return {
        "clips": figures["clips"],
        "seconds": figures["seconds"],
        "rates": [
            {
                "bandwidth_kbps": rate,
                "si_sdr_db": figures.get(f"si_sdr_db {rate:g} kbps"),
                "log_mel_db": figures.get(f"log_mel_db {rate:g} kbps"),
            }
            for rate in mini.BANDWIDTHS_KBPS
        ],
        "untrained_log_mel_db": figures.get("log_mel_db untrained twin"),
    }
