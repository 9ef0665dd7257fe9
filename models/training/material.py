"""What is heard in training: rendered music without end, a folder of recordings, or FMA small.

Material comes in chunks: chunk c of a seed is the same on every machine that has the same files and synthesizer, so a
run can go on anywhere. Files that cannot be read are skipped and counted.

FMA small: Defferrard et al., FMA: A Dataset for Music Analysis, ISMIR 2017. As published: `fma_small/000/000002.mp3`,
and `fma_metadata/tracks.csv`, whose header has three rows.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from testtone.stimuli import music, recordings, renders

from .loop import TrainingError

CHUNK_CLIPS = 64
SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff"})
SILENT = 1e-3
"""RMS below which a clip of a recording is drawn again."""

TRIES = 200


class Material(Protocol):
    """Clips in chunks."""

    def chunk(self, index: int, *, seconds: float, sample_rate: int) -> list[NDArray[np.float32]]:
        """Return the clips of a chunk, float32 'samples' each."""
        ...

    def recipe(self) -> dict[str, Any]:
        """Return what decides the clips, as plain JSON."""
        ...


class Synth:
    """Rendered music without end: chunk c is drawn from (seed, c)."""

    def __init__(
        self,
        *,
        seed: int,
        programs: Sequence[int] | None = None,
        tonics: Sequence[int] | None = None,
        soundfont_sha256: str | None = None,
    ) -> None:
        self.seed = seed
        self.programs = tuple(programs or music.trained_programs())
        self.tonics = tuple(tonics or music.trained_tonics())
        self.soundfont_sha256 = soundfont_sha256 or renders.soundfont()

    def chunk(self, index: int, *, seconds: float, sample_rate: int) -> list[NDArray[np.float32]]:
        """Return `CHUNK_CLIPS` pieces."""
        rng = np.random.default_rng((self.seed, index))
        pieces = [
            music.piece(rng, seconds=seconds, programs=self.programs, tonics=self.tonics) for _ in range(CHUNK_CLIPS)
        ]
        return music.play(pieces, sample_rate=sample_rate, soundfont_sha256=self.soundfont_sha256)

    def recipe(self) -> dict[str, Any]:
        """Return what decides the clips, as plain JSON."""
        return {
            "data": "synth",
            "seed": self.seed,
            "programs": list(self.programs),
            "tonics": list(self.tonics),
            "soundfont_sha256": self.soundfont_sha256,
        }


class Folder:
    """Recordings in a folder and below it, averaged to mono, brought to the rate asked for.

    Raises:
        TrainingError: if there is no such folder, or nothing in it can be read.
    """

    def __init__(self, folder: Path, *, seed: int, files: Sequence[Path] | None = None) -> None:
        if not folder.is_dir():
            raise TrainingError(f"--data {folder}: there is no such folder")
        self.folder = folder
        self.seed = seed
        found = files or sorted(each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES)
        self.files = tuple(found)
        if not self.files:
            raise TrainingError(f"--data {folder}: no recordings in it ({', '.join(sorted(SUFFIXES))})")
        self.broken: set[Path] = set()

    def chunk(self, index: int, *, seconds: float, sample_rate: int) -> list[NDArray[np.float32]]:
        """Return `CHUNK_CLIPS` excerpts from files drawn at random."""
        rng = np.random.default_rng((self.seed, index))
        return [self.excerpt(rng, seconds=seconds, sample_rate=sample_rate)[1] for _ in range(CHUNK_CLIPS)]

    def excerpt(
        self, rng: np.random.Generator, *, seconds: float, sample_rate: int
    ) -> tuple[Path, NDArray[np.float32]]:
        """Return a file and an excerpt of it, float32 'samples'; broken, short and silent places are drawn again."""
        for _ in range(TRIES):
            path = self.files[int(rng.integers(len(self.files)))]
            place = float(rng.random())
            if path in self.broken:
                continue
            try:
                wave = _excerpt(path, place, seconds=seconds, sample_rate=sample_rate)
            except (soundfile.SoundFileError, OSError):
                self.broken.add(path)
                continue
            if wave is not None and float(np.sqrt(np.mean(np.square(wave)))) > SILENT:
                return path, wave
        raise TrainingError(
            f"--data {self.folder}: {TRIES} draws gave no {seconds:g} s of sound; "
            f"{len(self.broken)} of {len(self.files)} files cannot be read"
        )

    def recipe(self) -> dict[str, Any]:
        """Return what decides the clips, as plain JSON."""
        return {"data": "folder", "seed": self.seed, "files": len(self.files)}


class FmaSmall(Folder):
    """FMA small as published, one split of it, with the genre of every file.

    Args:
        folder: holds `fma_small` and `fma_metadata`, or is `fma_small` beside `fma_metadata`.
        seed: of the excerpts.
        split: ``training``, ``validation`` or ``test``, as `tracks.csv` says.

    Raises:
        TrainingError: if the folder is not laid out so.
    """

    def __init__(self, folder: Path, *, seed: int, split: str = "training") -> None:
        audio = folder / "fma_small" if (folder / "fma_small").is_dir() else folder
        tables = [base / "fma_metadata" / "tracks.csv" for base in (folder, folder.parent)] + [folder / "tracks.csv"]
        table = next((each for each in tables if each.is_file()), None)
        if not audio.is_dir() or table is None:
            raise TrainingError(
                f"--data fma_small:{folder}: expected {folder}/fma_small/000/000002.mp3 ... and "
                f"{folder}/fma_metadata/tracks.csv (fma_small.zip and fma_metadata.zip, unpacked side by side)"
            )
        self.split = split
        genres = {
            audio / f"{track:06d}"[:3] / f"{track:06d}.mp3": genre for track, genre in fma_tracks(table, split=split)
        }
        files = [path for path in sorted(genres) if path.is_file()]
        if not files:
            raise TrainingError(f"--data fma_small:{folder}: none of its mp3 files is in the {split} split of {table}")
        self.missing = len(genres) - len(files)
        self.genre_of = {path: genres[path] for path in files}
        self.genres = tuple(sorted(set(self.genre_of.values())))
        super().__init__(audio, seed=seed, files=files)

    def recipe(self) -> dict[str, Any]:
        """Return what decides the clips, as plain JSON."""
        return super().recipe() | {"data": "fma_small", "split": self.split, "genres": list(self.genres)}


def fma_tracks(table: Path, *, split: str) -> list[tuple[int, str]]:
    """Return track numbers and top genres of the small subset in one split, from `tracks.csv`.

    Raises:
        TrainingError: if the columns are not those of the published table.
    """
    with open(table, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        try:
            upper, lower = next(rows), next(rows)
            next(rows)
        except StopIteration:
            raise TrainingError(f"{table} is too short to be FMA's tracks.csv") from None
        columns = {pair: index for index, pair in enumerate(zip(upper, lower, strict=False))}
        try:
            subset, part, genre = (
                columns[pair] for pair in (("set", "subset"), ("set", "split"), ("track", "genre_top"))
            )
        except KeyError as error:
            raise TrainingError(f"{table} has no column {error.args[0]}; is it FMA's tracks.csv?") from None
        return [
            (int(row[0]), row[genre])
            for row in rows
            if len(row) > max(subset, part, genre) and row[subset] == "small" and row[part] == split and row[genre]
        ]


def material(data: str, *, seed: int) -> Material:
    """Return what `--data` names: ``synth``, ``fma_small:DIR`` or a folder.

    Raises:
        TrainingError: if that does not exist or cannot be read.
    """
    if data == "synth":
        return Synth(seed=seed)
    kind, colon, rest = data.partition(":")
    if kind == "fma_small" and colon:
        return FmaSmall(Path(rest).expanduser(), seed=seed)
    return Folder(Path(data).expanduser(), seed=seed)


class Windows:
    """Windows for each step, drawn from chunks of clips: `STEPS` steps share a chunk.

    Args:
        source: the clips.
        seed: of the draw.
        count: windows a step.
        samples: of a window.
        sample_rate: Hz.
    """

    STEPS = 64
    CLIP_SECONDS = 6.4
    LEVELS_DB = (-36.0, -8.0)
    """RMS of a window, drawn uniformly in dB re full scale; less where its peak would exceed 1."""

    def __init__(self, source: Material, *, seed: int, count: int, samples: int, sample_rate: int) -> None:
        self.source = source
        self.seed = seed
        self.count = count
        self.samples = samples
        self.sample_rate = sample_rate

    def at(self, step: int) -> NDArray[np.float32]:
        """Return the windows of a step, 'count samples'."""
        clips = self.clips(step // self.STEPS)
        rng = np.random.default_rng((self.seed, 1, step))
        windows: list[NDArray[np.float32]] = []
        while len(windows) < self.count:
            clip = clips[int(rng.integers(len(clips)))]
            start = int(rng.integers(len(clip) - self.samples + 1))
            window = clip[start : start + self.samples]
            rms, peak = float(np.sqrt(np.mean(np.square(window)))), float(np.abs(window).max())
            if rms < SILENT * 0.3:
                continue
            level = 10.0 ** (rng.uniform(*self.LEVELS_DB) / 20.0)
            windows.append((window * min(level / rms, 1.0 / peak)).astype(np.float32))
        return np.stack(windows)

    @functools.lru_cache(maxsize=2)  # noqa: B019  (one object a run)
    def clips(self, index: int) -> list[NDArray[np.float32]]:
        """Return the clips of a chunk that are not silent."""
        clips = self.source.chunk(index, seconds=self.CLIP_SECONDS, sample_rate=self.sample_rate)
        return [clip for clip in clips if float(np.sqrt(np.mean(np.square(clip)))) > SILENT]


def _excerpt(path: Path, place: float, *, seconds: float, sample_rate: int) -> NDArray[np.float32] | None:
    """Return `seconds` of a file from `place` (0 to 1) on, mono; None if it is too short."""
    with soundfile.SoundFile(path) as file:
        frames = int(np.ceil(seconds * file.samplerate)) + 1
        if file.frames < frames:
            return None
        file.seek(int(place * (file.frames - frames)))
        sound = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
        if len(sound) < frames:
            raise OSError(f"{path} ends early")
        rate = file.samplerate
    samples = round(seconds * sample_rate)
    moved = recordings.resampled(sound, rate=rate, sample_rate=sample_rate)
    return np.ascontiguousarray(moved[:samples], dtype=np.float32)
