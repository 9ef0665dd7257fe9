"""An encoder that breaks its promise gets no verdict: its tests fail and say which promise."""

import pytest
from plugin_toys import check, report

from testtone.reports import validate

FAULTS = {
    "nan": "site 'latent' holds * values of * that are NaN or infinite",
    "flat": "site 'latent' has shape (*, *); it must be 'batch channels frames'",
    "whole": "site 'latent' holds int64; it must be real floating point (integers belong under 'codes')",
    "imaginary": "site 'latent' holds complex64; it must be real floating point",
    "mute": "listen() returned none of the sites first_conv, stack_end, latent, quantised (got: nothing)",
    "listing": "listen() returned list, not a mapping of sites to arrays",
    "breaks_down": "listen() raised RuntimeError: out of memory",
    "restless": "site 'latent' gave 22 frames for a sound and 30 for silence of the same length",
    "drifts": "site 'stack_end' still hears a change of sound after 2.00 s (limit 1 s): *",
    "stands_still": "site 'stack_end' gives 1 frames for 1 s and 1 for 5 s: no frame rate can be counted; if it takes "
    "clips of one length, set input_samples",
}


@pytest.mark.parametrize(("encoder", "says"), FAULTS.items(), ids=FAULTS)
def test_a_broken_promise_is_named_and_judged_by_nobody(pytester: pytest.Pytester, encoder: str, says: str) -> None:
    run = check(pytester, "--claims-report=report.html", encoder=encoder)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.assert_outcomes(failed=4)
    # fnmatch reads brackets as sets of letters; there are none in these messages.
    run.stdout.fnmatch_lines([f"no verdict: toy_encoders.py:{encoder}: {says}"])
    shown = run.stdout.str()
    assert "Traceback" not in shown
    assert "trial.py" not in shown
    assert "INTERNALERROR" not in shown
    run.stdout.fnmatch_lines(["level_open * - * no verdict"])

    written = report(pytester)
    validate(written)
    assert written["claims"] == []
    cases = written["exit"]["not_run"]
    assert [case["id"] for case in cases] == ["level_denied", "level_holds", "level_holds", "level_open"]
    assert {case["encoder"] for case in cases} == {f"toy_encoders.py:{encoder}"}
    (why,) = {case["why"] for case in cases}
    pytest.LineMatcher([why]).fnmatch_lines([f"toy_encoders.py:{encoder}: {says}"])


def test_the_page_of_a_broken_encoder_says_why_it_is_empty(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", encoder="breaks_down")
    assert "listen() raised RuntimeError: out of memory" in (pytester.path / "report.html").read_text(encoding="utf-8")


def test_one_broken_encoder_leaves_the_others_their_verdicts(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=toy_encoders.py:nan", "--claims-report=report.html", "-k", "open")
    run.assert_outcomes(passed=1, failed=1)
    written = report(pytester)
    assert [claim["encoder"] for claim in written["claims"]] == ["toy_encoders.py:full"]
    assert [case["encoder"] for case in written["exit"]["not_run"]] == ["toy_encoders.py:nan"]


def test_a_fault_at_one_site_is_a_fault_of_the_encoder(pytester: pytest.Pytester) -> None:
    # NaN at 'latent', and a claim about 'stack_end'.
    run = check(pytester, "-k", "stack_end", encoder="nan")
    run.assert_outcomes(failed=1)


ODD = """
import toy_encoders

class Odd(toy_encoders.Meter):
    {} = {}
"""

ODD_ATTRIBUTES = {
    "rates are a number": ("frame_rates", "100.0", "frame_rates=100.0 is not a mapping of sites to Hz"),
    "a rate is zero": ("frame_rates", "{'latent': 0}", "frame_rates['latent']=0 is not a positive number of Hz"),
    "a rate that is not so": (
        "frame_rates",
        "{'latent': 50.0}",
        "frame_rates['latent']=50 Hz, but four seconds more of sound give 400 frames more",
    ),
    "a margin is a number": ("margin_seconds", "0.1", "margin_seconds=0.1 is not a mapping of sites to seconds"),
    "a margin below zero": ("margin_seconds", "{'latent': -1}", "margin_seconds['latent']=-1 is not a number"),
    "a margin of three": (
        "margin_seconds",
        "{'latent': (0, 0, 0)}",
        "margin_seconds['latent']=(0, 0, 0) is not a number of seconds",
    ),
    "strides are words": ("strides", "('two', 'four')", "strides=('two', 'four') is not a sequence of whole numbers"),
    "strides are a number": ("strides", "80", "strides=80 is not a sequence of whole numbers"),
    "half a sample a second": ("sample_rate", "8000.5", "sample_rate=8000.5 is not a positive whole number of Hz"),
    "a device that is none": ("device", "'tape'", "listen() raised RuntimeError: "),
}


@pytest.mark.parametrize(("name", "value", "says"), ODD_ATTRIBUTES.values(), ids=ODD_ATTRIBUTES)
def test_an_odd_attribute_is_named(pytester: pytest.Pytester, name: str, value: str, says: str) -> None:
    (pytester.path / "odd.py").write_text(ODD.format(name, value))
    run = check(pytester, "--encoder=odd.py:Odd", "-k", "holds and latent", encoder=None)
    run.assert_outcomes(failed=1)
    assert f"no verdict: odd.py:Odd: {says}" in run.stdout.str()
    assert "Traceback" not in run.stdout.str()


BOASTS = {
    "parameters": "torch.tensor(3.5)",
    "weights_sha256": "b'ab'",
    "bandwidth_kbps": "float('nan')",
    "name": "('a', 'tuple')",
    "reference": "'yes'",
}


@pytest.mark.parametrize(("name", "value"), BOASTS.items(), ids=BOASTS)
def test_what_an_encoder_says_of_itself_spoils_no_report(pytester: pytest.Pytester, name: str, value: str) -> None:
    (pytester.path / "odd.py").write_text("import torch\n" + ODD.format(name, value))
    run = check(pytester, "--encoder=odd.py:Odd", "-k", "open", "--claims-report=report.html", encoder=None)
    run.assert_outcomes(passed=1)
    validate(report(pytester))


def test_a_probe_at_fault_is_our_fault(pytester: pytest.Pytester) -> None:
    # Nothing is wrong with the encoder: the traceback leads to the probe, and the other claims have their verdicts.
    check(pytester, "--collect-only")
    pytester.makepyfile(
        test_clumsy="""
        import pytest
        from test_toys import claim

        def clumsy(ear, rng, effort):
            yield []
            raise ZeroDivisionError("our own mistake")

        @pytest.mark.claims(claim(id="clumsy", probe=clumsy))
        def test_clumsy(trial):
            trial.settle()
    """
    )
    run = check(pytester, "--claims-report=report.html")
    run.assert_outcomes(passed=3, failed=3)
    run.stdout.fnmatch_lines(["*test_clumsy.py:*: ZeroDivisionError", "E * ZeroDivisionError: our own mistake"])
    not_run = report(pytester)["exit"]["not_run"]
    assert [case["id"] for case in not_run] == ["clumsy", "clumsy"]
