"""Check encoders from the command line: `python -m testtone.models SPEC [SPEC ...]`.

Exits with 0 if all of them keep the contract, with 1 if one does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .conformance import check
from .specs import available


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what `check` finds, or the names of the encoders that are here; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m testtone.models", description="Check whether encoders keep testtone's contract."
    )
    parser.add_argument("spec", nargs="*", help="a bundled name, file.py:name, package.module:name, or an entry point")
    parser.add_argument("--list", action="store_true", help="print the names of the encoders that are here")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(available()))
    elif not options.spec:
        parser.error("name an encoder, as after --encoder, or ask for --list")
    good = True
    for spec in options.spec:
        report = check(spec)
        print(report)
        good = good and report.ok
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
