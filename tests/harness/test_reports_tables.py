"""Reports as Markdown: every verdict in its cell, disagreements and spoilt controls in bold, odd names harmless."""

import json
from pathlib import Path

import pytest
from reports_sample import sample

from testtone.reports import tables
from testtone.reports.__main__ import main


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_row_holds_the_verdicts_of_a_claim_on_an_encoder() -> None:
    head, _, first, *_ = tables.render([sample()]).splitlines()
    assert cells(head) == ["claim", "the post", "encoder", "E", "L", "Q"]
    assert cells(first) == [
        "`alias_collapse`",
        "holds",
        "`encodec-24khz-default`",
        "**0.04 [0.02, 0.06] refuted**",
        "**0.11 [0.08, 0.14] refuted**",
        "n/a",
    ]


def test_a_control_that_came_out_wrong_stands_out() -> None:
    told = "| `R5` 0.96 [0.93, 0.99]; **`R5` 0.43 [0.39, 0.47] inconclusive** | `R1` 0.00 [−0.01, 0.01] |"
    assert told in tables.render([sample()])


def test_several_reports_make_one_table() -> None:
    other = sample()
    for record in other["claims"]:
        record["encoder"] = "another"
    together = tables.render([sample(), other])
    assert together.count("| claim | the post |") == 1
    assert "`another`" in together
    assert "`encodec-24khz-default`" in together


def test_a_name_cannot_end_a_cell() -> None:
    report = sample()
    for record in report["claims"]:
        record["encoder"] = "a|b`c\nd"
    rows = tables.render([report]).splitlines()[2:]
    assert r"`a\|b'c d`" in rows[0]


def test_the_command_line_prints_tables_of_all_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        path.write_text(json.dumps(sample()), encoding="utf-8")
    assert main([*map(str, paths), "--tables"]) == 0
    assert capsys.readouterr().out == tables.render([sample(), sample()])
    assert sorted(tmp_path.iterdir()) == paths


def test_one_bad_report_among_good_ones_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(sample()), encoding="utf-8")
    bad.write_text("{}", encoding="utf-8")
    assert main([str(good), str(bad), "--tables"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{bad}: report lacks 'schema'" in said.err


def test_two_reports_make_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "2 reports make no page together" in capsys.readouterr().err
