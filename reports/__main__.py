"""Make the page from a report, or from a gallery: ``python -m testtone.reports run.json -o run.html``.

``--tables`` prints reports as Markdown instead. Further commands come first on the line: ``compare``, ``merge``,
``export``, ``cut``, ``schema``; each says more with ``--help``.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import clips, compare, cut, export, files, merge, page, tables
from .schema import schema

USAGE = 2
"""Exit status for a file that cannot be read, understood or written, and for a command that cannot be."""

# What would move the cursor or turn the direction of a terminal's text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 for what was made, 1 for a verdict that flipped, 2 for what cannot be made."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = COMMANDS.get(arguments[0]) if arguments else None
    try:
        return command(arguments[1:]) if command is not None else _page(arguments)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ImportError, TypeError, ValueError) as error:
        return _refuse(str(error))


def _page(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports",
        description="Make a page from a report or a gallery.",
        epilog=f"Further commands, each with --help: {', '.join(COMMANDS)}.",
    )
    parser.add_argument(
        "report", type=Path, nargs="+", help="report.json as a run of the claims wrote it, or gallery.json"
    )
    parser.add_argument("-o", "--output", type=Path, help="where the page goes (default: beside the report, as .html)")
    parser.add_argument("--tables", action="store_true", help="print verdicts and controls as Markdown, of all reports")
    options = parser.parse_args(arguments)
    if options.tables:
        print(_printable(tables.render([files.read_report(path) for path in options.report])), end="")
        return 0
    if len(options.report) > 1:
        raise ValueError(
            f"{len(options.report)} reports make no page together; name one, or ask for --tables, compare or merge"
        )
    (path,) = options.report
    output = options.output or path.with_suffix(".html")
    _apart(output, path)
    found = files.read(path)
    if clips.is_gallery(found):
        try:
            print(clips.write(found, output))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error
    else:
        print(page.write(files.checked(found, path), output))
    return 0


def _compare(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports compare",
        description="Put two or more reports side by side, flipped verdicts first. Exit status: 1 if a verdict flipped "
        "or a probe was invalid, 0 if none, 2 for a report that cannot be read.",
    )
    parser.add_argument("report", type=Path, nargs="+", help="report.json of each run; the first is compared with")
    parser.add_argument("-o", "--output", type=Path, help="write a page, too: PATH.html")
    parser.add_argument(
        "--within",
        type=float,
        metavar="SHARE",
        help="exit status 1 also if two effects lie farther apart than this share of their interval's width, such as "
        "0.1: for runs that should agree, by other versions or threads",
    )
    options = parser.parse_args(arguments)
    if options.within is not None and not options.within >= 0:
        raise ValueError(f"--within={options.within:g} must be 0 or more (widths of the interval)")
    for path in options.report:
        if options.output is not None:
            _apart(options.output, path)
    found = compare.compare([files.read_report(path) for path in options.report], names=_names(options.report))
    if options.output is not None:
        files.write(options.output, compare.render(found))
    print(_printable(compare.table(found)), end="")
    if options.output is not None:
        print(f"page: {options.output}")
    apart = False
    if options.within is not None:
        far = found.farthest
        apart = far.moved > options.within
        print(
            f"effects lie at most {far.moved:.2g} widths of their interval apart"
            + (_printable(f" ({' '.join(filter(None, (far.claim, far.encoder, far.site)))})") if far.moved else "")
            + f"; allowed were {options.within:g}"
        )
    return 1 if found.flipped or found.invalid or apart else 0


def _merge(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports merge",
        description="Make one report of the shards of a run (--claims-shard=I/N), or of claims asked one by one.",
    )
    parser.add_argument("report", type=Path, nargs="+", help="report.json of each part")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where the report goes: PATH.json")
    parser.add_argument("--partial", action="store_true", help="list the claims of missing shards as not run")
    options = parser.parse_args(arguments)
    if options.output.suffix.lower() in (".html", ".htm"):
        raise ValueError(f"--output={options.output} is to be a report, PATH.json; its page is made from that")
    for path in options.report:
        _apart(options.output, path)
    reports = [files.read_report(path) for path in options.report]
    merged = merge.merge(reports, names=_names(options.report), partial=options.partial)
    print(files.write(options.output, files.dump(files.checked(merged, options.output))))
    return 0


def _export(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports export",
        description="Write what a report holds as files: sounds as WAV with a CSV of their labels, figures as SVG and "
        "PNG, a piece of HTML for each claim to put into a post, a badge.",
    )
    parser.add_argument("report", type=Path, help="report.json as a run of the claims wrote it")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, made if it is not there")
    parser.add_argument(
        "--only", choices=export.KINDS, action="append", help="repeatable; default: everything that can be written"
    )
    options = parser.parse_args(arguments)
    for line in export.export(files.read_report(options.report), options.output, kinds=options.only or export.KINDS):
        print(_printable(line))
    return 0


def _cut(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports cut",
        description="Make a smaller report: all verdicts and numbers, and as many sounds as fit.",
    )
    parser.add_argument("report", type=Path, help="report.json as a run of the claims wrote it")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where the smaller report goes: PATH.json")
    parser.add_argument("--kilobytes", type=int, default=1000, metavar="N", help="at most so large (default: 1000)")
    options = parser.parse_args(arguments)
    _apart(options.output, options.report)
    report = cut.cut(files.read_report(options.report), kilobytes=options.kilobytes)
    print(files.write(options.output, cut.dump(report)))
    return 0


def _schema(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testtone.reports schema", description="Print the JSON Schema of a report."
    )
    parser.parse_args(arguments)
    print(files.dump(schema()), end="")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "compare": _compare,
    "merge": _merge,
    "export": _export,
    "cut": _cut,
    "schema": _schema,
}


def _apart(output: Path, report: Path) -> None:
    # Unlike Path.resolve this takes a link that leads to itself.
    if os.path.realpath(output) == os.path.realpath(report):
        raise ValueError(f"--output={output} is the report itself; name another file")


def _names(paths: Sequence[Path]) -> list[str]:
    """Return short names that tell the files apart: the last part of each path, or as much as it takes."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(set(map(str, paths))):
            return names
    return [str(path) for path in paths]


def _printable(text: str) -> str:
    return "\n".join(_UNPRINTABLE.sub("\ufffd", line) for line in text.split("\n"))


def _refuse(message: str) -> int:
    line = _printable(" ".join(message.split()))
    print(f"testtone.reports: {line if len(line) <= 1000 else line[:997] + '...'}", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
