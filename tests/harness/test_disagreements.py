"""Known disagreements: what may stand in the file, and what it excuses."""

import importlib
import pkgutil
from pathlib import Path

import pytest
from plugin_toys import check, furnish, report

import testtone.tests.claims
from testtone.models.specs import available
from testtone.tests import disagreements
from testtone.tests.claim import Claim
from testtone.tests.disagreements import FILE, load

LINE = """
[[disagreement]]
claim = "level_denied"
encoder = "toy_encoders.py:full"
site = "latent"
verdict = "supported"
reason = "A meter follows the level; that is what it is for."
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of known disagreements that stands in for the shipped one."""
    file = tmp_path / "known_disagreements.toml"
    file.write_text(LINE, encoding="utf-8")
    monkeypatch.setattr(disagreements, "find", lambda claim, encoder, site: load(file).get((claim, encoder, site)))
    load.cache_clear()
    return file


def test_a_known_disagreement_is_expected_and_is_said(pytester: pytest.Pytester, known: Path) -> None:
    run = check(pytester, "-k", "denied", "-rx", "--claims-report=report.html")
    assert run.ret == 0
    run.assert_outcomes(xfailed=1)
    run.stdout.fnmatch_lines(["XFAIL *known disagreement: A meter follows the level*"])
    run.stdout.fnmatch_lines(["level_denied * supported  disagrees (known)"])
    (claim,) = report(pytester)["claims"]
    assert (claim["verdict"], claim["agrees"]) == ("supported", False)
    assert claim["known_disagreement"] == "A meter follows the level; that is what it is for."


def test_it_excuses_this_case_and_no_other(pytester: pytest.Pytester, known: Path) -> None:
    known.write_text(LINE.replace("level_denied", "level_holds"), encoding="utf-8")
    run = check(pytester, "-k", "denied")
    run.assert_outcomes(failed=1)


@pytest.mark.parametrize("verdict", ["refuted", "supported"])
def test_a_line_that_is_no_longer_true_fails_the_run(pytester: pytest.Pytester, known: Path, verdict: str) -> None:
    # 'none' does not follow the level: the post is right, and neither line is a disagreement.
    line = LINE.replace(":full", ":none").replace('"supported"', f'"{verdict}"')
    known.write_text(line, encoding="utf-8")
    run = check(pytester, "-k", "denied", encoder="none")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(
        [
            f"known_disagreements.toml holds level_denied on toy_encoders.py:none at latent as {verdict} against its "
            "source; *: take the line out.",
            "refuted: The code follows the level.",
        ]
    )


def test_a_line_that_was_not_run_is_left_alone(pytester: pytest.Pytester, known: Path) -> None:
    check(pytester, "-k", "open").assert_outcomes(passed=1)


@pytest.mark.parametrize("verdict", ["inconclusive", "insufficient", "invalid", "not-applicable", "Supported", ""])
def test_only_a_verdict_can_be_known(tmp_path: Path, verdict: str) -> None:
    file = tmp_path / "lines.toml"
    file.write_text(LINE.replace('"supported"', f'"{verdict}"'), encoding="utf-8")
    with pytest.raises(ValueError, match=f"verdict='{verdict}' of level_denied on .* only supported or refuted"):
        load(file)


BAD_LINES = {
    "no reason": (LINE.replace("A meter follows the level; that is what it is for.", " "), "reason is empty for"),
    "a word missing": (LINE.replace('site = "latent"', ""), "has claim, encoder, site, .* has claim, encoder, verd"),
    "a word too many": (LINE + 'effort = "quick"', "this one has claim, encoder, site, verdict, reason, effort"),
    "twice": (LINE + LINE.replace('"supported"', '"refuted"'), "level_denied on toy_.* at latent stands there twice"),
    "another table": (LINE.replace("disagreement]]", "disagrement]]"), r"holds disagrement; it may hold \[\[dis"),
}


@pytest.mark.parametrize(("text", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_says_too_little_or_too_much_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "lines.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load(file)


def shipped_claims() -> dict[str, Claim]:
    """Return the shipped claims by id."""
    modules = (
        importlib.import_module(f"testtone.tests.claims.{each.name}")
        for each in pkgutil.iter_modules(testtone.tests.claims.__path__)
    )
    found = {module.CLAIM.id: module.CLAIM for module in modules}
    assert found
    return found


def test_the_shipped_file_speaks_of_claims_encoders_and_sites_that_are() -> None:
    claims = shipped_claims()
    for line in load(FILE).values():
        assert line.site in claims[line.claim].sites
        assert line.encoder in available()
        # A line that agrees with its source is no disagreement.
        assert claims[line.claim].agrees(line.verdict) is False


def test_every_shipped_claim_can_be_read_and_is_named_after_its_test() -> None:
    for id, claim in shipped_claims().items():
        module = importlib.import_module(f"testtone.tests.claims.test_{id}")
        assert callable(getattr(module, f"test_{id}"))
        assert {control.encoder.partition(":")[0] for control in claim.controls} <= set(available())


def test_a_broken_file_excuses_nothing(pytester: pytest.Pytester, known: Path) -> None:
    furnish(pytester)
    known.write_text(LINE.replace('"supported"', '"inconclusive"'), encoding="utf-8")
    run = check(pytester, "-k", "denied")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*verdict='inconclusive' of level_denied*only supported*"])
