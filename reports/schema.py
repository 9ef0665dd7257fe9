"""The contract of ``report.json`` and its check.

``schema.json`` is a JSON Schema (draft 2020-12) for anybody's tools. Here it is read by a small checker that knows just
the keywords used there, so that a page can be made with nothing but jinja2 installed; a keyword it does not know is an
error, never ignored. A test compares it with the ``jsonschema`` package.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_SILENT = {"$schema", "$id", "$defs", "$ref", "title", "description"}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": (int, float),
}


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a report. Treat it as read-only: it is shared."""
    return json.loads(files(__package__).joinpath("schema.json").read_text(encoding="utf-8"))


def validate(report: Any) -> None:
    """Check a report against the contract; return nothing if it keeps it.

    Raises:
        TypeError: if ``report`` is no dict.
        ValueError: naming the first place that breaks the contract, what stands there and what may.
    """
    check(report, schema(), name="report")


def check(record: Any, rule: Mapping[str, Any], *, name: str) -> None:
    """Check a record against a schema; return nothing if it keeps it.

    Args:
        record: what was read.
        rule: a JSON Schema of the keywords known here; what it refers to stands in the schema of a report.
        name: what the record is, such as ``report``; its format is then ``testtone-report/1``.

    Raises:
        TypeError, ValueError: see ``validate``.
    """
    if not isinstance(record, dict):
        raise TypeError(f"{name}={_brief(record)} is a {type(record).__name__}, not the object that {name}.json holds")
    for problem in _problems(record, rule, name):
        raise ValueError(problem)


def _problems(value: Any, rule: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield what is wrong at ``place`` and below, outermost first."""
    if "$ref" in rule:
        yield from _problems(value, schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")], place)
    if "type" in rule:
        names = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
        if not any(_is(value, name) for name in names):
            yield f"{place}={_brief(value)} is not of type {' or '.join(names)}"
            return
    for keyword, limit in rule.items():
        if keyword not in _SILENT | {"type"}:
            yield from _CHECKS[keyword](value, limit, place, rule)


def _is(value: Any, name: str) -> bool:
    """Say whether a value has a JSON type. True is no number; 3.0 is an integer."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _const(value: Any, limit: Any, place: str, _: Any) -> Iterator[str]:
    if value != limit:
        yield f"{place}={_brief(value)} is not {limit!r}"


def _enum(value: Any, limit: list[Any], place: str, _: Any) -> Iterator[str]:
    if not any(value == word and type(value) is type(word) for word in limit):
        yield f"{place}={_brief(value)} is not one of {', '.join(map(repr, limit))}"


def _required(value: Any, limit: list[str], place: str, _: Any) -> Iterator[str]:
    if isinstance(value, dict):
        record = re.split(r"\W", place, maxsplit=1)[0]
        for name in limit:
            if name not in value:
                yield f"{place} lacks {name!r}, which testtone-{record}/1 requires"


def _properties(value: Any, limit: Mapping[str, Any], place: str, _: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, rule in limit.items():
            if name in value:
                yield from _problems(value[name], rule, f"{place}.{name}")


def _additional(value: Any, limit: Mapping[str, Any], place: str, rule: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in rule.get("properties", {}):
                yield from _problems(item, limit, f"{place}[{_brief(name)}]")


def _items(value: Any, limit: Mapping[str, Any], place: str, _: Any) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, limit, f"{place}[{index}]")


def _min_items(value: Any, limit: int, place: str, _: Any) -> Iterator[str]:
    if isinstance(value, list) and len(value) < limit:
        yield f"{place}={_brief(value)} has {len(value)} items, fewer than {limit}"


def _max_items(value: Any, limit: int, place: str, _: Any) -> Iterator[str]:
    if isinstance(value, list) and len(value) > limit:
        yield f"{place}={_brief(value)} has {len(value)} items, more than {limit}"


def _minimum(value: Any, limit: float, place: str, _: Any) -> Iterator[str]:
    if _is(value, "number") and value < limit:
        yield f"{place}={_brief(value)} is below {limit}"


def _maximum(value: Any, limit: float, place: str, _: Any) -> Iterator[str]:
    if _is(value, "number") and value > limit:
        yield f"{place}={_brief(value)} is above {limit}"


def _pattern(value: Any, limit: str, place: str, _: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.search(limit, value):
        yield f"{place}={_brief(value)} does not match {limit}"


_CHECKS: Mapping[str, Callable[[Any, Any, str, Mapping[str, Any]], Iterator[str]]] = {
    "const": _const,
    "enum": _enum,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "minItems": _min_items,
    "maxItems": _max_items,
    "minimum": _minimum,
    "maximum": _maximum,
    "pattern": _pattern,
}


def _brief(value: Any) -> str:
    """Return a value as one short line for a message."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python will print
        text = f"an integer of {value.bit_length()} bits"
    return text if len(text) <= 60 else text[:57] + "..."
