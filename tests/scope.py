"""What no test of an encoder can decide: sentences of the sources, with the reason, kept beside the claims."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from functools import cache
from importlib.resources import files

FIELDS = ("quote", "source", "reason")


def work(source: str) -> str:
    """Return the work that a source is a place in: ``Post 0`` of ``Post 0, section 0.2``."""
    return re.split(r",\s+(?:section|introduction|abstract|appendix)\b", source, maxsplit=1)[0].strip()


def out_of_scope(works: Collection[str]) -> list[dict[str, str]]:
    """Return the sentences of some works that cannot be tested: quote, source, reason."""
    return [dict(each) for each in _sentences() if work(each["source"]) in works]


@cache
def _sentences() -> tuple[dict[str, str], ...]:
    text = files("testtone.tests.claims").joinpath("out_of_scope.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)["sentence"]
    for each in found:
        if set(each) != set(FIELDS) or not all(isinstance(value, str) and value.strip() for value in each.values()):
            raise ValueError(f"out_of_scope.toml: {each!r} must hold {', '.join(FIELDS)}, each some words")
    return tuple({name: each[name] for name in FIELDS} for each in found)
