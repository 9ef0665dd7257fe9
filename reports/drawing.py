"""Charts as inline SVG, drawn by hand: the pictures of `charts`.

Like the interval plots of `plots` these have no viewBox: positions are percentages of whatever width the picture gets,
heights are CSS pixels, text keeps its size. Colours come from ``page.css`` by class. Lines are drawn in a square of
their own that is stretched over the field, with strokes that are not.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import singledispatch

from markupsafe import Markup, escape

from .charts import Chart, Grid, Line, Plane, Rule, Scale, Series, Strip
from .wording import number, shorten

_LEFT, _RIGHT = 11.0, 97.0  # %: where the field begins and ends
_KEY = 17  # px: a line of the key
_FIELD = 168  # px: height of a plane
_LANE = 33  # px: a row of a strip
_TICKS = 36  # px: numbers of the axis, its name
_MANY = 60  # beyond these, marks are one path: a tenth of the bytes


def draw(chart: Chart, *, ids: str) -> Markup:
    """Return a chart as one ``<svg>`` element.

    Args:
        chart: what to draw.
        ids: prefix of the ids inside; must be unique on the page and a valid id.

    Returns:
        markup with every text escaped.
    """
    body, height = _body(chart)
    title, words = escape(chart.title), escape(chart.words)
    parts = [
        f'<svg class="plot chart" role="img" width="100%" height="{height}" aria-labelledby="{ids}-t {ids}-d">',
        f'<title id="{ids}-t">{title}</title>',
        f'<desc id="{ids}-d">{words}</desc>',
        *body,
        "</svg>",
    ]
    return Markup("\n".join(parts))


@singledispatch
def _body(chart: Chart) -> tuple[list[str], int]:
    raise TypeError(f"{type(chart).__name__} is no chart")


@_body.register
def _plane(chart: Plane) -> tuple[list[str], int]:
    top = _KEY * len(chart.keys) + 20
    bottom = top + _FIELD
    parts = [*_keys(chart.keys, lines={each.tone for each in chart.series if not each.marks})]
    parts.append(f'<text class="tick" x="0" y="{top - 8}">{escape(chart.y.label)}</text>')
    for value, name in chart.y.ticks():
        y = _down(chart.y, value, top)
        parts.append(f'<line class="grid" x1="{_LEFT}%" x2="100%" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{_LEFT}%" dx="-5" y="{_plus(y, 4)}" text-anchor="end">{name}</text>')
    parts.extend(_under(chart.x, bottom))
    parts.extend(_rules(chart.rules, chart.x, chart.y, top, bottom))
    lines = "".join(_path(each, chart) for each in chart.series if each.line and len(each.x) > 1)
    if lines:
        parts.append(
            f'<svg x="{_LEFT}%" y="{top}" width="{_RIGHT - _LEFT}%" height="{_FIELD}" viewBox="0 0 1000 1000" '
            f'preserveAspectRatio="none">{lines}</svg>'
        )
    for each in chart.series:
        if each.marks:
            parts.extend(_points(each, chart, top))
    return parts, bottom + _TICKS


@_body.register
def _strip(chart: Strip) -> tuple[list[str], int]:
    top = _KEY * len(chart.keys) + (6 if chart.keys else 0) + (16 if chart.rules else 0)
    bottom = top + _LANE * len(chart.rows) + 6
    parts = [*_keys(chart.keys), *_under(chart.x, bottom, left=3.0)]
    parts.extend(_rules(chart.rules, chart.x, None, top, bottom, left=3.0))
    for index, row in enumerate(chart.rows):
        parts.extend(_lane(row, chart.x, top + index * _LANE))
    return parts, bottom + _TICKS


@_body.register
def _grid(chart: Grid) -> tuple[list[str], int]:
    left, side, head = 34.0, 26, 34
    width = (100.0 - left) / max(len(chart.columns), 1)
    parts = [f'<text class="tick" x="{left}%" y="11">{escape(chart.across)}</text>']
    for index, _ in enumerate(chart.columns):
        x = _round(left + width * (index + 0.5))
        parts.append(f'<text class="tick" x="{x}%" y="{head - 6}" text-anchor="middle">{index + 1}</text>')
    for line, (name, row) in enumerate(zip(chart.rows, chart.values, strict=True)):
        y = head + line * side
        label = escape(shorten(f"{line + 1} {name}", characters=18))
        parts.append(f'<text class="label" x="0" y="{y + 17}">{label}</text>')
        for index, value in enumerate(row):
            x = _round(left + width * index)
            share = max(0.0, min(1.0, (value - chart.low) / (chart.high - chart.low)))
            parts.append(
                f'<rect class="shade" x="{x}%" y="{y}" width="{_round(width)}%" height="{side}" '
                f'fill-opacity="{_round(0.04 + 0.32 * share)}"/>'
                f'<text class="label" x="{_round(x + width / 2)}%" y="{y + 17}" text-anchor="middle">'
                f"{number(value, decimals=2).removeprefix('0') or '0'}</text>"
            )
    return parts, head + side * len(chart.rows) + 4


def _keys(keys: Iterable[tuple[int, str]], *, lines: Collection[int] = ()) -> Iterator[str]:
    for index, (tone, name) in enumerate(keys):
        y = _KEY * index + 9
        if tone in lines:
            yield f'<line class="curve t{tone}" x1="0" x2="12" y1="{y}" y2="{y}"/>'
        else:
            yield f'<g class="{_class(tone)}">{_mark(tone, "6", y, unit="")}</g>'
        yield f'<text class="label" x="16" y="{y + 4}">{escape(shorten(name, characters=46))}</text>'


def _under(x: Scale, bottom: float, *, left: float = _LEFT) -> Iterator[str]:
    """Yield the horizontal axis, its ticks, their names and its own."""
    yield f'<line class="axis" x1="{left}%" x2="100%" y1="{bottom}" y2="{bottom}"/>'
    last = -100.0
    for value, name in x.ticks():
        place = _across(x, value, left=left)
        if place - last < 2.2 * len(name) + 2:
            continue
        last = place
        yield f'<line class="axis" x1="{place}%" x2="{place}%" y1="{bottom}" y2="{bottom + 4}"/>'
        anchor = "start" if place < 4 else "end" if place > 96 else "middle"
        yield f'<text class="tick" x="{place}%" y="{bottom + 16}" text-anchor="{anchor}">{name}</text>'
    yield f'<text class="tick" x="100%" y="{bottom + 31}" text-anchor="end">{escape(x.label)}</text>'


def _rules(
    rules: Iterable[Rule], x: Scale, y: Scale | None, top: float, bottom: float, *, left: float = _LEFT
) -> Iterator[str]:
    for rule in rules:
        name = escape(rule.name)
        if rule.axis == "y" and y is not None:
            at = _down(y, rule.value, top)
            yield f'<line class="rule" x1="{left}%" x2="100%" y1="{at}" y2="{at}"/>'
            yield f'<text class="name" x="100%" y="{_plus(at, -4)}" text-anchor="end">{name}</text>'
        else:
            at = _across(x, rule.value, left=left)
            anchor, shift = ("start", 4) if at < 55 else ("end", -4)
            yield f'<line class="rule" x1="{at}%" x2="{at}%" y1="{_plus(top, -12)}" y2="{bottom}"/>'
            yield f'<text class="name" x="{at}%" dx="{shift}" y="{_plus(top, -4)}" text-anchor="{anchor}">{name}</text>'


def _lane(row: Line, x: Scale, top: float) -> Iterator[str]:
    """Yield a row: its label above, its marks below."""
    y = top + 22
    yield f'<text class="label" x="0" dx="8" y="{top + 11}">{escape(shorten(row.label, characters=44))}</text>'
    everything = [value for marks in row.marks for value in marks.values]
    if row.joined and len(everything) > 1:
        ends = (_across(x, edge(everything), left=3.0) for edge in (min, max))
        first, last = ends
        yield f'<line class="join" x1="{first}%" x2="{last}%" y1="{y}" y2="{y}"/>'
    for marks in row.marks:
        if marks.tone == 3 and len(marks.values) > 8 and not marks.bar:
            strokes = "".join(f"M{round(1000 * x.at(value))} 0v12" for value in marks.values)
            yield (
                f'<svg class="t3" x="3%" y="{y - 6}" width="{_RIGHT - 3}%" height="12" viewBox="0 0 1000 12" '
                f'preserveAspectRatio="none"><path class="strokes" d="{strokes}"/></svg>'
            )
            continue
        yield f'<g class="{_class(marks.tone, bar=marks.bar)}">'
        for value in marks.values:
            place = _across(x, value, left=3.0)
            if marks.bar:
                zero = _across(x, 0.0, left=3.0)
                first, width = min(zero, place), _round(abs(place - zero))
                yield f'<rect x="{first}%" y="{y - 6}" width="{width}%" height="12"/>'
            else:
                yield _mark(marks.tone, str(place), y)
        yield "</g>"


def _points(series: Series, chart: Plane, top: float) -> Iterator[str]:
    places = [(_across(chart.x, x), _down(chart.y, y, top)) for x, y in zip(series.x, series.y, strict=True)]
    if len(places) > _MANY:
        # Strokes without length, with round ends.
        dots = "".join(
            f"M{round(1000 * chart.x.at(x))} {round(1000 - 1000 * chart.y.at(y))}h0"
            for x, y in zip(series.x, series.y, strict=True)
        )
        yield (
            f'<svg class="t{series.tone}" x="{_LEFT}%" y="{top}" width="{_RIGHT - _LEFT}%" height="{_FIELD}" '
            f'viewBox="0 0 1000 1000" preserveAspectRatio="none"><path class="dots" d="{dots}"/></svg>'
        )
        return
    yield f'<g class="{_class(series.tone)}">'
    for index, (x, y) in enumerate(places):
        name = series.names[index] if series.names else ""
        yield _mark(series.tone, str(x), y, name=name)
    yield "</g>"


def _path(series: Series, chart: Plane) -> str:
    points = " ".join(
        f"{round(1000 * chart.x.at(x))},{round(1000 - 1000 * chart.y.at(y))}"
        for x, y in zip(series.x, series.y, strict=True)
    )
    return f'<polyline class="curve t{series.tone}" points="{points}"/>'


def _class(tone: int, *, bar: bool = False) -> str:
    """Return the classes of a group of marks, which say it once for all of them."""
    return f"t{tone} {'bar' if bar else 'ring' if tone == 1 else 'mark'}"


def _mark(tone: int, x: str, y: float, *, unit: str = "%", name: str = "") -> str:
    """Return a mark in the shape of its tone: a dot, a ring, a square, a stroke."""
    title = f"<title>{escape(name)}</title>" if name else ""
    at = f'x="{x}{unit}" y="{_round(y)}"'
    if tone == 0:
        return _closed("circle", f'cx="{x}{unit}" cy="{_round(y)}" r="3.5"', title)
    if tone == 1:
        return _closed("circle", f'cx="{x}{unit}" cy="{_round(y)}" r="3.5"', title)
    if tone == 2:
        return _closed("rect", f'{at} width="6" height="6" transform="translate(-3 -3)"', title)
    return _closed("rect", f'{at} width="2" height="12" transform="translate(-1 -6)"', title)


def _closed(tag: str, attributes: str, inside: str) -> str:
    return f"<{tag} {attributes}>{inside}</{tag}>" if inside else f"<{tag} {attributes}/>"


def _across(x: Scale, value: float, *, left: float = _LEFT) -> float:
    return _round(left + (_RIGHT - left) * x.at(value))


def _down(y: Scale, value: float, top: float) -> float:
    return _round(top + _FIELD * (1.0 - y.at(value)))


def _plus(value: float, by: float) -> float:
    return _round(value + by)


def _round(value: float) -> float:
    value = round(value, 1)
    return int(value) if float(value).is_integer() else value
