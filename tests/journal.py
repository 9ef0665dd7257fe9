"""The journal: what a run has finished, on disk as it comes, until the report of the run is written.

A run that ends by itself, or by Control-C or SIGTERM, writes its report and takes the journal away. One that cannot
(kill -9, no memory, no power) leaves ``report.unfinished-1.jsonl`` beside the report that it would have written, and

    python -m testtone.tests recover report.unfinished-1.jsonl -o report.html

makes the report of what was finished, in which the rest is named as not run. A journal is JSON, an object a line: first
the run and all that it was to do, then what each test found, as it came. Its last line may be half a line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from testtone.reports import files

from .ledger import Case, Ledger

try:
    import fcntl
except ImportError:  # Windows: nobody can tell whether a journal is still being written
    fcntl = None  # type: ignore[assignment]

FORMAT = "testtone-journal/1"


class Journal:
    """Writes down what a run finishes. Where it cannot, it says so once, and the run goes on."""

    def __init__(self, page: Path, ledger: Ledger, *, command: str, seed: int, effort: str) -> None:
        self.page = page
        self.ledger = ledger
        self.opening = {"journal": FORMAT, "command": command, "seed": seed, "effort": effort}
        self.fault: str | None = None
        """Why it stopped, if it did."""
        self.path: Path | None = None
        """Where it is; there is none before something was finished."""
        self.left = [path for path in _beside(page) if not _written(path)]
        """Journals of runs that did not end."""
        self._file: IO[bytes] | None = None

    def enter(self, payload: Mapping[str, Any]) -> None:
        """Write down what one test found."""
        if self.fault is not None:
            return
        try:
            if self._file is None:
                self._open()
            self._write({"payload": payload})
        except OSError as error:
            self.fault = (
                f"what is finished could not be kept in {self.path or self.page.parent} for the case that the run is "
                f"killed: {error.strerror or error}"
            )

    def close(self, *, reported: bool) -> None:
        """Take it away if the report was written, and with it what it says again of runs that did not end."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if not reported:
            return
        done = {self.path} if self.path is not None else set()
        for path in [*done, *filter(self._said_again, self.left)]:
            path.unlink(missing_ok=True)

    def _open(self) -> None:
        for number in range(1, 10_000):
            path = self.page.with_name(f"{self.page.stem}.unfinished-{number}.jsonl")
            try:
                self._file = path.open("xb")
            except FileExistsError:
                continue
            self.path = path
            break
        else:
            raise OSError(f"there are {number} journals already; delete them")
        assert self._file is not None
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cases = [list(case) for case in self.ledger.expected or self.ledger.named]
        self._write({**self.opening, "cases": cases, "told": self.ledger.told()})

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line, allow_nan=False, ensure_ascii=False).encode("utf-8") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _said_again(self, path: Path) -> bool:
        """Whether this run has found all that a left journal holds, asked in the same way."""
        try:
            opening, payloads = read(path)
        except (OSError, ValueError):
            return False
        return (
            not _written(path)
            and all(opening[key] == self.opening[key] for key in ("seed", "effort"))
            and {_case(each) for each in payloads} <= set(self.ledger.records)
        )


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return how a journal opens, and what was found; half a line at its end is nobody's finding.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no journal, in one line that names the file and the line.
    """
    found: list[Any] = []
    for number, line in enumerate(_lines(path), start=1):
        found.append(files.parse(line, f"{path}, line {number},"))
    opening = found[0] if found and isinstance(found[0], dict) else {}
    if opening.get("journal") != FORMAT:
        raise ValueError(f"{path} is no journal of a run: its first line should say that it is {FORMAT!r}")
    try:
        payloads = [line["payload"] for line in found[1:]]
        for payload in payloads:
            Ledger().enter(payload)
        Ledger().learn(opening["told"])
        {key: opening[key] for key in ("command", "seed", "effort")}
        {(claim, spec, site) for claim, spec, site in opening["cases"]}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no journal as a run writes it ({type(error).__name__}: {error})") from error
    return opening, payloads


def recover(path: Path, page: Path) -> Ledger:
    """Write the report of what a journal holds, page and data, and return the ledger behind it.

    Raises:
        OSError: if a file cannot be read or written.
        ValueError: if the journal is none, holds nothing, or contradicts itself.
    """
    opening, payloads = read(path)
    if not payloads:
        raise ValueError(f"{path} holds nothing that was finished")
    ledger = Ledger()
    ledger.learn(opening["told"])
    ledger.expected |= dict.fromkeys((claim, spec, site) for claim, spec, site in opening["cases"])
    for payload in payloads:
        ledger.enter(payload)
    said = {key: opening[key] for key in ("command", "seed", "effort")}
    files.checked(json.loads(json.dumps(ledger.report(**said))), path)
    ledger.write(page, **said)
    return ledger


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _beside(page: Path) -> list[Path]:
    try:
        names = sorted(page.parent.iterdir())
    except OSError:
        return []
    start = f"{page.stem}.unfinished-"
    return [path for path in names if path.name.startswith(start) and path.suffix == ".jsonl"]


def _written(path: Path) -> bool:
    """Whether a run that lives holds a journal; so it is said, too, where that cannot be told."""
    if fcntl is None:
        return True
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _case(payload: Mapping[str, Any]) -> Case:
    record = payload["record"]
    return record["id"], record["encoder"], record["site"]
