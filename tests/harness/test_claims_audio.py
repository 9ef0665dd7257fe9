"""Recordings of a person's own: read, refused with a reason, resampled without aliases, and heard as contexts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from testtone.models import references, steering_references
from testtone.models.listening import Listener
from testtone.models.training import material
from testtone.probes import natural
from testtone.probes.brightness_steers import brightness_steers
from testtone.probes.hearing import ear_of, hear
from testtone.probes.pitch_direction import RECORDINGS, pitch_direction
from testtone.probes.pitch_not_in_mixture import pitch_not_in_mixture
from testtone.probes.same_filters import same_filters
from testtone.stimuli import Stimulus, recordings, renders
from testtone.stimuli.backgrounds import backgrounds, ensemble
from testtone.stimuli.sources import OFFSET_SECONDS, Recording
from testtone.tests.check import check

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parents[2]
RATE = 44_100


def write(path: Path, sound: np.ndarray, *, rate: int = RATE) -> Path:
    soundfile.write(path, sound, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def noise(seed: int, seconds: float = 8.0, *, rate: int = RATE) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with two recordings, one of them below it, and five files that are no use."""
    folder = tmp_path / "music"
    (folder / "live").mkdir(parents=True)
    write(folder / "a.wav", np.stack([noise(1), noise(2)], axis=1))
    write(folder / "live" / "b.flac", np.concatenate([np.zeros(3 * 22_050), noise(3, rate=22_050)]), rate=22_050)
    write(folder / "short.wav", noise(4, seconds=2.0))
    write(folder / "silent.wav", np.zeros(8 * RATE))
    broken = noise(5)
    broken[RATE] = np.nan
    write(folder / "nan.wav", broken)
    (folder / "text.wav").write_text("not a sound")
    (folder / "copy.wav").write_bytes((folder / "a.wav").read_bytes())
    (folder / "cover.jpg").write_bytes(b"not asked")
    return folder


# --- reading a folder -----------------------------------------------------------------------------------------------


def test_a_folder_says_what_it_leaves_out_and_why(music: Path) -> None:
    found = recordings.folder(music)
    assert [each.title for each in found.recordings] == ["a", "b"]
    assert found.left_out == {"double": 1, "not finite": 1, "too short": 1, "silent": 1, "unreadable": 1}
    assert found.said.startswith("2 recordings, 5 left out (1 double")


def test_a_recording_is_named_by_its_bytes_and_not_by_its_place(music: Path, tmp_path: Path) -> None:
    before = recordings.folder(music)
    music.rename(tmp_path / "moved")
    after = recordings.folder(tmp_path / "moved")
    assert [each.file_sha256 for each in after.recordings] == [each.file_sha256 for each in before.recordings]
    assert after.sha256 == before.sha256


def test_a_moved_file_is_read_where_it_lies_now(music: Path, tmp_path: Path) -> None:
    (first, *_) = recordings.folder(music).recordings
    music.rename(tmp_path / "moved")
    recordings.folder(tmp_path / "moved")
    assert Stimulus((first,), 1.0).render(24_000).any()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        pytest.param(None, "there is no such folder", id="missing"),
        pytest.param([], r"no audio file in it \(soundfile reads .*\.flac", id="empty"),
        pytest.param(["text.wav"], r"none of 1 audio files can be used \(1 unreadable\)", id="unreadable"),
    ],
)
def test_a_folder_without_recordings_is_refused(tmp_path: Path, made: list[str] | None, message: str) -> None:
    folder = tmp_path / "folder"
    if made is not None:
        folder.mkdir()
        for name in made:
            (folder / name).write_text("not a sound")
    with pytest.raises(ValueError, match=message):
        recordings.folder(folder)


def test_large_folders_are_thinned_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MOST_FILES", 2)
    for seed in range(5):
        write(tmp_path / f"{seed}.wav", noise(seed, seconds=6.0, rate=8000), rate=8000)
    found = recordings.folder(tmp_path)
    assert [each.title for each in found.recordings] == ["0", "4"]
    assert found.said == "2 recordings, 3 left out (3 not needed)"


# --- the waveform ---------------------------------------------------------------------------------------------------


def level_db(wave: np.ndarray, hz: float, *, rate: int) -> float:
    """Level of a sinusoid re full scale, by projection under a Hann window."""
    window = np.hanning(len(wave))
    line = np.exp(-2j * np.pi * hz * np.arange(len(wave)) / rate)
    return float(20 * np.log10(2 * abs(np.sum(window * wave * line)) / window.sum() + 1e-12))


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_resampling_keeps_tones_and_makes_no_aliases(tmp_path: Path, rate: int) -> None:
    time = np.arange(8 * RATE) / RATE
    kept, gone = 1000.0, 17_100.0
    write(tmp_path / "tones.wav", 0.1 * np.sin(2 * np.pi * kept * time) + 0.1 * np.sin(2 * np.pi * gone * time))
    (found,) = recordings.folder(tmp_path).recordings
    wave = recordings.waveform(Recording(found.file_sha256, 2.0, rms=0.05), rate, sample_rate=rate)
    heard = gone < rate / 2
    assert len(wave) == rate
    assert np.std(wave) == pytest.approx(0.05, rel=1e-6)
    assert level_db(wave, kept, rate=rate) == pytest.approx(20 * np.log10(0.05 if heard else 0.05 * 2**0.5), abs=0.02)
    if not heard:
        alias = abs(gone - round(gone / rate) * rate)
        assert level_db(wave, alias, rate=rate) < -100.0


def test_the_excerpt_starts_where_it_says(tmp_path: Path) -> None:
    # A chirp tells the time: its frequency rises by 100 Hz a second.
    time = np.arange(10 * RATE) / RATE
    write(tmp_path / "chirp.wav", 0.1 * np.sin(2 * np.pi * (500 * time + 50 * time**2)))
    (found,) = recordings.folder(tmp_path).recordings
    for start in (0.0, 3.25, 6.5):
        wave = recordings.waveform(Recording(found.file_sha256, start), 24_000, sample_rate=24_000)
        expected = np.sin(2 * np.pi * (500 * (t := start + np.arange(24_000) / 24_000) + 50 * t**2))
        inside = slice(600, -600)
        assert np.corrcoef(wave[inside], expected[inside])[0, 1] > 0.9999


def test_a_peaky_recording_leaves_room(tmp_path: Path) -> None:
    clicks = np.zeros(8 * 8000)
    clicks[::4000] = 1.0
    write(tmp_path / "clicks.wav", clicks, rate=8000)
    (found,) = recordings.folder(tmp_path).recordings
    wave = recordings.waveform(Recording(found.file_sha256, 1.0, rms=0.1), 8000, sample_rate=8000)
    assert np.abs(wave).max() == pytest.approx(recordings.PEAK)


def test_the_hash_follows_the_sound_and_not_its_labels(music: Path) -> None:
    (first, second) = recordings.folder(music).recordings
    plain = Stimulus((first,), 1.0)
    assert Stimulus((Recording(first.file_sha256, title="another", role="context"),), 1.0).sha256 == plain.sha256
    others = [second, first.scaled(1.0), Recording(first.file_sha256, 1.0), first.with_phases(np.random.default_rng(0))]
    assert len({plain.sha256, *(Stimulus((each,), 1.0).sha256 for each in others)}) == 5
    again = Stimulus.from_truth(json.loads(json.dumps(plain.truth())))
    assert again == plain
    np.testing.assert_array_equal(again.render(16_000), plain.render(16_000))


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        pytest.param(lambda sha: Recording("abc"), "must be 64 hex digits", id="hash"),
        pytest.param(lambda sha: Recording("0" * 64), "is not known here; read its folder first", id="unknown"),
        pytest.param(lambda sha: Recording(sha, 7.5), r"ends 8.00 s after its start; 1.00 s from 7.50 s", id="late"),
    ],
)
def test_what_cannot_be_played_is_said(music: Path, recording: Any, message: str) -> None:
    (first, *_) = recordings.folder(music).recordings
    with pytest.raises(ValueError, match=message):
        Stimulus((recording(first.file_sha256),), 1.0).render(24_000)


def test_training_reads_files_as_it_did(tmp_path: Path) -> None:
    import scipy.signal

    path = write(tmp_path / "a.wav", noise(1))
    read = material._excerpt(path, 0.25, seconds=1.0, sample_rate=24_000)
    with soundfile.SoundFile(path) as file:
        frames = RATE + 1
        file.seek(int(0.25 * (file.frames - frames)))
        sound = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
    expected = scipy.signal.resample(sound, round(len(sound) * 24_000 / RATE))[:24_000].astype(np.float32)
    np.testing.assert_array_equal(read, expected)


# --- backgrounds ----------------------------------------------------------------------------------------------------


def test_backgrounds_begin_where_there_is_sound(music: Path) -> None:
    found = recordings.folder(music).recordings
    drawn = backgrounds(np.random.default_rng(0), 8, seconds=2.0, found=found)
    assert {each.label for each in drawn} == {"the recording a", "the recording b"}
    assert sum(each.label.endswith("a") for each in drawn) == 4
    for each in drawn:
        (source,) = each.sources
        if each.label.endswith("b"):
            assert source.start_seconds >= 3.0  # three seconds of silence first
        late = Recording(source.file_sha256, source.start_seconds, offset_seconds=OFFSET_SECONDS)
        assert Stimulus((late,), 2.0).render(24_000).any()


def test_clips_longer_than_any_recording_are_refused(music: Path) -> None:
    with pytest.raises(ValueError, match=r"seconds=60.00 is longer than any of 2 recordings"):
        backgrounds(np.random.default_rng(0), 1, seconds=60.0, found=recordings.folder(music).recordings)


@pytest.mark.skipif(not renders.available(), reason="no FluidSynth")
def test_without_recordings_ensembles_play() -> None:
    first, second = backgrounds(np.random.default_rng(0), 2, seconds=1.0)
    assert first.label.startswith("an ensemble, ")
    assert first != second
    wave = Stimulus(first.sources, 1.0).render(24_000)
    assert 0.02 < np.std(wave[2400:-2400]) < 0.09
    assert first.again(np.random.default_rng(1)).sources != first.sources
    assert len(ensemble(np.random.default_rng(0), voices=5).sources) == 5
    with pytest.raises(ValueError, match="voices=0 must be at least 1"):
        ensemble(np.random.default_rng(0), voices=0)


# --- in claims ------------------------------------------------------------------------------------------------------


def asked(found: tuple[Recording, ...]) -> list[Stimulus]:
    """What pitch_direction would play, at quick effort and seed 0."""
    listener = Listener(references.power_filterbank())
    probe = pitch_direction(ear_of(listener, ("latent",), found), np.random.default_rng(0), "quick")
    return list(next(probe)[0].stimuli)


def test_recordings_are_further_contexts_and_change_no_other_sound(music: Path) -> None:
    without, given = asked(()), asked(recordings.folder(music).recordings)
    assert {each.sha256 for each in without} <= {each.sha256 for each in given}
    further = [each for each in given if any(isinstance(source, Recording) for source in each.sources)]
    # Two further contexts in three tokens, alone and with each of twelve pitches.
    assert len(further) == len(given) - len(without) == 2 * 3 * 13
    assert RECORDINGS >= 2


def test_controls_come_out_as_expected_in_music(music: Path) -> None:
    found = recordings.folder(music).recordings
    values = {}
    for encoder in (references.power_filterbank(), references.holistic_features()):
        listener = Listener(encoder)
        ear = ear_of(listener, ("latent",), found)
        heard = hear(listener, {"it": (ear, pitch_direction(ear, np.random.default_rng(0), "quick"))})["it"]
        assert heard.error is None
        assert heard.fault is None
        values[encoder.name] = heard.measurements["latent"].effect
    assert values["power-filterbank"].low > 0.5
    assert values["holistic-features"].high < 0.5


IN_MUSIC = {
    same_filters: (references.power_filterbank, references.holistic_features),
    pitch_not_in_mixture: (references.holistic_features, references.power_filterbank),
    brightness_steers: (steering_references.two_numbers, references.linear_stft),
}
"""Probes with a part in music, an encoder high on it and one low."""


def in_music(probe: Any, encoder: Any, found: tuple[Recording, ...]) -> tuple[Any, Any]:
    """The deciding effect at quick effort, and that of the part in natural company; None where there is none."""
    listener = Listener(encoder)
    ear = ear_of(listener, ("latent",), found)
    heard = hear(listener, {"it": (ear, probe(ear, np.random.default_rng(0), "quick"))})["it"]
    assert heard.error is None
    assert heard.fault is None
    measured = heard.measurements["latent"]
    parts = [each.effect for each in measured.parts if each.name == "in natural company"]
    return measured.effect, parts[0] if parts else None


@pytest.mark.parametrize("probe", IN_MUSIC, ids=lambda each: each.__name__)
def test_a_part_is_asked_in_music_and_the_verdict_is_not(music: Path, probe: Any) -> None:
    found = recordings.folder(music).recordings
    high, low = (build() for build in IN_MUSIC[probe])
    alone, nothing = in_music(probe, high, ())
    decides, above = in_music(probe, high, found)
    assert nothing is None
    assert decides == alone
    _, below = in_music(probe, low, found)
    assert above.n >= 12
    assert above.low > below.high


@pytest.mark.skipif(not renders.available(), reason="no FluidSynth")
def test_without_recordings_ensembles_are_the_company() -> None:
    ear = ear_of(Listener(references.power_filterbank()), ("latent",))
    assert natural.company(ear, np.random.default_rng(0), "quick", seconds=0.5) == ()
    drawn = natural.company(ear, np.random.default_rng(0), "standard", seconds=0.5)
    assert len(drawn) == natural.COMPANIES >= 12
    assert all(each.label.startswith("an ensemble, ") for each in drawn)


def claim_check(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8").replace("__file__", repr(str(ROOT / "x"))))
    return pytester.runpytest_subprocess(
        str(ROOT / "tests/claims/test_pitch_direction.py"), "-m", "claims", "--encoder", "power-filterbank",
        "--claims-effort", "quick", "-k", "latent", "--rootdir", str(ROOT), "-p", "no:cacheprovider", *options,
    )  # fmt: skip


def test_the_option_is_said_recorded_and_repeated(pytester: pytest.Pytester, music: Path) -> None:
    report = pytester.path / "report.html"
    done = claim_check(pytester, f"--claims-audio={music}", f"--claims-report={report}")
    done.stdout.fnmatch_lines([f"*audio from {music}: 2 recordings, 5 left out (*1 silent*)"])
    written = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    found = recordings.folder(music)
    assert written["environment"]["claims_audio"] == {"files": 2, "left_out": 5, "sha256": found.sha256}
    (record,) = written["claims"]
    assert record["effect"]["n"] == 12
    assert f"--claims-audio {music}" in record["rerun"]
    assert check("pitch_direction", "power-filterbank", effort="quick", audio=music)["latent"].effect == pytest.approx(
        record["effect"]["value"], abs=1e-12
    )


@pytest.mark.parametrize("where", ["missing", "empty"])
def test_a_folder_of_no_use_ends_the_run_with_a_line(pytester: pytest.Pytester, where: str) -> None:
    (pytester.path / "empty").mkdir()
    done = claim_check(pytester, f"--claims-audio={where}")
    assert done.ret == pytest.ExitCode.USAGE_ERROR == 4
    lines = [line for line in done.stderr.lines if line.startswith("ERROR")]
    assert len(lines) == 1
    assert lines[0].startswith(f"ERROR: --claims-audio={where}: ")


def test_from_python_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"audio='.*nowhere': there is no such folder"):
        check("pitch_direction", "power-filterbank", effort="quick", audio=tmp_path / "nowhere")
