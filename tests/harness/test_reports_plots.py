"""The interval plot, read back as geometry: what lies to the right of what, and by how much."""

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from testtone.reports.plots import Row, describe, domain, interval_plot, ticks

ROW = Row("encodec", "latent", "supported 0.7", "supported", 0.7, 0.6, 0.8)


def draw(*rows: Row, above: float | None = 0.5, below: float | None = 0.2) -> ET.Element:
    """Return the plot as a tree. It is read as XML, which is stricter than the HTML it stands in."""
    return ET.fromstring(interval_plot(rows, ids="p", title="a claim", supported_above=above, refuted_below=below))


def percent(element: ET.Element, name: str) -> float:
    return float(element.attrib[name].removesuffix("%"))


def dots(tree: ET.Element) -> list[float]:
    return [percent(dot, "cx") for dot in tree.iter("circle")]


def thresholds(tree: ET.Element) -> dict[str, float]:
    found = tree.findall("line[@class]")
    return {e.attrib["class"].split()[1]: percent(e, "x1") for e in found if e.attrib["class"].startswith("threshold")}


def spans(tree: ET.Element) -> list[tuple[float, float]]:
    lines = [e for e in tree.iter("line") if e.attrib["class"] == "span"]
    return [(percent(e, "x1"), percent(e, "x2")) for e in lines if e.attrib["x1"] != e.attrib["x2"]]


def test_effects_lie_on_the_axis_in_proportion_to_their_value() -> None:
    tree = draw(*(replace(ROW, value=v, low=v, high=v) for v in (0.0, 0.25, 0.5, 1.0)))
    zero, quarter, half, one = dots(tree)
    assert quarter - zero == pytest.approx((one - zero) / 4, abs=0.02)
    assert half - zero == pytest.approx((one - zero) / 2, abs=0.02)
    assert thresholds(tree)["supported"] == pytest.approx(half, abs=0.02)


def test_an_interval_surrounds_its_effect_and_clears_its_threshold() -> None:
    tree = draw(ROW)
    ((low, high),) = spans(tree)
    (dot,) = dots(tree)
    lines = thresholds(tree)
    assert lines["refuted"] < lines["supported"] < low < dot < high


def test_beyond_each_threshold_the_ground_is_shaded() -> None:
    tree = draw(ROW)
    regions = {e.attrib["class"].split()[1]: e for e in tree.iter("rect")}
    lines = thresholds(tree)
    assert percent(regions["refuted"], "x") == 0
    assert percent(regions["refuted"], "width") == lines["refuted"]
    assert percent(regions["supported"], "x") == lines["supported"]
    assert percent(regions["supported"], "width") == pytest.approx(100 - lines["supported"], abs=0.01)


def test_thresholds_bear_their_names_and_values() -> None:
    texts = [e.text for e in draw(ROW).iter("text")]
    assert "supported above 0.5 →" in texts
    assert "← refuted below 0.2" in texts


def test_controls_are_hollow_and_encoders_are_not() -> None:
    tree = draw(ROW, replace(ROW, group="control", hollow=True))
    kinds = [g.attrib["class"].split()[0] for g in tree.findall("g")]
    assert kinds == ["trial", "control"]


def test_an_effect_far_outside_becomes_an_arrow_and_squeezes_nothing() -> None:
    calm = draw(ROW, replace(ROW, value=0.1, low=0.0, high=0.2))
    wild = draw(ROW, replace(ROW, value=0.1, low=0.0, high=0.2), replace(ROW, value=1e300, low=0.6, high=math.inf))
    assert thresholds(wild)["supported"] == pytest.approx(thresholds(calm)["supported"], abs=15)
    assert len(dots(wild)) == 2
    (arrow,) = [e for e in wild.iter("polygon")]
    assert arrow.attrib["class"] == "beyond"
    assert max(high for _, high in spans(wild)) == 100


def test_no_effect_draws_nothing_but_says_so() -> None:
    tree = draw(replace(ROW, value=None, low=None, high=None, verdict="insufficient", remark="insufficient"))
    assert not dots(tree)
    assert not spans(tree)
    assert "insufficient; nothing to draw" in tree.findtext("desc", "")


def test_an_interval_open_at_one_end_runs_to_the_edge() -> None:
    ((low, high),) = spans(draw(replace(ROW, low=None)))
    assert low == 0
    assert high < 100


def test_without_thresholds_nothing_is_shaded() -> None:
    tree = draw(ROW, above=None, below=None)
    assert not list(tree.iter("rect"))
    assert not thresholds(tree)


def test_those_who_hear_the_picture_get_its_numbers() -> None:
    said = describe([ROW], supported_above=0.5, refuted_below=0.2)
    assert said == ("Supported above 0.5. Refuted below 0.2. encodec, latent: supported 0.7, interval 0.600 to 0.800.")
    tree = draw(ROW)
    assert tree.attrib["role"] == "img"
    assert tree.attrib["aria-labelledby"].split() == [tree.find("title").attrib["id"], tree.find("desc").attrib["id"]]


def test_a_hostile_label_stays_text() -> None:
    tree = draw(replace(ROW, group="<script>alert(1)</script>", label='"><a href="javascript:x">', remark="&"))
    assert {e.tag for e in tree.iter()} <= {"svg", "title", "desc", "rect", "line", "text", "g", "circle", "polygon"}
    assert "<script>alert(1)</script>" in [e.text for e in tree.iter("text")]


def test_a_long_name_is_cut_in_the_picture_and_whole_in_its_description() -> None:
    name = "a-very-long-name-of-an-encoder-" * 5
    tree = draw(replace(ROW, group=name))
    assert max(len(e.text or "") for e in tree.iter("text")) <= 42
    assert name in tree.findtext("desc", "")


def test_an_empty_plot_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rows=\[\] is empty"):
        interval_plot([], ids="p", title="nothing")


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.none()


@given(value=numbers, low=numbers, high=numbers, above=numbers, below=numbers)
def test_any_numbers_give_a_picture_whose_places_are_finite(
    value: float | None, low: float | None, high: float | None, above: float | None, below: float | None
) -> None:
    tree = draw(ROW, replace(ROW, value=value, low=low, high=high), above=above, below=below)
    for element in tree.iter():
        for name in ("x", "x1", "x2", "cx", "width"):
            if element.attrib.get(name, "0").endswith("%"):
                assert -0.01 <= percent(element, name) <= 100.01
    assert not re.search(r'="[^"]*(nan|inf)%?"', ET.tostring(tree, encoding="unicode"))


finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=8), finite, finite)
def test_the_axis_always_holds_both_thresholds(values: list[float], above: float, below: float) -> None:
    low, high = domain([replace(ROW, value=v, low=v, high=v) for v in values], thresholds=(above, below))
    assert low < min(above, below)
    assert high > max(above, below)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_on_the_axis(low: float, width: float) -> None:
    high = low + width
    assume(high - low > 1e-9 * abs(low))
    places = ticks(low, high)
    assert 2 <= len(places) <= 7
    step = places[1] - places[0]
    assert all(low - 1e-6 * step <= p <= high + 1e-6 * step for p in places)
    leading = step / 10 ** math.floor(math.log10(step) + 1e-6)
    assert min(abs(leading - m) for m in (1, 2, 5)) < 1e-2
