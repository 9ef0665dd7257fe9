"""What sampling folds: alias pairs on the folded axis, and which partials survive."""

import re
from collections.abc import Mapping
from typing import Any

from ..charts import Chart, Line, Marks, Plane, Scale, Series, Strip, scale
from .data import Data

Record = Mapping[str, Any]

_HZ = re.compile(r"^(?:control: )?(\d{1,6}(?:\.\d{1,3})?) Hz(?:, (?:which folds|as far).*)?$")


def pairs(record: Record, encoder: Record) -> list[Chart]:
    """Return the folding diagram with the alias pair and its control, and how far the codes of all pairs lie apart."""
    charts = [*_diagram(record, encoder), *_separations(record)]
    return charts


def fold(hz: float, rate: float) -> float:
    """Return where a frequency lands when it is sampled at a rate: from 0 to half of it."""
    rest = hz % rate
    return min(rest, rate - rest)


def _diagram(record: Record, encoder: Record) -> list[Chart]:
    data = Data(record)
    rate, hop = encoder.get("sample_rate"), data.number("hop")
    played = data.numbers("pair", "hz") or _played(record)
    if not isinstance(rate, int | float) or not hop or not 0 < rate < 1e7 or not 1 <= hop < 1e6 or len(played) != 4:
        return []
    frames = rate / hop
    reach = 1.5 * max(max(played) - min(played), frames)
    low, high = max(0.0, min(played) - reach / 3), min(rate / 2, max(played) + reach / 3)
    # Corners of the zigzag: every multiple of half the frame rate.
    first, last = int(low / (frames / 2)), int(high / (frames / 2)) + 1
    step = max(1, (last - first) // 400)
    corners = [index * frames / 2 for index in range(first, last + 1, step)]
    inside = [low, *(each for each in corners if low < each < high), high]
    zigzag = Series(
        "where a frequency lands",
        tuple(inside),
        tuple(fold(each, frames) for each in inside),
        tone=3,
        line=True,
        marks=False,
    )
    named = tuple(f"{each:.1f} Hz" for each in played)
    pair = Series(
        "the alias pair",
        played[:2],
        tuple(fold(each, frames) for each in played[:2]),
        tone=0,
        line=True,
        names=named[:2],
    )
    control = Series(
        "the control pair",
        played[2:],
        tuple(fold(each, frames) for each in played[2:]),
        tone=1,
        line=True,
        names=named[2:],
    )
    return [
        Plane(
            "Folding",
            Scale("frequency played, Hz", low, high),
            Scale("frequency after folding, Hz", -0.04 * frames, 0.56 * frames),
            (zigzag, pair, control),
            note=f"At {frames:.4g} frames a second everything folds into 0 to {frames / 2:.4g} Hz. The alias pair "
            "lands on one frequency, the control pair on two.",
        )
    ]


def _played(record: Record) -> tuple[float, ...]:
    """Return the frequencies of the pair and of its control, as the labels of the sounds give them."""
    found = [_HZ.match(each.get("label") or "") for each in (record.get("stimuli") or [])[:4]]
    return tuple(float(match.group(1)) for match in found if match)


def _separations(record: Record) -> list[Chart]:
    data = Data(record)
    rows = []
    for kind in data.names("d_prime")[:16]:
        alias, control = data.number("d_prime", kind, "alias"), data.number("d_prime", kind, "control")
        if alias is not None and control is not None and alias > 0 and control > 0:
            rows.append(Line(kind, (Marks(1, (control,)), Marks(0, (alias,))), joined=True))
    if not rows:
        return []
    values = [value for row in rows for marks in row.marks for value in marks.values]
    axis = scale("how far apart the codes of a pair lie, d′", values, log=True)
    keys = ((0, "alias pairs"), (1, "control pairs"))
    return [Strip("Codes of pairs", axis, tuple(rows), keys)]


def survival(record: Record, encoder: Record) -> list[Chart]:
    """Return predicted against measured representability, a point for each partial, and how other predictions do."""
    found = Data(record).at("points")
    points = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    charts: list[Chart] = []
    for family in list(dict.fromkeys(str(each.get("family")) for each in points))[:4]:
        of = [each for each in points if str(each.get("family")) == family]
        table = Data({"figures": {"points": of}}).table(("points",), "rho", "r2")
        if table is None:
            continue
        rho, r2 = table
        charts.append(
            Plane(
                f"Predicted and measured, {family} spectrum",
                scale("predicted: its share of what lands on its alias", rho, log=min(rho) > 0),
                scale("measured: R² of reading it back", r2, also=(0.0, 1.0)),
                (Series("", rho, r2),),
                note=f"A point for each of {len(rho)} partials.",
            )
        )
    return [*charts, *_predictors(Data(record))]


def _predictors(data: Data) -> list[Chart]:
    """Return how well each prediction tells which partials survive: that of the claim, and what stands in its place."""
    rows = [(name, data.number("predictors", name)) for name in data.names("predictors")[:8]]
    known = tuple(Line(name, (Marks(0 if name == "rho" else 3, (v,), bar=True),)) for name, v in rows if v is not None)
    if len(known) < 2:
        return []
    values = [row.marks[0].values[0] for row in known]
    axis = scale("rank correlation with what was measured", values, also=(0.0, 1.0))
    return [Strip("What predicts who survives", axis, known)]


def losses(record: Record, encoder: Record) -> list[Chart]:
    """Return what is held of single partials, by frequency, step by step through the encoder's halves."""
    data = Data(record)
    charts: list[Chart] = []
    table = data.table(("by_frequency",), "hz", "full_rate_linear", "linear", "as_is")
    if table:
        hz, full, linear, own = table
        charts.append(
            Plane(
                "What is held of a partial",
                scale("frequency of the partial, Hz", hz),
                scale("R² of reading it back", [*full, *linear, *own], also=(0.0, 1.0)),
                (
                    Series("linear, not downsampled", hz, full, tone=3, line=True, marks=False),
                    Series("linear, downsampled", hz, linear, tone=1, line=True),
                    Series("the encoder as it is", hz, own, tone=0, line=True),
                ),
            )
        )
    rows = [(name, data.number("r2", name)) for name in data.names("r2")[:8]]
    known = tuple(Line(name, (Marks(0, (value,), bar=True),)) for name, value in rows if value is not None)
    if known:
        axis = scale("R², mean over partials", [row.marks[0].values[0] for row in known], also=(0.0, 1.0))
        charts.append(Strip("What is lost where", axis, known))
    return [*charts, *_by_layer(data)]


def _by_layer(data: Data) -> list[Chart]:
    """Return what each strided layer still holds of a partial, from the waveform inwards."""
    found = data.at("layers")
    rows = []
    for each in found[:16] if isinstance(found, list) else []:
        layer = Data({"figures": each}) if isinstance(each, Mapping) else None
        value = layer.number("r2") if layer else None
        if value is not None:
            rows.append(Line(str(each.get("name")), (Marks(1, (value,), bar=True),)))
    if not rows:
        return []
    axis = scale("R² of reading a partial back", [row.marks[0].values[0] for row in rows], also=(0.0, 1.0))
    return [Strip("Layer by layer", axis, tuple(rows))]
