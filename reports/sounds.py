"""What is heard with a claim: one set of sounds, each with a player, its spectrogram and its waveform.

Sounds are the bulk of a page. It carries those of one encoder and site for each claim, says where the others are, and
carries a sound once, however many claims play it: a later one leads to the player of the first.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import ink
from .wording import as_float

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Sound:
    """A stimulus: with a player where it comes first and the report carries its sound; later, a link to there.

    Attributes:
        label: what it is.
        sha256: hash of the recipe.
        anchor: id of its player; empty if there is none.
        flac: what is played, FLAC in base64.
        seconds: how long the sound is.
        opening: how much of it is played, where that is not all.
        sample_rate: Hz.
        elsewhere: whether the player stands with an earlier claim.
        spectrogram: a PNG in base64.
        top_hz: upper end of the spectrogram.
        wave: data of the path of the waveform.
        wave_width: width of that path.
        wave_seconds: how much of the sound the waveform shows.
    """

    label: str
    sha256: str
    anchor: str
    flac: str | None = None
    seconds: float | None = None
    opening: float | None = None
    sample_rate: float | None = None
    elsewhere: bool = False
    spectrogram: str | None = None
    top_hz: float | None = None
    wave: str | None = None
    wave_width: int = 1
    wave_seconds: float | None = None


@dataclass(frozen=True)
class Playlist:
    """The sounds of a claim.

    Attributes:
        encoder: spec of the encoder that heard them, where others heard other sounds; else empty.
        sounds: what is shown.
        more: how many further sounds of the claim are in the report and not on the page.
    """

    encoder: str
    sounds: list[Sound]
    more: int


def playlist(
    records: Iterable[Record], sounds: Mapping[str, Record], heard: dict[str, Sound], new_id: Callable[..., str]
) -> Playlist:
    """Return what is heard with a claim, and enter new players into ``heard``.

    Args:
        records: the claim's records.
        sounds: ``report["sounds"]``.
        heard: players so far, by hash.
        new_id: makes an id of some words.
    """
    records = [record for record in records if record["stimuli"]]
    if not records:
        return Playlist("", [], 0)
    first = records[0]
    everything = dict.fromkeys(stimulus["sha256"] for record in records for stimulus in record["stimuli"])
    shown: dict[str, Sound] = {}
    for stimulus in first["stimuli"]:
        key = stimulus["sha256"]
        if key not in shown:
            label = stimulus["label"] or (sounds.get(key) or {}).get("label") or "a stimulus without a name"
            shown[key] = player(key, label, sounds, heard, new_id)
    more = sum(key in sounds for key in everything if key not in shown)
    others = {record["encoder"] for record in records} - {first["encoder"]}
    return Playlist(first["encoder"] or "" if more and others else "", list(shown.values()), more)


def player(
    key: str,
    label: str,
    sounds: Mapping[str, Record],
    heard: dict[str, Sound],
    new_id: Callable[..., str],
    *,
    whole: bool = False,
) -> Sound:
    """Return a sound by its hash: with a player, a link to an earlier one, or neither where the report has none.

    A long sound plays its opening, unless ``whole`` is asked for.
    """
    known = sounds.get(key)
    if key in heard:
        return Sound(label, key, heard[key].anchor, elsewhere=True)
    if known is None:
        return Sound(label, key, "")
    opening = {} if whole else known.get("opening") or {}
    spectrogram = known.get("spectrogram") or {}
    path, width = ink.wave(known.get("waveform")) or (None, 1)
    heard[key] = Sound(
        label,
        key,
        new_id("sound", key[:12]),
        flac=opening.get("flac") or known["flac"],
        seconds=as_float(known.get("seconds")),
        opening=as_float(opening.get("seconds")) if opening.get("flac") else None,
        sample_rate=known.get("sample_rate"),
        spectrogram=ink.inked(spectrogram.get("rows")),
        top_hz=as_float(spectrogram.get("high_hz")),
        wave=path,
        wave_width=width,
        wave_seconds=as_float((known.get("waveform") or {}).get("seconds")),
    )
    return heard[key]
