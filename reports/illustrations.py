"""The post's own figures, made anew from the run: a sound in three representations, a wave as a mixture of partials.

The run puts their data into ``report["illustrations"]``; a report without them makes a page without them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from . import ink
from .figures.data import Data, numbers_of
from .sounds import Sound, player
from .wording import as_float, number

Record = Mapping[str, Any]

_HEIGHT = 64
_MOST = 8  # partials that are drawn


@dataclass(frozen=True)
class FeatureMap:
    """What an encoder makes of the sound.

    Attributes:
        encoder: its name.
        site: where it was read.
        picture: channels by frames, a PNG in base64.
        channels, frames: how many there are in all.
        shown: how many channels the picture shows.
        numbers: the first few values of one channel, in words.
    """

    encoder: str
    site: str
    picture: str
    channels: float | None
    frames: float | None
    shown: int
    numbers: str


@dataclass(frozen=True)
class Representations:
    """One sound as prose, as spectrogram and as feature maps."""

    prose: str
    sound: Sound
    maps: list[FeatureMap]


@dataclass(frozen=True)
class Wave:
    """A partial, or the mixture of all: its name and its curve."""

    name: str
    path: str
    width: int


@dataclass(frozen=True)
class Mixture:
    """A wave and the partials that it is a mixture of."""

    whole: Wave
    partials: list[Wave]
    seconds: float | None
    words: Markup = field(default=Markup(""))


@dataclass(frozen=True)
class Shown:
    """What there is of the post's figures."""

    representations: list[Representations]
    mixture: Mixture | None


def shown(report: Record, names: Mapping[str, str], new_id: Callable[..., str]) -> Shown:
    """Return the figures that the report has data for."""
    data = Data({"figures": report.get("illustrations")})
    sounds = report.get("sounds") or {}
    found: dict[str, Representations] = {}
    heard: dict[str, Sound] = {}
    entries = data.at("representations")
    for each in entries if isinstance(entries, list) else []:
        reading = Data({"figures": each})
        key, prose, spec = (reading.at(name) for name in ("sha256", "prose", "encoder"))
        made = _map(reading, names.get(spec, spec) if isinstance(spec, str) else "an encoder")
        if made is None or not isinstance(key, str) or key not in sounds:
            continue
        if key not in found:
            label = str(sounds[key].get("label") or "the sound")
            found[key] = Representations(str(prose or ""), player(key, label, sounds, heard, new_id, whole=True), [])
        found[key].maps.append(made)
    return Shown(list(found.values()), _mixture(data))


def _map(reading: Data, encoder: str) -> FeatureMap | None:
    rows = reading.at("rows")
    picture = ink.inked(rows)
    if picture is None:
        return None
    values = reading.numbers("numbers")
    return FeatureMap(
        encoder,
        str(reading.at("site") or ""),
        picture,
        reading.number("channels"),
        reading.number("frames"),
        len(rows),
        ", ".join(number(value, decimals=3) for value in values),
    )


def _mixture(data: Data) -> Mixture | None:
    whole = data.numbers("mixture", "points")
    partials = data.at("mixture", "partials")
    if len(whole) < 2 or not isinstance(partials, list):
        return None
    waves = []
    for each in partials[:_MOST]:
        reading = Data({"figures": each})
        points, hz = numbers_of(reading.at("points")), as_float(reading.at("hz"))
        if len(points) == len(whole) and hz is not None:
            waves.append(Wave(f"{number(hz)} Hz", _path(points), len(points) - 1))
    if not waves:
        return None
    return Mixture(
        Wave("the wave", _path(whole), len(whole) - 1),
        waves,
        data.number("mixture", "seconds"),
        escape(", ".join(wave.name for wave in waves)),
    )


def _path(points: tuple[float, ...]) -> str:
    """Return a curve whose values lie within -1 and 1; a step to the right is a point."""
    return "M" + "L".join(
        f"{index} {round(_HEIGHT * (0.5 - 0.48 * max(-1.0, min(1.0, value))), 1):g}"
        for index, value in enumerate(points)
    )
