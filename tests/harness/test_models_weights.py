"""Hashes of weights depend on the weights alone, and a download that fails leaves nothing behind."""

import hashlib
from pathlib import Path

import pytest
import torch

from testtone.models.weights import WeightsError, cache_folder, fetch, load_state, sha256_of_file, sha256_of_state

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(tmp_path: Path) -> str:
    """Return the URL of a file with CONTENT."""
    (tmp_path / "served.th").write_bytes(CONTENT)
    return (tmp_path / "served.th").as_uri()


def test_the_hash_of_a_state_is_that_of_its_content() -> None:
    a, b = torch.arange(6.0), torch.ones(2, dtype=torch.bfloat16)
    digest = sha256_of_state({"a": a, "b": b})
    assert len(digest) == 64
    assert sha256_of_state({"b": b, "a": a}) == digest
    assert sha256_of_state({"a": a.repeat(2, 1).T[:, 0], "b": b}) == digest
    others = [
        {"a": a.reshape(2, 3), "b": b},
        {"a": a.double(), "b": b},
        {"a": a + 1e-3, "b": b},
        {"c": a, "b": b},
        {"a": a},
        {"a": a, "b": b, "c": torch.tensor(1)},
    ]
    assert len({digest, *map(sha256_of_state, others)}) == 7


def test_the_cache_is_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "testtone"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "testtone"


def test_a_file_is_fetched_once(served: str, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "deep"
    path = fetch(served, file_name="w.th", sha256_prefix=DIGEST[:8], folder=folder)
    assert path == folder / "w.th"
    assert sha256_of_file(path) == DIGEST
    assert fetch("file:///gone", file_name="w.th", sha256_prefix=DIGEST[:8], folder=folder) == path
    assert [file.name for file in folder.iterdir()] == ["w.th"]


def test_a_damaged_file_is_fetched_again(served: str, tmp_path: Path) -> None:
    (tmp_path / "w.th").write_bytes(CONTENT[:-1])
    path = fetch(served, file_name="w.th", sha256_prefix=DIGEST[:8], folder=tmp_path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("failure", ["wrong hash", "unreachable"])
def test_a_failed_download_says_what_to_do_and_leaves_nothing(served: str, tmp_path: Path, failure: str) -> None:
    folder = tmp_path / "cache"
    url = served if failure == "wrong hash" else "file:///nowhere/at/all"
    with pytest.raises(WeightsError) as caught:
        fetch(url, file_name="w.th", sha256_prefix="0123abcd", folder=folder)
    message = str(caught.value)
    assert "\n" not in message
    assert f"fetch {url} yourself and put it at {folder / 'w.th'} (its sha256 begins with 0123abcd)" in message
    assert (DIGEST in message) == (failure == "wrong hash")
    assert not list(folder.iterdir())


def test_a_cache_that_cannot_be_written_is_one_line(served: str, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file, not a folder")
    with pytest.raises(WeightsError, match=r"w\.th could not be downloaded .* put it at"):
        fetch(served, file_name="w.th", sha256_prefix=DIGEST[:8], folder=tmp_path / "occupied")


def test_only_tensors_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w.th"
    torch.save({"w": torch.ones(2)}, path)
    assert torch.equal(load_state(path, sha256_prefix=sha256_of_file(path)[:8])["w"], torch.ones(2))
    with pytest.raises(WeightsError, match=r"has sha256 .*, expected one that begins with ffff; fetch it again"):
        load_state(path, sha256_prefix="ffff")
    torch.save({"w": 3}, path)
    with pytest.raises(WeightsError, match=r"holds no state dict"):
        load_state(path)
    torch.save({"w": Path("code")}, path)
    with pytest.raises(WeightsError, match=r"is not a file of torch weights"):
        load_state(path)
