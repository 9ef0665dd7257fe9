"""What can be asked of claims from the command line, beside pytest.

python -m testtone.tests store ls|gc|verify DIR
python -m testtone.tests recover report.unfinished-1.jsonl -o PATH.html
python -m testtone.tests sweep --encoder SPEC --processes 4 --report PATH.html
python -m testtone.tests sweep --encoder SPEC --scheduler tcp://HOST:8786 --report PATH.html
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .plugin import EFFORTS
from .store import LIMIT_BYTES, Store, StoreError

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def main(arguments: Sequence[str] | None = None) -> int:
    """Look into a store, clear it up or check it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m testtone.tests")
    rooms = parser.add_subparsers(dest="room", required=True)
    store = rooms.add_parser("store", help="what --claims-store keeps").add_subparsers(dest="verb", required=True)
    listing = store.add_parser("ls", help="print what is kept of which encoder")
    gc = store.add_parser("gc", help="delete what was used longest ago, and what was never finished")
    gc.add_argument(
        "--limit", type=_bytes, default=LIMIT_BYTES, metavar="SIZE", help="keep no more than this, such as 500M or 2G"
    )
    verify = store.add_parser("verify", help="read every file; exit with 1 if one does not hold what it should")
    verify.add_argument("--delete", action="store_true", help="delete such files")
    for each in (listing, gc, verify):
        each.add_argument("folder", metavar="DIR")
    _offer_sweep(rooms)
    left = rooms.add_parser("recover", help="make the report of what a run had finished when it was killed")
    left.add_argument("journal", type=Path, metavar="REPORT.unfinished-N.jsonl", help="what the run left behind")
    left.add_argument("-o", "--output", type=Path, required=True, metavar="PATH.html", help="its data goes beside it")
    options = parser.parse_args(arguments)
    if options.room == "sweep":
        return _sweep(options)
    if options.room == "recover":
        return _recover(options)
    try:
        found = Store(options.folder, make=False)
    except StoreError as error:
        print(f"{parser.prog} store: {error}", file=sys.stderr)
        return 2
    if options.verb == "gc":
        files, freed = found.gc(options.limit)
        print(f"{files} files deleted, {_megabytes(freed)}")
        return 0
    if options.verb == "verify":
        wrong = found.verify(delete=options.delete)
        for path, what in wrong:
            print(f"{path} {what}")
        print(f"{sum(1 for _ in found.entries())} files, {len(wrong)} of those read were wrong")
        return 1 if wrong else 0
    _list(found)
    return 0


def _offer_sweep(rooms: Any) -> None:
    sweep = rooms.add_parser("sweep", help="many claims on many encoders, on processes or on a cluster")
    sweep.add_argument("--encoder", action="append", required=True, metavar="SPEC", help="repeatable, as for pytest")
    sweep.add_argument("--claim", action="append", metavar="ID", help="repeatable (default: all)")
    sweep.add_argument("--report", required=True, metavar="PATH.html", help="the page; its data goes beside it")
    sweep.add_argument("--seed", type=int, default=0)
    sweep.add_argument("--effort", choices=EFFORTS, default="standard")
    sweep.add_argument("--device", default="cpu")
    sweep.add_argument("--threads", type=int, default=None)
    sweep.add_argument("--audio", metavar="DIR")
    sweep.add_argument("--store", metavar="DIR", help="a folder that every worker reaches")
    where = sweep.add_mutually_exclusive_group()
    where.add_argument("--processes", type=int, metavar="N", help="on this machine")
    where.add_argument("--scheduler", metavar="ADDRESS", help="of dask.distributed (pip install 'testtone[cluster]')")


def _recover(options: argparse.Namespace) -> int:
    """Write the report of what a journal holds."""
    from .journal import recover
    from .ledger import writable

    try:
        writable(options.output, "--output")
        ledger = recover(options.journal, options.output)
    except OSError as error:
        print(f"python -m testtone.tests recover: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"python -m testtone.tests recover: {error}", file=sys.stderr)
        return 2
    missing = len(ledger.expected) - len(ledger.records)
    print(f"{len(ledger.records)} records were finished, {missing} were not")
    print(f"report: {options.output}  data: {options.output.with_suffix('.json')}")
    print(f"{options.journal} is left as it is; delete it when the report is what you wanted")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    """Put claims to encoders on whatever does the work; the exit code says whether it came to its end."""
    from .sweep import Unit, sweep

    def say(unit: Unit) -> None:
        print(f"{unit.claim} on {unit.encoder}", flush=True)

    command = shlex.join(["python", "-m", "testtone.tests", *sys.argv[1:]])
    if options.processes is not None and options.processes < 1:
        print(f"python -m testtone.tests sweep: --processes={options.processes} must be 1 or more", file=sys.stderr)
        return 2
    try:
        with _executor(options) as executor:
            report = sweep(
                options.claim,
                options.encoder,
                executor=executor,
                effort=options.effort,
                seed=options.seed,
                device=options.device,
                threads=options.threads,
                audio=options.audio,
                store=options.store,
                page=options.report,
                command=command,
                progress=say,
            )
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        print(f"python -m testtone.tests sweep: {error}", file=sys.stderr)
        return 2
    verdicts = [each["verdict"] for each in report["claims"]]
    for verdict in dict.fromkeys(verdicts):
        print(f"{verdicts.count(verdict)} {verdict}")
    print(f"report: {options.report}")
    return 0 if verdicts else 1


@contextmanager
def _executor(options: argparse.Namespace) -> Iterator[Executor | None]:
    if options.scheduler is not None:
        try:
            Client = importlib.import_module("distributed").Client  # noqa: N806
        except ImportError as error:
            raise ImportError("--scheduler needs dask.distributed: pip install 'testtone[cluster]'") from error
        with Client(options.scheduler) as client:
            yield client.get_executor(pure=False)
    elif options.processes is not None:
        # Fresh interpreters: torch does not live through a fork.
        with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("spawn")) as executor:
            yield executor
    else:
        yield None


def _list(store: Store) -> None:
    """Print a line for each encoder and kind of entry."""
    rows: dict[tuple[str, str, str], list[float]] = {}
    for entry, key in store.contents():
        encoder = (key or {}).get("encoder", {})
        whose = encoder.get("name", "?"), encoder.get("sha256", "?")[:12], (key or {}).get("kind", "unreadable")
        row = rows.setdefault(whose, [0, 0, 0.0])
        row[0], row[1], row[2] = row[0] + 1, row[1] + entry.bytes, max(row[2], entry.used)
    print(f"{'encoder':32}  {'identity':12}  {'kind':12}  {'files':>8}  {'size':>10}  last used")
    for (name, identity, kind), (files, size, used) in sorted(rows.items()):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used))
        print(f"{name:32}  {identity:12}  {kind:12}  {files:8.0f}  {_megabytes(size):>10}  {when}")
    print(
        f"{sum(row[0] for row in rows.values()):.0f} files, {_megabytes(sum(row[1] for row in rows.values()))}; "
        f"limit of a run {_megabytes(store.limit_bytes)}"
    )


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]?)B?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write bytes, or 500M, 2G")
    return round(float(found[1]) * UNITS[found[2]])


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
