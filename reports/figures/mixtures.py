"""What a whole is made of: parts and their interactions, sums of pitches, waveforms and spectra, disguises."""

from collections.abc import Mapping
from typing import Any

from ..charts import Chart, Line, Marks, Plane, Series, Strip, scale
from ..wording import as_float
from .data import Data

Record = Mapping[str, Any]


def walsh(record: Record, encoder: Record) -> list[Chart]:
    """Return the Walsh spectrum of a mixture: how much of the code is there by single partials, pairs, and so on."""
    data = Data(record)
    orders = data.numbers("walsh", "power_by_order")
    if orders:
        known = [(_order(index + 1), value) for index, value in enumerate(orders)]
    else:
        named = ((name, data.number("power_by_order", name)) for name in data.names("power_by_order")[:8])
        known = [(name, value) for name, value in named if value is not None]
    return _shares(known, "Walsh spectrum of the mixture", "share of the variance of the code")


def variance(record: Record, encoder: Record) -> list[Chart]:
    """Return how much of the code changes with the phases of a sound, and how much with its spectrum."""
    data = Data(record)
    named = ((name, data.number("variance", name)) for name in data.names("variance")[:8])
    known = [(name, value) for name, value in named if value is not None]
    return _shares(known, "What moves the code", "share of the variance of the code")


def sums(record: Record, encoder: Record) -> list[Chart]:
    """Return how much of a chord's code is the sum of its pitches' codes, for pairs and triads and other readings."""
    data = Data(record)
    named = [(name, data.number("explained", name)) for name in data.names("explained")[:8]]
    for each in record.get("parts") or []:
        value = as_float((each.get("effect") or {}).get("value"))
        if str(each.get("name", "")).startswith("frozen sums"):
            named.append((each["name"], value))
    known = [(name, value) for name, value in named if value is not None]
    return _shares(known, "Sums of pitches", "share of the variance explained by sums")


def disguises(record: Record, encoder: Record) -> list[Chart]:
    """Return how alike the codes of a sound and of its best disguise are, over sounds, beside each kind of disguise."""
    theta = Data(record).numbers("theta")
    rows = []
    if theta:
        rows.append(Line("the best disguise, sound by sound", (Marks(0, theta[:200]),)))
    for each in record.get("parts") or []:
        name, value = str(each.get("name", "")), as_float((each.get("effect") or {}).get("value"))
        if name.startswith(("disguise: ", "search: ")) and value is not None:
            rows.append(Line(name, (Marks(1, (value,)),)))
    if not rows:
        return []
    values = [value for row in rows for marks in row.marks for value in marks.values]
    axis = scale("1: the same code, 0: as far as unrelated sounds", values, also=(0.0, 1.0))
    return [Strip("Disguises", axis, tuple(rows), ((0, "a sound"), (1, "mean over sounds")))]


def near_and_far(record: Record, encoder: Record) -> list[Chart]:
    """Return distance of codes over distance of waveforms, a chart for each way of moving away."""
    data = Data(record)
    charts: list[Chart] = []
    for kind in data.names("distances")[:6]:
        found = data.curves(("distances", kind, "waveform"), ("distances", kind, "code"))
        if not found:
            continue
        pairs = [(x, y) for x, y in zip(*found, strict=True) if x > 0 and y > 0]
        if not pairs:
            continue
        x, y = zip(*pairs, strict=True)
        charts.append(
            Plane(
                f"Moved by {kind}",
                scale("distance of waveforms, re unrelated ones", x, log=True),
                scale("distance of codes, re unrelated ones", y, log=True),
                (Series("", x, y),),
            )
        )
    return charts


def _order(order: int) -> str:
    return {1: "single partials", 2: "pairs", 3: "triples"}.get(order, f"{order} together")


def _shares(known: list[tuple[str, float]], title: str, label: str) -> list[Chart]:
    rows = tuple(Line(name, (Marks(0, (value,), bar=True),)) for name, value in known)
    return [Strip(title, scale(label, [value for _, value in known], also=(0.0, 1.0)), rows)] if rows else []
