"""Intervals as inline SVG, drawn by hand.

One picture holds everything that one decision rests on: the effect of every encoder and site as a dot on its interval,
the two thresholds as labelled lines with the regions beyond them shaded, and the controls as hollow dots.

The pictures have no viewBox: positions along the axis are percentages, everything else is in CSS pixels. So the picture
takes the width it gets and its text keeps its size, on a phone as on a wall. Colours come from ``page.css`` by class.
Numbers far outside do not squeeze the rest: the axis covers what is near the thresholds, and an arrow at its edge
stands for what lies beyond.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup, escape

from .wording import decimals_for, limit, number, shorten

_TOP = 40  # px: two lines for the names of the thresholds
_NAME = 40  # percent of the width: what the name of a threshold may need on a phone
_HEADING = 27  # px: the name of an encoder
_ROW = 31  # px: a label and the interval below it
_FOOT = 5  # px: air above the axis
_AXIS = 40  # px: ticks, their numbers, the direction
_MARGIN = 3.0  # % of the width kept free at either end
_FAR = 8.0  # an effect farther out than this many typical distances becomes an arrow
_LARGEST = 1e100  # geometry only: beyond this, differences and products would leave the floats


@dataclass(frozen=True)
class Row:
    """One line of an interval plot.

    Attributes:
        group: heading under which the row stands; neighbours with equal groups share it.
        label: what was measured, such as a site.
        remark: words at the right, such as the verdict and the value.
        verdict: a verdict word, for the colour; None for the colour of the text.
        value: the effect, in the unit of the axis; None if there is none.
        low: lower end of the interval, None if there is none.
        high: upper end of the interval, None if there is none.
        hollow: whether the dot is hollow, as it is for controls.
    """

    group: str
    label: str
    remark: str
    verdict: str | None
    value: float | None
    low: float | None
    high: float | None
    hollow: bool = False


def interval_plot(
    rows: Sequence[Row],
    *,
    ids: str,
    title: str,
    supported_above: float | None = None,
    refuted_below: float | None = None,
) -> Markup:
    """Return a picture of effects and intervals against two thresholds, as one ``<svg>`` element.

    Args:
        rows: what to draw, from top to bottom.
        ids: prefix of the ids inside; must be unique on the page and a valid id.
        title: short name of the picture for those who hear it.
        supported_above: first threshold, None if there is none.
        refuted_below: second threshold, None if there is none.

    Returns:
        markup with every text escaped.

    Raises:
        ValueError: if ``rows`` is empty.
    """
    if not rows:
        raise ValueError("rows=[] is empty; a plot needs at least one row")
    low, high = domain(rows, thresholds=(supported_above, refuted_below))
    groups = sum(1 for i, row in enumerate(rows) if i == 0 or row.group != rows[i - 1].group)
    bottom = _TOP + groups * _HEADING + len(rows) * _ROW + _FOOT
    height = bottom + _AXIS
    words = describe(rows, supported_above=supported_above, refuted_below=refuted_below)

    def at(value: float) -> float:
        return round(_MARGIN + (100 - 2 * _MARGIN) * (_tame(value) - low) / (high - low), 2)

    parts = [
        f'<svg class="plot" role="img" width="100%" height="{height}" aria-labelledby="{ids}-t {ids}-d">',
        f'<title id="{ids}-t">{escape(title)}</title>',
        f'<desc id="{ids}-d">{escape(words)}</desc>',
        *_thresholds(at, bottom, supported_above=supported_above, refuted_below=refuted_below),
        *_axis(at, ticks(low, high), bottom),
    ]
    y = _TOP
    for index, row in enumerate(rows):
        if index == 0 or row.group != rows[index - 1].group:
            y += _HEADING
            heading = escape(shorten(row.group, characters=42))
            parts.append(f'<text class="group" x="0" dx="8" y="{y - 7}">{heading}</text>')
        parts.extend(_row(row, at, y))
        y += _ROW
    return Markup("\n".join([*parts, "</svg>"]))


def domain(rows: Iterable[Row], *, thresholds: Iterable[float | None]) -> tuple[float, float]:
    """Return the ends of the axis: all thresholds, and every effect that is not extremely far from them."""
    fixed = [_tame(t) for t in thresholds if t is not None and not math.isnan(t)]
    seen = [_tame(v) for row in rows for v in (row.value, row.low, row.high) if v is not None and not math.isnan(v)]
    if not fixed + seen:
        return 0.0, 1.0
    middle = sum(fixed) / len(fixed) if fixed else median(seen)
    distances = [abs(v - middle) for v in seen]
    near = max([abs(t - middle) for t in fixed] + [median(distances) if distances else 0.0])
    reach = max([near] + [d for d in distances if d <= _FAR * near])
    inside = fixed + [v for v in seen if abs(v - middle) <= reach]
    low, high = min(inside, default=middle), max(inside, default=middle)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):
        half = max(abs(middle), 1.0) / 2
        return low - half, high + half
    pad = 0.08 * (high - low)
    return low - pad, high + pad


def ticks(low: float, high: float) -> list[float]:
    """Return two to seven round numbers between two ends: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [i * step for i in range(first, last + 1)]


def describe(rows: Iterable[Row], *, supported_above: float | None, refuted_below: float | None) -> str:
    """Return the picture in words, for those who hear it."""
    said = []
    if supported_above is not None:
        said.append(f"Supported above {limit(supported_above)}.")
    if refuted_below is not None:
        said.append(f"Refuted below {limit(refuted_below)}.")
    for row in rows:
        if row.value is None and row.low is None and row.high is None:
            said.append(f"{row.group}, {row.label}: {row.remark}; nothing to draw.")
        else:
            digits = decimals_for({"ci": (row.low, row.high)})
            low, high = (number(end, decimals=digits) for end in (row.low, row.high))
            span = "" if row.low is None and row.high is None else f", interval {low} to {high}"
            said.append(f"{row.group}, {row.label}: {row.remark}{span}.")
    return " ".join(said)


def _tame(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))


def _thresholds(
    at: Callable[[float], float], bottom: float, *, supported_above: float | None, refuted_below: float | None
) -> Iterator[str]:
    """Yield the shaded regions, the two lines and their names; a name stands over its own region if it has room."""
    named = (
        ("refuted", refuted_below, 31, "← refuted below {}"),
        ("supported", supported_above, 14, "supported above {} →"),
    )
    for word, threshold, y, text in named:
        if threshold is None or math.isnan(threshold):
            continue
        x = at(threshold)
        left, width = (0, x) if word == "refuted" else (x, round(100 - x, 2))
        rightwards = x < _NAME if word == "refuted" else x <= 100 - _NAME
        anchor, shift = ("start", 6) if rightwards else ("end", -6)
        yield f'<rect class="region {word}" x="{left}%" y="{_TOP}" width="{width}%" height="{bottom - _TOP}"/>'
        yield f'<line class="threshold {word}" x1="{x}%" x2="{x}%" y1="{y - 11}" y2="{bottom}"/>'
        name = text.format(limit(threshold))
        yield f'<text class="name {word}" x="{x}%" dx="{shift}" y="{y}" text-anchor="{anchor}">{name}</text>'


def _axis(at: Callable[[float], float], positions: Iterable[float], bottom: float) -> Iterator[str]:
    """Yield the axis, its ticks and the direction in which the proposition is more true."""
    yield f'<line class="axis" x1="0" x2="100%" y1="{bottom}" y2="{bottom}"/>'
    for position in positions:
        x = at(position)
        anchor = "start" if x < 6 else "end" if x > 94 else "middle"
        yield f'<line class="axis" x1="{x}%" x2="{x}%" y1="{bottom}" y2="{bottom + 5}"/>'
        yield f'<text class="tick" x="{x}%" y="{bottom + 17}" text-anchor="{anchor}">{limit(position)}</text>'
    yield f'<text class="tick" x="0" y="{bottom + 34}">← less true</text>'
    yield f'<text class="tick" x="100%" y="{bottom + 34}" text-anchor="end">the proposition is more true →</text>'


def _row(row: Row, at: Callable[[float], float], y: float) -> Iterator[str]:
    """Yield a row's two texts, its interval and its dot; an arrow where something lies beyond the edge."""
    line = y + 22
    colour = f"v-{row.verdict}" if row.verdict else "v-none"
    yield f'<g class="{"control" if row.hollow else "trial"} {colour}">'
    yield f'<text class="label" x="0" dx="16" y="{y + 10}">{escape(shorten(row.label, characters=24))}</text>'
    yield f'<text class="remark" x="100%" dx="-8" y="{y + 10}" text-anchor="end">{escape(row.remark)}</text>'
    places = [None if v is None or math.isnan(v) else at(v) for v in (row.value, row.low, row.high)]
    dot, low, high = places
    if low is not None or high is not None:
        yield _span(low, high, line)
    for right in sorted({x > 50 for x in places if x is not None and not 0 <= x <= 100}):
        yield _arrow(right, line)
    if dot is not None and 0 <= dot <= 100:
        yield f'<circle class="dot" cx="{dot}%" cy="{line}" r="5"/>'
    yield "</g>"


def _span(low: float | None, high: float | None, y: float) -> str:
    """Return an interval: a line, and a stop at each end that lies on the picture; an end that is None runs on."""
    left = 0.0 if low is None else min(100.0, max(0.0, low))
    right = 100.0 if high is None else min(100.0, max(0.0, high))
    stops = "".join(
        f'<line class="span" x1="{x}%" x2="{x}%" y1="{y - 4}" y2="{y + 4}"/>'
        for x in (low, high)
        if x is not None and 0 <= x <= 100
    )
    return f'<line class="span" x1="{left}%" x2="{right}%" y1="{y}" y2="{y}"/>{stops}'


def _arrow(right: bool, y: float) -> str:
    """Return the sign that something lies beyond an edge."""
    x, points = ("100%", "0,0 -9,-5 -9,5") if right else ("0%", "0,0 9,-5 9,5")
    return f'<svg x="{x}" y="{y}" overflow="visible"><polygon class="beyond" points="{points}"/></svg>'
