"""Two or more reports side by side: the same claims on two encoders, by two seeds, in two versions.

Records are matched by claim, encoder and site. Where the reports were made on different encoders, one each, a claim's
records are matched by site, and the encoders are what is compared. A verdict that is not the same word in all reports
has *flipped*; from supported to refuted or back it is *reversed*. Intervals stand beside: two that overlap widely on
either side of a threshold are a flip as well, but say less.

An invalid record is said at the top and is never a match: a probe whose control failed has not judged, twice or once.
"""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from . import page, plots, wording
from .consistency import DECIDED

SITES = (*wording.SITES,)

Report = Mapping[str, Any]
Record = Mapping[str, Any]

GROUPS: Mapping[str, str] = {
    "reversed": "Reversed: supported in one, refuted in another",
    "flipped": "Flipped: the verdict is another one",
    "invalid": "Invalid: a control came out wrong, so there is nothing to compare",
    "alone": "Not in all reports",
    "same": "The same verdict",
}
"""Kinds of rows, in the order in which they are shown."""


ROUNDING = 1e-4
"""Effects that differ by no more are one number, summed in another order: torch 2.4 and 2.13 differ by as much."""


@dataclass(frozen=True)
class Column:
    """One report: its name here, and what sets it apart from the others."""

    name: str
    report: Report
    encoders: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One claim at one site, in all reports; None where a report does not hold it."""

    claim: str
    title: str
    stance: str
    encoder: str
    """The spec, or nothing where each report has an encoder of its own."""
    site: str
    records: tuple[Record | None, ...]

    @property
    def kind(self) -> str:
        """One of ``GROUPS``."""
        there = [record for record in self.records if record is not None]
        words = {record["verdict"] for record in there}
        if "invalid" in words:
            return "invalid"
        if words >= set(DECIDED):
            return "reversed"
        if len(words) > 1:
            return "flipped"
        return "same" if len(there) == len(self.records) else "alone"

    @property
    def flipped(self) -> bool:
        """Whether the verdict is not the same in all reports that hold the case."""
        return len({record["verdict"] for record in self.records if record is not None}) > 1

    @property
    def notes(self) -> list[str]:
        """What differs besides the numbers, and makes them less comparable."""
        there = [record for record in self.records if record is not None]
        told = []
        for name, value in (
            ("probe version", lambda each: (each.get("probe") or {}).get("version")),
            ("thresholds", lambda each: _thresholds(each["threshold"])),
            ("unit", lambda each: (each["effect"] or {}).get("unit")),
            ("stance of the source", lambda each: each["stance"]),
        ):
            seen = list(dict.fromkeys(value(each) for each in there if name != "unit" or each["effect"] is not None))
            if len(seen) > 1:
                told.append(f"{name} differs: {', then '.join(map(str, seen))}")
        return told

    @property
    def change(self) -> float | None:
        """The last effect less the first; None where one is missing."""
        values = [wording.as_float((each["effect"] or {}).get("value")) if each else None for each in self.records]
        first, last = values[0], values[-1]
        return None if first is None or last is None else last - first

    @property
    def moved(self) -> float:
        """How far the effects lie apart, in widths of the wider interval; 0 where fewer than two have one.

        Infinite where they differ and there is no width to count in.
        """
        effects = [each["effect"] for each in self.records if each is not None and each["effect"] is not None]
        values = [value for each in effects if (value := wording.as_float(each.get("value"))) is not None]
        if len(values) < 2 or max(values) - min(values) <= ROUNDING:
            return 0.0
        ends = [wording.ends(each) for each in effects]
        widths = [high - low for low, high in ends if low is not None and high is not None]
        width = max(widths, default=0.0)
        return (max(values) - min(values)) / width if width else math.inf


@dataclass(frozen=True)
class Comparison:
    """Some reports side by side."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    differences: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())
    """What else differs: seed, effort, versions, weights; a text for each report."""

    @property
    def compared(self) -> int:
        """How many cases at least two reports hold."""
        return sum(sum(record is not None for record in row.records) > 1 for row in self.rows)

    @property
    def flipped(self) -> list[Row]:
        """The rows whose verdict is not the same in all reports."""
        return [row for row in self.rows if row.flipped]

    @property
    def invalid(self) -> list[Row]:
        """The rows in which a probe may not judge."""
        return [row for row in self.rows if row.kind == "invalid"]

    @property
    def farthest(self) -> Row:
        """The row whose effects lie farthest apart, in widths of their interval."""
        return max(self.rows, key=lambda row: row.moved)

    @property
    def groups(self) -> list[tuple[str, list[Row]]]:
        """Rows of each kind that occurs, in the order in which they are shown."""
        return [(kind, rows) for kind in GROUPS if (rows := [row for row in self.rows if row.kind == kind])]

    @property
    def said(self) -> str:
        """One sentence that says what came out."""
        counts = Counter(row.kind for row in self.rows)
        of = f"{len(self.flipped)} of {self.compared} verdict{'s' if self.compared != 1 else ''} flipped"
        beside = [f"{counts[kind]} {word}" for kind, word in _BESIDE.items() if counts[kind]]
        return of + (f" ({', '.join(beside)})" if beside else "")


_BESIDE = {"reversed": "reversed", "invalid": "invalid", "alone": "not in all reports"}


def compare(reports: Sequence[Report], *, names: Sequence[str]) -> Comparison:
    """Return some reports side by side.

    Args:
        reports: two or more; each keeps the contract and does not contradict itself (`files.read_report`).
        names: what each is called, such as its file's name.

    Raises:
        ValueError: if there are fewer than two, or not one claim that two of them hold.
    """
    if len(reports) < 2:
        raise ValueError(f"{len(reports)} report is nothing to compare; name two or more")
    columns = tuple(
        Column(name, report, tuple(dict.fromkeys(str(record["encoder"]) for record in report["claims"])))
        for name, report in zip(names, reports, strict=True)
    )
    rows = sorted(_rows(columns), key=lambda row: list(GROUPS).index(row.kind))
    if not any(sum(record is not None for record in row.records) > 1 for row in rows):
        raise ValueError(
            f"{', '.join(names)} share no claim at the same site of the same encoder, or of one encoder each: there is "
            "nothing to compare"
        )
    return Comparison(columns, tuple(rows), tuple(_differences(columns)))


def table(found: Comparison) -> str:
    """Return a comparison as text for a terminal, flipped verdicts first."""
    lines = [f"{index}  {_title(column)}" for index, column in enumerate(found.columns, start=1)]
    if found.differences:
        lines += ["", *(f"{name}: {' | '.join(values)}" for name, values in found.differences)]
    heads = ["claim", "encoder", "site", *(str(index + 1) for index in range(len(found.columns)))]
    cells = {
        kind: [
            [
                row.claim,
                row.encoder or "each its own",
                row.site or "as a whole",
                *(_cell(record) for record in row.records),
            ]
            for row in rows
        ]
        for kind, rows in found.groups
    }
    if not any(row.encoder for row in found.rows):
        heads.pop(1)
        for each in (line for group in cells.values() for line in group):
            each.pop(1)
    everything = [heads, *(line for group in cells.values() for line in group)]
    widths = [max(len(line[column]) for line in everything) for column in range(len(heads))]
    for kind, rows in found.groups:
        lines += ["", GROUPS[kind], _aligned(heads, widths)]
        for row, line in zip(rows, cells[kind], strict=True):
            lines.append(_aligned(line, widths))
            lines += [f"    {note}" for note in row.notes]
    return "\n".join([*lines, "", found.said, ""])


def render(found: Comparison) -> str:
    """Return a comparison as one self-contained HTML page, the same text for the same reports."""
    css = page._source("page.css") + page._source("compare.css")
    template = page._environment().get_template("compare.jinja")
    text = template.render(
        found=found,
        css=Markup(css),
        css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        titles=[_title(column) for column in found.columns],
        groups=[
            (kind, GROUPS[kind], [(row, _plot(row, found, index)) for index, row in rows])
            for kind, rows in _numbered(found)
        ],
        named=any(row.encoder for row in found.rows),
        wording=wording,
    )
    return page._UNPRINTABLE.sub("\ufffd", text)


def _numbered(found: Comparison) -> Iterator[tuple[str, list[tuple[int, Row]]]]:
    start = 0
    for kind, rows in found.groups:
        yield kind, list(enumerate(rows, start=start))
        start += len(rows)


def _rows(columns: Sequence[Column]) -> Iterator[Row]:
    """Yield the rows: claims in the order in which the reports name them, then encoders, then sites."""
    across = _across(columns)
    found: dict[tuple[str, str, str], list[Record | None]] = {}
    for place, column in enumerate(columns):
        for record in column.report["claims"]:
            encoder = str(record["encoder"] or "")
            key = (record["id"], "" if encoder == across.get(place) else encoder, str(record["site"] or ""))
            found.setdefault(key, [None] * len(columns))[place] = record
    order = list(dict.fromkeys(key[0] for key in found))
    for claim, encoder, site in sorted(
        found, key=lambda key: (order.index(key[0]), key[1], SITES.index(key[2]) if key[2] in SITES else len(SITES))
    ):
        records = found[claim, encoder, site]
        known = next(record for record in records if record is not None)
        yield Row(claim, known["title"], known["stance"], encoder, site, tuple(records))


def _across(columns: Sequence[Column]) -> dict[int, str]:
    """Return the encoder of each report that is matched with the others' by site; nothing where names are enough.

    That is the case if each report has one encoder of its own, and no claim was put both to one of these and to an
    encoder that all reports share (which would be a partner by name).
    """
    shared = set.intersection(*(set(column.encoders) for column in columns))
    own = [[encoder for encoder in column.encoders if encoder not in shared] for column in columns]
    if any(len(each) != 1 for each in own):
        return {}
    for column, (encoder,) in zip(columns, own, strict=True):
        asked = {record["id"] for record in column.report["claims"] if record["encoder"] == encoder}
        if any(record["id"] in asked for record in column.report["claims"] if record["encoder"] in shared):
            return {}
    return {place: encoder for place, (encoder,) in enumerate(own)}


def _differences(columns: Sequence[Column]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what decides the numbers and is not the same in all reports."""
    told: list[dict[str, str]] = []
    for column in columns:
        report = column.report
        facts = {
            "encoders": ", ".join(column.encoders),
            "seed": str(report["seed"]),
            "effort": str(report.get("effort")),
        }
        facts |= {name: str(value) for name, value in page._flat(report["environment"])}
        facts |= {
            f"weights of {each['spec']}": str(each["weights_sha256"])[:12]
            for each in report["encoders"]
            if each["spec"] in column.encoders and each["weights_sha256"]
        }
        told.append(facts)
    for name in dict.fromkeys(name for facts in told for name in facts):
        values = tuple(facts.get(name, wording.NOTHING) for facts in told)
        # An encoder that stands in one report only is told by the list of encoders.
        if len(set(values)) > 1 and not (name.startswith("weights of ") and wording.NOTHING in values):
            yield name, values


def _title(column: Column) -> str:
    report = column.report
    words = [f"seed {report['seed']}", *([str(report["effort"])] if report.get("effort") else [])]
    if report.get("created"):
        words.append(wording.moment(str(report["created"])))
    return f"{column.name}: {', '.join(column.encoders) or 'no encoder'} ({', '.join(words)})"


def _cell(record: Record | None) -> str:
    if record is None:
        return wording.NOTHING
    effect = record["effect"]
    if effect is None or effect["value"] is None:
        return wording.verdict(record["verdict"])
    return f"{wording.verdict(record['verdict'])} {wording.value(effect)} {wording.interval(effect)}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _thresholds(threshold: Record | None) -> str:
    limits = threshold or {}
    above, below = (wording.limit(limits.get(name)) for name in ("supported_above", "refuted_below"))
    return f"supported above {above}, refuted below {below}"


def _plot(row: Row, found: Comparison, index: int) -> Markup | None:
    """Return the picture of a row that is worth one: where the verdict is not the same."""
    if row.kind not in ("reversed", "flipped", "invalid"):
        return None
    lines = list(_lines(row, found))
    if all(line.value is None and line.low is None and line.high is None for line in lines):
        return None
    threshold = next((each["threshold"] for each in row.records if each is not None), None) or {}
    return plots.interval_plot(
        lines,
        ids=f"plot-{index}",
        title=f"{row.title}: effects and intervals of each report",
        supported_above=wording.as_float(threshold.get("supported_above")),
        refuted_below=wording.as_float(threshold.get("refuted_below")),
    )


def _lines(row: Row, found: Comparison) -> Iterable[plots.Row]:
    for number, (column, record) in enumerate(zip(found.columns, row.records, strict=True), start=1):
        if record is not None:
            encoder = "" if row.encoder else f" {record['encoder'] or ''}"
            line = page._plot_row(record, group="", label=f"{number}{encoder or ' ' + column.name}")
            yield line
