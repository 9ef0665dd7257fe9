"""A record's ``figures`` as numbers: whatever is missing, or of another shape, reads as nothing and never raises."""

from collections.abc import Mapping
from typing import Any

from ..wording import as_float


class Data:
    """Reads plain numbers along a path of keys."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._figures = record.get("figures")

    def at(self, *path: str) -> Any:
        """Return what stands at a path; None if nothing does."""
        found = self._figures
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    def number(self, *path: str) -> float | None:
        """Return the number at a path, None if there is none."""
        return as_float(self.at(*path))

    def numbers(self, *path: str) -> tuple[float, ...]:
        """Return the numbers at a path; empty if one of them is none."""
        return numbers_of(self.at(*path))

    def names(self, *path: str) -> tuple[str, ...]:
        """Return the texts of a list, or the keys of a mapping."""
        found = self.at(*path)
        return tuple(str(each) for each in found) if isinstance(found, list | Mapping) else ()

    def curves(self, *paths: tuple[str, ...]) -> tuple[tuple[float, ...], ...] | None:
        """Return the numbers at several paths if there are as many of each, and any at all; else None."""
        found = tuple(self.numbers(*path) for path in paths)
        return found if found[0] and len({len(each) for each in found}) == 1 else None

    def table(self, path: tuple[str, ...], *columns: str) -> tuple[tuple[float, ...], ...] | None:
        """Return the columns of a list of mappings, leaving out entries that lack one; None if none is left."""
        found = self.at(*path)
        rows = [r for r in found if isinstance(r, Mapping)] if isinstance(found, list) else []
        whole = [[as_float(r.get(column)) for column in columns] for r in rows]
        kept = [[value for value in row if value is not None] for row in whole]
        kept = [row for row in kept if len(row) == len(columns)]
        return tuple(zip(*kept, strict=True)) if kept else None


def numbers_of(found: Any) -> tuple[float, ...]:
    """Return the numbers of a list; empty if one of them is none."""
    values = [as_float(each) for each in found] if isinstance(found, list) else []
    kept = tuple(value for value in values if value is not None)
    return kept if len(kept) == len(values) else ()


def part(record: Mapping[str, Any], name: str) -> float | None:
    """Return the value of another reading of the record, by its name."""
    found = next((each for each in record.get("parts") or [] if each.get("name") == name), None)
    return as_float(((found or {}).get("effect") or {}).get("value"))
