"""A smaller report: all verdicts, numbers and words, and as many sounds as fit. For a repository, or a mail."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def cut(report: Mapping[str, Any], *, kilobytes: int) -> dict[str, Any]:
    """Return a report of at most so many kilobytes as ``dump`` writes it: each claim keeps its shortest sounds first.

    Raises:
        ValueError: if it is larger without a single sound.
    """
    sounds = report.get("sounds") or {}
    kept: dict[str, Any] = {}
    room = kilobytes * 1000 - len(dump(dict(report) | {"sounds": {}}).encode("utf-8"))
    if room < 0:
        raise ValueError(
            f"--kilobytes={kilobytes}: without a single sound the report takes {kilobytes - room // 1000} kB"
        )
    for sha256 in _in_turn(report):
        size = len(json.dumps({sha256: sounds[sha256]}, ensure_ascii=False).encode("utf-8", "replace"))
        if size <= room:
            kept[sha256] = sounds[sha256]
            room -= size
    return dict(report) | {"sounds": {sha256: kept[sha256] for sha256 in sounds if sha256 in kept}}


def dump(report: Mapping[str, Any]) -> str:
    """Return a report as text without spaces, a line for each claim and each sound."""
    lines = []
    for name, value in report.items():
        if name == "claims":
            text = "[\n" + ",\n".join(map(_compact, value)) + "\n]"
        elif name == "sounds" and value:
            text = "{\n" + ",\n".join(f"{_compact(key)}:{_compact(each)}" for key, each in value.items()) + "\n}"
        else:
            text = _compact(value)
        lines.append(f"{_compact(name)}:{text}")
    return "{" + ",\n".join(lines) + "}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _in_turn(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sounds: of each claim its shortest two, then of each its next, and so on; small ones first."""
    sounds = report.get("sounds") or {}

    def size(sha256: str) -> int:
        return len(sounds[sha256]["flac"])

    wanted: dict[str, list[str]] = {}
    for record in report["claims"]:
        mine = wanted.setdefault(record["id"], [])
        mine += [
            each["sha256"] for each in record["stimuli"] if each["sha256"] in sounds and each["sha256"] not in mine
        ]
    for mine in wanted.values():
        mine.sort(key=size)
    given: set[str] = set()
    for turn in range(max(map(len, wanted.values()), default=0)):
        nexts = [mine[turn + 1 : turn + 2] if turn else mine[:2] for mine in wanted.values()]
        for sha256 in (each for some in sorted(nexts, key=lambda some: sum(map(size, some))) for each in some):
            if sha256 not in given:
                given.add(sha256)
                yield sha256
