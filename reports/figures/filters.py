"""What the filters of a site are like: their centres, their widths, their tuning curves."""

import math
from collections.abc import Mapping
from typing import Any

from ..charts import Chart, Line, Marks, Plane, Rule, Scale, Series, Strip, scale
from .data import Data

Record = Mapping[str, Any]


def erb_rate(hz: float) -> float:
    """Return the ERB number of a frequency: Glasberg & Moore 1990, equation 4."""
    return 21.4 * math.log10(1.0 + 0.00437 * max(hz, 0.0))


def erb_width(hz: float) -> float:
    """Return the equivalent rectangular bandwidth of the ear's filter at a frequency, Hz; equation 3."""
    return 24.7 * (1.0 + 0.00437 * max(hz, 0.0))


def centres(record: Record, encoder: Record) -> list[Chart]:
    """Return where filters have their centres on the ERB-number scale, beside as many that tile it evenly."""
    data = Data(record)
    hz = [each for each in data.numbers("centres_hz") if 0 <= each < 1e7]
    if not hz:
        return []
    rate = _rate(encoder) or 2 * max(hz)
    top = erb_rate(rate / 2)
    count = len(hz)
    even = tuple(top * (index + 0.5) / count for index in range(count))
    rows = (
        Line(f"{count} filters of this encoder", (Marks(3, tuple(erb_rate(each) for each in hz)),)),
        Line("as many that tile the axis evenly", (Marks(3, even),)),
    )
    axis = Scale("ERB number (1 kHz is 15.6, 10 kHz is 35.3)", -1.0, top + 1.0)
    charts: list[Chart] = [Strip("Centre frequencies", axis, rows)]
    ratios = []
    for name, own, chance in (
        ("unevenness of spacing", "spacing_cv", "spacing_cv_random"),
        ("overlap of filters", "fpx", "fpx_random"),
    ):
        value, random = data.number(own), data.number(chance)
        if value is not None and random:
            ratios.append(Line(name, (Marks(0, (value / random,), bar=True),)))
    if ratios:
        values = [value for row in ratios for marks in row.marks for value in marks.values]
        axis = scale("re chance", values, also=(0.0, 1.0))
        charts.append(Strip("Against chance", axis, tuple(ratios), rules=(Rule(1.0, "chance", axis="x"),)))
    return charts


def widths(record: Record, encoder: Record) -> list[Chart]:
    """Return how wide each filter is, by its centre, and how wide the ear's is there."""
    found = Data(record).curves(("filter_widths", "centre_hz"), ("filter_widths", "enbw_hz"))
    if not found:
        return []
    hz = [max(min(each, 1e7), 50.0) for each in found[0]]
    rate = _rate(encoder) or 2 * max(hz)
    grid = tuple(50.0 * (rate / 100.0) ** (step / 40) for step in range(41)) if rate > 100 else (50.0, 100.0)
    series = (
        Series("filters of the first layer", tuple(hz), found[1]),
        Series("the ear's filters", grid, tuple(erb_width(each) for each in grid), tone=3, line=True, marks=False),
    )
    note = "A filter whose centre is below 50 Hz stands at 50 Hz."
    width = scale("bandwidth, Hz", [*found[1], *series[1].y], log=True)
    return [Plane("Width by centre", scale("centre frequency, Hz", grid, log=True), width, series, note=note)]


def coverage(record: Record, encoder: Record) -> list[Chart]:
    """Return how much of the ear's frequency axis each channel answers to, beside an ear-wide filter."""
    data = Data(record)
    values = data.numbers("coverage", "octaves_re_all")
    ear = data.number("coverage", "ear")
    charts = tuning(record, encoder)
    if values:
        rules = (Rule(ear, "as wide as the ear's", axis="x"),) if ear is not None else ()
        axis = scale(_COVERED, values, also=(0.0, *(rule.value for rule in rules)))
        row = Line(f"{len(values)} channels, narrowest to the left", (Marks(3, _thinned(values)),))
        charts.append(Strip("How much of the axis a channel covers", axis, (row,), rules=rules))
    return charts


def sharpening(record: Record, encoder: Record) -> list[Chart]:
    """Return the coverage of the channels of the first layer beside those of this site."""
    data = Data(record)
    first, here = data.numbers("coverage", "first"), data.numbers("coverage", "here")
    charts = tuning(record, encoder)
    if first and here:
        rows = (
            Line(f"first layer, {len(first)} channels", (Marks(3, _thinned(first)),)),
            Line(f"this site, {len(here)} channels", (Marks(3, _thinned(here)),)),
        )
        axis = scale(_COVERED, [*first, *here], also=(0.0,))
        charts.append(Strip("How much of the axis a channel covers", axis, rows))
    return charts


def tuning(record: Record, encoder: Record) -> list[Chart]:
    """Return tuning curves of a few channels, the narrowest, the middle and the widest."""
    data = Data(record)
    hz = data.numbers("tuning", "hz")
    curves = data.at("tuning", "channels")
    if not hz or not isinstance(curves, list):
        return []
    series = []
    for tone, each in enumerate(curves[:3]):
        reading = Data({"figures": each if isinstance(each, Mapping) else {}})
        answers = reading.numbers("answer_db")
        if len(answers) == len(hz):
            series.append(Series(str(reading.at("name") or ""), hz, answers, tone=tone, line=True, marks=False))
    if not series:
        return []
    decibels = scale("answer to a tone, dB", [value for each in series for value in each.y], also=(0.0,))
    return [Plane("Tuning curves", scale("frequency of the tone, Hz", hz, log=True), decibels, tuple(series))]


_COVERED = "share of the frequency axis covered, octaves re all of it"


def _thinned(values: tuple[float, ...], most: int = 60) -> tuple[float, ...]:
    """Return at most so many values that lie as the sorted values do."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return tuple(ordered)
    return tuple(ordered[round(index * (len(ordered) - 1) / (most - 1))] for index in range(most))


def _rate(encoder: Record) -> float | None:
    rate = encoder.get("sample_rate")
    return float(rate) if isinstance(rate, int | float) and 0 < rate < 1e7 else None
