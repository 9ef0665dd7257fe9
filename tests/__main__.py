"""What can be asked of a claim check from the command line: `python -m testtone.tests store ls|gc|verify DIR`."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence

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
    options = parser.parse_args(arguments)
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


def _list(store: Store) -> None:
    """Print a line for each encoder and kind of entry."""
    rows: dict[tuple[str, str, str], list[float]] = {}
    for entry, key in store.contents():
        encoder = (key or {}).get("encoder", {})
        name = encoder.get("name", "?"), encoder.get("sha256", "?")[:12], (key or {}).get("kind", "unreadable")
        row = rows.setdefault(name, [0, 0, 0.0])
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
