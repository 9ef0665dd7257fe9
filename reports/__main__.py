"""Make the page from a report, or from a gallery: ``python -m testtone.reports run.json -o run.html``.

``--tables`` prints reports as Markdown instead.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import gallery, page, tables
from .schema import validate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 for a page, 2 for a file that cannot be read, understood or written."""
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports", description="Make a page from a report or a gallery."
    )
    parser.add_argument(
        "report", type=Path, nargs="+", help="report.json as a run of the claims wrote it, or gallery.json"
    )
    parser.add_argument("-o", "--output", type=Path, help="where the page goes (default: beside the report, as .html)")
    parser.add_argument("--tables", action="store_true", help="print verdicts and controls as Markdown, of all reports")
    options = parser.parse_args(arguments)
    if len(options.report) > 1 and not options.tables:
        return _refuse(f"{len(options.report)} reports make no page together; name one, or ask for --tables")
    path = options.report[0]
    output = options.output or path.with_suffix(".html")
    try:
        if options.tables:
            reports = []
            for path in options.report:
                reports.append(json.loads(path.read_text(encoding="utf-8")))
                validate(reports[-1])
            print(tables.render(reports), end="")
            return 0
        if output.resolve() == path.resolve():
            raise ValueError(f"--output={output} is the report itself; name another file")
        report = json.loads(path.read_text(encoding="utf-8"))
        print((gallery if gallery.is_gallery(report) else page).write(report, output))
    except json.JSONDecodeError as error:
        return _refuse(f"{path} is not JSON: {error}")
    except UnicodeDecodeError as error:
        return _refuse(f"{path} is not UTF-8 text: {error}")
    except RecursionError:
        return _refuse(f"{path} is nested too deeply for a report")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    except (TypeError, ValueError) as error:
        return _refuse(f"{path}: {error}")
    return 0


def _refuse(message: str) -> int:
    print(f"testtone.reports: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
