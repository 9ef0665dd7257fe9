"""Recordings: sound of a person's own, from files, as something that can stand beside other sources.

A `Recording` goes by the SHA-256 of its file, so that a stimulus names its content and not a place on a disk; `folder`
reads a folder, remembers where each file lies, and says which it left out and why. Whatever soundfile reads is read,
averaged to mono, and brought to the sample rate by its spectrum: polyphase defaults leak aliases at -54 dB.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray

from testtone.stimuli.sources import OFFSET_SECONDS, Recording

LEAST_SECONDS = 5.0
"""Shorter files are left out."""

SILENT = 1e-3
"""RMS re full scale below which a second of a file counts as silent."""

MOST_FILES = 64
"""More files than these are thinned out evenly: contexts are a dozen."""

MOST_SECONDS = 120.0
"""How far into a file is listened."""

PEAK = 0.6
"""A recording is made softer where its peak would exceed this: other sources need room."""

GUARD_SECONDS = 0.02


@dataclass(frozen=True)
class _File:
    path: Path
    seconds: float
    loud: tuple[bool, ...]
    """Whether each whole second sounds."""


_FILES: dict[str, _File] = {}
"""By SHA-256: where a recording lies."""


@dataclass(frozen=True)
class Folder:
    """What a folder holds: recordings that can be used, and how many cannot."""

    recordings: tuple[Recording, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reason -> number of files."""

    @property
    def sha256(self) -> str:
        """Hash of the files used, whatever they are called."""
        names = sorted({each.file_sha256 for each in self.recordings})
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    @property
    def said(self) -> str:
        """In words, such as ``12 recordings, 3 left out (2 silent, 1 unreadable)``."""
        count = len(self.recordings)
        words = f"{count} recording{'s' if count != 1 else ''}"
        if not self.left_out:
            return words
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.left_out.items())
        return f"{words}, {sum(self.left_out.values())} left out ({reasons})"


def suffixes() -> frozenset[str]:
    """Return how the names of files end that soundfile reads."""
    named = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"}
    return frozenset(named | {".aif", ".oga", ".opus", ".mp3"})


def folder(path: str | Path) -> Folder:
    """Return the recordings in a folder and below it, in the order of their names.

    Left out are files that cannot be read, that hold numbers that are none, that last less than `LEAST_SECONDS` or that
    are silent throughout. Equal files count once.

    Raises:
        ValueError: if there is no such folder, no audio file in it, or none of them can be used; the message is one
            line, without the folder's name.
    """
    place = Path(path).expanduser()
    if not place.is_dir():
        raise ValueError("there is no such folder")
    ending = suffixes()
    files = sorted(each for each in place.rglob("*") if each.suffix.lower() in ending and each.is_file())
    if not files:
        raise ValueError(f"no audio file in it (soundfile reads {', '.join(sorted(ending))})")
    chosen = files
    if len(files) > MOST_FILES:
        chosen = [files[round(i)] for i in np.linspace(0, len(files) - 1, MOST_FILES)]
    found: dict[str, Recording] = {}
    left_out: Counter[str] = Counter()
    for each in chosen:
        try:
            sha256 = _hash(each)
            known = _FILES.get(sha256)
            if known is not None:
                # The same bytes, perhaps moved meanwhile.
                _FILES[sha256] = replace(known, path=each.resolve())
            reason = None if known is not None else _remember(each, sha256)
        except (soundfile.SoundFileError, OSError):
            reason = "unreadable"
        if reason is None and sha256 not in found:
            found[sha256] = Recording(sha256, title=each.stem)
        else:
            left_out[reason or "double"] += 1
    if len(files) > len(chosen):
        left_out["not needed"] = len(files) - len(chosen)
    if not found:
        reasons = ", ".join(f"{number} {reason}" for reason, number in left_out.items())
        raise ValueError(f"none of {len(files)} audio files can be used ({reasons})")
    return Folder(tuple(found.values()), dict(left_out))


def places(recording: Recording, *, seconds: float) -> tuple[float, ...]:
    """Return the whole seconds at which a clip of ``seconds`` can start that begins with sound, and a little later."""
    file = _file(recording.file_sha256)
    last = file.seconds - seconds - OFFSET_SECONDS - GUARD_SECONDS
    return tuple(float(start) for start, loud in enumerate(file.loud) if loud and start <= last)


def waveform(recording: Recording, samples: int, *, sample_rate: int) -> NDArray[np.float64]:
    """Return a recording without ramps at its RMS, or softer where its peak would exceed `PEAK`, float64 ``samples``.

    Raises:
        ValueError: if the file is not known here, ends too early, or is silent at that place.
    """
    file = _file(recording.file_sha256)
    start = recording.start_seconds + recording.offset_seconds
    with soundfile.SoundFile(file.path) as opened:
        rate = opened.samplerate
        step = rate // math.gcd(rate, sample_rate)
        guard = math.ceil(GUARD_SECONDS * rate / step) * step
        wanted = math.ceil(samples / (sample_rate // math.gcd(rate, sample_rate))) * step
        first = round(start * rate)
        if first + wanted > opened.frames + step:
            raise ValueError(
                f"recording {recording.title or recording.file_sha256[:12]!r} ends {opened.frames / rate:.2f} s after "
                f"its start; {samples / sample_rate:.2f} s from {start:.2f} s on were asked for"
            )
        before = min(guard, first // step * step)
        opened.seek(first - before)
        sound = opened.read(before + wanted + guard, dtype="float64", always_2d=True).mean(axis=1)
    sound = np.pad(sound, (guard - before, before + wanted + guard - len(sound)))
    # The spectrum takes its block for a loop: both ends are faded where they are thrown away.
    fade = np.sin(0.5 * np.pi * (np.arange(guard) + 0.5) / guard) ** 2 if guard else np.ones(0)
    sound[:guard] *= fade
    sound[len(sound) - guard :] *= fade[::-1]
    skip = guard * sample_rate // rate
    wave = resampled(sound, rate=rate, sample_rate=sample_rate)[skip : skip + samples].astype(np.float64)
    rms, peak = math.sqrt(float(np.mean(wave**2))), float(np.abs(wave).max(initial=0.0))
    if rms < 1e-7:
        raise ValueError(
            f"recording {recording.title or recording.file_sha256[:12]!r} is silent from {start:.2f} s for "
            f"{samples / sample_rate:.2f} s"
        )
    return np.asarray(wave * min(recording.rms / rms, PEAK / peak))


def resampled(sound: NDArray, *, rate: int, sample_rate: int) -> NDArray:
    """Return ``sound`` at another sample rate, by its spectrum; as it is where the rates are the same."""
    if rate == sample_rate:
        return sound
    return np.asarray(scipy.signal.resample(sound, round(len(sound) * sample_rate / rate)))


def _remember(path: Path, sha256: str) -> str | None:
    """Note where a file lies and where it sounds; return why it cannot be used, if it cannot."""
    loud: list[bool] = []
    with soundfile.SoundFile(path) as file:
        rate, seconds = file.samplerate, file.frames / file.samplerate
        if seconds < LEAST_SECONDS:
            return "too short"
        while len(loud) < min(seconds, MOST_SECONDS):
            block = file.read(rate, dtype="float64", always_2d=True)
            if not len(block):
                break
            if not np.isfinite(block).all():
                return "not finite"
            loud.append(bool(np.sqrt(np.mean(block.mean(axis=1) ** 2)) > SILENT))
    if not any(loud):
        return "silent"
    _FILES[sha256] = _File(path.resolve(), seconds, tuple(loud))
    return None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file(sha256: str) -> _File:
    if sha256 not in _FILES:
        raise ValueError(
            f"the recording {sha256[:12]} is not known here; read its folder first: recordings.folder(DIR)"
        )
    return _FILES[sha256]
