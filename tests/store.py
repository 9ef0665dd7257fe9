"""The store: answers kept between runs, found again by everything that could have changed them.

A folder of files, one an entry, each named by the hash of its key. A key is plain JSON that holds whatever the numbers
depend on (`memory`); the numbers stand in safetensors form, and beside them the key and a checksum over both. A file
that does not hold what its name promises is no answer: whatever happened to it (cut off, a flipped bit, another file's
name), it is deleted, said once, and computed anew.

Files are written beside their place and moved there whole. So a reader sees an entry or none, two writers of one key
write the same, and a process that is killed leaves at most a file that `gc` takes away. A full disk ends the writing,
not the run.

    python -m testtone.tests store ls DIR
    python -m testtone.tests store gc DIR --limit 2G
    python -m testtone.tests store verify DIR
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

FORMAT = 1
"""Rises when files of before can no longer be read, or are no longer to be trusted."""

LIMIT_BYTES = 8 * 10**9
"""Beyond this, what was used longest ago goes."""

LEFT = 0.9
"""Share of the limit that is left when something has to go."""

PARTIAL_SECONDS = 3600.0
"""A file that was begun and not finished for so long has nobody left to finish it."""

WHAT = "testtone"
MARKER = "testtone-store.json"
SUFFIX, PARTIAL = ".safetensors", ".partial"

_log = logging.getLogger("testtone.store")


class StoreError(ValueError):
    """A folder that cannot be a store. The message is one line that says why."""


class _DamageError(Exception):
    """What a file holds is not what was put there."""


@dataclass(frozen=True)
class Entry:
    """One file of a store."""

    path: Path
    bytes: int
    used: float
    """When it was last written or read, seconds since the epoch."""


class Store:
    """Arrays by key, in a folder.

    Args:
        folder: made if it is not there.
        limit_bytes: size beyond which entries go, those used longest ago first.
        make: whether to make the folder; otherwise it must be a store already.

    Raises:
        StoreError: if the folder holds something else, or cannot be made or read.
    """

    def __init__(self, folder: str | Path, *, limit_bytes: int = LIMIT_BYTES, make: bool = True) -> None:
        self.folder = Path(folder).expanduser()
        self.limit_bytes = limit_bytes
        self.notes: dict[str, None] = {}
        """What a person should know of how it went, each thing once."""
        self.hits = self.misses = self.written = 0
        self._writes = True
        self._grown = 0
        """Bytes written since the folder was last measured."""
        if not make and not (self.folder / MARKER).is_file():
            raise StoreError(f"{self.folder} is no store; it has no {MARKER}")
        self._open()

    def get(self, key: Mapping[str, Any]) -> dict[str, NDArray[Any]] | None:
        """Return what was put under a key; None where nothing was, or nothing that can be trusted."""
        text = _text(key)
        path = self._path(text)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            self.misses += 1
            return None
        except OSError as error:
            self._note(f"cannot read {path}: {error.strerror}; it is computed anew")
            self.misses += 1
            return None
        try:
            found = _unpacked(data, text)
        except _DamageError as damage:
            self._note(f"{path} {damage}; it is deleted and computed anew")
            _unlink(path)
            self.misses += 1
            return None
        self.hits += 1
        # Where it is somebody else's, or gone meanwhile, it counts as used when it was written.
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def put(self, key: Mapping[str, Any], values: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under a key, if the disk has room; an entry is there whole or not at all."""
        if not self._writes:
            return
        text = _text(key)
        path, data = self._path(text), _packed(text, values)
        beside = None
        try:
            path.parent.mkdir(exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent, suffix=PARTIAL)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        except OSError as error:
            self._writes = False
            self._note(f"cannot write to {self.folder}: {error.strerror}; nothing more is kept in this run")
            if beside is not None:
                _unlink(Path(beside))
            return
        except BaseException:
            if beside is not None:
                _unlink(Path(beside))
            raise
        self.written += 1
        self._grown += len(data)
        if self._grown > self.limit_bytes // 8:
            self.gc()

    def entries(self) -> Iterator[Entry]:
        """Yield the files of the store; those that vanish meanwhile are left out."""
        for path in self.folder.glob(f"[0-9a-f][0-9a-f]/*{SUFFIX}"):
            try:
                found = path.stat()
            except OSError:
                continue
            yield Entry(path, found.st_size, found.st_mtime)

    def gc(self, limit_bytes: int | None = None) -> tuple[int, int]:
        """Delete what was used longest ago until the store keeps its limit; return (files, bytes) that went.

        Files that were begun and never finished go as well.
        """
        limit = self.limit_bytes if limit_bytes is None else limit_bytes
        self._grown = 0
        files = freed = 0
        for path in self.folder.glob(f"[0-9a-f][0-9a-f]/*{PARTIAL}"):
            try:
                found = path.stat()
            except OSError:
                continue
            if time.time() - found.st_mtime > PARTIAL_SECONDS and _unlink(path):
                files, freed = files + 1, freed + found.st_size
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        size = sum(entry.bytes for entry in entries)
        if size <= limit:
            return files, freed
        for entry in entries:
            if size <= LEFT * limit:
                break
            if _unlink(entry.path):
                size -= entry.bytes
                files, freed = files + 1, freed + entry.bytes
        return files, freed

    def contents(self) -> Iterator[tuple[Entry, dict[str, Any] | None]]:
        """Yield each file and the key that it says it has; None where it says nothing that can be read."""
        for entry in self.entries():
            try:
                header, _ = _parts(entry.path.read_bytes())
                yield entry, json.loads(_said(header)["key"])
            except (OSError, _DamageError, KeyError, TypeError, ValueError):
                yield entry, None

    def verify(self, *, delete: bool = False) -> list[tuple[Path, str]]:
        """Read every file, and return those that do not hold what their name promises, with what is wrong."""
        wrong = []
        for entry in self.entries():
            try:
                data = entry.path.read_bytes()
                header, _ = _parts(data)
                text = str(_said(header).get("key", ""))
                _unpacked(data, text)
                if self._path(text) != entry.path:
                    raise _DamageError("lies under the name of another key")
            except FileNotFoundError:
                continue
            except OSError as error:
                wrong.append((entry.path, f"cannot be read: {error.strerror}"))
            except _DamageError as damage:
                wrong.append((entry.path, str(damage)))
                if delete:
                    _unlink(entry.path)
        return wrong

    def close(self) -> None:
        """Bring the folder back to its limit, if anything was written."""
        if self.written and self._grown:
            self.gc()

    def said(self) -> str:
        """One line about this run."""
        asked = self.hits + self.misses
        return f"store {self.folder}: {self.hits} of {asked} looked up were there, {self.written} written"

    def _path(self, text: str) -> Path:
        name = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / name[:2] / f"{name}{SUFFIX}"

    def _open(self) -> None:
        marker = self.folder / MARKER
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise StoreError(f"{self.folder} is a file; name a folder")
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                told = json.loads(marker.read_text(encoding="utf-8"))
            except FileNotFoundError:
                others = [each.name for each in self.folder.iterdir() if not each.name.endswith(PARTIAL)]
                # Another process may be a moment ahead.
                if others and MARKER not in others:
                    raise StoreError(
                        f"{self.folder} holds other files ({sorted(others)[0]}); name a new folder or an empty one"
                    ) from None
                self._mark(marker)
                return
        except OSError as error:
            raise StoreError(f"{error.filename or self.folder}: {error.strerror}") from error
        except ValueError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{marker} is damaged; if this folder is a store, delete that file") from error
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise StoreError(f"{self.folder} was written by another version of testtone; name another folder")

    def _mark(self, marker: Path) -> None:
        beside = None
        try:
            handle, beside = tempfile.mkstemp(dir=self.folder, suffix=PARTIAL)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, "what": "answers that testtone keeps between runs; may be deleted"}, file)
            os.replace(beside, marker)
        except OSError as error:
            if beside is not None:
                _unlink(Path(beside))
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._writes = False
                self._note(f"cannot write to {self.folder}: {error.strerror}; nothing is kept in this run")
                return
            raise

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes[text] = None
            _log.warning(text)


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps({"format": FORMAT} | dict(key), sort_keys=True, allow_nan=False, separators=(",", ":"))


def _packed(text: str, values: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of an entry. Complex values go as pairs of real ones: the format knows none."""
    tensors, complexes = {}, []
    for name, value in values.items():
        array = np.asarray(value, order="C")
        if array.dtype.kind == "c":
            complexes.append(name)
            array = np.stack([array.real, array.imag], axis=-1)
        tensors[name] = array
    said = {"key": text, "complex": sorted(complexes)}
    header, body = _parts(save(tensors))
    # One item: safetensors writes several in an order of its own, another each time.
    return save(tensors, metadata={WHAT: json.dumps(said | {"sha256": _checksum(said, header, body)}, sort_keys=True)})


def _unpacked(data: bytes, text: str) -> dict[str, NDArray[Any]]:
    """The arrays of an entry, if it is whole and belongs to this key.

    Raises:
        _DamageError: if not; says what is wrong.
    """
    header, body = _parts(data)
    said = _said(header)
    if said.get("sha256") != _checksum(said, header, body):
        raise _DamageError("does not match its checksum")
    if said.get("key") != text:
        raise _DamageError("belongs to another key")
    try:
        tensors: dict[str, NDArray[Any]] = load(data)
        complexes = said["complex"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise _DamageError(f"cannot be read ({error})") from error
    for name in complexes:
        tensors[name] = tensors[name][..., 0] + 1j * tensors[name][..., 1]
    return tensors


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of a safetensors file: the header's length in 8 bytes, the header as JSON, the numbers."""
    if len(data) < 8:
        raise _DamageError(f"is cut off after {len(data)} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise _DamageError("is cut off")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError as error:
        raise _DamageError("has a header that cannot be read") from error
    if not isinstance(header, dict):
        raise _DamageError("has a header that cannot be read")
    return header, data[8 + length :]


def _said(header: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside the numbers: key, checksum, which of them are complex."""
    try:
        said = json.loads(header["__metadata__"][WHAT])
    except (KeyError, TypeError, ValueError) as error:
        raise _DamageError("does not say whose it is") from error
    if not isinstance(said, dict):
        raise _DamageError("does not say whose it is")
    return said


def _checksum(said: Mapping[str, Any], header: Mapping[str, Any], body: bytes) -> str:
    """Hash of all that an entry says, but for the hash itself."""
    layout = {name: value for name, value in header.items() if name != "__metadata__"}
    rest = {name: value for name, value in said.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps([layout, rest], sort_keys=True).encode())
    digest.update(body)
    return digest.hexdigest()


def _unlink(path: Path) -> bool:
    """Delete a file; whether it is gone by our hand."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
