"""Files in and out: what was read can be trusted, and what was written is whole or not there.

``read`` is strict where Python's JSON is lenient. It refuses NaN and Infinity (no JSON), numbers beyond the floats
(they would become infinities), a name that stands twice in an object (the second would hide the first), and whatever
is larger than a report can be. ``read_report`` also refuses what breaks the contract or contradicts itself.
"""

import json
import math
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from .consistency import contradictions
from .schema import validate

LARGEST_MEGABYTES = 256
"""No report comes near: all claims on two encoders with their sounds take 8."""

LONGEST_INTEGER = 400
"""Digits. Beyond some 308 there is no float of that size."""


def read(path: str | Path) -> Any:
    """Return what a JSON file holds, whatever it is about.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, no UTF-8, too large, or one of the cases above; the message names path and place.
    """
    path = Path(path)
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no regular file")
    if status.st_size > LARGEST_MEGABYTES * 1_000_000:
        raise ValueError(
            f"{path} has {status.st_size / 1e6:.0f} MB; a report has at most {LARGEST_MEGABYTES} MB: is it the right "
            "file?"
        )
    return parse(path.read_bytes(), path)


def parse(data: bytes, path: str | Path) -> Any:
    """Return what JSON holds, as strictly as ``read`` does; ``path`` is what a message names.

    Raises:
        ValueError: as ``read``.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply for a report") from None
    except _NoNumberError as error:
        raise ValueError(f"{path} is not JSON that can be trusted: {error}") from error


def read_report(path: str | Path) -> dict[str, Any]:
    """Return a report that keeps the contract and says nothing against itself.

    Raises:
        OSError, ValueError: as ``read``; or the report breaks the contract or contradicts itself, with the place.
    """
    return checked(read(path), path)


def checked(report: Any, path: str | Path) -> dict[str, Any]:
    """Return a report as it is, once it is known to keep the contract and not to contradict itself.

    Raises:
        ValueError: naming the file and the place.
    """
    try:
        validate(report)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    for problem in contradictions(report):
        raise ValueError(f"{path}: {problem}. Nothing is made of a report that was changed by hand")
    return report


def write(path: str | Path, content: str | bytes) -> Path:
    """Write a file beside and put it in place, text as UTF-8 with the same line ends everywhere; return its path.

    A reader sees the old file or the new one, never half of it, whatever happens meanwhile.

    Raises:
        OSError: if it cannot be written, naming ``path``.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(path))
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(beside, 0o666 & ~umask)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path


def dump(report: Any) -> str:
    """Return a report as the text that a run writes: the same text for the same report."""
    return json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


class _NoNumberError(Exception):
    """A value that JSON or a float cannot hold, or a name that says two things."""


def _constant(word: str) -> float:
    raise _NoNumberError(f"{word} is no number of JSON, and no effect can be compared with it")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NoNumberError(f"{_short(text)} is beyond the numbers that a float holds")
    return value


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise _NoNumberError(f"an integer of {len(text)} digits; at most {LONGEST_INTEGER} are read")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NoNumberError(f"{_short(repr(twice))} stands twice in one object, and only one can be meant")
    return found


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
