"""What a pitch adds to a code: same against other, own against rival, trained against untrained."""

from collections.abc import Mapping
from typing import Any

from ..charts import Chart, Line, Marks, Plane, Series, Strip, scale
from .data import Data

Record = Mapping[str, Any]

DECILES = "Strokes are deciles: a tenth of the values lies between two neighbours."


def cosines(record: Record, encoder: Record) -> list[Chart]:
    """Return how alike the directions of one pitch in two contexts are, beside those of two pitches."""
    return _same_and_other(
        record, "cosines", "Directions that a pitch adds", "alignment (1: the same direction)", "pitch"
    )


def overlaps(record: Record, encoder: Record) -> list[Chart]:
    """Return how far the channels that answer one pitch in two contexts overlap, beside those of two pitches."""
    return _same_and_other(record, "overlaps", "Channels that a pitch moves", "overlap (1: the same channels)", "pitch")


def _same_and_other(record: Record, key: str, title: str, label: str, of: str) -> list[Chart]:
    data = Data(record)
    same, other = data.numbers(key, "same"), data.numbers(key, "other")
    if not same or not other:
        return []
    rows = (
        Line(f"the same {of} in two contexts", (Marks(3, same), Marks(0, (_middle(same),)))),
        Line(f"another {of}", (Marks(3, other), Marks(1, (_middle(other),)))),
    )
    return [
        Strip(
            title,
            scale(label, [*same, *other], also=(0.0, 1.0)),
            rows,
            ((0, "median, same"), (1, "median, other")),
            note=DECILES,
        )
    ]


def _middle(values: tuple[float, ...]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def steering(record: Record, encoder: Record) -> list[Chart]:
    """Return how far moving the code along a direction moves what it should, and the strongest other thing it moves."""
    data = Data(record)
    found = data.curves(("selectivity", "own"), ("selectivity", "best_rival"))
    names = data.names("selectivity", "names")
    if not found or len(names) != len(found[0]):
        return []
    own, rival = found
    rows = tuple(
        Line(name, (Marks(1, (theirs,)), Marks(0, (ours,))), joined=True)
        for name, ours, theirs in list(zip(names, own, rival, strict=True))[:24]
    )
    keys = ((0, "moves what it is for"), (1, "the best that another direction does"))
    return [
        Strip(
            "Steering",
            scale("change brought about, 1 is as much as the sound itself does", [*own, *rival], also=(0.0, 1.0)),
            rows,
            keys,
        )
    ]


def likeness(record: Record, encoder: Record) -> list[Chart]:
    """Return a trained encoder among untrained ones of its architecture, in each thing that was measured of both."""
    data = Data(record)
    rows = []
    for name in data.names("scores")[:8]:
        own, others = data.number("scores", name, "own"), data.numbers("scores", name, "untrained")
        if own is not None and others:
            rows.append(Line(name, (Marks(1, others), Marks(0, (own,)))))
    if not rows:
        return []
    values = [value for row in rows for marks in row.marks for value in marks.values]
    keys = ((0, "trained"), (1, "untrained, the same architecture"))
    return [Strip("Trained among untrained", scale("score", values, also=(0.0, 1.0)), tuple(rows), keys)]


def conditions(record: Record, encoder: Record) -> list[Chart]:
    """Return a zoo of encoders: how far notes compose, over the lesser of the two conditions."""
    data = Data(record)
    found = data.curves(("separable",), ("stable",), ("composes",))
    if not found:
        return []
    separable, stable, composes = found
    names = data.names("members")
    both = tuple(min(each) for each in zip(separable, stable, strict=True))
    charts: list[Chart] = []
    for title, label, x in (
        ("Both conditions", "the lesser of separable and stable", both),
        ("Separable alone", "separable", separable),
        ("Stable alone", "stable", stable),
    ):
        series = Series("", x, composes, names=names if len(names) == len(x) else ())
        charts.append(
            Plane(
                title,
                scale(label, x, also=(0.0, 1.0)),
                scale("notes compose", composes, also=(0.0, 1.0)),
                (series,),
                note=f"A point for each of {len(x)} encoders.",
            )
        )
    return charts
