"""The report that a run leaves behind: whole, valid, the same again, and written whatever happened."""

import base64
import io
import json
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import soundfile
from plugin_toys import check, check_apart, furnish, report

from testtone.reports import render, validate
from testtone.reports.schema import schema
from testtone.stimuli import Stimulus
from testtone.tests import ledger

CONTRACT = {
    "": ["schema", "command", "seed", "environment", "encoders", "claims"],
    "encoders": ["spec", "name", "sample_rate", "sites", "weights_sha256", "parameters", "reference"],
    "claims": [
        "id",
        "title",
        "source",
        "encoder",
        "site",
        "stance",
        "verdict",
        "agrees",
        "known_disagreement",
        "effect",
        "threshold",
        "parts",
        "controls",
        "search",
        "stimuli",
        "seconds",
    ],
}


def told(pytester: pytest.Pytester, name: str = "report.json") -> dict[str, Any]:
    """Return a report without what may differ between two runs of the same: times and the command line."""
    found = report(pytester, name)
    for key in ("created", "seconds", "command"):
        assert found.pop(key) is not None
    for claim in found["claims"]:
        assert claim.pop("seconds") >= 0
    # The checkout, too, may change between two runs.
    for key in ("commit", "dirty"):
        found["environment"].pop(key)
    return found


def numbers(value: Any) -> Iterator[float]:
    """Yield every number in a report."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def test_the_report_keeps_the_contract(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--claims-report=report.html", "--claims-seed=3", "--claims-effort=quick")
    run.stdout.fnmatch_lines([f"report: {pytester.path / 'report.html'}  data: {pytester.path / 'report.json'}"])
    found = report(pytester)
    validate(found)
    jsonschema.Draft202012Validator(schema()).validate(found)
    assert found.keys() >= set(CONTRACT[""])
    assert all(encoder.keys() >= set(CONTRACT["encoders"]) for encoder in found["encoders"])
    assert all(claim.keys() >= set(CONTRACT["claims"]) for claim in found["claims"])
    assert found["schema"] == "testtone-report/1"
    assert (found["seed"], found["effort"]) == (3, "quick")
    assert "--claims-seed=3" in found["command"]
    assert found["environment"].keys() >= {"versions", "commit", "threads", "soundfont_sha256", "python"}
    assert all(math.isfinite(number) for number in numbers(found))


def undescribed(value: Any, rule: dict[str, Any], place: str) -> Iterator[str]:
    """Yield the fields of a report that the schema says nothing of; below what it leaves free, none."""
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    if isinstance(value, list):
        for item in value:
            yield from undescribed(item, rule.get("items", {}), f"{place}[]")
    elif isinstance(value, dict) and ("properties" in rule or "additionalProperties" in rule):
        for name, item in value.items():
            inner = rule.get("properties", {}).get(name, rule.get("additionalProperties"))
            if inner is None:
                yield f"{place}.{name}"
            else:
                yield from undescribed(item, inner, f"{place}.{name}")


def test_the_schema_describes_every_field_that_a_run_writes(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "--claims-shard=1/2", "-k", "holds or denied", encoder="nan")
    check(pytester, "--claims-report=whole.html", "--encoder=toy_encoders.py:latent_only", "-k", "holds or denied")
    for name in ("report.json", "whole.json"):
        assert sorted(set(undescribed(report(pytester, name), schema(), "report"))) == []
    assert list(undescribed({"new": 1}, schema(), "report")) == ["report.new"]


def test_the_report_says_what_was_measured(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "holds")
    found = report(pytester)
    assert [(claim["id"], claim["site"]) for claim in found["claims"]] == [
        ("level_holds", "stack_end"),
        ("level_holds", "latent"),
    ]
    claim = found["claims"][0]
    assert (claim["verdict"], claim["agrees"], claim["stance"]) == ("supported", True, "holds")
    # The gain of the encoder; its frames are no whole periods of the tones, hence the tolerance.
    assert claim["effect"]["value"] == pytest.approx(1.0, abs=0.01)
    assert claim["effect"]["ci"] == pytest.approx([0.9, 1.1], abs=0.02)
    assert claim["threshold"] == {"supported_above": 0.75, "refuted_below": 0.25}
    assert [(each["encoder"], each["expected"], each["verdict"]) for each in claim["controls"]] == [
        ("toy_encoders.py:full", "supported", "supported"),
        ("toy_encoders.py:none", "refuted", "refuted"),
    ]
    assert [part["verdict"] for part in claim["parts"]] == ["supported"]
    encoder = next(each for each in found["encoders"] if each["spec"] == "toy_encoders.py:full")
    assert (encoder["sample_rate"], encoder["sites"]) == (8000, ["stack_end", "latent"])
    assert encoder["frame_rates"] == {"stack_end": 100.0, "latent": 100.0}


def test_an_open_question_agrees_with_nobody(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open")
    (claim,) = report(pytester)["claims"]
    assert (claim["verdict"], claim["agrees"]) == ("supported", None)


def test_encoders_on_trial_come_before_their_controls(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open", encoder="half")
    assert [encoder["spec"] for encoder in report(pytester)["encoders"]] == [
        "toy_encoders.py:half",
        "toy_encoders.py:full",
        "toy_encoders.py:none",
    ]


def test_the_sounds_of_the_report_are_the_sounds_that_were_played(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open")
    found = report(pytester)
    (claim,) = found["claims"]
    assert [each["sha256"] for each in claim["stimuli"]]
    played = {each["sha256"] for each in claim["stimuli"]}
    # The sound that opens the page is there besides.
    opening = {each["sha256"] for each in found["illustrations"]["representations"]}
    assert found["sounds"].keys() == played | opening
    for sha256 in played:
        sound = found["sounds"][sha256]
        stimulus = Stimulus.from_truth(sound["truth"])
        assert stimulus.sha256 == sha256
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["flac"])))
        assert (rate, len(samples)) == (8000, 2400)
        # 16 bits: half a step of 2**-15 at most.
        np.testing.assert_allclose(samples, stimulus.render(8000), atol=2**-15)


def test_the_page_is_made_from_the_data_alone(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html")
    assert (pytester.path / "report.html").read_text(encoding="utf-8") == render(report(pytester))


def test_a_site_that_is_not_there_is_in_the_report(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "holds", encoder="latent_only")
    missing, there = report(pytester)["claims"]
    assert (missing["site"], missing["verdict"], missing["agrees"], missing["effect"]) == (
        "stack_end",
        "not-applicable",
        None,
        None,
    )
    assert missing["reason"] == "the encoder has no site 'stack_end'"
    assert there["verdict"] == "supported"


def test_the_same_again_gives_the_same_report(pytester: pytest.Pytester) -> None:
    for name in ("one", "two"):
        check(pytester, f"--claims-report={name}.html", "--claims-seed=11", encoder="half")
    assert told(pytester, "one.json") == told(pytester, "two.json")


def test_what_else_runs_changes_nothing(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=all.html")
    check(pytester, "--claims-report=one.html", "-k", "open")
    (alone,) = told(pytester, "one.json")["claims"]
    (beside,) = [claim for claim in told(pytester, "all.json")["claims"] if claim["id"] == "level_open"]
    # But for the adjustment over what else was asked, which is there for that.
    assert alone.pop("p_holm") < beside.pop("p_holm")
    assert alone == beside


def test_another_seed_draws_other_sounds(pytester: pytest.Pytester) -> None:
    heard = []
    for seed in (0, 1):
        check(pytester, "--claims-report=report.html", f"--claims-seed={seed}")
        heard.append({each["sha256"] for claim in report(pytester)["claims"] for each in claim["stimuli"]})
    # Three claims of three sounds each, and each claim draws its own.
    assert [len(each) for each in heard] == [9, 9]
    assert not heard[0] & heard[1]


def test_parallel_runs_give_the_report_of_a_serial_one(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    serial = check(pytester, "--claims-report=serial.html", encoder="none")
    words = ["--claims-report=parallel.html", "-n", "2", "--junitxml=parallel.xml"]
    parallel = check_apart(pytester, *words, encoder="none")
    assert serial.parseoutcomes() == parallel.parseoutcomes() == {"failed": 2, "passed": 2}
    assert told(pytester, "parallel.json") == told(pytester, "serial.json")
    parallel.stdout.fnmatch_lines(["1 of 3 decided claims agree with the post; *", "report: *parallel.html *"])
    assert verdicts_in(pytester.path / "parallel.xml") == ["refuted"] * 4


def test_a_worker_hears_all_of_a_claim(pytester: pytest.Pytester) -> None:
    """Its controls would otherwise be heard by each worker again."""
    pytest.importorskip("xdist")
    serial = check(pytester, "--claims-report=serial.html", "--encoder=power-filterbank", "-m", "claims")
    words = ["--claims-report=parallel.html", "--encoder=power-filterbank", "-m", "claims", "-n", "2", "-v"]
    parallel = check_apart(pytester, *words)
    assert serial.parseoutcomes() == parallel.parseoutcomes()
    assert told(pytester, "parallel.json") == told(pytester, "serial.json")
    workers: dict[str, set[str]] = {}
    for worker, claim in re.findall(r"^\[(gw\d)\].*::test_(\w+)\[", parallel.stdout.str(), re.MULTILINE):
        workers.setdefault(claim, set()).add(worker)
    assert workers.keys() == {"level_holds", "level_denied", "level_open"}
    assert all(len(those) == 1 for those in workers.values())
    assert len(set.union(*workers.values())) == 2


def verdicts_in(path: Path) -> list[str | None]:
    """Return the verdicts that a junit file holds, a test case each."""
    cases = ElementTree.parse(path).getroot().iter("testcase")
    return [case.find("properties/property[@name='verdict']").get("value") for case in cases]  # type: ignore[union-attr]


def test_junit_files_are_written_and_stay_small(pytester: pytest.Pytester) -> None:
    check(pytester, "--junitxml=junit.xml")
    path = pytester.path / "junit.xml"
    assert verdicts_in(path) == ["supported"] * 4
    # One failure with its message; records take 8 kB each.
    assert path.stat().st_size < 4000


# --- whatever happens -----------------------------------------------------------------------------------------------


def test_a_run_that_stops_at_the_first_failure_reports_what_ran(pytester: pytest.Pytester) -> None:
    run = check(pytester, "-x", "--claims-report=report.html", encoder="none")
    run.assert_outcomes(failed=1)
    found = report(pytester)
    validate(found)
    assert [(claim["id"], claim["site"]) for claim in found["claims"]] == [("level_holds", "stack_end")]
    assert found["exit"]["ran"] == 1
    assert {(case["id"], case["site"]) for case in found["exit"]["not_run"]} == {
        ("level_denied", "latent"),
        ("level_holds", "latent"),
        ("level_open", "latent"),
    }
    assert "level_open" in (pytester.path / "report.html").read_text(encoding="utf-8")


def test_a_run_cut_short_by_hand_reports_what_ran(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    pytester.makepyfile(test_stop="def test_stop():\n    raise KeyboardInterrupt")
    chosen = ["test_toys.py::test_level_open", "test_stop.py", "test_toys.py::test_level_holds"]
    run = check(pytester, "--claims-report=report.html", *chosen, no_reraise_ctrlc=True)
    assert run.ret == pytest.ExitCode.INTERRUPTED
    found = report(pytester)
    assert [claim["id"] for claim in found["claims"]] == ["level_open"]
    assert [case["id"] for case in found["exit"]["not_run"]] == ["level_holds", "level_holds"]


def test_a_run_in_which_no_claim_ran_leaves_an_old_report_alone(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html")
    before = report(pytester)
    check(pytester, "--claims-report=report.html", "-k", "no_such_claim")
    assert report(pytester) == before


def test_a_report_that_cannot_be_written_fails_the_run_and_hurts_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(pytester)
    old = {name: (pytester.path / name) for name in ("report.html", "report.json")}
    for path in old.values():
        path.write_text("what stood there before")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(ledger.os, "replace", full)
    run = check(pytester, "-k", "open", "--claims-report=report.html")
    monkeypatch.undo()
    run.assert_outcomes(passed=1)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(
        ["level_open * supported", "ERROR: --claims-report=* could not be written: *No space left*"]
    )
    assert "Traceback" not in run.stdout.str() + run.stderr.str()
    run.stdout.no_fnmatch_line("report: *")
    assert [path.read_text() for path in old.values()] == ["what stood there before"] * 2
    # What was finished is not lost with the page: `python -m testtone.tests recover` makes it of this file.
    assert sorted(path.name for path in pytester.path.glob("*report*")) == [*sorted(old), "report.unfinished-1.jsonl"]
    assert not list(pytester.path.glob(".report*"))


def test_a_report_takes_the_rights_that_other_files_get(pytester: pytest.Pytester) -> None:
    # Not those of a temporary file, which nobody else may read.
    check(pytester, "-k", "open", "--claims-report=report.html")
    other = pytester.path / "other"
    other.touch()
    assert (pytester.path / "report.html").stat().st_mode == other.stat().st_mode


def test_the_report_lands_where_pytest_was_called(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(pytester)
    inner = pytester.mkdir("inner")
    os.rename(pytester.path / "toy_encoders.py", inner / "toy_encoders.py")
    monkeypatch.chdir(inner)
    words = ["--encoder=toy_encoders.py:full", "-k", "open", "--claims-report=here.htm"]
    run = pytester.runpytest_inprocess(*words, str(pytester.path / "test_toys.py"))
    run.assert_outcomes(passed=1, deselected=3)
    assert json.loads((inner / "here.json").read_text(encoding="utf-8"))["claims"]
    assert (inner / "here.htm").exists()
