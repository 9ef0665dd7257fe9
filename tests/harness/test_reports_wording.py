"""Numbers in words: what a reader sees must not say more, or other, than the record does."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testtone.reports import wording

NUMBERS: list[tuple[Any, str]] = [
    (0.4137, "0.414"),
    (-0.4137, "−0.414"),
    (12.345, "12.3"),
    (999.96, "1000"),
    (7, "7"),
    (0, "0"),
    (-0.0, "0"),
    (0.00012345, "1.23×10⁻⁴"),
    (1e300, "1.00×10³⁰⁰"),
    (-1e300, "−1.00×10³⁰⁰"),
    (5e-324, "4.94×10⁻³²⁴"),
    (10**400, "∞"),
    (-(10**400), "−∞"),
    (math.inf, "∞"),
    (math.nan, "not a number"),
    (None, "–"),
    (True, "–"),
    ("0.5", "–"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS, ids=[repr(v)[:20] for v, _ in NUMBERS])
def test_a_number_is_written_as_a_person_would(value: Any, text: str) -> None:
    assert wording.number(value) == text


def effect(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "ci": None if low is None and high is None else [low, high]}


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (effect(0.65238, 0.57119, 0.73357), "0.652 [0.571, 0.734]"),
        (effect(0.00123, 0.00101, 0.00145), "0.00123 [0.00101, 0.00145]"),
        (effect(1234.5, 1200.1, 1268.9), "1234 [1200, 1269]"),
        (effect(-0.0001, -0.05, 0.05), "0.000 [−0.050, 0.050]"),
        (effect(1.0, 1.0, 1.0), "1.000 [1.000, 1.000]"),
        (effect(-8.07e-11, -2e-10, 1e-16), "0.000 [0.000, 0.000]"),
        (effect(0.5, None, 0.75), "0.500 [none, 0.750]"),
        (effect(0.5, None, None), "0.500 –"),
        (effect(None, None, None), "– –"),
        (None, "– –"),
    ],
)
def test_value_and_interval_share_their_decimals(measured: dict[str, Any] | None, text: str) -> None:
    assert f"{wording.value(measured)} {wording.interval(measured)}" == text


@given(st.floats(-1e3, 1e3), st.floats(1e-4, 1e3))
def test_rounding_moves_no_end_by_more_than_a_tenth_of_the_width(low: float, width: float) -> None:
    shown = wording.interval(effect(low, low, low + width)).strip("[]").replace("−", "-")
    ends = [float(end) for end in shown.split(", ")]
    width = (low + width) - low
    assert ends == pytest.approx([low, low + width], abs=0.1 * width)


@given(st.floats(1e-3, 1e5))
def test_a_threshold_keeps_all_its_digits(threshold: float) -> None:
    assert float(wording.limit(threshold)) == pytest.approx(threshold, rel=1e-9)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (3.21, "3.2 s"),
        (59.96, "1 min 0 s"),
        (83.4, "1 min 23 s"),
        (7260, "2 h 1 min"),
        (None, "–"),
        (-1, "−1"),
        (math.inf, "∞"),
    ],
)
def test_a_duration_is_in_the_units_of_a_clock(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0005, "0.0005"), (1 / 3, "0.33"), (1, "1"), (0.00002, "0.000020"), (None, "–"), (1e-9, "1.00×10⁻⁹")],
)
def test_a_p_value_is_never_rounded_to_nothing(p: float | None, text: str) -> None:
    assert wording.probability(p) == text


def test_a_count_is_exact() -> None:
    assert wording.count(7425792).replace("\u202f", " ") == "7 425 792"
    assert wording.count(24.0) == "24"
    assert wording.count(None) == "–"


def test_a_time_is_readable_and_a_phrase_stays() -> None:
    assert wording.moment("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04 UTC"
    assert wording.moment("2026-01-02T03:04:05+02:00") == "2026-01-02 03:04 UTC+02:00"
    assert wording.moment("last Tuesday") == "last Tuesday"
