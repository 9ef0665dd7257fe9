"""The page, read back the way a browser, a screen reader, a statistician and an attacker would."""

import base64
import copy
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import soundfile
from reports_sample import ENCODERS, SAMPLE_RATE, sample

from testtone.reports import render, write
from testtone.reports.schema import schema
from testtone.reports.wording import STANCES, VERDICTS

ROOT = Path(__file__).resolve().parents[2]
VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}
HOSTILE = """<script>alert("1")</script><img src=x onerror='alert(2)'>--></style></svg>{{ 7 * 7 }}&lt;"""


@dataclass
class Element:
    """A tag with its attributes, its children and the texts between them."""

    tag: str
    attributes: dict[str, str | None]
    children: list["Element | str"] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        """Yield the element and all below it, in order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """Return all elements of a tag that have these attributes."""
        return [e for e in self.walk() if e.tag == tag and attributes.items() <= e.attributes.items()]

    def by_id(self, id: str) -> "Element":
        """Return the one element with this id."""
        (found,) = [e for e in self.walk() if e.attributes.get("id") == id]
        return found

    @property
    def text(self) -> str:
        """All text inside, spaces collapsed."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._texts()


class Reader(HTMLParser):
    """Builds the tree and refuses what is not closed where it should be. Self-closed SVG elements are as in HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("document", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element that closes itself."""
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the element that is open."""
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Add a text."""
        self.open[-1].children.append(data)


def source(name: str) -> str:
    return files("testtone.reports").joinpath(name).read_text(encoding="utf-8")


def digest_of(element: Element) -> str:
    return base64.b64encode(hashlib.sha256("".join(element._texts()).encode()).digest()).decode()


def read(page: str) -> Element:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


@cache
def sample_page() -> str:
    return render(sample())


@pytest.fixture
def page() -> Element:
    return read(sample_page())


# --- it stands alone ------------------------------------------------------------------------------------------------


def assert_stands_alone(page: Element) -> None:
    """Assert that nothing is loaded, run or linked from elsewhere."""
    addresses = [
        (e.tag, name, value)
        for e in page.walk()
        for name, value in e.attributes.items()
        if name in {"href", "src", "srcset", "action", "poster", "data", "xlink:href", "formaction", "background"}
    ]
    assert addresses
    assert [a for a in addresses if not (a[2] or "").startswith(("#", "data:"))] == []
    assert [e.tag for e in page.walk() if e.tag in {"iframe", "object", "embed", "form", "base"}] == []
    for script in page.all("script"):
        assert script.attributes == {}
        assert "".join(script._texts()) == source("copy.js")
    assert [n for e in page.walk() for n in e.attributes if n.startswith("on") or n == "style"] == []


def test_nothing_is_loaded_run_or_linked_from_elsewhere(page: Element) -> None:
    assert_stands_alone(page)
    (style,) = page.all("style")
    assert not re.search(r"url\(|@import|@font-face|https?:|expression\(", style.text)


def test_the_policy_forbids_everything_but_this_style_this_script_and_inline_sounds(page: Element) -> None:
    (meta,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    policy = dict(part.split(None, 1) for part in (meta.attributes["content"] or "").split("; "))
    (style,), (script,) = page.all("style"), page.all("script")
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest_of(style)}'",
        "script-src": f"'sha256-{digest_of(script)}'",
        "img-src": "data:",
        "media-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_policy_comes_before_what_it_rules() -> None:
    assert sample_page().index("Content-Security-Policy") < sample_page().index("<style")


def test_every_id_is_given_once_and_every_reference_arrives(page: Element) -> None:
    ids = [e.attributes["id"] for e in page.walk() if "id" in e.attributes]
    assert [i for i, n in Counter(ids).items() if n > 1] == []
    goals = [v[1:] for e in page.walk() for k, v in e.attributes.items() if k == "href" and v and v.startswith("#")]
    goals += [i for e in page.walk() for i in (e.attributes.get("aria-labelledby") or "").split()]
    assert len(goals) > 40
    assert set(goals) <= set(ids)


# --- it says what the report says -------------------------------------------------------------------------------------


def test_the_headline_counts_what_was_decided() -> None:
    report = sample()
    decided = [c for c in report["claims"] if c["agrees"] is not None]
    agreeing = [c for c in decided if c["agrees"]]
    assert 0 < len(agreeing) < len(decided) < len(report["claims"])
    assert f"{len(agreeing)} of {len(decided)} decided claims agree with the post" in read(render(report)).text
    decided[0]["agrees"] = not decided[0]["agrees"]
    changed = len(agreeing) + (1 if decided[0]["agrees"] else -1)
    assert f"{changed} of {len(decided)} decided claims agree with the post" in read(render(report)).text


def test_each_cell_of_the_overview_leads_to_the_numbers_of_its_claim(page: Element) -> None:
    (matrix,) = page.all("table", **{"class": "matrix"})
    links = [a for a in matrix.all("a") if "cell" in (a.attributes.get("class") or "")]
    claims = sample()["claims"]
    assert len(links) == len(claims)
    found = []
    for link in links:
        row = page.by_id((link.attributes["href"] or "")[1:])
        assert row.tag == "tr"
        shown = link.text.split(",")[0].replace("≠", "").replace("=", "").strip()
        assert shown in row.text
        found.append(shown)
    assert Counter(found) == Counter(c["verdict"].replace("-", " ") for c in claims)


def test_the_overview_puts_each_verdict_under_its_encoder_and_site(page: Element) -> None:
    (matrix,) = page.all("table", **{"class": "matrix"})
    encoders, sites = matrix.all("thead")[0].all("tr")
    columns = [
        e.text for e in encoders.all("th", scope="colgroup") for _ in range(int(e.attributes.get("colspan") or 1))
    ]
    columns = list(zip(columns, [s.text for s in sites.all("th")], strict=True))
    records = {(c["title"], c["encoder"], c["site"]): c for c in sample()["claims"]}
    seen = 0
    for row in matrix.all("tbody")[0].all("tr"):
        title = row.all("th")[0].all("a")[0].text
        for (encoder, site), cell in zip(columns, row.all("td"), strict=True):
            record = records.get((title, encoder, site))
            if record is None:
                assert not cell.all("a")
                continue
            seen += 1
            assert record["verdict"].replace("-", " ") in cell.text
            assert (", disagrees with the post" in cell.text) == (record["agrees"] is False)
            assert (", agrees with the post" in cell.text) == (record["agrees"] is True)
    assert seen == len(records)


def test_what_was_not_run_is_told_with_its_reason(page: Element) -> None:
    (matrix,) = page.all("table", **{"class": "matrix"})
    assert matrix.text.count("not run") == 1
    assert "the run was stopped" in page.text


def test_a_control_may_be_on_trial_itself() -> None:
    report = sample()
    report["claims"][0]["encoder"] = "R1"
    page = read(render(report))
    (facts,) = page.all("dl", **{"class": "facts"})
    assert f"{', '.join(ENCODERS)}, R1" in facts.text
    roles = {row.all("th")[0].text: row.all("td")[1].text for row in page.all("footer")[0].all("tbody")[0].all("tr")}
    assert (roles[ENCODERS[0]], roles["R1"], roles["R3"]) == ("on trial", "on trial, control", "control")


def row_of(page: Element, claim: dict[str, Any]) -> Element:
    """Return the row of numbers of a record."""
    return page.by_id(f"result.{claim['id']}.{claim['encoder']}.{claim['site']}")


def test_a_row_carries_effect_interval_n_and_p(page: Element) -> None:
    claim = sample()["claims"][3]
    cells = [cell.text for cell in row_of(page, claim).all("td")]
    assert cells == ["supported", "≠ disagrees", "0.652", "[0.571, 0.733]", "24", "0.0005"]


def test_the_table_says_which_interval_and_which_thresholds(page: Element) -> None:
    section = page.by_id("claim.alias_collapse")
    table = section.all("table")[0]
    assert "90 % interval" in table.all("thead")[0].text
    assert "lies above 0.5, refuted if below 0.2" in table.all("caption")[0].text


def test_intervals_of_several_confidences_say_which_is_which() -> None:
    report = sample()
    report["claims"][0]["effect"]["confidence"] = 0.95
    text = row_of(read(render(report)), report["claims"][0]).text.replace("\xa0", " ")
    assert "[0.118, 0.206] (95 %)" in text


def test_a_null_effect_is_a_dash_and_never_a_number(page: Element) -> None:
    claim = sample()["claims"][2]
    assert claim["effect"] is None
    assert [cell.text for cell in row_of(page, claim).all("td")][2:] == ["–", "–", "–", "–"]


def test_all_encoders_and_controls_of_a_claim_share_one_picture(page: Element) -> None:
    section = page.by_id("claim.pitch_direction")
    (plot,) = section.all("svg", role="img")
    labels = [t.text for t in plot.all("text")]
    for encoder in ENCODERS:
        assert encoder in labels
    assert "Control that must be supported" in labels
    assert len(plot.all("circle")) == 5 + 2


def test_without_a_single_effect_there_is_no_picture_but_still_the_table() -> None:
    report = sample()
    for claim in report["claims"]:
        claim |= {"effect": None, "verdict": "not-applicable", "agrees": None, "controls": []}
    page = read(render(report))
    assert not page.all("svg", role="img")
    assert row_of(page, report["claims"][0]).all("td")[0].text == "not applicable"


def test_results_of_other_thresholds_get_a_picture_of_their_own() -> None:
    report = sample()
    report["claims"][0]["threshold"] = {"supported_above": 0.9, "refuted_below": 0.8}
    section = read(render(report)).by_id("claim.pitch_direction")
    assert len(section.all("svg", role="img")) == 2
    assert any("supported above 0.9" in t.text for t in section.all("text"))


def test_a_control_that_came_out_wrong_is_named(page: Element) -> None:
    section = page.by_id("claim.holistic_texture")
    assert "must be supported" in section.all("table")[0].text
    assert "≠ inconclusive 0.430" in [t.text for t in section.all("text")]
    assert "control R5 must be supported and came out inconclusive" in section.text


def test_controls_that_differ_between_encoders_say_whose_they_are() -> None:
    report = sample()
    for claim in report["claims"]:
        if claim["encoder"] == ENCODERS[1]:
            claim["controls"] = copy.deepcopy(claim["controls"])
            for control in claim["controls"]:
                control["effect"]["n"] = 12
    section = read(render(report)).by_id("claim.pitch_direction")
    for encoder in ENCODERS:
        assert f"for {encoder}" in section.all("table")[0].text


def test_a_known_disagreement_comes_with_its_reason_and_others_do_not_pretend(page: Element) -> None:
    (differences,) = page.all("section", **{"aria-labelledby": "differences"})
    claims = sample()["claims"]
    assert differences.text.count("Known:") == 1
    assert claims[3]["known_disagreement"] in differences.text
    assert differences.text.count("Not yet explained") == sum(c["agrees"] is False for c in claims) - 1


@pytest.mark.parametrize("name", ["quote", "proposition", "explanation", "method", "reason", "rerun"])
def test_what_a_claim_says_stands_in_its_section(page: Element, name: str) -> None:
    said = [c for c in sample()["claims"] if c.get(name)]
    assert said
    for claim in said:
        assert " ".join(claim[name].split()) in page.by_id(f"claim.{claim['id']}").text


def test_the_search_is_reported_apart_from_the_interval(page: Element) -> None:
    text = page.by_id("claim.pitch_direction").text
    assert "a search tried 200 examples; worst margin 0.210, at MIDI 60 +13 cents in a minor triad" in text


def test_parts_wait_behind_a_summary(page: Element) -> None:
    (details,) = [d for d in page.all("details") if "Other readings" in d.text]
    assert "open" not in details.attributes
    assert "the lenient reading" in details.text
    assert "reliability" in details.text


def test_provenance_is_complete(page: Element) -> None:
    (footer,) = page.all("footer")
    report = sample()
    for encoder in report["encoders"]:
        assert encoder["name"] in footer.text
        assert (encoder["weights_sha256"] or "–") in footer.text
    environment = {row.all("th")[0].text: row.all("td")[0].text for row in footer.all("table")[1].all("tr")}
    assert environment["soundfont_sha256"] == "5b" * 32
    assert environment["versions.torch"] == "2.13.0"


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_a_word_with_a_shape_of_its_own(verdict: str) -> None:
    report = sample()
    report["claims"] = report["claims"][:1]
    report["claims"][0]["verdict"] = verdict
    page = read(render(report))
    row = row_of(page, report["claims"][0])
    assert verdict.replace("-", " ") in row.text
    (use,) = row.all("use")
    assert len(page.by_id((use.attributes["href"] or "")[1:]).children) >= 2


def test_the_verdicts_are_those_of_the_schema() -> None:
    assert list(VERDICTS) == schema()["$defs"]["verdict"]["enum"]
    assert list(STANCES) == schema()["$defs"]["claim"]["properties"]["stance"]["enum"]


# --- sounds -----------------------------------------------------------------------------------------------------------


def test_a_sound_is_carried_once_and_comes_back_whole(page: Element) -> None:
    sounds = sample()["sounds"]
    players = page.all("audio")
    assert len(players) == len(sounds)
    sources = [p.attributes["src"] or "" for p in players]
    assert Counter(sources) == Counter("data:audio/flac;base64," + s["flac"] for s in sounds.values())
    for player, source in zip(players, sources, strict=True):
        assert player.attributes["preload"] == "none"
        assert "controls" in player.attributes
        wave, sample_rate = soundfile.read(io.BytesIO(base64.b64decode(source.split(",")[1])))
        assert (sample_rate, wave.size) == (SAMPLE_RATE, round(0.25 * SAMPLE_RATE))
        assert page.by_id(player.attributes["aria-labelledby"] or "").text in {s["label"] for s in sounds.values()}


def test_a_sound_of_an_earlier_claim_is_linked_and_a_missing_one_is_admitted(page: Element) -> None:
    assert not page.by_id("claim.holistic_texture").all("audio")
    assert "the player stands with an earlier claim" in page.by_id("claim.holistic_texture").text
    assert "a pair too long to carry not carried by this page" in page.by_id("claim.alias_collapse").text


# --- everybody can read it --------------------------------------------------------------------------------------------


def test_landmarks_headings_and_language(page: Element) -> None:
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    for landmark in ("header", "main", "footer"):
        assert len(page.all(landmark)) == 1
    levels = [int(e.tag[1]) for e in page.walk() if re.fullmatch("h[1-6]", e.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_table_has_a_caption_and_scoped_headers(page: Element) -> None:
    tables = page.all("table")
    assert len(tables) >= 6
    for table in tables:
        assert len(table.all("caption")) == 1
        assert all(th.attributes.get("scope") in {"col", "row", "colgroup", "rowgroup"} for th in table.all("th"))
        widths = {
            sum(int(cell.attributes.get("colspan") or 1) for cell in row.all("th") + row.all("td"))
            for row in table.all("tbody")[-1].all("tr")
        }
        assert len(widths) == 1


def test_wide_tables_scroll_for_the_keyboard_too(page: Element) -> None:
    regions = [e for e in page.all("div") if "scroll" in (e.attributes.get("class") or "").split()]
    assert sum(len(r.all("table")) for r in regions) == len(page.all("table"))
    for region in regions:
        assert region.attributes["role"] == "region"
        assert region.attributes["tabindex"] == "0"
        assert region.attributes.get("aria-label") or region.attributes.get("aria-labelledby")


def test_every_picture_is_named_or_hidden(page: Element) -> None:
    for svg in page.all("svg"):
        nested = not svg.attributes.get("class")
        assert nested or svg.attributes.get("aria-hidden") == "true" or svg.attributes.get("role") == "img"
    for svg in page.all("svg", role="img"):
        title, desc = (page.by_id(i).text for i in (svg.attributes["aria-labelledby"] or "").split())
        assert title
        assert desc


def palette(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6});", css))


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mixed(colour: str, ground: str, share: float) -> str:
    pairs = [(int(colour[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_colour_of_text_stands_out_from_its_ground(mode: str) -> None:
    css = files("testtone.reports").joinpath("page.css").read_text(encoding="utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    block = light if mode == "light" else dark.split("@media")[0]
    colours = palette(block)
    (tint,) = re.findall(r"--tint: (\d+)%", block)
    for name in ("ink", "quiet", "link", "supported", "refuted", "inconclusive", "other", "invalid"):
        grounds = [colours["paper"], colours["raised"]]
        if name in {"supported", "refuted", "invalid"}:
            grounds.append(mixed(colours[name], colours["paper"], int(tint) / 100))
        for ground in grounds:
            dim, bright = sorted((luminance(colours[name]), luminance(ground)))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (name, ground)


def test_every_class_of_a_picture_has_a_style(page: Element) -> None:
    (style,) = page.all("style")
    styled = set(re.findall(r"\.([a-z][a-z-]*)", style.text)) | {
        "trial",
        "v-none",
    }  # these two look like the text around
    for svg in page.all("svg", role="img"):
        used = {name for e in svg.walk() for name in (e.attributes.get("class") or "").split()}
        assert {"dot", "span", "threshold", "region", "control"} <= used <= styled


def test_the_page_knows_the_dark_paper_and_small_screens(page: Element) -> None:
    (style,) = page.all("style")
    assert "@media (prefers-color-scheme: dark)" in style.text
    assert "@media print" in style.text
    (viewport,) = page.all("meta", name="viewport")
    assert viewport.attributes["content"] == "width=device-width, initial-scale=1"


# --- whatever is in the report ----------------------------------------------------------------------------------------


def same(report: dict[str, Any]) -> str:
    return hashlib.sha256(render(report).encode()).hexdigest()


def test_the_same_report_gives_the_same_bytes_and_stays_as_it_was() -> None:
    report = sample()
    before = copy.deepcopy(report)
    assert same(report) == same(before)
    assert report == before
    assert same(json.loads(json.dumps(report))) == same(report)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_the_same_bytes(tmp_path: Path, hash_seed: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(sample()), encoding="utf-8")
    code = (
        "import sys, json, hashlib, importlib.util\n"
        "if importlib.util.find_spec('testtone') is None: import conftest\n"
        "from testtone.reports import render\n"
        "print(hashlib.sha256(render(json.load(open(sys.argv[1], encoding='utf-8'))).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == same(sample())


def replaced(value: Any, text: str) -> Any:
    """Return a report with every free text replaced; words that the contract fixes and hashes of sounds stay."""
    fixed = {"schema", "verdict", "stance", "expected", "flac", "sha256"}
    if isinstance(value, dict):
        return {k: v if k in fixed or k == "sounds" else replaced(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(v, text) for v in value]
    return text if isinstance(value, str) else value


def test_a_hostile_text_anywhere_stays_text() -> None:
    report = replaced(sample(), HOSTILE)
    for entry in report["sounds"].values():
        entry["label"] = HOSTILE
    report["environment"] = {HOSTILE: {HOSTILE: HOSTILE}}
    page = read(render(report))
    assert_stands_alone(page)
    assert not page.all("img")
    assert page.all("h1")[0].text == HOSTILE
    assert page.all("title")[0].text == HOSTILE
    assert "49" not in page.all("h1")[0].text
    known = {e.tag for e in read(sample_page()).walk()}
    assert {e.tag for e in page.walk()} <= known


def test_an_encoder_named_script_keeps_its_name() -> None:
    report = sample()
    report["encoders"][0]["name"] = "<script>"
    page = read(render(report))
    assert len(page.all("script")) == 1
    (matrix,) = page.all("table", **{"class": "matrix"})
    assert "<script>" in [th.text for th in matrix.all("th")]
    assert "<script>" in [t.text for t in page.all("text")]


def test_encoders_of_one_name_are_told_apart_by_their_specs() -> None:
    report = sample()
    for encoder in report["encoders"][:2]:
        encoder["name"] = "mine"
    (matrix,) = read(render(report)).all("table", **{"class": "matrix"})
    assert {*ENCODERS} <= {th.text for th in matrix.all("th")}


def test_what_would_turn_the_reading_direction_or_cannot_be_written_is_replaced() -> None:
    report = sample()
    report["title"] = "a\u202eb\ud800c\x00d"
    page = render(report)
    page.encode("utf-8")
    assert read(page).all("h1")[0].text == "a\ufffdb\ufffdc\ufffdd"


def stripped(value: Any, rule: dict[str, Any]) -> Any:
    """Return a report with everything left out that its schema does not require."""
    if "$ref" in rule:
        rule = {**schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")], **rule}
    if isinstance(value, dict) and "properties" in rule:
        kept = rule.get("required", [])
        return {k: stripped(v, rule["properties"].get(k, {})) for k, v in value.items() if k in kept}
    if isinstance(value, list):
        return [stripped(v, rule.get("items", {})) for v in value]
    return value


def test_a_report_of_required_fields_makes_a_page() -> None:
    report = stripped(sample(), schema())
    assert "title" not in report
    assert "quote" not in report["claims"][0]
    page = read(render(report))
    assert "3 of 10 decided claims agree with the post" in page.text
    assert "None" not in page.text
    assert_stands_alone(page)


def emptied(value: Any, rule: dict[str, Any]) -> Any:
    """Return a report in which everything is null that may be, and every list of the sample keeps its length."""
    if "$ref" in rule:
        rule = {**schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")], **rule}
    if "null" in rule.get("type", []) or None in rule.get("enum", []):
        return None
    if isinstance(value, dict):
        return {k: emptied(v, rule.get("properties", {}).get(k, {})) for k, v in value.items()}
    if isinstance(value, list):
        return [emptied(v, rule.get("items", {})) for v in value]
    return value


def test_a_report_of_nulls_makes_a_page() -> None:
    report = emptied(sample(), schema())
    assert report["claims"][0]["effect"] is None
    assert report["title"] is None
    page = read(render(report))
    assert "No claim of the post was decided in this run" in page.text
    assert "None" not in page.text


def test_an_effect_of_nulls_makes_a_page() -> None:
    report = sample()
    for claim in report["claims"]:
        claim["effect"] = dict.fromkeys(("value", "ci", "confidence", "unit", "n")) | {"name": "nothing"}
        claim["threshold"] = {"supported_above": None, "refuted_below": None}
    page = read(render(report))
    assert [cell.text for cell in row_of(page, report["claims"][0]).all("td")][2:5] == ["–", "–", "–"]


def test_a_report_without_claims_makes_a_page() -> None:
    report = sample() | {"claims": [], "encoders": [], "exit": None, "sounds": None}
    assert "This report holds no claims" in read(render(report)).text


def test_one_claim_run_twice_keeps_both_results() -> None:
    report = sample()
    report["claims"].append(copy.deepcopy(report["claims"][0]))
    page = read(render(report))
    ids = [e.attributes["id"] for e in page.walk() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    (matrix,) = page.all("table", **{"class": "matrix"})
    assert len(matrix.all("tbody")[0].all("td")[0].all("a")) == 2


@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300, 5e-324, 0.0, 10**400, float("inf"), float("nan")], ids=str)
def test_an_extreme_number_breaks_neither_table_nor_picture(value: float) -> None:
    report = sample()
    for claim in report["claims"][:2]:
        claim["effect"] |= {"value": value, "ci": [value, value]}
    report["claims"][7]["threshold"] = {"supported_above": value, "refuted_below": value}
    page = read(render(report))
    assert_stands_alone(page)
    for element in page.walk():
        for name in ("x", "x1", "x2", "cx", "y", "width", "height"):
            given = element.attributes.get(name)
            if given is not None:
                assert re.fullmatch(r"-?[\d.]+(e-?\d+)?%?", given), (element.tag, name, given)
    assert row_of(page, report["claims"][0]).all("td")[2].text


def test_a_broken_report_makes_no_page() -> None:
    report = sample()
    report["claims"][0]["verdict"] = "maybe"
    with pytest.raises(ValueError, match=r"report\.claims\[0\]\.verdict='maybe'"):
        render(report)
    with pytest.raises(TypeError, match=r"not the object that report\.json holds"):
        render([])  # type: ignore[arg-type]


def test_write_leaves_the_page_in_a_file(tmp_path: Path) -> None:
    path = write(sample(), tmp_path / "run.html")
    assert path == tmp_path / "run.html"
    assert path.read_bytes() == sample_page().encode("utf-8")
