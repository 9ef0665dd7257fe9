"""What a report holds, as files for others to use.

``sounds/``   each sound as WAV (16 bits, as the report carries it), and ``sounds.csv``: a row per sound
``figures/``  each picture of the page as SVG and as PNG
``embed/``    a piece of HTML for each claim, to put into a post: no head, a style that stays within it, nothing fetched
``badge.svg`` how many decided claims agree with their source

Nothing is fetched, computed or judged here: it is all in the report. The same report gives the same files; a PNG
depends on the fonts of the machine besides.
"""

import base64
import csv
import hashlib
import importlib
import io
import math
import re
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from . import files, page, pictures, wording

KINDS = ("sounds", "figures", "embed", "badge")

EMBED_BYTES = 60_000
"""At most so large, sounds included: what a site builder takes, and a phone loads in passing."""

SCALE = 2
"""Pixels of a PNG per CSS pixel."""

COLUMNS = (
    "file",
    "sha256",
    "label",
    "claims",
    "sample_rate_hz",
    "seconds",
    "kinds",
    "partials",
    "partials_hz",
    "partials_db",
)
"""Of ``sounds.csv``. ``partials_db`` is 20 log10 of the amplitude re full scale 1."""

Report = Mapping[str, Any]


def export(report: dict[str, Any], folder: str | Path, *, kinds: Sequence[str] = KINDS) -> Iterator[str]:
    """Write a report's sounds, figures, embeds and badge into a folder; yield a line on each.

    Args:
        report: keeps the contract and does not contradict itself (`files.read_report`).
        folder: made if it is not there; what has the same name is replaced, anything else left alone.
        kinds: some of ``KINDS``.

    Raises:
        OSError: if something cannot be written, naming it.
        ImportError: if what reads FLAC is missing.
    """
    folder = Path(folder)
    sections, names = _sections(report)
    made = {"sounds": _write_sounds, "figures": _write_figures, "embed": _write_embeds, "badge": _write_badge}
    for kind in KINDS:
        if kind in kinds:
            yield from made[kind](report, folder, sections, names)


def rows(report: Report) -> Iterator[dict[str, str]]:
    """Yield the rows of ``sounds.csv``, in the order of the report."""
    claims: dict[str, list[str]] = {}
    for record in report["claims"]:
        for stimulus in record["stimuli"]:
            played = claims.setdefault(stimulus["sha256"], [])
            if record["id"] not in played:
                played.append(record["id"])
    for index, (sha256, sound) in enumerate((report.get("sounds") or {}).items(), start=1):
        sources = [each for each in (sound.get("truth") or {}).get("sources") or [] if isinstance(each, Mapping)]
        partials = list(_partials(sources))
        label = sound.get("label") or ""
        yield {
            "file": f"{index:03d}-{_slug(label)}.wav",
            "sha256": sha256,
            "label": _plain(label),
            "claims": ";".join(map(_plain, claims.get(sha256, []))),
            "sample_rate_hz": f"{sound.get('sample_rate') or '':}",
            "seconds": f"{sound['seconds']:.6f}" if sound.get("seconds") is not None else "",
            "kinds": ";".join(dict.fromkeys(_plain(str(each.get("kind"))) for each in sources)),
            "partials": str(len(partials)) if partials else "",
            "partials_hz": ";".join(f"{hz:.6g}" for hz, _ in partials),
            "partials_db": ";".join(f"{level:.2f}" for _, level in partials),
        }


def embed(report: Report, section: Any, found: Sequence[pictures.Picture]) -> str:
    """Return one claim as a piece of HTML for other people's pages, at most ``EMBED_BYTES`` long.

    It has no head and no body of its own. Its style begins with its own id everywhere, resets what would leak in, and
    is ASCII, so that the page around may have any encoding. Sounds come in as long as there is room.
    """
    id = f"testtone-{hashlib.sha256(section.id.encode('utf-8', 'replace')).hexdigest()[:10]}"
    scope = f"#{id}#{id}"
    more = page._source("embed.css")
    css = pictures.sheet(scope=scope, more=more)
    css += f"@media (prefers-color-scheme:dark){{{pictures.sheet(scope=scope, more=more, dark=True)}}}"
    # The intervals, and the first picture that lets one see why.
    shown = sorted(found, key=lambda each: "chart" in each.svg.partition(">")[0])[:2]
    for index, picture in enumerate(shown, start=1):
        # The rules of a page around may say what height a picture has; this one's is that of what is drawn.
        css += f"{scope} .n{index} .plot{{height:{picture.height:g}px!important}}"
    svgs = [(Markup(picture.caption), Markup(_renamed(picture.svg, id))) for picture in shown]
    results, more_results = list(section.results), 0
    stimuli = {
        each["sha256"]: each["label"] or "a sound without a name"
        for r in section.results
        for each in r.record["stimuli"]
    }

    def text(sounds: Sequence[Mapping[str, str]]) -> str:
        made = (
            page._environment()
            .get_template("embed.jinja")
            .render(
                id=id,
                css=Markup(css),
                section=section,
                source="; ".join(map(str, section.said("source"))),
                results=results,
                more=more_results,
                pictures=svgs,
                sounds=sounds,
                unheard=len(stimuli) - len(sounds),
                level=section.figures[0].level if section.figures else "",
                seed=report["seed"],
                effort=report.get("effort"),
                version=report["environment"].get("testtone"),
                rerun=next(iter(section.said("rerun")), None),
                wording=wording,
            )
        )
        return _ascii(page._UNPRINTABLE.sub("\ufffd", made))

    while svgs and len(text([])) > EMBED_BYTES:
        svgs.pop()
    while len(text([])) > EMBED_BYTES and len(results) > 1:
        more_results += len(results) - len(results) // 2
        results = results[: len(results) // 2]
    bare = text([])
    if len(bare) > EMBED_BYTES:
        raise ValueError(f"claim {section.id[:40]!r} has texts too long for an embed of {EMBED_BYTES} bytes")
    sounds: list[Mapping[str, str]] = []
    for sha256, label in stimuli.items():
        flac = _flac(report, sha256)
        if flac is None:
            continue
        tried = text([*sounds, {"label": label, "flac": flac}])
        if len(tried) <= EMBED_BYTES:
            sounds.append({"label": label, "flac": flac})
            bare = tried
    return bare


def badge(report: Report) -> str:
    """Return a small picture that says how many decided claims agree with their source, and whether any is invalid."""
    decided = [record["agrees"] for record in report["claims"] if record["agrees"] is not None]
    invalid = sum(record["verdict"] == "invalid" for record in report["claims"])
    colours = pictures.palette()
    right = f"{sum(decided)} of {len(decided)} agree" if decided else "none decided"
    colour = colours["--supported"] if decided and all(decided) else colours["--other"]
    if invalid:
        right, colour = f"{right}, {invalid} invalid", colours["--invalid"]
    left = "claims"
    # Some 6.6 px a letter at 11 px, told to whoever draws it by textLength.
    widths = [round(6.6 * len(each)) for each in (left, right)]
    a, b = widths[0] + 16, widths[1] + 16
    title = escape(f"testtone: {left}, {right}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{a + b}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{a + b}" height="20" rx="3" fill="#33393d"/>'
        f'<path d="M{a} 0h{b - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{a}z" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">'
        f'<text x="8" y="14" textLength="{widths[0]}">{escape(left)}</text>'
        f'<text x="{a + 8}" y="14" textLength="{widths[1]}">{escape(right)}</text></g></svg>\n'
    )


def _sections(report: dict[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """Return the sections of a report's page, and the id of each section's element -> the claim's id."""
    ids, names = page._Ids(), page._names(report["encoders"])
    results = [page._result(record, names, ids) for record in report["claims"]]
    sections = page._sections(results, report, names, ids)
    return sections, {section.anchor: section.id for section in sections}


def _write_sounds(report: Report, folder: Path, sections: Any, names: Any) -> Iterator[str]:
    sounds = report.get("sounds") or {}
    place = _made(folder / "sounds")
    listed = list(rows(report))
    for row in listed:
        files.write(place / row["file"], _wav(sounds[row["sha256"]]["flac"], row["label"]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in listed)
    files.write(place / "sounds.csv", text.getvalue())
    played = {stimulus["sha256"] for record in report["claims"] for stimulus in record["stimuli"]}
    missing = len(played - set(sounds))
    yield f"{place}: {len(listed)} sounds" + (f"; {missing} more were played and are not in the report" * bool(missing))


def _write_figures(report: dict[str, Any], folder: Path, sections: Any, names: Mapping[str, str]) -> Iterator[str]:
    place = _made(folder / "figures")
    raster = _raster()
    found = list(pictures.taken(page.render(report), names))
    for picture in found:
        svg = pictures.standalone(picture)
        stem = _slug(picture.name)
        files.write(place / f"{stem}.svg", svg)
        if raster is not None:
            files.write(place / f"{stem}.png", raster(svg))
    yield f"{place}: {len(found)} figures as SVG" + (" and PNG" if raster is not None else "")
    if raster is None:
        yield "no PNG: that needs the package resvg-py (pip install 'testtone[export]')"


def _write_embeds(
    report: dict[str, Any], folder: Path, sections: Sequence[Any], names: Mapping[str, str]
) -> Iterator[str]:
    place = _made(folder / "embed")
    of_claims: dict[str, list[pictures.Picture]] = {}
    for picture in pictures.taken(page.render(report), names):
        of_claims.setdefault(picture.claim, []).append(picture)
    sizes = []
    for section in sections:
        text = embed(report, section, of_claims.get(section.id, []))
        files.write(place / f"{_slug(section.id)}.html", text)
        sizes.append(len(text))
    yield f"{place}: {len(sizes)} claims" + (f", at most {max(sizes) / 1000:.0f} kB" if sizes else "")


def _write_badge(report: Report, folder: Path, sections: Any, names: Any) -> Iterator[str]:
    yield f"{files.write(_made(folder) / 'badge.svg', badge(report))}"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OSError(17, "is a file, and a folder is needed", str(folder)) from None
    return folder


def _raster() -> Any:
    """Return what makes a PNG of an SVG; None where the package for that is not installed."""
    try:
        resvg = importlib.import_module("resvg_py")
    except ImportError:
        return None
    return lambda svg: bytes(resvg.svg_to_bytes(svg_string=svg, zoom=SCALE, sans_serif_family="DejaVu Sans"))


def _wav(flac: str, label: str) -> bytes:
    """Return a sound as a WAV file with 16 bits a sample: the samples that the report carries."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(base64.b64decode(flac, validate=True))) as sound:
            samples, rate, channels = sound.buffer_read(dtype="int16"), sound.samplerate, sound.channels
    except (ValueError, soundfile.LibsndfileError) as error:
        raise ValueError(f"sound {label!r} is no FLAC file: {error}") from error
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(samples))
    return memory.getvalue()


def _flac(report: Report, sha256: str) -> str | None:
    """Return a sound as base64: its opening, where the report has one of a long sound."""
    known = (report.get("sounds") or {}).get(sha256) or {}
    return (known.get("opening") or {}).get("flac") or known.get("flac")


def _partials(sources: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    """Yield frequency in Hz and level in dB re full scale of each partial that is known."""
    for source in sources:
        for partial in source.get("partials") or []:
            if isinstance(partial, Mapping):
                hz, amplitude = (wording.as_float(partial.get(name)) for name in ("hz", "amplitude"))
                if hz is not None and amplitude is not None:
                    yield hz, 20 * math.log10(abs(amplitude)) if amplitude else -math.inf


def _renamed(svg: str, prefix: str) -> str:
    """Return a picture with ids that cannot be those of the page around."""
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'\bhref="#([^"]*)"', rf'href="#{prefix}-\1"', svg)
    return re.sub(
        r'\baria-(labelledby|describedby)="([^"]*)"',
        lambda found: f'aria-{found[1]}="{" ".join(f"{prefix}-{each}" for each in found[2].split())}"',
        svg,
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _slug(text: str) -> str:
    """Return a text as a file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:60].rstrip("-") or "x"


def _plain(text: str) -> str:
    return page._UNPRINTABLE.sub("\ufffd", text)


def _cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if re.match(r"[=+@\t\r]|-(?![\d.])", text) else text
