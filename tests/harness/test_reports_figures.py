"""The figure that lets one see a claim: what is drawn, where it stands, and what happens when the data is not there."""

import copy
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports_full import FIGURES, full

from testtone.reports import drawing, figures, render
from testtone.reports.charts import Grid, Line, Marks, Plane, Rule, Series, Strip, scale, short
from testtone.reports.figures import folding
from testtone.reports.figures.filters import erb_rate, erb_width
from testtone.stimuli import designs, fold
from testtone.tests.check import claims

ENCODER = {"spec": "mine", "name": "mine", "sample_rate": 24000}


def record(claim: str, **more: Any) -> dict[str, Any]:
    return {"id": claim, "figures": copy.deepcopy(FIGURES[claim]), "parts": [], "stimuli": []} | more


def drawn(claim: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(drawing.draw(chart, ids="a")) for chart in figures.of(record(claim), ENCODER)]


def percent(element: ElementTree.Element, name: str) -> float:
    return float(element.attrib[name].removesuffix("%"))


# --- what is drawn --------------------------------------------------------------------------------------------------


def test_every_claim_has_a_figure_and_says_what_to_look_for() -> None:
    assert set(FIGURES) == set(figures.KINDS) == set(claims())
    for claim in figures.KINDS:
        assert figures.of(record(claim), ENCODER), claim
        assert figures.look(claim).endswith(".")


@pytest.mark.parametrize("claim", figures.KINDS)
def test_every_figure_is_well_formed_and_says_itself_in_words(claim: str) -> None:
    for svg in drawn(claim):
        title, words = svg[0], svg[1]
        assert (title.tag, words.tag) == ("title", "desc")
        assert svg.attrib["aria-labelledby"] == f"{title.attrib['id']} {words.attrib['id']}"
        assert title.text
        assert re.search(r"\d", words.text or "")


def test_tones_of_an_alias_pair_stand_at_one_height_and_those_of_the_control_do_not() -> None:
    folded, apart = figures.of(record("alias_collapse"), ENCODER)
    zigzag, alias, control = folded.series
    assert alias.x == (8223.7, 8298.7)
    assert alias.y[0] == pytest.approx(alias.y[1], abs=1e-6)
    assert abs(control.y[0] - control.y[1]) > 1.0
    assert max(zigzag.y) <= 37.5 + 1e-9
    marks = ElementTree.fromstring(drawing.draw(folded, ids="a")).findall(".//g[@class='t0 mark']/circle")
    heights = {mark.attrib["cy"] for mark in marks[-2:]}
    assert len(heights) == 1
    assert [row.label for row in apart.rows] == ["translation", "mirror"]


def test_predictions_stand_beside_each_other() -> None:
    made = record("unequal_and_predictable")
    made["figures"]["predictors"] = {"rho": 0.86, "naive cascade": 0.33, "gain": None}
    charts = figures.of(made, ENCODER)
    assert [chart.title for chart in charts][-1] == "What predicts who survives"
    assert [(row.label, row.marks[0].values) for row in charts[-1].rows] == [
        ("rho", (0.86,)),
        ("naive cascade", (0.33,)),
    ]
    del made["figures"]["predictors"]
    assert len(figures.of(made, ENCODER)) == len(charts) - 1


def test_layers_stand_in_their_order() -> None:
    made = record("degrade_or_mix")
    made["figures"]["layers"] = [{"name": "layer 1", "r2": 1.0}, {"name": "layer 2", "r2": 0.4}, {"name": "x"}, 3]
    charts = figures.of(made, ENCODER)
    assert charts[-1].title == "Layer by layer"
    assert [row.label for row in charts[-1].rows] == ["layer 1", "layer 2"]


def test_folding_is_that_of_the_stimuli() -> None:
    for hz in (0.0, 10.0, 37.5, 60.0, 75.0, 8298.7, 11990.0):
        assert folding.fold(hz, 75.0) == pytest.approx(fold(hz, 75.0), abs=1e-9)


def test_the_scale_of_the_ear_is_that_of_the_stimuli() -> None:
    for hz in (0.0, 50.0, 1000.0, 12000.0):
        assert erb_rate(hz) == pytest.approx(designs.erb_rate(hz), abs=1e-9)
        assert erb_width(hz) == pytest.approx(designs.erb_hz(hz), abs=1e-9)


def test_filters_stand_on_the_erb_axis_beside_as_many_that_tile_it() -> None:
    strip, ratios = figures.of(record("entangled_basis"), ENCODER)
    own, even = (row.marks[0].values for row in strip.rows)
    assert own[0] == 0.0
    assert own[-1] == pytest.approx(erb_rate(12000.0))
    gaps = [b - a for a, b in pairwise(even)]
    assert max(gaps) - min(gaps) < 1e-9
    assert len(own) == len(even) == 5
    assert ratios.rows[0].marks[0].values == (pytest.approx(1.7 / 0.8),)


def test_the_walsh_spectrum_has_a_bar_for_each_order() -> None:
    (strip,) = figures.of(record("holistic_texture"), ENCODER)
    assert [row.label for row in strip.rows] == ["single partials", "pairs", "triples", "4 together", "5 together"]
    older = record("holistic_texture")
    del older["figures"]["walsh"]
    (strip,) = figures.of(older, ENCODER)
    assert [row.label for row in strip.rows] == ["one partial", "interactions"]


def test_bars_grow_with_their_numbers_from_zero() -> None:
    (svg,) = drawn("pitch_most_separable")
    bars = svg.findall(".//g[@class='t0 bar']/rect")
    widths = [percent(bar, "width") for bar in bars]
    assert widths[0] / widths[1] == pytest.approx(0.9 / 0.5, rel=0.02)
    assert len({bar.attrib["x"] for bar in bars}) == 1


def test_detection_stands_beside_that_of_the_ear() -> None:
    (plane,) = figures.of(record("density_scaling"), ENCODER)
    assert [each.name for each in plane.series] == ["this encoder", "a bank of filters as wide as the ear's"]
    assert plane.series[0].x == (1.0, 5.0, 33.0)


# --- charts ---------------------------------------------------------------------------------------------------------


def test_higher_numbers_stand_higher_and_further_right() -> None:
    plane = Plane("t", scale("x", (1, 100), log=True), scale("y", (0, 1)), (Series("", (1, 10, 100), (0, 0.5, 1)),))
    dots = ElementTree.fromstring(drawing.draw(plane, ids="a")).findall(".//circle")
    x, y = [percent(dot, "cx") for dot in dots], [float(dot.attrib["cy"]) for dot in dots]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    assert y[0] > y[1] > y[2]


def test_many_points_are_one_path_and_none_is_lost() -> None:
    x = tuple(float(each) for each in range(500))
    plane = Plane("t", scale("x", x), scale("y", x), (Series("", x, x),))
    text = str(drawing.draw(plane, ids="a"))
    assert "<circle" not in text
    assert text.count("h0") == 500


def test_a_rule_is_named_and_stands_at_its_value() -> None:
    strip = Strip("t", scale("x", (0, 1)), (Line("row", (Marks(0, (0.25,)),)),), rules=(Rule(0.25, "here", axis="x"),))
    svg = ElementTree.fromstring(drawing.draw(strip, ids="a"))
    (rule,), (dot,) = svg.findall(".//line[@class='rule']"), svg.findall(".//circle")
    assert rule.attrib["x1"] == dot.attrib["cx"]
    assert "here" in [text.text for text in svg.iter("text")]


def test_tones_differ_in_shape_not_in_colour_alone() -> None:
    rows = tuple(Line(str(tone), (Marks(tone, (0.5,)),)) for tone in range(4))
    svg = ElementTree.fromstring(drawing.draw(Strip("t", scale("x", (0, 1)), rows), ids="a"))
    shapes = {
        (group.attrib["class"].split()[1], group[0].tag, group[0].attrib.get("width"))
        for group in svg.findall("g")
        if len(group) == 1
    }
    assert len(shapes) == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(1000.0, "1k"), (12500.0, "12.5k"), (0.05, "0.05"), (-0.5, "−0.5"), (1e9, "1.00×10⁹"), (0.0, "0")],
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_every_class_has_a_style() -> None:
    css = Path(drawing.__file__).with_name("page.css").read_text(encoding="utf-8")
    styled = set(re.findall(r"\.([a-z][a-z0-9-]*)", css))
    used = {
        name
        for claim in FIGURES
        for svg in drawn(claim)
        for element in svg.iter()
        for name in element.attrib.get("class", "").split()
    }
    assert (
        {"t0", "t1", "t3", "mark", "ring", "bar", "curve", "grid", "rule", "join", "strokes", "shade"} <= used <= styled
    )


def test_hostile_texts_stay_texts() -> None:
    evil = "</svg><script>alert(1)</script>"
    hostile = record("architectural")
    hostile["figures"]["scores"] = {evil: {"own": 0.5, "untrained": [0.1, 0.2]}}
    (chart,) = figures.of(hostile, ENCODER)
    text = str(drawing.draw(chart, ids="a"))
    assert "<script" not in text
    ElementTree.fromstring(text)


# --- what is not there ----------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(-(10**400), 10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def spoiled(value: Any, data: st.DataObject) -> Any:
    """Return figures in which some things are something else."""
    if data.draw(st.integers(0, 7)) == 0:
        return data.draw(JUNK)
    if isinstance(value, dict):
        return {key: spoiled(inner, data) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoiled(inner, data) for inner in value]
    return value


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(sorted(FIGURES)))
def test_spoiled_figures_make_fewer_figures_and_never_an_error(data: st.DataObject, claim: str) -> None:
    spoilt = record(claim, figures=spoiled(FIGURES[claim], data))
    encoder = data.draw(st.sampled_from([None, ENCODER, {"sample_rate": None}, {"sample_rate": 1e300}]))
    for chart in figures.of(spoilt, encoder):
        text = str(drawing.draw(chart, ids="a"))
        ElementTree.fromstring(re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", "", text))
        assert not re.search(r'="-?(nan|inf)', text)


@pytest.mark.parametrize("gone", [None, {}, [], "text", 3.0])
def test_without_figures_there_is_none(gone: Any) -> None:
    for claim in figures.KINDS:
        assert figures.of(record(claim, figures=gone), ENCODER) == []
    assert figures.of({"id": "unknown"}, ENCODER) == []
    assert figures.look("unknown") == ""


def test_a_grid_shades_by_its_numbers() -> None:
    grid = Grid("t", ("a", "b"), ("1", "2"), ((0.5, 0.75), (0.9, 1.0)), low=0.5, high=1.0, across="x", down="y")
    cells = ElementTree.fromstring(drawing.draw(grid, ids="a")).findall(".//rect")
    shades = [float(cell.attrib["fill-opacity"]) for cell in cells]
    assert shades == sorted(shades)
    assert len(set(shades)) > 2
    assert not math.isnan(sum(shades))


# --- on the page ----------------------------------------------------------------------------------------------------


def test_the_latent_is_shown_first_and_other_sites_wait() -> None:
    text = render(full())
    start = text.index('id="claim.pitch_direction"')
    section = text[start : text.index("</section>", start)]
    shown, waiting = section.split("The same at other sites")
    assert shown.count('class="sight"') == 2
    assert waiting.count('class="sight"') == 4
    assert "latent: Directions that a pitch adds" in shown
    assert figures.look("pitch_direction") in shown


def test_the_post_is_shown_anew() -> None:
    text = render(full())
    assert "One sound, 4 representations." in text
    assert "A short tone, A below middle C." in text
    assert text.count('class="ink map"') == 2
    assert "A wave as a mixture of its partials." in text
    bare = full()
    del bare["illustrations"]
    assert "of the post, made anew" not in render(bare)
