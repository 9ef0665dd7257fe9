"""What is written down of a run, in which order, and how it gets onto the disk."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from reports_sample import sample

from testtone.reports import render, validate
from testtone.tests import ledger as module
from testtone.tests.ledger import Ledger, introduction

WORDS = {"command": "pytest -m claims", "seed": 0, "effort": "standard"}


def record(id: str = "a_claim", encoder: str = "mine", site: str = "latent", **changes: Any) -> dict[str, Any]:
    """Return a record as a trial hands it in."""
    effect = {"name": "gain", "value": 1.0, "ci": [0.9, 1.1], "confidence": 0.9, "unit": "", "n": 12}
    fields = {
        "id": id,
        "title": id,
        "source": "A post",
        "encoder": encoder,
        "site": site,
        "stance": "holds",
        "verdict": "supported",
        "agrees": True,
        "known_disagreement": None,
        "effect": effect,
        "threshold": {"supported_above": 0.5, "refuted_below": 0.2},
        "parts": [],
        "controls": [],
        "search": None,
        "stimuli": [],
        "seconds": 0.1,
        "reason": None,
        "sounds": {},
    }
    return fields | changes


def encoder(spec: str = "mine", **changes: Any) -> dict[str, Any]:
    """Return what a bench says of an encoder."""
    fields = {
        "spec": spec,
        "name": spec,
        "sample_rate": 24000,
        "sites": ["latent"],
        "weights_sha256": None,
        "parameters": None,
        "reference": False,
        "frame_rates": {"latent": 75.0},
    }
    return fields | changes


def entered(*records: dict[str, Any], expected: tuple[tuple[str, str, str], ...] = ()) -> Ledger:
    """Return a ledger with these records in it."""
    ledger = Ledger()
    ledger.expected.update(dict.fromkeys(expected))
    for each in records:
        ledger.enter({"record": each, "encoders": [encoder(each["encoder"])], "environment": {"python": "3"}})
    return ledger


def test_whoever_came_in_first_the_report_is_the_same() -> None:
    records = [record(id, spec, site) for id in "ab" for spec in ("one", "two") for site in ("stack_end", "quantised")]
    expected = tuple((each["id"], each["encoder"], each["site"]) for each in records)
    forwards, backwards = (entered(*order, expected=expected).report(**WORDS) for order in (records, records[::-1]))
    for report in (forwards, backwards):
        validate(report)
        assert report["claims"] == [
            {k: v for k, v in each.items() if k != "sounds"} | {"p_holm": None} for each in records
        ]
        assert [each["spec"] for each in report["encoders"]] == ["one", "two"]


def test_p_values_are_adjusted_within_an_encoder() -> None:
    """Holm: the smallest of two counts twice; another encoder's claims are another family."""
    ledger = entered(record("a", p=0.01), record("b", p=0.04), record("c"), record("a", "other", p=0.03))
    adjusted = {(each["id"], each["encoder"]): each["p_holm"] for each in ledger.report(**WORDS)["claims"]}
    assert adjusted == {("a", "mine"): 0.02, ("b", "mine"): 0.04, ("c", "mine"): None, ("a", "other"): 0.03}


def test_sites_stand_from_the_waveform_inwards() -> None:
    sites = ["first_conv", "stack_end", "latent", "quantised"]
    report = entered(*(record(site=site) for site in sorted(sites))).report(**WORDS)
    assert [claim["site"] for claim in report["claims"]] == sites


def test_a_test_that_ran_twice_counts_with_its_last_run() -> None:
    report = entered(record(verdict="inconclusive", agrees=None), record()).report(**WORDS)
    assert [claim["verdict"] for claim in report["claims"]] == ["supported"]


def test_what_did_not_run_is_named() -> None:
    expected = (("a_claim", "mine", "latent"), ("b_claim", "mine", "latent"), ("c_claim", "mine", "latent"))
    broken = record("c_claim", verdict=None, agrees=None, effect=None, reason="mine: listen() raised")
    report = entered(record(), broken, expected=expected).report(**WORDS)
    validate(report)
    assert report["exit"] == {
        "ran": 1,
        "deselected": 0,
        "not_run": [
            {"id": "b_claim", "encoder": "mine", "site": "latent", "why": "did not run to its end"},
            {"id": "c_claim", "encoder": "mine", "site": "latent", "why": "mine: listen() raised"},
        ],
    }


# --- on the disk ----------------------------------------------------------------------------------------------------


def test_page_and_data_lie_beside_each_other(tmp_path: Path) -> None:
    ledger = entered(record())
    ledger.write(tmp_path / "report.html", **WORDS)
    assert sorted(os.listdir(tmp_path)) == ["report.html", "report.json"]
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    validate(data)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(data)
    assert ledger.page == tmp_path / "report.html"


@pytest.mark.parametrize("failing", ["replace", "chmod", "fdopen"])
def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    page.write_text("the old page")
    data.write_text("the old data")

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, failing, full)
    ledger = entered(record())
    with pytest.raises(OSError, match="No space left"):
        ledger.write(page, **WORDS)
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == ["report.html", "report.json"]
    assert (page.read_text(), data.read_text()) == ("the old page", "the old data")
    assert ledger.page is None


def test_what_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    ledger = entered(record(figures={"power": float("nan")}))
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.write(tmp_path / "report.html", **WORDS)
    assert not os.listdir(tmp_path)


# --- in the terminal ------------------------------------------------------------------------------------------------


def test_the_table_lines_up() -> None:
    ledger = entered(
        record("a", "a-rather-long-name", "latent"),
        record("a_longer_name", "b", "stack_end", agrees=False),
        record("c", "b", "latent", agrees=False, known_disagreement="measured, and why"),
        record("d", "b", "latent", verdict="inconclusive", agrees=None),
        record("e", "b", "latent", verdict="not-applicable", agrees=None, effect=None),
        record("f", "b", "latent", verdict=None, agrees=None, effect=None),
        record("g", "b", "latent", verdict="invalid", agrees=None),
    )
    (head, _), *rows, (last, _), (invalid, loud) = ledger.lines(80)
    assert (invalid, loud) == ("1 INVALID: a control came out wrong, and the probe may not judge", {"red": True})
    assert {line[head.index("verdict") :].split("  ")[0].strip() for line, _ in rows} == {
        "supported",
        "inconclusive",
        "not-applicable",
        "no verdict",
        "invalid",
    }
    assert [line[head.index("with the post") :] for line, _ in rows] == [
        "agrees",
        "disagrees",
        "disagrees (known)",
        "",
        "",
        "",
        "",
    ]
    assert [next(iter(markup), None) for _, markup in rows] == ["green", "red", "yellow", "yellow", None, "red", "red"]
    assert " 1.000 [ 0.900,  1.100]" in rows[0][0]
    assert last.startswith("1 of 3 decided claims agree with the post; 7 records")


def test_an_encoder_is_introduced_in_a_line() -> None:
    assert introduction(encoder(weights_sha256="0123456789abcdef" * 4)) == (
        "on trial: mine, 24000 Hz, latent 75/s, weights 0123456789ab"
    )
    assert introduction(encoder(sites=[], frame_rates={}, sample_rate=None)) == "on trial: mine, None Hz, no site"


def test_the_sample_of_the_reports_fits_the_table() -> None:
    # Two descriptions of one record, made apart.
    ledger = Ledger()
    for claim in sample()["claims"]:
        ledger.enter({"record": claim, "encoders": [], "environment": {}})
    # The heads, a line for each, what they add up to, and that one is invalid.
    assert len(ledger.lines(80)) == 3 + len(ledger.records)
