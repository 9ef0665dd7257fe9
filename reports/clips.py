"""One gallery, one page: clips as they were and as a codec gives them back, poured into ``gallery.jinja``.

The page keeps the rules of a report's: it needs nothing but itself, runs no script, and shows the same bytes for the
same record. A sound that several takes share has one player, and the others lead there. Spectrograms are pictures in
one ink and sixteen degrees of cover, so that they follow the paper.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from . import wording
from .ink import png as png
from .page import _UNPRINTABLE, _environment, _flat, save
from .schema import check

Record = Mapping[str, Any]

NOTHING_LEFT_DB = -30.0
"""Below this SI-SDR less than a thousandth of a sound's power is the clip; how much less says nothing."""


@dataclass(frozen=True)
class Take:
    """A clip as it was, or as it came back.

    Attributes:
        record: the entry of ``clip["takes"]``.
        name: what it is, in words.
        anchor: id of its figure on the page.
        sound: the entry of ``gallery["sounds"]``.
        elsewhere: anchor of the take that has the player, where an earlier one has the same sound.
        picture: its spectrogram, a PNG in base64; None where there is none.
    """

    record: Record
    name: str
    anchor: str
    sound: Record
    elsewhere: str | None
    picture: str | None

    @property
    def figures(self) -> list[str]:
        """SI-SDR and log-mel distance in words; none for the original."""
        said = []
        if self.record["si_sdr_db"] is not None:
            said.append(f"SI-SDR {si_sdr(self.record['si_sdr_db'])}\u00a0dB")
        if self.record["log_mel_db"] is not None:
            said.append(f"log-mel distance {wording.number(self.record['log_mel_db'], decimals=1)}\u00a0dB")
        return said


@dataclass(frozen=True)
class Clip:
    """What was played, with all its takes."""

    record: Record
    anchor: str
    takes: list[Take]

    @property
    def holds(self) -> str:
        """What plays, in one line."""
        record = self.record
        voices = record.get("polyphony")
        said = [
            ", ".join(record.get("programs") or []),
            f"up to {voices} notes at once" if (voices or 0) > 1 else "one note at a time" if voices == 1 else "",
            "percussion" if record.get("percussion") else "",
            f"{_listed(record['registers'])} register" if record.get("registers") else "",
            f"in {record['tonic']}" if record.get("tonic") else "",
        ]
        return "; ".join(filter(None, said))

    def at(self, kind: str, kbps: float | None) -> Take | None:
        """Return the take of a kind and a bit rate."""
        return next(
            (t for t in self.takes if t.record["kind"] == kind and t.record["bandwidth_kbps"] == kbps),
            None,
        )


def is_gallery(record: Any) -> bool:
    """Say whether a record says of itself that it is a gallery, of whatever version."""
    return isinstance(record, dict) and str(record.get("schema")).startswith("testtone-gallery/")


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a gallery. Treat it as read-only: it is shared."""
    return json.loads(files(__package__).joinpath("gallery_schema.json").read_text(encoding="utf-8"))


def render(gallery: dict[str, Any]) -> str:
    """Return a gallery as one self-contained HTML page, the same text for the same record.

    Args:
        gallery: the dict that ``gallery.json`` holds (testtone-gallery/1, see ``gallery_schema.json``).

    Raises:
        TypeError: if ``gallery`` is no dict.
        ValueError: if it breaks the contract; the message names the place.
    """
    check(gallery, schema(), name="gallery")
    clips = _clips(gallery)
    rates = sorted({t.record["bandwidth_kbps"] for t in _reconstructions(clips)} - {None})
    css = "".join(files(__package__).joinpath(n).read_text(encoding="utf-8") for n in ("page.css", "gallery.css"))
    page = (
        _environment()
        .get_template("gallery.jinja")
        .render(
            gallery=gallery,
            css=Markup(css),
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            title=gallery.get("title") or "What comes back",
            clips=clips,
            rates=rates,
            held_out=gallery.get("held_out"),
            environment=list(_flat(gallery.get("environment") or {})),
            si_sdr=si_sdr,
        )
    )
    return _UNPRINTABLE.sub("\ufffd", page)


def write(gallery: dict[str, Any], path: str | Path) -> Path:
    """Write a gallery as one HTML file (UTF-8) and return its path.

    Raises:
        TypeError, ValueError: see ``render``.
        OSError: if the file cannot be written.
    """
    return save(render(gallery), path)


def si_sdr(db: Any) -> str:
    """Return an SI-SDR in dB with one decimal, or that it is below all that tells anything."""
    value = wording.as_float(db)
    if value is not None and value < NOTHING_LEFT_DB:
        return f"below {wording.limit(NOTHING_LEFT_DB)}"
    return wording.number(db, decimals=1)


def _clips(gallery: Record) -> list[Clip]:
    """Return the clips; a sound's player stands with the first take that has it.

    Raises:
        ValueError: if a take's sound is not there, or its picture is none.
    """
    heard: dict[str, str] = {}
    clips = []
    for number, record in enumerate(gallery["clips"]):
        takes = []
        for index, take in enumerate(record["takes"]):
            place = f"gallery.clips[{number}].takes[{index}]"
            key, anchor = take["sound"], f"clip-{number + 1}-take-{index + 1}"
            if key not in gallery["sounds"]:
                raise ValueError(f"{place}.sound={key[:60]!r} is not one of gallery.sounds")
            takes.append(Take(take, _name(take), anchor, gallery["sounds"][key], heard.get(key), _picture(take, place)))
            heard.setdefault(key, anchor)
        clips.append(Clip(record, f"clip-{number + 1}", takes))
    return clips


def _picture(take: Record, place: str) -> str | None:
    if not take.get("spectrogram"):
        return None
    try:
        return base64.b64encode(png(take["spectrogram"])).decode()
    except ValueError as error:
        raise ValueError(f"{place}.spectrogram: {error}") from None


def _name(take: Record) -> str:
    """Return what a take is, in words."""
    rate = take["bandwidth_kbps"]
    at = f"{wording.limit(rate)}\u00a0kbps" if rate is not None else ""
    if take["kind"] == "original":
        return "As it was"
    if take["kind"] == "untrained":
        return f"Untrained{f' at {at}' if at else ' twin'}"
    return f"At {at}" if at else "As it comes back"


def _reconstructions(clips: Iterable[Clip]) -> list[Take]:
    return [take for clip in clips for take in clip.takes if take.record["kind"] == "reconstruction"]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
