"""What training hears: the same for the same seed, whatever the source; what cannot be read is skipped and counted."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from testtone.models import samplecnn
from testtone.models.training.loop import TrainingError
from testtone.models.training.material import FmaSmall, Folder, Synth, Windows, fma_tracks, material
from testtone.models.training.tagger import TaggedRecordings, TaggerTask

RATE = 24_000


def tone(hz: float, *, seconds: float, sample_rate: int) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def write_mp3(path: Path, hz: float, *, seconds: float = 4.0, sample_rate: int = 44_100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stereo = np.stack([tone(hz, seconds=seconds, sample_rate=sample_rate)] * 2, axis=1)
    soundfile.write(path, stereo, sample_rate, format="MP3")


@pytest.fixture
def fma(tmp_path: Path) -> Path:
    """FMA small in little: two good training tracks, one broken, one of the test split, one missing."""
    rows = [
        # track, subset, split, genre, pitch of its mp3 (0: broken; None: missing)
        (2, "small", "training", "Hip-Hop", 440.0),
        (1005, "small", "training", "Folk", 880.0),
        (1006, "small", "training", "Folk", 0.0),
        (1007, "small", "test", "Rock", 660.0),
        (1008, "small", "training", "Rock", None),
        (1009, "large", "training", "Jazz", 550.0),
    ]
    for track, _, _, _, hz in rows:
        path = tmp_path / "fma_small" / f"{track:06d}"[:3] / f"{track:06d}.mp3"
        if hz:
            write_mp3(path, hz)
        elif hz == 0.0:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"not an mp3 at all" * 20)
    table = tmp_path / "fma_metadata" / "tracks.csv"
    table.parent.mkdir()
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", "album", "set", "set", "track", "track"])
        writer.writerow(["", "title", "split", "subset", "genre_top", "title"])
        writer.writerow(["track_id", "", "", "", "", ""])
        for track, subset, split, genre, _ in rows:
            writer.writerow([track, "an album, with a comma", split, subset, genre, "a title"])
    return tmp_path


def peak_hz(clip: np.ndarray, sample_rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(clip * np.hanning(len(clip))))) * sample_rate / len(clip))


def test_fma_small_is_read_as_published(fma: Path) -> None:
    source = FmaSmall(fma, seed=0)
    assert [path.name for path in source.files] == ["000002.mp3", "001005.mp3", "001006.mp3"]
    assert source.genres == ("Folk", "Hip-Hop")
    assert source.missing == 1
    assert FmaSmall(fma / "fma_small", seed=0).files == source.files
    assert [path.name for path in FmaSmall(fma, seed=0, split="test").files] == ["001007.mp3"]


def test_broken_files_are_skipped_and_counted(fma: Path) -> None:
    source = FmaSmall(fma, seed=0)
    clips = source.chunk(0, seconds=0.5, sample_rate=RATE)
    assert [path.name for path in source.broken] == ["001006.mp3"]
    heard = {round(peak_hz(clip, RATE) / 440.0) for clip in clips}
    assert heard == {1, 2}


def test_recordings_come_at_the_rate_asked_for(fma: Path) -> None:
    rng = np.random.default_rng(0)
    path, clip = FmaSmall(fma, seed=0).excerpt(rng, seconds=1.0, sample_rate=RATE)
    assert clip.dtype == np.float32
    assert clip.shape == (RATE,)
    assert peak_hz(clip, RATE) == pytest.approx(440.0 if path.stem == "000002" else 880.0, abs=1.5)


@pytest.mark.parametrize("data", ["synth", "folder", "fma"])
def test_a_chunk_follows_from_seed_and_number(data: str, fma: Path) -> None:
    names = {"synth": "synth", "folder": str(fma / "fma_small"), "fma": f"fma_small:{fma}"}
    late = material(names[data], seed=4)
    early = material(names[data], seed=4)
    early.chunk(0, seconds=0.3, sample_rate=RATE)
    for first, second in zip(
        early.chunk(5, seconds=0.3, sample_rate=RATE), late.chunk(5, seconds=0.3, sample_rate=RATE), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    other = material(names[data], seed=5).chunk(5, seconds=0.3, sample_rate=RATE)
    assert not all(
        np.array_equal(a, b) for a, b in zip(other, late.chunk(5, seconds=0.3, sample_rate=RATE), strict=False)
    )


def test_windows_have_a_level_and_no_silence() -> None:
    windows = Windows(Synth(seed=1), seed=1, count=8, samples=4800, sample_rate=RATE)
    windows.CLIP_SECONDS = 0.5
    heard = windows.at(3)
    assert heard.shape == (8, 4800)
    assert heard.dtype == np.float32
    rms = np.sqrt(np.mean(heard.astype(float) ** 2, axis=1))
    assert rms.min() > 10 ** (-60 / 20)
    assert rms.max() < 10 ** (-7 / 20)
    assert np.abs(heard).max() <= 1.0
    np.testing.assert_array_equal(heard, windows.at(3))
    assert not np.array_equal(heard, windows.at(4))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "--data nowhere: there is no such folder"),
        ("fma_small:nowhere", "expected nowhere/fma_small/000/000002.mp3"),
    ],
)
def test_what_is_not_there_is_named(name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match=says):
        material(name, seed=0)


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to hear")
    with pytest.raises(TrainingError, match="no recordings in it"):
        Folder(tmp_path, seed=0)


def test_a_folder_of_broken_files_ends_in_a_line_not_in_a_loop(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF but no more")
    with pytest.raises(TrainingError, match="1 of 1 files cannot be read"):
        Folder(tmp_path, seed=0).chunk(0, seconds=1.0, sample_rate=RATE)


def test_another_table_is_named(tmp_path: Path) -> None:
    table = tmp_path / "tracks.csv"
    table.write_text("a,b\nc,d\ne,f\n1,2\n")
    with pytest.raises(TrainingError, match=r"has no column \('set', 'subset'\)"):
        fma_tracks(table, split="training")


def test_the_tagger_learns_the_genre_that_a_file_has(fma: Path) -> None:
    source = TaggedRecordings(FmaSmall(fma, seed=0))
    clips, genres = source.chunk(0)
    assert source.tags == ("Folk", "Hip-Hop")
    assert clips.shape == (len(genres), samplecnn.SAMPLES)
    for clip, row in zip(clips, genres, strict=True):
        folk = round(peak_hz(clip, samplecnn.SAMPLE_RATE) / 440.0) == 2
        assert row.tolist() == ([1.0, 0.0] if folk else [0.0, 1.0])
    assert {tuple(row) for row in genres.tolist()} == {(1.0, 0.0), (0.0, 1.0)}


def test_the_tagger_needs_tags(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440.0, seconds=1.0, sample_rate=RATE), RATE)
    with pytest.raises(TrainingError, match="these recordings have none; use synth or fma_small:DIR"):
        TaggerTask(Folder(tmp_path, seed=0), seed=0)
