"""What cannot be tested is said, word for word and with a reason; and claims of several sources stand apart."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from reports_sample import sample
from test_ledger import WORDS, entered, record
from test_reports_page import Element, read

from testtone.reports import render, validate
from testtone.reports.schema import schema
from testtone.tests import scope
from testtone.tests.check import claims
from testtone.tests.scope import out_of_scope, work


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Post 0, section 0.2", "Post 0"),
        ("Post 0, introduction", "Post 0"),
        ("Post 0", "Post 0"),
        ("Doe et al., Tones, waves, and all, section 3", "Doe et al., Tones, waves, and all"),
        ("Section by section, a paper", "Section by section, a paper"),
    ],
)
def test_a_work_is_what_a_source_is_a_place_in(source: str, name: str) -> None:
    assert work(source) == name


def test_every_sentence_has_a_source_and_a_reason() -> None:
    found = out_of_scope({"Post 0"})
    assert len(found) > 10
    assert {tuple(each) for each in found} == {("quote", "source", "reason")}
    assert {work(each["source"]) for each in found} == {"Post 0"}
    assert len({each["quote"] for each in found}) == len(found)


def test_no_sentence_is_both_a_claim_and_out_of_scope() -> None:
    tested = {claim.quote for claim in claims().values()}
    assert not tested & {each["quote"] for each in out_of_scope({"Post 0"})}


def test_sentences_of_other_works_stay_out() -> None:
    assert out_of_scope({"Another paper"}) == []


def test_a_sentence_without_a_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Folder:
        def joinpath(self, name: str) -> Folder:
            """Return the file."""
            return self

        def read_text(self, encoding: str) -> str:
            """Return a sentence without a reason."""
            return '[[sentence]]\nquote = "So it is."\nsource = "Post 0"\nreason = " "\n'

    monkeypatch.setattr(scope, "files", lambda package: Folder())
    with pytest.raises(ValueError, match="must hold quote, source, reason, each some words"):
        scope._sentences.__wrapped__()


# --- in the report --------------------------------------------------------------------------------------------------


def test_a_report_carries_what_its_source_leaves_untested() -> None:
    report = entered(record(source="Post 0, section 0.2")).report(**WORDS)
    assert report["out_of_scope"] == out_of_scope({"Post 0"})
    assert entered(record(source="A paper")).report(**WORDS)["out_of_scope"] == []
    validate(report)
    jsonschema.validate(json.loads(json.dumps(report)), schema())


@pytest.mark.parametrize("missing", ["quote", "source", "reason"])
def test_the_schema_asks_for_all_three(missing: str) -> None:
    report = sample() | {"out_of_scope": [{"quote": "q", "source": "s", "reason": "r"}]}
    validate(report)
    del report["out_of_scope"][0][missing]
    with pytest.raises(ValueError, match=f"report.out_of_scope\\[0\\] lacks '{missing}'"):
        validate(report)


# --- on the page ----------------------------------------------------------------------------------------------------


def with_scope(report: dict[str, Any]) -> Element:
    return read(render(report | {"out_of_scope": out_of_scope({"Post 0"})}))


def test_the_page_ends_with_what_cannot_be_tested() -> None:
    page = with_scope(sample())
    (section,) = page.all("section", **{"aria-labelledby": "out-of-scope"})
    assert page.by_id("out-of-scope").tag == "h2"
    assert [each.text for each in section.all("blockquote")] == [each["quote"] for each in out_of_scope({"Post 0"})]
    assert [each.text for each in section.all("h3")] == [
        f"Post 0, {place}" for place in ("introduction", "section 0.1", "section 0.2", "section 0.3")
    ]
    for each in section.all("li"):
        (reason,) = each.all("p")
        assert reason.text
    sections = [each for each in page.all("section") if "claim" in (each.attributes.get("class") or "").split()]
    order = [each for each in page.walk() if each.tag == "section"]
    assert order.index(section) > max(order.index(each) for each in sections)


def test_a_page_without_such_sentences_has_no_such_section() -> None:
    for report in (sample(), sample() | {"out_of_scope": None}, sample() | {"out_of_scope": []}):
        assert "cannot be tested" not in render(report)


def test_a_quote_is_text_and_no_markup() -> None:
    page = render(
        sample() | {"out_of_scope": [{"quote": "<script>1</script>", "source": "<b>", "reason": "</section>"}]}
    )
    # The page has a script of its own; none of a quotation.
    assert "<script>1" not in page
    assert "&lt;script&gt;1" in page


# --- by source ------------------------------------------------------------------------------------------------------


def two_works() -> dict[str, Any]:
    report = sample()
    ids = list(dict.fromkeys(claim["id"] for claim in report["claims"]))
    for claim in report["claims"]:
        if claim["id"] == ids[1]:
            claim["source"] = "A paper, section 3"
    return report


def test_the_page_groups_claims_by_source_where_there_are_several() -> None:
    report = two_works()
    ids = list(dict.fromkeys(claim["id"] for claim in report["claims"]))
    page = read(render(report))
    (matrix,) = [each for each in page.all("table") if each.attributes.get("class") == "matrix"]
    groups = matrix.all("tbody")
    assert [each.all("th", scope="rowgroup")[0].text for each in groups] == ["Post 0", "A paper"]
    columns = len(matrix.all("th", scope="col")) - 1 + 1
    assert all(int(each.all("th", scope="rowgroup")[0].attributes["colspan"]) == columns for each in groups)
    titles = [each.attributes["id"] for each in page.all("section", **{"class": "claim"})]
    assert titles == [f"claim.{name}" for name in (ids[0], ids[2], ids[1])]
    heads = [each.text for each in page.all("p", **{"class": "work"})]
    assert heads == ["Claims of Post 0", "Claims of A paper"]
    assert "agree with their source" in page.text
    (works,) = page.all("ul", **{"class": "works"})
    agreeing = [c["agrees"] for c in report["claims"] if c["id"] == ids[1] and c["agrees"] is not None]
    assert works.all("li")[1].text == f"A paper: {sum(agreeing)} of {len(agreeing)} agree"


def test_one_source_needs_no_heading() -> None:
    page = read(render(sample()))
    assert not page.all("p", **{"class": "work"})
    assert not page.all("ul", **{"class": "works"})
    assert "agree with the post" in page.text


def test_the_table_groups_claims_by_source_where_there_are_several() -> None:
    ledger = entered(
        record("b", source="Post 0, section 0.2"),
        record("a", source="Post 0, section 0.3", agrees=False),
        record("c", source="A paper, section 3"),
    )
    lines = [text for text, _ in ledger.lines(100)]
    assert [line.split()[0] for line in lines[1:6]] == ["A", "c", "Post", "a", "b"]
    assert lines[0].endswith("with the source")
    assert lines[6:] == [
        "1 of 1 decided claims agree with A paper",
        "1 of 2 decided claims agree with Post 0",
        "2 of 3 decided claims agree with their source; 3 records, 1 encoders heard",
    ]


def test_the_table_of_one_source_is_as_it_was() -> None:
    lines = [text for text, _ in entered(record("b"), record("a")).lines(100)]
    assert [re.split(r"\s", line)[0] for line in lines] == ["claim", "a", "b", "2"]
    assert lines[-1].startswith("2 of 2 decided claims agree with the post;")
