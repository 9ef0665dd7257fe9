"""One report, one page: the report sorted the way a reader asks for it, poured into ``page.jinja``.

The page needs nothing but itself. Its style and its one small script are inlined and named by their hashes in a content
security policy that allows nothing else but sounds and pictures from ``data:`` addresses; no link leaves the page, and
there is no clock. The script adds buttons that copy; all else works without it. Everything from the report goes through
autoescape, so that an encoder named ``<script>`` is just an odd name.
"""

import base64
import hashlib
import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from . import drawing, figures, files, illustrations, plots, wording
from .charts import Chart
from .consistency import contradictions
from .schema import validate
from .sounds import Playlist, Sound, player, playlist

Record = Mapping[str, Any]

# Control characters, overrides of the reading direction (which would reverse their surroundings as well) and lone
# surrogates (legal in JSON, impossible in UTF-8): none of them means anything on this page.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Result:
    """One claim on one encoder at one site, with its address on the page.

    Attributes:
        record: the entry of ``report["claims"]``.
        anchor: id of its row on the page.
        encoder: the encoder's name as the page shows it.
        site: the site, or a word for none.
    """

    record: Record
    anchor: str
    encoder: str
    site: str


@dataclass(frozen=True)
class Control:
    """A control as one or several results carry it.

    Attributes:
        record: the entry of ``claim["controls"]``.
        name: the reference encoder's name.
        scope: the encoders or sites it was run for, where the same control gave different answers; else empty.
    """

    record: Record
    name: str
    scope: str

    @property
    def as_expected(self) -> bool:
        """Whether the probe gave the answer that is known to be right."""
        return self.record["verdict"] == self.record["expected"]


@dataclass(frozen=True)
class Figure:
    """Results that are read against the same thresholds in the same unit: one picture, one table."""

    effect: Record | None
    threshold: Record | None
    results: list[Result]
    controls: list[Control]
    plot: Markup | None

    @property
    def _records(self) -> list[Record]:
        return [*(result.record for result in self.results), *(control.record for control in self.controls)]

    @property
    def level(self) -> str:
        """The confidence that all intervals share, in words; empty if they differ."""
        return _level(record["effect"] for record in self._records)


@dataclass(frozen=True)
class Sight:
    """A chart of one result, drawn.

    Attributes:
        encoder: the encoder's name.
        site: the site.
        title: what it shows.
        note: a sentence below.
        picture: an ``<svg>`` element.
    """

    encoder: str
    site: str
    title: str
    note: str
    picture: Markup


@dataclass
class Section:
    """All results of one claim, with what is said once for all of them."""

    id: str
    title: str
    anchor: str
    stance: str
    results: list[Result] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    """Of one site of each encoder."""
    further_sights: list[Sight] = field(default_factory=list)
    """Of its other sites."""
    playlist: Playlist = field(default_factory=lambda: Playlist("", [], 0))
    found: dict[str, list[Sound]] = field(default_factory=dict)
    """What the search that found most found, to be heard: by the anchor of its result."""

    @property
    def sounds(self) -> list[Sound]:
        """What is heard with the claim."""
        return self.playlist.sounds

    @property
    def look(self) -> str:
        """What to look for in the pictures."""
        return figures.look(self.id) if self.sights else ""

    @property
    def numbers(self) -> Markup:
        """The numbers of the records as JSON, a record a line, to six digits."""
        lines = (json.dumps(_bare(result.record), ensure_ascii=False) for result in self.results)
        return Markup("[" + escape_text(",\n".join(lines)) + "]")

    @property
    def work(self) -> str:
        """The work that the claim rests on, such as ``Post 0`` of ``Post 0, section 0.2``."""
        return _work(self.results[0].record["source"])

    def said(self, name: str) -> list[Any]:
        """Return what the records say under a name: each text once, in order, absent ones left out."""
        return _distinct(result.record.get(name) for result in self.results)

    @property
    def parts(self) -> list[Record]:
        """The other readings of all results."""
        return [part for result in self.results for part in result.record["parts"]]

    @property
    def part_level(self) -> str:
        """The confidence that the intervals of all other readings share, in words; empty if they differ."""
        return _level(part["effect"] for part in self.parts)


Cell = tuple[list[Result], str | None, str]
"""Results, why there are none where some were due, and the encoder and site in words."""


@dataclass(frozen=True)
class Matrix:
    """Claims by encoders and sites."""

    encoders: list[tuple[str, list[str]]]
    rows: list[tuple[Section, list[Cell]]]

    @property
    def works(self) -> list[tuple[str, list[tuple[Section, list[Cell]]]]]:
        """The rows of each work that claims rest on."""
        return [(name, list(rows)) for name, rows in groupby(self.rows, key=lambda row: row[0].work)]


def render(report: dict[str, Any]) -> str:
    """Return a report as one self-contained HTML page, the same text for the same report.

    Args:
        report: the dict that ``report.json`` holds (testtone-report/1, see ``schema.json``).

    Raises:
        TypeError: if ``report`` is no dict.
        ValueError: if it breaks the contract; the message names the place.
    """
    return _render(report, excerpt=False)


def excerpt(report: dict[str, Any]) -> str:
    """Return the sections of the claims alone, as a page: what a notebook shows. Otherwise as ``render``."""
    return _render(report, excerpt=True)


def _render(report: dict[str, Any], *, excerpt: bool) -> str:
    validate(report)
    ids = _Ids()
    names = _names(report["encoders"])
    results = [_result(record, names, ids) for record in report["claims"]]
    sections = _sections(results, report, names, ids)
    decided = [r for r in results if r.record["agrees"] is not None]
    css, script = _source("page.css"), _source("copy.js")
    template = _environment().get_template("page.jinja")
    page = template.render(
        report=report,
        excerpt=excerpt,
        css=Markup(css),
        css_hash=_hash(css),
        script=Markup(script),
        script_hash=_hash(script),
        title=report.get("title") or "What the encoder makes of it",
        on_trial=_on_trial(report),
        names=names,
        agreeing=sum(r.record["agrees"] for r in decided),
        decided=len(decided),
        works=_works(sections),
        out_of_scope=[(name, list(said)) for name, said in groupby(_out_of_scope(report), key=lambda s: s["source"])],
        counts=_counts(results),
        differing=_differing(sections),
        sections=sections,
        matrix=_matrix(results, sections, report, names),
        not_run=_not_run(report),
        sounds_shown=any(sound.flac for section in sections for sound in section.playlist.sounds),
        repeat=_repeat(report),
        shown=illustrations.shown(report, names, ids.new),
        environment=list(_flat(report["environment"])),
        contradictions=list(contradictions(report)),
        wording=wording,
    )
    return _UNPRINTABLE.sub("\ufffd", page)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def escape_text(text: str) -> str:
    """Return a text for between tags: quotes need no escape there, and a record holds many."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def write(report: dict[str, Any], path: str | Path) -> Path:
    """Write a report as one HTML file (UTF-8) and return its path.

    Raises:
        TypeError, ValueError: see ``render``.
        OSError: if the file cannot be written.
    """
    return save(render(report), path)


def save(page: str, path: str | Path) -> Path:
    """Write a page as UTF-8 with the same line ends everywhere, and return its path.

    Raises:
        OSError: if the file cannot be written.
    """
    return files.write(path, page)


class _Ids:
    """Hands out ids that are valid in a fragment, readable, and unique on the page."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, *words: str) -> str:
        stem = ".".join(re.sub(r"[^A-Za-z0-9_-]+", "-", word).strip("-")[:60] or "x" for word in words)
        name, n = stem, 1
        while name in self._taken:
            n += 1
            name = f"{stem}.{n}"
        self._taken.add(name)
        return name


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "duration", "interval", "limit", "moment", "number", "percent", "probability", "value"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["groupby_encoder"] = lambda results: groupby(results, key=lambda r: r.encoder)
    environment.filters["words"] = wording.verdict
    return environment


def _source(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _distinct(items: Iterable[Any]) -> list[Any]:
    """Return the items that are not empty, each once, in order. They need not be hashable."""
    kept: list[Any] = []
    for item in items:
        if item not in (None, "", {}) and item not in kept:
            kept.append(item)
    return kept


def _on_trial(report: Record) -> list[str]:
    """Return the specs of the encoders that the claims were run on, reference encoders too if they were asked for."""
    asked = {record["encoder"] for record in report["claims"]}
    return [e["spec"] for e in report["encoders"] if e["spec"] in asked or not e["reference"]]


def _level(effects: Iterable[Record | None]) -> str:
    levels = {wording.percent(effect["confidence"]) for effect in effects if effect and effect["ci"]}
    return levels.pop() if len(levels) == 1 else ""


def _names(encoders: Iterable[Record]) -> dict[str, str]:
    """Return each encoder's name by its spec; the spec itself where two share a name."""
    encoders = list(encoders)
    uses = Counter(e["name"] for e in encoders)
    return {e["spec"]: e["name"] if uses[e["name"]] == 1 and e["name"] else e["spec"] for e in encoders}


def _named(spec: str | None, names: Mapping[str, str]) -> str:
    return names.get(spec, spec) if spec else "all encoders"


def _site(site: str | None) -> str:
    return site or "as a whole"


def _result(record: Record, names: Mapping[str, str], ids: _Ids) -> Result:
    encoder, site = _named(record["encoder"], names), _site(record["site"])
    return Result(record, ids.new("result", record["id"], encoder, site), encoder, site)


def _counts(results: Iterable[Result]) -> list[tuple[str, int]]:
    """Return how often each verdict was reached, in the order of the legend."""
    counts = Counter(r.record["verdict"] for r in results)
    return [(word, counts[word]) for word in wording.VERDICTS if counts[word]]


def _not_run(report: Record) -> list[Record]:
    return (report.get("exit") or {}).get("not_run") or []


def _sections(results: Iterable[Result], report: Record, names: Mapping[str, str], ids: _Ids) -> list[Section]:
    """Return one section for each claim, in the order of the report."""
    sections: dict[str, Section] = {}
    for result in results:
        record = result.record
        if record["id"] not in sections:
            anchor = ids.new("claim", record["id"])
            sections[record["id"]] = Section(record["id"], record["title"], anchor, record["stance"])
        sections[record["id"]].results.append(result)
    # By work, in the order of the report; within a work as the report has them.
    order = list(dict.fromkeys(section.work for section in sections.values()))
    sections = dict(sorted(sections.items(), key=lambda item: order.index(item[1].work)))
    heard: dict[str, Sound] = {}
    encoders = {each["spec"]: each for each in report["encoders"]}
    sounds = report.get("sounds") or {}
    for section in sections.values():
        section.figures.extend(_figures(section, names, ids))
        section.sights, section.further_sights = _sights(section, encoders, ids)
        section.playlist = playlist((r.record for r in section.results), sounds, heard, ids.new)
        worst = _worst(section, sounds)
        if worst is not None:
            section.found[worst.anchor] = [
                player(key, sounds[key].get("label") or "what the search found", sounds, heard, ids.new)
                for key in _found(worst.record, sounds)
            ]
    return list(sections.values())


def _worst(section: Section, sounds: Mapping[str, Record]) -> Result | None:
    """Return the result whose search came closest to a counterexample, among those whose sound is there."""
    searched = [r for r in section.results if _found(r.record, sounds)]
    margins = [(wording.as_float(r.record["search"]["worst_margin"]), r) for r in searched]
    known = [(margin, r) for margin, r in margins if margin is not None]
    return min(known, key=lambda each: each[0])[1] if known else None


def _found(record: Record, sounds: Mapping[str, Record]) -> list[str]:
    """Return the hashes of at most four sounds of a search's worst case."""
    named = (record["search"] or {}).get("sounds")
    return [key for key in named if isinstance(key, str) and key in sounds][:4] if isinstance(named, list) else []


def _sights(section: Section, encoders: Mapping[str, Record], ids: _Ids) -> tuple[list[Sight], list[Sight]]:
    """Return the pictures that let one see the claim: of each encoder's latent or first site, and of its others."""
    drawn: dict[str, dict[str, list[Sight]]] = {}
    for result in section.results:
        charts = figures.of(result.record, encoders.get(result.record["encoder"]))
        if charts:
            sights = drawn.setdefault(result.encoder, {}).setdefault(result.site, [])
            sights.extend(_sight(result, chart, ids.new("sight", section.id)) for chart in charts)
    first: list[Sight] = []
    further: list[Sight] = []
    for sites in drawn.values():
        shown = "latent" if "latent" in sites else next(iter(sites))
        first.extend(sites[shown])
        further.extend(sight for site, sights in sites.items() if site != shown for sight in sights)
    return first, further


def _sight(result: Result, chart: Chart, anchor: str) -> Sight:
    return Sight(result.encoder, result.site, chart.title, chart.note, drawing.draw(chart, ids=anchor))


_NUMBERS = (
    "id",
    "encoder",
    "site",
    "stance",
    "verdict",
    "agrees",
    "effect",
    "threshold",
    "controls",
    "null",
    "p",
    "p_holm",
)
_OF_PART = ("name", "effect", "threshold", "verdict")


def _bare(record: Record) -> dict[str, Any]:
    """Return the numbers of a record: what was decided and by what. Figures and words stay in the JSON file."""
    bare = {key: record[key] for key in _NUMBERS if record.get(key) is not None}
    return _rounded(bare | {"parts": [{key: part[key] for key in _OF_PART} for part in record["parts"]]})


def _rounded(value: Any) -> Any:
    """Return a value with every float in it to six significant digits; what JSON cannot say becomes null."""
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _repeat(report: Record) -> str:
    """Return the command line with what it left unsaid: seed and effort, by which the same numbers come back."""
    command = report["command"]
    for option, value in (("--claims-seed", report["seed"]), ("--claims-effort", report.get("effort"))):
        if "pytest" in command and option not in command and value is not None:
            command += f" {option} {shlex.quote(str(value))}"
    return command


def _work(source: str | None) -> str:
    return re.split(r",\s+(?:section|introduction|abstract|appendix)\b", source or "", maxsplit=1)[0].strip()


def _works(sections: Iterable[Section]) -> list[tuple[str, int, int]]:
    """Return each work with the number of results that agree with it and of those that were decided."""
    works: dict[str, list[bool]] = {}
    for section in sections:
        works.setdefault(section.work, []).extend(
            r.record["agrees"] for r in section.results if r.record["agrees"] is not None
        )
    return [(name, sum(agrees), len(agrees)) for name, agrees in works.items()]


def _out_of_scope(report: Record) -> list[Record]:
    return report.get("out_of_scope") or []


def _figures(section: Section, names: Mapping[str, str], ids: _Ids) -> list[Figure]:
    """Return a figure for each pair of thresholds and unit; what has no effect joins where its thresholds fit."""
    groups: list[tuple[Record | None, Record | None, list[Result]]] = []
    for result in sorted(section.results, key=lambda r: r.record["effect"] is None):
        effect, threshold = result.record["effect"], result.record["threshold"]
        for known, limits, members in groups:
            if limits == threshold and (effect is None or known is None or known["unit"] == effect["unit"]):
                members.append(result)
                break
        else:
            groups.append((effect, threshold, [result]))
    place = {id(result): i for i, result in enumerate(section.results)}
    figures = []
    for effect, threshold, members in groups:
        members.sort(key=lambda r: place[id(r)])
        controls = _controls(members, names)
        figures.append(Figure(effect, threshold, members, controls, _plot(section, members, controls, ids)))
    return figures


def _plot(section: Section, results: list[Result], controls: list[Control], ids: _Ids) -> Markup | None:
    """Return the picture of results that share their thresholds; None where there is not one effect to draw."""
    rows = [*map(_row, results), *map(_control_row, controls)]
    if all(row.value is None and row.low is None and row.high is None for row in rows):
        return None
    threshold = results[0].record["threshold"] or {}
    return plots.interval_plot(
        rows,
        ids=ids.new("plot", section.id),
        title=f"{section.title}: effects, intervals and thresholds",
        supported_above=wording.as_float(threshold.get("supported_above")),
        refuted_below=wording.as_float(threshold.get("refuted_below")),
    )


def _controls(results: list[Result], names: Mapping[str, str]) -> list[Control]:
    """Return the controls of some results, equal ones once; with their scope where one gave several answers."""
    carried: list[tuple[Record, list[Result]]] = []
    for result in results:
        for record in result.record["controls"]:
            carriers = next((carriers for known, carriers in carried if known == record), None)
            if carriers is None:
                carried.append((record, [result]))
            else:
                carriers.append(result)
    controls = []
    for record, carriers in carried:
        rivals = [
            result
            for other, others in carried
            if other is not record and (other["encoder"], other["expected"]) == (record["encoder"], record["expected"])
            for result in others
        ]
        controls.append(Control(record, _named(record["encoder"], names), _scope(carriers, rivals)))
    return sorted(controls, key=lambda c: (c.scope, c.record["expected"] != "supported"))


def _scope(carriers: list[Result], rivals: list[Result]) -> str:
    """Return what sets some results apart from others: encoders, else sites, else both; empty without others."""
    if not rivals:
        return ""
    for tell in (lambda r: r.encoder, lambda r: r.site):
        if not {tell(r) for r in carriers} & {tell(r) for r in rivals}:
            return ", ".join(_distinct(tell(r) for r in carriers))
    return ", ".join(f"{r.encoder} {r.site}" for r in carriers)


def _row(result: Result) -> plots.Row:
    return _plot_row(result.record, group=result.encoder, label=result.site)


def _control_row(control: Control) -> plots.Row:
    group = f"Control that must be {control.record['expected']}" + (f", for {control.scope}" if control.scope else "")
    sign = "" if control.as_expected else "≠ "
    return _plot_row(control.record, group=group, label=control.name, sign=sign, hollow=True)


def _plot_row(record: Record, *, group: str, label: str, sign: str = "", hollow: bool = False) -> plots.Row:
    effect = record["effect"]
    low, high = wording.ends(effect)
    value = wording.as_float((effect or {}).get("value"))
    remark = sign + wording.verdict(record["verdict"]) + (f" {wording.value(effect)}" if value is not None else "")
    return plots.Row(group, label, remark, record["verdict"], value, low, high, hollow)


def _matrix(results: list[Result], sections: list[Section], report: Record, names: Mapping[str, str]) -> Matrix:
    """Return the overview. Columns follow the report's encoders and the order in which sound passes the sites."""
    shown = {section.id for section in sections}
    missing = {
        (m.get("id"), _named(m.get("encoder"), names), _site(m.get("site"))): m.get("why") or "not run"
        for m in _not_run(report)
        if m.get("id") in shown
    }
    columns = _distinct([(r.encoder, r.site) for r in results] + [(encoder, site) for _, encoder, site in missing])
    order = [*names.values(), *_distinct(e for e, _ in columns)]
    sites = [*wording.SITES, *_distinct(s for _, s in columns)]
    columns.sort(key=lambda c: (order.index(c[0]), sites.index(c[1])))
    encoders: list[tuple[str, list[str]]] = []
    for encoder, site in columns:
        if not encoders or encoders[-1][0] != encoder:
            encoders.append((encoder, []))
        encoders[-1][1].append(site)
    rows = []
    for section in sections:
        cells = []
        for column in columns:
            found = [r for r in section.results if (r.encoder, r.site) == column]
            cells.append((found, None if found else missing.get((section.id, *column)), f"{column[0]}, {column[1]}"))
        rows.append((section, cells))
    return Matrix(encoders, rows)


def _differing(sections: Iterable[Section]) -> list[tuple[Section, list[Result]]]:
    """Return the claims on which an encoder and the post differ, with the results that do."""
    pairs = ((section, [r for r in section.results if r.record["agrees"] is False]) for section in sections)
    return [(section, results) for section, results in pairs if results]


def _flat(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield name and value of all leaves, names of nested ones joined by a full stop."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
