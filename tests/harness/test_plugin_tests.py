"""One claim on one encoder at one site is one test: what it is called, who selects it, when it passes."""

import re
import shlex
import shutil
from collections.abc import Mapping

import pytest
from plugin_toys import ROOT, check, furnish

from testtone.tests.plugin import DEFAULT_ENCODERS


def collected(run: pytest.RunResult) -> list[str]:
    """Return the names of the tests that a run with --collect-only -q lists."""
    return [line.split("::")[1] for line in run.outlines if "::" in line]


def outcomes(run: pytest.RunResult) -> Mapping[str, str]:
    """Return test name -> what a run with -rA says of it."""
    found = re.findall(r"^(PASSED|FAILED|SKIPPED|XFAIL|ERROR)\S* (?:\[1\] )?\S+::(\S+)", run.stdout.str(), re.MULTILINE)
    return {name: outcome for outcome, name in found}


def test_ids_name_claim_encoder_and_site(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=power-filterbank", "--collect-only", "-q")
    assert collected(run) == [
        "test_level_holds[toy_encoders.py:full-stack_end]",
        "test_level_holds[toy_encoders.py:full-latent]",
        "test_level_holds[power-filterbank-stack_end]",
        "test_level_holds[power-filterbank-latent]",
        "test_level_denied[toy_encoders.py:full-latent]",
        "test_level_denied[power-filterbank-latent]",
        "test_level_open[toy_encoders.py:full-latent]",
        "test_level_open[power-filterbank-latent]",
    ]


def test_an_encoder_named_twice_is_tried_once(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=toy_encoders.py:full", "--collect-only", "-q", "-k", "open")
    assert collected(run) == ["test_level_open[toy_encoders.py:full-latent]"]


def test_without_a_name_the_bundled_encoders_are_on_trial(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--collect-only", "-q", "-k", "open", encoder=None)
    assert collected(run) == [f"test_level_open[{spec}-latent]" for spec in DEFAULT_ENCODERS]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-k", "level_open"], {"test_level_open[toy_encoders.py:full-latent]"}),
        (["-k", "level_holds and latent"], {"test_level_holds[toy_encoders.py:full-latent]"}),
        (["-m", "claims", "-k", "stack_end"], {"test_level_holds[toy_encoders.py:full-stack_end]"}),
        (["-m", "not claims"], {"test_arithmetic"}),
    ],
    ids=" ".join,
)
def test_tests_are_chosen_as_anywhere_in_pytest(pytester: pytest.Pytester, words: list[str], found: set[str]) -> None:
    furnish(pytester)
    pytester.makepyfile(test_other="def test_arithmetic(): assert 1 + 1 == 2")
    assert set(collected(check(pytester, "--collect-only", "-q", *words))) == found


def test_one_test_can_be_named(pytester: pytest.Pytester) -> None:
    run = check(pytester, "test_toys.py::test_level_holds[toy_encoders.py:full-latent]")
    run.assert_outcomes(passed=1)


def test_what_failed_last_runs_again(pytester: pytest.Pytester) -> None:
    check(pytester).assert_outcomes(passed=3, failed=1)
    check(pytester, "--lf").assert_outcomes(failed=1)


def test_the_rerun_command_reruns_the_failed_test_alone(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--claims-seed=5", "--claims-effort=quick")
    # Where CI is set, the summary at the end repeats the message.
    (rerun,) = set(re.findall(r"^  rerun: pytest (.*)$", run.stdout.str(), re.MULTILINE))
    words = shlex.split(rerun)
    assert words[words.index("--claims-seed") + 1] == "5"
    assert words[words.index("--claims-effort") + 1] == "quick"
    again = pytester.runpytest_inprocess(*words)
    again.assert_outcomes(failed=1, deselected=3)


def test_a_plain_run_leaves_the_claims_out(pytester: pytest.Pytester) -> None:
    # The checkout's own configuration: claims are asked for by name.
    shutil.copy(ROOT / "pyproject.toml", pytester.path)
    run = check(pytester, "test_toys.py")
    assert run.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    run.assert_outcomes(deselected=4)
    run = check(pytester, "--collect-only", "-q", "test_toys.py", "-m", "claims")
    assert len(collected(run)) == 4


def test_the_shipped_claims_are_found_by_the_name_of_their_package(pytester: pytest.Pytester) -> None:
    words = ["--pyargs", "testtone.tests.claims", "-m", "claims", "--encoder=power-filterbank", "--collect-only", "-q"]
    names = collected(check(pytester, *words, encoder=None))
    sites = "first_conv|stack_end|latent|quantised"
    assert len(names) >= 50
    # A claim about certain encoders is about them, whoever else is on trial.
    zoo = "test_compositionality_condition[zoo-latent]"
    assert zoo in names
    others = [name for name in names if name != zoo]
    assert not [name for name in others if not re.fullmatch(rf"test_\w+\[power-filterbank-({sites})\]", name)]


def test_a_test_on_trial_without_a_claim_is_refused(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    pytester.makepyfile(test_other="def test_nothing(trial): trial.settle()")
    run = check(pytester, "test_other.py")
    assert run.ret == pytest.ExitCode.INTERRUPTED
    run.stdout.fnmatch_lines(["*test_nothing uses trial and has no claim: mark it @pytest.mark.claims(CLAIM)"])


# --- verdicts as outcomes -------------------------------------------------------------------------------------------


def test_a_supported_proposition_agrees_with_who_says_it_holds(pytester: pytest.Pytester) -> None:
    run = check(pytester, "-rA")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(run) == {
        "test_level_holds[toy_encoders.py:full-stack_end]": "PASSED",
        "test_level_holds[toy_encoders.py:full-latent]": "PASSED",
        "test_level_denied[toy_encoders.py:full-latent]": "FAILED",
        "test_level_open[toy_encoders.py:full-latent]": "PASSED",
    }


def test_a_refuted_proposition_agrees_with_who_says_it_does_not(pytester: pytest.Pytester) -> None:
    assert outcomes(check(pytester, "-rA", encoder="none")) == {
        "test_level_holds[toy_encoders.py:none-stack_end]": "FAILED",
        "test_level_holds[toy_encoders.py:none-latent]": "FAILED",
        "test_level_denied[toy_encoders.py:none-latent]": "PASSED",
        "test_level_open[toy_encoders.py:none-latent]": "PASSED",
    }


def test_an_undecided_proposition_fails_even_where_nobody_said_anything(pytester: pytest.Pytester) -> None:
    run = check(pytester, "-rA", encoder="half")
    assert set(outcomes(run).values()) == {"FAILED"}
    assert len(outcomes(run)) == 4


def test_a_site_that_is_not_there_is_skipped(pytester: pytest.Pytester) -> None:
    run = check(pytester, "-rs", encoder="latent_only")
    run.assert_outcomes(passed=2, failed=1, skipped=1)
    run.stdout.fnmatch_lines(["SKIPPED*not applicable: the encoder has no site 'stack_end'"])


def test_a_failure_says_what_was_found_and_what_would_have_passed(pytester: pytest.Pytester) -> None:
    run = check(pytester, "-k", "denied")
    run.stdout.fnmatch_lines(
        [
            "*_ test_level_denied[[]toy_encoders.py:full-latent[]] _*",
            "supported: The code follows the level.",
            "  on toy_encoders.py:full at latent; A post, section 1 says that it does not hold",
            "  gain: 1.00* [[]0.9*, 1.1*[]], n = 3; supported above 0.75, refuted below 0.25",
            "  rerun: pytest -m claims --encoder toy_encoders.py:full --claims-seed 0 --claims-effort standard *",
        ]
    )
    # The fault lies with no line of code.
    run.stdout.no_fnmatch_line("*trial.py*")


def test_the_table_at_the_end_has_a_line_for_every_case(pytester: pytest.Pytester) -> None:
    run = check(pytester)
    run.stdout.fnmatch_lines(
        [
            "*= claims =*",
            "claim * encoder * site * effect [[]90 % interval[]] * verdict * with the post",
            "level_denied  toy_encoders.py:full  latent * supported  disagrees",
            "level_holds   toy_encoders.py:full  stack_end * supported  agrees",
            "level_holds   toy_encoders.py:full  latent * supported  agrees",
            "level_open    toy_encoders.py:full  latent * supported",
            "2 of 3 decided claims agree with the post; 4 records, *",
        ]
    )


REAL = """
from testtone.tests.claims.test_holistic_texture import CLAIM
import pytest

@pytest.mark.claims(CLAIM)
def test_holistic_texture(trial):
    trial.settle()
"""


def test_a_shipped_claim_tells_two_references_apart(pytester: pytest.Pytester) -> None:
    # By construction: the power of a mixture is the sum of powers; random features of the whole have no parts.
    furnish(pytester)
    pytester.makepyfile(test_real=REAL)
    specs = ["--encoder=power-filterbank", "--encoder=holistic-features"]
    run = check(pytester, *specs, "--claims-effort=quick", "-rA", "-k", "latent", "test_real.py", encoder=None)
    assert outcomes(run) == {
        "test_holistic_texture[power-filterbank-latent]": "FAILED",
        "test_holistic_texture[holistic-features-latent]": "PASSED",
    }
    run.stdout.fnmatch_lines(["refuted: The code is one texture of the whole mixture, not a sum of its parts."])


# --- twins ----------------------------------------------------------------------------------------------------------


def test_twins_come_beside_the_encoders_they_belong_to(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=twins", "--encoder=samplecnn", "--collect-only", "-q", "-k", "open", encoder=None)
    specs = ("samplecnn", "samplecnn-default", "samplecnn-gain")
    assert collected(run) == [f"test_level_open[{spec}-latent]" for spec in specs]


def test_twins_alone_are_those_of_the_encoders_on_trial_by_default(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=twins", "--collect-only", "-q", "-k", "open", encoder=None)
    twins = [f"{spec}-{init}" for spec in DEFAULT_ENCODERS for init in ("default", "gain")]
    assert collected(run) == [f"test_level_open[{spec}-latent]" for spec in (*DEFAULT_ENCODERS, *twins)]


def test_an_encoder_without_twins_is_named(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=twins", "--encoder=polyphase", "--collect-only", encoder=None)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: --encoder: polyphase has no twins; encoders that have: encodec-mini*"])
