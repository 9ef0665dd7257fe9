"""Files that somebody damaged, or made to do harm: refused by name, never executed, and nothing is written."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from testtone.models import specs, weights
from testtone.stimuli import recordings

TRAINED = weights.BUNDLED_FOLDER
ENCODERS = {"encodec-mini": "encodec-mini", "samplecnn": "samplecnn"}


def tree(folder: Path) -> dict[str, int]:
    """Return what lies in a folder: name -> size."""
    return {str(each.relative_to(folder)): each.stat().st_size for each in folder.rglob("*") if each.is_file()}


@pytest.fixture(params=ENCODERS)
def bundled(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A bundled encoder's name and a copy of its weights, from where it is loaded."""
    name = request.param
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"{name}{suffix}").write_bytes((TRAINED / f"{name}{suffix}").read_bytes())
    monkeypatch.setattr(weights, "BUNDLED_FOLDER", tmp_path)
    return name, tmp_path / f"{name}.safetensors"


@pytest.mark.parametrize("place", [0, 7, 0.1, 0.5, 0.9, -1], ids=str)
@pytest.mark.parametrize("bit", [0, 7])
def test_one_flipped_bit_is_noticed(bundled: tuple[str, Path], place: float, bit: int) -> None:
    name, path = bundled
    content = bytearray(path.read_bytes())
    content[round(place * len(content)) if isinstance(place, float) else place] ^= 1 << bit
    path.write_bytes(bytes(content))
    with pytest.raises(specs.EncoderSpecError, match=r"has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}; install testt"):
        specs.resolve(name)


@pytest.mark.parametrize("kept", [0, 1, 8, 4096, -1], ids=str)
def test_a_truncated_file_is_noticed(bundled: tuple[str, Path], kept: int) -> None:
    name, path = bundled
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(specs.EncoderSpecError, match=r"has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}; install testt"):
        specs.resolve(name)


@pytest.mark.parametrize(("name", "other"), [("encodec-mini", "samplecnn"), ("samplecnn", "encodec-mini")])
def test_the_weights_of_another_encoder_are_refused(name: str, other: str) -> None:
    with pytest.raises(specs.EncoderSpecError) as caught:
        specs.resolve(f"{name}:{TRAINED / other}.safetensors")
    assert "\n" not in str(caught.value)
    assert f"{other}.safetensors" in str(caught.value)


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        """Say what to call."""
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("name", ["encodec-mini", "samplecnn", "encodec-24khz"])
@pytest.mark.parametrize("wrapped", ["bare", "torch", "suffix"])
def test_a_pickle_is_never_executed(name: str, wrapped: str, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    # The payload works, or the test shows nothing.
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.is_dir()
    mark.rmdir()
    path = tmp_path / ("w.safetensors" if wrapped == "suffix" else "w.th")
    if wrapped == "torch":
        torch.save({"encoder.weight": Payload(mark)}, path)
    else:
        path.write_bytes(pickle.dumps({"encoder.weight": Payload(mark)}))
    before = tree(tmp_path)
    with pytest.raises(specs.EncoderSpecError) as caught:
        specs.resolve(f"{name}:{path}")
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("version", ["2.4.0+cu121", "2.5.1", "2.9.1"])
def test_a_torch_that_unpickles_unsafely_is_not_asked_to(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.th"
    torch.save({"weight": torch.ones(1)}, path)
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch, "load", lambda *args, **options: pytest.fail("it was read"))
    with pytest.raises(weights.WeightsError, match=r"is not read: torch .*; install torch 2\.10 or newer"):
        weights.load_state(path)


def test_a_file_of_known_hash_is_read_by_any_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.th"
    torch.save({"weight": torch.ones(1)}, path)
    monkeypatch.setattr(weights, "_release", lambda version: (2, 4))
    assert weights.load_state(path, sha256_prefix=weights.sha256_of_file(path)[:8])["weight"].item() == 1
    with pytest.raises(weights.WeightsError, match="is not read"):
        weights.load_state(path)


# --- sounds ---------------------------------------------------------------------------------------------------------

RATE = 16_000


def sound(seconds: float = 6.0, *, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """Return noise 'samples channels'."""
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels))


REFUSED = {
    "no samples": (lambda: sound(0.0), RATE, "too short"),
    "one sample": (lambda: sound(1 / RATE), RATE, "too short"),
    "NaN": (lambda: np.where(np.arange(6 * RATE)[:, None] == 5, np.nan, sound()), RATE, "not finite"),
    "infinite": (lambda: np.where(np.arange(6 * RATE)[:, None] == 5, np.inf, sound()), RATE, "not finite"),
    "silence": (lambda: 0 * sound(), RATE, "silent"),
}


@pytest.mark.parametrize(("make", "rate", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_sound_of_no_use_is_left_out_by_name(tmp_path: Path, make, rate: int, reason: str) -> None:
    soundfile.write(tmp_path / "odd.wav", make(), rate, subtype="FLOAT")
    with pytest.raises(ValueError, match=rf"^none of 1 audio files can be used \(1 .*{reason}.*\)$"):
        recordings.folder(tmp_path)


@pytest.mark.parametrize(("rate", "channels"), [(200_000, 1), (RATE, 8), (4_000, 2), (11_025, 1)])
def test_an_unusual_sound_is_played(tmp_path: Path, rate: int, channels: int) -> None:
    soundfile.write(tmp_path / "odd.wav", sound(rate=rate, channels=channels), rate, subtype="FLOAT")
    (found,) = recordings.folder(tmp_path).recordings
    clip = recordings.waveform(found, 8_000, sample_rate=24_000)
    assert clip.shape == (8_000,)
    assert np.isfinite(clip).all()
    assert np.sqrt(np.square(clip).mean()) > 0


@pytest.mark.parametrize("kept", [0, 10, 44, 1000])
def test_a_damaged_sound_file_is_left_out(tmp_path: Path, kept: int) -> None:
    soundfile.write(tmp_path / "whole.wav", sound(), RATE)
    content = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[:kept])
    (tmp_path / "dice.flac").write_bytes(np.random.default_rng(1).bytes(5000))
    found = recordings.folder(tmp_path)
    assert [each.title for each in found.recordings] == ["whole"]
    assert sum(found.left_out.values()) == 2


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_left_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mine.wav", sound(), RATE)
    soundfile.write(tmp_path / "yours.wav", sound(7.0), RATE)
    (tmp_path / "yours.wav").chmod(0)
    assert recordings.folder(tmp_path).left_out == {"unreadable": 1}
