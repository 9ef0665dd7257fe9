"""Weights on disk: their hashes, where they are kept, and how they get there."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

CHUNK = 1 << 20
TIMEOUT_SECONDS = 30.0
BUNDLED_FOLDER = Path(__file__).parent / "trained"


SAFE_UNPICKLER = (2, 10)
"""The torch from which on `weights_only=True` keeps its promise, as far as is known."""


class WeightsError(ValueError):
    """Weights that are absent, unreachable or not the ones that were asked for. The message is one line."""


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_state(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a state dict, 64 hex digits: names, dtypes, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return where fetched weights are kept: `testtone` in XDG_CACHE_HOME, or else in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "testtone"


def load_state(path: str | Path, *, sha256_prefix: str | None = None) -> dict[str, Tensor]:
    """Return the state dict in a file, on the CPU. Only tensors are unpickled, never code.

    A file of unknown origin (no `sha256_prefix`) needs torch 2.10: what earlier ones take for safe could be made to run
    code (CVE-2025-32434, before 2.6) or to write where it should not (CVE-2026-24747, before 2.10).

    Raises:
        WeightsError: if the file is missing, has another hash than `sha256_prefix` begins, or holds no state dict; or
            if this torch cannot read one of unknown origin safely.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} is not a file")
    if sha256_prefix is not None and not (actual := sha256_of_file(path)).startswith(sha256_prefix):
        raise WeightsError(f"{path} has sha256 {actual}, expected one that begins with {sha256_prefix}; fetch it again")
    if sha256_prefix is None and _release(torch.__version__) < SAFE_UNPICKLER:
        raise WeightsError(
            f"{path} is not read: torch {torch.__version__} does not unpickle files of unknown origin safely "
            f"(CVE-2025-32434, CVE-2026-24747); install torch {'.'.join(map(str, SAFE_UNPICKLER))} or newer"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} is not a file of torch weights ({type(error).__name__})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict (names to tensors)")
    return state


def _release(version: str) -> tuple[int, ...]:
    """Return major and minor of a version."""
    return tuple(int(each) for each in version.split(".")[:2])


def fetch(url: str, *, file_name: str, sha256_prefix: str, folder: str | Path | None = None) -> Path:
    """Return the path of a file of known hash, downloaded unless it is there already.

    It is written beside its place and moved there when complete and checked: a broken download leaves nothing behind.

    Raises:
        WeightsError: if it cannot be reached or has the wrong hash; says what to fetch and where to put it.
    """
    path = (Path(folder) if folder is not None else cache_folder()) / file_name
    if path.is_file() and sha256_of_file(path).startswith(sha256_prefix):
        return path
    manual = f"fetch {url} yourself and put it at {path} (its sha256 begins with {sha256_prefix})"
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response,
            tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file,
        ):
            partial = Path(file.name)
            while chunk := response.read(CHUNK):
                file.write(chunk)
        actual = sha256_of_file(partial)
        if not actual.startswith(sha256_prefix):
            raise WeightsError(f"{url} came with sha256 {actual}, which is the wrong one; {manual}")
        os.replace(partial, path)
    except (OSError, urllib.error.URLError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{file_name} could not be downloaded ({reason}); {manual}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return path


def bundled(name: str) -> Path:
    """Return the path of weights that come with the package, checked against the provenance file beside them.

    Raises:
        WeightsError: if they are missing or not the ones that the provenance file names.
    """
    path = BUNDLED_FOLDER / f"{name}.safetensors"
    record = path.with_suffix(".json")
    if not path.is_file() or not record.is_file():
        raise WeightsError(f"{path} or {record.name} beside it is missing; install testtone again")
    expected = json.loads(record.read_text(encoding="utf-8"))["sha256"]
    if (actual := sha256_of_file(path)) != expected:
        raise WeightsError(f"{path} has sha256 {actual}, expected {expected}; install testtone again")
    return path
