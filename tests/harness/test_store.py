"""The store on disk: what comes out went in under that very key, whatever happened in between."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from testtone.tests import store as module
from testtone.tests.__main__ import main
from testtone.tests.store import MARKER, Store, StoreError

KEY = {"kind": "answer", "stimulus": "ab", "encoder": {"name": "meter", "sha256": "c" * 64}}
OTHER = KEY | {"stimulus": "cd"}
VALUES = {
    "latent": np.linspace(-1, 1, 60).reshape(3, 20),
    "first_conv": np.arange(5, dtype=np.float32),
    "codes": np.arange(12).reshape(2, 6),
    "alias": np.array([[1 + 2j, -3j], [0, 4]]),
    "one": np.array(0.1),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def same(found: dict[str, np.ndarray] | None, values: dict[str, np.ndarray]) -> bool:
    return (
        found is not None
        and found.keys() == values.keys()
        and all(
            found[name].dtype == value.dtype and found[name].shape == value.shape and np.array_equal(found[name], value)
            for name, value in values.items()
        )
    )


def files(store: Store) -> list[Path]:
    return sorted(entry.path for entry in store.entries())


def test_what_was_put_is_found_to_the_bit(store: Store) -> None:
    assert store.get(KEY) is None
    store.put(KEY, VALUES)
    assert same(store.get(KEY), VALUES)
    assert same(Store(store.folder).get(dict(reversed(KEY.items()))), VALUES)
    assert (store.hits, store.misses, store.written) == (1, 1, 1)


@pytest.mark.parametrize(
    "key",
    [
        OTHER,
        KEY | {"variant": None},
        {name: value for name, value in KEY.items() if name != "kind"},
        KEY | {"encoder": {"name": "meter", "sha256": "d" * 64}},
    ],
)
def test_another_key_is_another_entry(store: Store, key: dict) -> None:
    store.put(KEY, VALUES)
    assert store.get(key) is None


def test_the_same_entry_has_the_same_bytes(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    store.put(KEY, VALUES)
    other.put(KEY, VALUES)
    assert files(store)[0].read_bytes() == files(other)[0].read_bytes()
    assert files(store)[0].name == files(other)[0].name


def test_any_flipped_bit_is_a_miss_or_changes_nothing(store: Store) -> None:
    store.put(KEY, VALUES)
    (path,) = files(store)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    # Every byte of the numbers and of the header's beginning, and a sample of the rest.
    places = {*range(0, 200), *range(len(whole) - 700, len(whole)), *rng.integers(0, len(whole), 400).tolist()}
    for place in sorted(places):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(spoilt))
        found = store.get(KEY)
        assert found is None or same(found, VALUES), place
    assert store.notes


def test_a_flipped_byte_is_said_once_deleted_and_computed_anew(store: Store) -> None:
    store.put(KEY, VALUES)
    (path,) = files(store)
    spoilt = bytearray(path.read_bytes())
    spoilt[-3] ^= 0x10
    path.write_bytes(bytes(spoilt))
    assert store.get(KEY) is None
    assert not path.exists()
    assert list(store.notes) == [f"{path} does not match its checksum; it is deleted and computed anew"]
    store.put(KEY, VALUES)
    assert same(store.get(KEY), VALUES)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 600, -1])
def test_a_file_that_is_cut_off_is_a_miss(store: Store, length: int) -> None:
    store.put(KEY, VALUES)
    (path,) = files(store)
    path.write_bytes(path.read_bytes()[:length])
    assert store.get(KEY) is None
    assert len(store.notes) == 1


def test_swapped_and_renamed_files_are_misses(store: Store) -> None:
    store.put(KEY, VALUES)
    store.put(OTHER, {"latent": np.zeros(3)})
    one, two = files(store)
    kept = one.read_bytes()
    shutil.copy(two, one)
    two.write_bytes(kept)
    assert store.get(KEY) is None
    assert store.get(OTHER) is None
    assert all("belongs to another key" in note for note in store.notes)
    assert len(store.notes) == 2


def test_a_file_from_a_store_of_another_format_is_a_miss(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(KEY, VALUES)
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    assert store.get(KEY) is None
    with pytest.raises(StoreError, match="was written by another version of testtone; name another folder"):
        Store(store.folder)


def test_a_full_disk_ends_the_writing_not_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(KEY, VALUES)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    store.put(OTHER, VALUES)
    store.put(KEY | {"third": 1}, VALUES)
    assert list(store.notes) == [
        f"cannot write to {store.folder}: No space left on device; nothing more is kept in this run"
    ]
    assert not list(store.folder.rglob("*.partial"))
    assert same(store.get(KEY), VALUES)
    assert store.get(OTHER) is None


FULL = """
import resource, signal, sys
import numpy as np
from testtone.tests.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(sys.argv[1])
store.put({"n": 0}, {"a": np.zeros(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
store.put({"n": 1}, {"a": np.zeros(100000)})
store.put({"n": 2}, {"a": np.zeros(10)})
print(store.get({"n": 0}) is not None, store.get({"n": 1}), store.get({"n": 2}))
print(*store.notes, sep="|")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system limits no file sizes")
def test_a_write_that_the_system_cuts_short_leaves_nothing(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import conftest\n{FULL}", str(store.folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == "True None None"
    assert second == f"cannot write to {store.folder}: File too large; nothing more is kept in this run"
    assert len(files(store)) == 1
    assert not list(store.folder.rglob("*.partial"))


def test_killed_writers_leave_right_entries_or_none(tmp_path: Path) -> None:
    # A hundred moments, two writers each.
    house = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", f"import conftest, runpy, sys; sys.argv[0] = ''; "
         f"runpy.run_path({str(Path(__file__).with_name('store_killed.py'))!r}, run_name='__main__')",
         str(tmp_path / "store"), "100", "7"],
        cwd=house, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["wrong"], found["damaged"], found["notes"]) == (0, 0, [])
    assert found["right"] + found["missing"] == 40
    assert found["right"] > 0
    assert found["again"] == 40


def test_what_was_used_longest_ago_goes_first(store: Store) -> None:
    for index in range(10):
        store.put({"n": index}, {"a": np.full(1000, float(index))})
    for index, path in enumerate(entry.path for entry in store.entries()):
        os.utime(path, (1000.0 + index, 1000.0 + index))
    # Read again, so used last.
    assert store.get({"n": 3}) is not None
    size = sum(entry.bytes for entry in store.entries())
    gone, freed = store.gc(size // 2)
    assert 5 <= gone <= 6
    assert sum(entry.bytes for entry in store.entries()) == size - freed <= size // 2
    assert store.get({"n": 3}) is not None


def test_a_store_keeps_its_limit_while_it_grows(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", limit_bytes=100_000)
    for index in range(60):
        store.put({"n": index}, {"a": np.full(1000, float(index))})
    store.close()
    assert sum(entry.bytes for entry in store.entries()) <= 100_000 * 1.13
    assert store.get({"n": 59}) is not None


def test_what_was_begun_and_never_finished_goes_after_an_hour(store: Store) -> None:
    store.put(KEY, VALUES)
    old, new = (files(store)[0].parent / f"{name}.partial" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"x" * 10)
    os.utime(old, (time.time() - 4000,) * 2)
    assert store.gc() == (1, 10)
    assert new.exists()
    assert not old.exists()


@pytest.mark.parametrize(
    ("furnish", "says"),
    [
        (lambda folder: (folder.mkdir(), (folder / "thesis.tex").write_text("")), r"holds other files \(thesis.tex\)"),
        (lambda folder: folder.write_text(""), "is a file; name a folder"),
        (lambda folder: (folder.mkdir(), (folder / MARKER).write_text("{")), "is damaged; if this folder is a store"),
        (lambda folder: (folder.mkdir(), (folder / MARKER).write_text("{}")), "by another version of testtone"),
    ],
    ids=["other files", "a file", "damaged", "version"],
)
def test_what_is_no_store_is_left_alone(tmp_path: Path, furnish, says: str) -> None:
    furnish(tmp_path / "here")
    with pytest.raises(StoreError, match=says):
        Store(tmp_path / "here")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_of_others_is_read_and_not_written(store: Store) -> None:
    store.put(KEY, VALUES)
    for path in (store.folder, files(store)[0].parent):
        path.chmod(0o500)
    again = Store(store.folder)
    assert same(again.get(KEY), VALUES)
    again.put(OTHER, VALUES)
    assert len(again.notes) == 1


def test_the_command_line_lists_verifies_and_clears_up(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.put(KEY, VALUES)
    store.put(OTHER, VALUES)
    assert main(["store", "ls", str(store.folder)]) == 0
    listed = capsys.readouterr().out
    assert "meter" in listed
    assert listed.splitlines()[-1].startswith("2 files, ")
    assert main(["store", "verify", str(store.folder)]) == 0
    one, two = files(store)
    shutil.copy(two, one)
    assert main(["store", "verify", str(store.folder)]) == 1
    assert f"{one} lies under the name of another key" in capsys.readouterr().out
    assert main(["store", "verify", "--delete", str(store.folder)]) == 1
    assert main(["store", "verify", str(store.folder)]) == 0
    assert files(store) == [two]
    assert main(["store", "gc", "--limit", "1k", str(store.folder)]) == 0
    assert files(store) == []


def test_the_command_line_makes_no_store_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "gc", str(tmp_path)]) == 2
    assert f"{tmp_path} is no store; it has no {MARKER}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_size_is_bytes_or_a_number_and_a_unit(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["store", "gc", "--limit", "much", str(store.folder)])
    assert "'much' is no size; write bytes, or 500M, 2G" in capsys.readouterr().err
