"""A probe whose control failed has not judged. Every way round that is tried here, and none leads anywhere."""

import copy
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugin_toys import check, check_apart, furnish, report
from reports_sample import control, effect, sample

from testtone.reports import consistency, export, files, render
from testtone.reports.__main__ import main

HEAD = """
import contextlib
import pytest
from test_toys import Control, claim

# 'half' lies between the thresholds: as a control that must be refuted it comes out wrong.
UNFIT = claim(
    id="unfit",
    sites=("latent",),
    controls=(
        Control(encoder="toy_encoders.py:full", expected="supported"),
        Control(encoder="toy_encoders.py:half", expected="refuted"),
    ),
)
"""

SETTLED = """
@pytest.mark.claims(UNFIT)
def test_unfit(trial):
    trial.settle()
"""

WAYS: dict[str, str] = {
    "plainly": SETTLED,
    "xfail": "@pytest.mark.xfail" + SETTLED,
    "xfail, not strict": "@pytest.mark.xfail(strict=False, reason='we know')" + SETTLED,
    "xfail, strict": "@pytest.mark.xfail(strict=True)" + SETTLED,
    "xfail of what pytest raises": "@pytest.mark.xfail(raises=pytest.fail.Exception)" + SETTLED,
    "xfail by the module": "pytestmark = pytest.mark.xfail" + SETTLED,
    "xfail by hand": SETTLED.replace(
        "trial.settle()", "request.applymarker(pytest.mark.xfail); trial.settle()"
    ).replace("(trial)", "(trial, request)"),
    "skipped afterwards": SETTLED.replace(
        "trial.settle()",
        "\n    with contextlib.suppress(BaseException):\n        trial.settle()\n    pytest.skip('not today')",
    ),
    "xfailed afterwards": SETTLED.replace(
        "trial.settle()",
        "\n    with contextlib.suppress(BaseException):\n        trial.settle()\n    pytest.xfail('we know')",
    ),
    "swallowed": SETTLED.replace(
        "trial.settle()", "\n    with contextlib.suppress(BaseException):\n        trial.settle()"
    ),
    "expected to fail": SETTLED.replace(
        "trial.settle()", "\n    with pytest.raises(pytest.fail.Exception):\n        trial.settle()"
    ),
}

COMMANDS: dict[str, list[str]] = {
    "alone": [],
    "-k": ["-k", "unfit and latent"],
    "without a word": ["-q", "--tb=no", "--no-summary"],
    "runxfail": ["--runxfail"],
    "its controls deselected": [
        "--encoder=toy_encoders.py:half",
        "--deselect=test_unfit.py::test_unfit[toy_encoders.py:half-latent]",
    ],
    "a shard": ["--claims-shard=1/1"],
}


def unfit(pytester: pytest.Pytester, way: str = SETTLED) -> None:
    """Write the claim whose control fails."""
    furnish(pytester)
    pytester.makepyfile(test_unfit=HEAD + way)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_mark_and_no_handler_excuses_it(pytester: pytest.Pytester, way: str) -> None:
    unfit(pytester, way)
    run = check(pytester, "--claims-report=report.html", "--junitxml=junit.xml", "test_unfit.py")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["1 INVALID: a control came out wrong, and the probe may not judge"])
    (record,) = report(pytester)["claims"]
    assert (record["verdict"], record["agrees"], record["known_disagreement"]) == ("invalid", None, None)
    assert record["reason"].startswith("control toy_encoders.py:half should be refuted and is inconclusive")
    (case,) = ElementTree.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    assert case.find("failure") is not None
    assert case.find("properties/property[@name='verdict']").get("value") == "invalid"  # type: ignore[union-attr]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("way", ["plainly", "xfail"])
def test_no_option_excuses_it(pytester: pytest.Pytester, way: str, words: list[str]) -> None:
    unfit(pytester, WAYS[way])
    run = check(pytester, "--claims-report=report.html", "test_unfit.py", *words)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    (record,) = report(pytester)["claims"]
    assert record["verdict"] == "invalid"


def test_xdist_does_not_excuse_it(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    unfit(pytester, WAYS["xfail"])
    run = check_apart(pytester, "--claims-report=report.html", "-n", "1", "test_unfit.py")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.assert_outcomes(failed=1)
    assert [record["verdict"] for record in report(pytester)["claims"]] == ["invalid"]


def test_another_plugin_cannot_make_it_pass(pytester: pytest.Pytester) -> None:
    unfit(pytester)
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item):
            report = yield
            report.outcome = "passed"
            return report
        """
    )
    run = check(pytester, "--claims-report=report.html", "test_unfit.py")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert [record["verdict"] for record in report(pytester)["claims"]] == ["invalid"]


def test_a_second_try_does_not_make_it_fit(pytester: pytest.Pytester) -> None:
    # What a plugin that runs failures again would do.
    unfit(
        pytester,
        """
import json
@pytest.mark.claims(UNFIT)
def test_unfit(trial, request):
    with contextlib.suppress(BaseException):
        trial.settle()
    name, text = request.node.user_properties[0]
    payload = json.loads(text)
    payload["record"] |= {"verdict": "supported", "agrees": True}
    request.node.user_properties.append((name, json.dumps(payload)))
""",
    )
    run = check(pytester, "--claims-report=report.html", "test_unfit.py")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert [record["verdict"] for record in report(pytester)["claims"]] == ["invalid"]


def test_an_encoder_without_verdict_is_excused_as_little(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    pytester.makepyfile(test_marked=HEAD + WAYS["xfail"].replace("UNFIT", "claim()"))
    run = check(pytester, "test_marked.py", encoder="nan")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.assert_outcomes(failed=2)


def test_what_is_fit_may_still_be_expected_to_fail(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    pytester.makepyfile(test_marked=HEAD + WAYS["xfail"].replace("UNFIT", "claim()"))
    run = check(pytester, "test_marked.py", encoder="none")
    assert run.ret == 0
    run.assert_outcomes(xfailed=2)


# --- in reports -----------------------------------------------------------------------------------------------------


def invalid() -> dict[str, Any]:
    """Return the sample as a run would write it: one record is invalid."""
    found = sample()
    assert [record["verdict"] for record in found["claims"]].count("invalid") == 1
    # But for its control it would be refuted.
    the_invalid(found)["effect"] |= {"value": 0.1, "ci": [0.05, 0.15]}
    return found


def the_invalid(found: dict[str, Any]) -> dict[str, Any]:
    """Return the record that is invalid, or was."""
    return found["claims"][-1]


def judged(found: dict[str, Any]) -> None:
    """Let the record say what its number says."""
    the_invalid(found).update(verdict="refuted", agrees=False)


def judged_by_a_friendlier_control(found: dict[str, Any]) -> None:
    """And let the control say what it had to."""
    judged(found)
    the_invalid(found)["controls"][0]["verdict"] = "supported"


def judged_without_controls(found: dict[str, Any]) -> None:
    """And have no control at all."""
    judged(found)
    the_invalid(found)["controls"] = []


def judged_by_half_the_controls(found: dict[str, Any]) -> None:
    """And leave out the control that failed."""
    judged(found)
    del the_invalid(found)["controls"][0]


def judged_by_another_expectation(found: dict[str, Any]) -> None:
    """And say that the control had to be refuted, which it is not either."""
    judged(found)
    the_invalid(found)["controls"][0]["expected"] = "refuted"


def judged_by_a_wider_threshold(found: dict[str, Any]) -> None:
    """And move the threshold so that the control passes: now the other readings of the threshold do not fit."""
    judged(found)
    the_invalid(found)["threshold"] = {"supported_above": 0.3, "refuted_below": 0.1}


def supported_outright(found: dict[str, Any]) -> None:
    """Let the record agree."""
    the_invalid(found).update(verdict="supported", agrees=True)


def excused(found: dict[str, Any]) -> None:
    """Call it a known disagreement."""
    the_invalid(found)["known_disagreement"] = "We know."


def agreeing(found: dict[str, Any]) -> None:
    """Let it agree without a verdict."""
    the_invalid(found)["agrees"] = True


def inconclusive(found: dict[str, Any]) -> None:
    """Make less of it."""
    the_invalid(found)["verdict"] = "inconclusive"


EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "judged": (judged, "verdict='refuted', but control R5 had to be supported and is inconclusive: the probe may not"),
    "a friendlier control": (
        judged_by_a_friendlier_control,
        "control R5 is said to be 'supported', but the interval [0.39, 0.47] with supported_above=0.5",
    ),
    "no control": (judged_without_controls, "there is no control that had to be supported or refuted"),
    "half the controls": (judged_by_half_the_controls, "there is no control that had to be supported"),
    "another expectation": (judged_by_another_expectation, "control R5 had to be refuted and is inconclusive"),
    "a wider threshold": (judged_by_a_wider_threshold, "makes it 'supported'"),
    "supported outright": (supported_outright, "verdict='supported', but control R5 had to be supported"),
    "excused": (excused, "known_disagreement is given, but agrees=null"),
    "agreeing": (agreeing, "agrees=true, but verdict='invalid' where the source says 'holds' makes it null"),
    "inconclusive": (inconclusive, "verdict='inconclusive', but control R5 had to be supported"),
}

COMMANDS_ON_REPORTS: dict[str, list[str]] = {
    "page": ["edited.json", "-o", "made.html"],
    "tables": ["edited.json", "--tables"],
    "compare, first": ["compare", "edited.json", "honest.json", "-o", "made.html"],
    "compare, second": ["compare", "honest.json", "edited.json", "-o", "made.html"],
    "merge": ["merge", "honest.json", "edited.json", "-o", "made.json"],
    "export": ["export", "edited.json", "-o", "made"],
    "cut": ["cut", "edited.json", "-o", "made.json"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with the report as it was written."""
    monkeypatch.chdir(tmp_path)
    Path("honest.json").write_text(files.dump(invalid()), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS_ON_REPORTS.values(), ids=COMMANDS_ON_REPORTS)
@pytest.mark.parametrize(("edit", "message"), EDITS.values(), ids=EDITS)
def test_an_edited_report_is_refused_everywhere(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[dict[str, Any]], None],
    message: str,
    command: list[str],
) -> None:
    found = invalid()
    edit(found)
    Path("edited.json").write_text(files.dump(found), encoding="utf-8")
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("testtone.reports: edited.json: report.claims[")
    assert message in line
    assert line.endswith("Nothing is made of a report that was changed by hand")
    assert sorted(path.name for path in folder.iterdir()) == ["edited.json", "honest.json"]


def test_a_page_made_from_python_says_it_at_the_top() -> None:
    found = invalid()
    judged(found)
    text = render(found)
    assert text.index("This report contradicts itself. Do not trust its verdicts.") < text.index('id="verdicts"')
    assert "This report contradicts itself" not in render(invalid())


def test_the_page_of_an_honest_report_shows_it(folder: Path) -> None:
    assert main(["honest.json", "-o", "made.html"]) == 0
    assert "control R5 must be supported and came out inconclusive" in Path("made.html").read_text(encoding="utf-8")


def test_comparing_two_that_are_invalid_is_no_agreement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("again.json").write_text(files.dump(invalid()), encoding="utf-8")
    assert main(["compare", "honest.json", "again.json", "-o", "made.html"]) == 1
    out = capsys.readouterr().out
    assert "Invalid: a control came out wrong" in out
    assert "0 of 15 verdicts flipped (1 invalid)" in out
    assert "1 invalid." in Path("made.html").read_text(encoding="utf-8")


def test_merging_keeps_it_and_takes_no_better_copy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    better = invalid()
    record = the_invalid(better)
    record["controls"] = [
        control("R5", "supported", effect(0.96, 0.93, 0.99, name="H")),
        record["controls"][1],
    ]
    record.update(verdict="refuted", agrees=False, reason=None)
    assert not list(consistency.contradictions(better))
    Path("better.json").write_text(files.dump(better), encoding="utf-8")
    assert main(["merge", "honest.json", "better.json", "-o", "made.json"]) == 2
    assert "verdict is 'invalid' in honest.json and 'refuted' in better.json" in capsys.readouterr().err
    part = copy.deepcopy(invalid())
    part["claims"] = part["claims"][:3]
    part["exit"]["ran"] = 3
    Path("part.json").write_text(files.dump(part), encoding="utf-8")
    assert main(["merge", "part.json", "honest.json", "-o", "made.json"]) == 0
    merged = json.loads(Path("made.json").read_text(encoding="utf-8"))
    assert [record["verdict"] for record in merged["claims"]].count("invalid") == 1


def test_what_is_exported_says_it() -> None:
    assert "testtone: claims, 3 of 10 agree, 1 invalid" in export.badge(invalid())


def test_an_embed_says_it(folder: Path) -> None:
    assert main(["export", "honest.json", "-o", "made", "--only", "embed"]) == 0
    text = Path("made/embed/holistic_texture.html").read_text(encoding="utf-8")
    assert "control R5 must be supported and came out inconclusive" in text
