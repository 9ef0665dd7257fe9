"""Charts: what a figure shows, before anyone draws it. Plain numbers and words; `drawing` makes pictures of them.

``Plane``  points and lines over two numeric axes
``Strip``  rows of marks along one numeric axis: distributions, rankings, before and after
``Grid``   numbers by row and column, shaded

A series has a *tone*, 0 to 3: a colour and, for marks, a shape of its own. Tone 0 is what the claim is about, tone 3 is
what it is compared with. Every chart says itself in words, for those who hear it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .plots import ticks as round_ticks
from .wording import number

LARGEST = 1e100
"""Geometry only: beyond this, differences and products would leave the floats."""


@dataclass(frozen=True)
class Scale:
    """A numeric axis, from its low end to its high end; both positive if logarithmic."""

    label: str
    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high end; within a tenth beyond the ends."""
        low, high, value = (self._bent(each) for each in (self.low, self.high, value))
        return max(-0.1, min(1.1, (value - low) / (high - low)))

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and names of two to eight ticks."""
        if not self.log:
            return [(value, short(value)) for value in round_ticks(self.low, self.high)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(powers) < 4 else (1,)
        # Beyond a dozen decades every decade would be too many.
        stride = 1 + len(powers) // 9
        places = [step * 10.0**power for power in powers[::stride] for step in steps]
        return [(value, short(value)) for value in places if self.low <= value <= self.high]

    def _bent(self, value: float) -> float:
        value = tame(value)
        return math.log10(max(value, 1 / LARGEST)) if self.log else value


@dataclass(frozen=True)
class Series:
    """Points of a plane that belong together.

    Attributes:
        name: what they are; an empty name stays out of the key.
        x, y: as many of one as of the other.
        tone: colour and shape, 0 to 3.
        line: whether neighbours are joined.
        marks: whether points are marked.
        names: what each point is, for a reader who points at it; may be empty.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    tone: int = 0
    line: bool = False
    marks: bool = True
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A line across the chart at a value of one axis, with its name."""

    value: float
    name: str
    axis: str = "y"


@dataclass(frozen=True)
class Plane:
    """Points and lines over two axes."""

    title: str
    x: Scale
    y: Scale
    series: tuple[Series, ...]
    rules: tuple[Rule, ...] = ()
    note: str = ""

    @property
    def keys(self) -> list[tuple[int, str]]:
        """Tone and name of the series that have a name."""
        return list(dict.fromkeys((each.tone, each.name) for each in self.series if each.name))

    @property
    def words(self) -> str:
        """The chart in words."""
        said = [f"{self.y.label} over {self.x.label}."]
        said += [f"{each.name or 'Points'}: {spread(each.y)}." for each in self.series if each.y]
        said += [f"Line at {short(rule.value)}: {rule.name}." for rule in self.rules]
        return " ".join([*said, self.note]).strip()


@dataclass(frozen=True)
class Marks:
    """Values of a row that are marked alike; ``bar`` draws from the zero of the axis instead of a mark."""

    tone: int
    values: tuple[float, ...]
    bar: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a strip: a label and its marks; ``joined`` draws a line through all of them."""

    label: str
    marks: tuple[Marks, ...]
    joined: bool = False


@dataclass(frozen=True)
class Strip:
    """Rows along one axis."""

    title: str
    x: Scale
    rows: tuple[Line, ...]
    keys: tuple[tuple[int, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    note: str = ""

    @property
    def words(self) -> str:
        """The chart in words."""
        names = dict(self.keys)
        said = [f"{self.x.label}."]
        for row in self.rows:
            of = [f"{names[m.tone] + ' ' if m.tone in names else ''}{spread(m.values)}" for m in row.marks if m.values]
            said.append(f"{row.label}: {', '.join(of)}.")
        said += [f"Line at {short(rule.value)}: {rule.name}." for rule in self.rules]
        return " ".join([*said, self.note]).strip()


@dataclass(frozen=True)
class Grid:
    """Numbers by row and column; shades run from ``low`` to ``high``."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    low: float
    high: float
    across: str = ""
    down: str = ""
    note: str = ""

    @property
    def words(self) -> str:
        """The chart in words."""
        said = [f"Rows: {self.down}. Columns: {self.across}."]
        for name, row in zip(self.rows, self.values, strict=True):
            said.append(f"{name}: {', '.join(number(each, decimals=2) for each in row)}.")
        return " ".join([*said, self.note]).strip()


Chart = Plane | Strip | Grid


def tame(value: float) -> float:
    """Return a value near enough for geometry; what is no number becomes 0."""
    return 0.0 if math.isnan(value) else max(-LARGEST, min(LARGEST, value))


def short(value: float) -> str:
    """Return a number for a tick: thousands as k, no leading zero to spare."""
    if 1000 <= abs(value) < 1e6:
        return f"{value / 1000:.4g}k".replace("-", "−")
    return number(value) if value and not 1e-3 <= abs(value) < 1e6 else f"{value:.4g}".replace("-", "−")


def spread(values: Sequence[float]) -> str:
    """Return some values in words: themselves if few, else how many, the median and the ends."""
    if len(values) <= 3:
        return " and ".join(number(value, decimals=2) for value in values)
    middle, low, high = (number(each, decimals=2) for each in (median(values), min(values), max(values)))
    return f"{len(values)} values, median {middle}, from {low} to {high}"


def scale(label: str, values: Iterable[float], *, also: Iterable[float] = (), log: bool = False) -> Scale:
    """Return an axis that holds some values and some more, with a little air at both ends."""
    seen = [tame(value) for value in (*values, *also) if not math.isnan(value)]
    if log:
        seen = [max(value, 1 / LARGEST) for value in seen if value > 0] or [1.0]
        low, high = min(seen), max(seen)
        if high / low < 1.2:
            return Scale(label, low / 2, high * 2, log=True)
        air = (high / low) ** 0.06
        return Scale(label, low / air, high * air, log=True)
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):
        half = max(abs(low), 1.0) / 2
        return Scale(label, low - half, high + half)
    air = 0.06 * (high - low)
    return Scale(label, low - air, high + air)
