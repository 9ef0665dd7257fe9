"""Make the page from a report, or from a gallery: ``python -m testtone.reports run.json -o run.html``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import gallery, page


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 for a page, 2 for a file that cannot be read, understood or written."""
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports", description="Make a page from a report or a gallery."
    )
    parser.add_argument("report", type=Path, help="report.json as a run of the claims wrote it, or gallery.json")
    parser.add_argument("-o", "--output", type=Path, help="where the page goes (default: beside the report, as .html)")
    options = parser.parse_args(arguments)
    output = options.output or options.report.with_suffix(".html")
    try:
        if output.resolve() == options.report.resolve():
            raise ValueError(f"--output={output} is the report itself; name another file")
        report = json.loads(options.report.read_text(encoding="utf-8"))
        print((gallery if gallery.is_gallery(report) else page).write(report, output))
    except json.JSONDecodeError as error:
        return _refuse(f"{options.report} is not JSON: {error}")
    except UnicodeDecodeError as error:
        return _refuse(f"{options.report} is not UTF-8 text: {error}")
    except RecursionError:
        return _refuse(f"{options.report} is nested too deeply for a report")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    except (TypeError, ValueError) as error:
        return _refuse(f"{options.report}: {error}")
    return 0


def _refuse(message: str) -> int:
    print(f"testtone.reports: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
