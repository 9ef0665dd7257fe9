"""What a reader of the code finds: areas, scores and accuracies, by partial, by pitch, by context."""

from collections.abc import Mapping
from typing import Any

from ..charts import Chart, Grid, Line, Marks, Plane, Rule, Scale, Series, Strip, scale
from .data import Data, numbers_of

Record = Mapping[str, Any]

AREA = "area under the ROC curve"
CHANCE = Rule(0.5, "chance")


def partials(record: Record, encoder: Record) -> list[Chart]:
    """Return how well each partial is read off the code, by its frequency."""
    found = Data(record).curves(("hz",), ("auc_by_partial",))
    return [_areas("Partials read off the code", found[0], (("", 0, found[1]),))] if found else []


def contained(record: Record, encoder: Record) -> list[Chart]:
    """Return, by partial, what any reader finds beside what a linear one finds in other company."""
    found = Data(record).curves(("hz",), ("contained_by_partial",), ("exposed_by_partial",))
    if not found:
        return []
    hz, held, shown = found
    series = (("contained: any reader, same company", 3, held), ("exposed: a linear reader, other company", 0, shown))
    return [
        _areas("Contained and exposed", hz, series, Rule(0.85, "contained above .85"), Rule(0.65, "exposed above .65"))
    ]


def quantising(record: Record, encoder: Record) -> list[Chart]:
    """Return, by partial, what is read before and after quantising, and after how many codebooks."""
    data = Data(record)
    charts: list[Chart] = []
    found = data.curves(("hz",), ("auc_before",), ("auc_quantised",))
    if found:
        hz, before, after = found
        name = str(data.at("before") or "latent")
        charts.append(_areas("Before and after quantising", hz, ((f"{name}, before", 3, before), ("after", 0, after))))
    books = [
        (int(name), data.number("auc_by_codebooks", name))
        for name in data.names("auc_by_codebooks")
        if name.isdecimal() and len(name) < 9
    ]
    known = [(float(count), area) for count, area in sorted(books) if area is not None]
    if len(known) > 1:
        x, y = zip(*known, strict=True)
        whole = (CHANCE,)
        charts.append(
            Plane(
                "With more codebooks",
                scale("codebooks kept", x, log=True),
                _area_scale(y),
                (Series("", x, y, line=True),),
                whole,
            )
        )
    return charts


def families(record: Record, encoder: Record) -> list[Chart]:
    """Return how well what was learned in one family of sounds reads another: a square of areas."""
    rows = Data(record).at("auc_from_family_to_family")
    table = tuple(numbers_of(row) for row in rows) if isinstance(rows, list) else ()
    if not table or any(len(row) != len(table) for row in table) or len(table) > 12:
        return []
    names = tuple(f"family {index + 1}" for index in range(len(table)))
    return [
        Grid(
            "From family to family",
            tuple("learned here" for _ in names),
            names,
            table,
            low=0.5,
            high=1.0,
            across=f"read here ({AREA})",
            down="families of sounds that the reader learned from",
            note="Each family has its own spectral slope and company. The diagonal is the reader at home.",
        )
    ]


def attributes(record: Record, encoder: Record) -> list[Chart]:
    """Return how well pitch, level and timbre are read."""
    return _bars(record, ("scores",), "Read from the code", "score, 0 is chance and 1 without fault", top=1.0)


def pitches_alone(record: Record, encoder: Record) -> list[Chart]:
    """Return how well a reader that heard single notes finds each pitch in mixtures."""
    found = Data(record).curves(("area_by_pitch", "midi"), ("area_by_pitch", "alone"))
    if not found:
        return []
    midi, areas = found
    return [
        Plane(
            "Learned alone, found in mixtures",
            scale("pitch, MIDI number", midi),
            _area_scale(areas, 0.6),
            (Series("", midi, areas),),
            (CHANCE, Rule(0.6, "found above .6")),
        )
    ]


def parts_of_mixtures(record: Record, encoder: Record) -> list[Chart]:
    """Return how often the next pitch is told, where the combination was learned and where it was not."""
    return _bars(record, ("accuracy",), "The next pitch told", "share told right", top=1.0)


def semantic(record: Record, encoder: Record) -> list[Chart]:
    """Return how well distance of codes tells same from other meaning, with spectral distance held and not."""
    data = Data(record)
    rows = []
    for name in data.names("area", "stratified"):
        held, plain = data.number("area", "stratified", name), data.number("area", "plain", name)
        marks = [Marks(tone, (value,)) for tone, value in ((3, plain), (0, held)) if value is not None]
        rows.append(Line(name, tuple(marks), joined=True))
    values = [value for row in rows for marks in row.marks for value in marks.values]
    if not values:
        return []
    keys = ((0, "at equal spectral distance"), (3, "whatever the spectral distance"))
    axis = scale(AREA, values, also=(0.4, 0.8))
    rules = (Rule(0.5, "chance", axis="x"), Rule(0.65, "tells", axis="x"))
    return [Strip("Same meaning told from other meaning", axis, tuple(rows), keys, rules)]


def density(record: Record, encoder: Record) -> list[Chart]:
    """Return how detection of a partial falls as companions join, beside an ear-like bank."""
    data = Data(record)
    found = data.curves(("companions",), ("d_prime",))
    if not found:
        return []
    companions, own = found
    x = tuple(1.0 + each for each in companions)
    series = [Series("this encoder", x, own, line=True)]
    ear = data.numbers("ear_d_prime")
    if len(ear) == len(x):
        series.append(Series("a bank of filters as wide as the ear's", x, ear, tone=3, line=True))
    axis = scale("partials that sound", x, log=True)
    detected = scale("detection of one of them, d′", [*own, *ear], also=(0.0,))
    return [Plane("Detection against density", axis, detected, tuple(series))]


def _areas(
    title: str, hz: tuple[float, ...], named: tuple[tuple[str, int, tuple[float, ...]], ...], *rules: Rule
) -> Plane:
    values = [value for _, _, areas in named for value in areas]
    return Plane(
        title,
        scale("frequency of the partial, Hz", hz, log=True),
        _area_scale(values),
        tuple(Series(name, hz, areas, tone=tone, line=True) for name, tone, areas in named),
        (CHANCE, *rules),
    )


def _area_scale(values: tuple[float, ...] | list[float], *also: float) -> Scale:
    return scale(AREA, values, also=(0.45, 1.0, *also))


def _bars(record: Record, path: tuple[str, ...], title: str, label: str, *, top: float) -> list[Chart]:
    data = Data(record)
    known = [(name, data.number(*path, name)) for name in data.names(*path)]
    rows = tuple(Line(name, (Marks(0, (value,), bar=True),)) for name, value in known if value is not None)
    values = [value for _, value in known if value is not None]
    return [Strip(title, scale(label, values, also=(0.0, top)), rows)] if rows else []
