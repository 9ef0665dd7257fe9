"""What a person types, and what pytest says before a claim runs."""

import json
import os
import re
import subprocess
import sys

import pytest
from plugin_toys import check, furnish

OPTIONS = (
    "--encoder", "--claims-report", "--claims-seed", "--claims-effort", "--claims-audio", "--claims-shard",
    "--claims-store", "--claims-search", "--claims-device", "--claims-timeout", "--claims-threads",
)  # fmt: skip


def error_of(run: pytest.RunResult) -> str:
    """Return the one line that a refused run says."""
    lines = [line for line in run.outlines + run.errlines if line.strip()]
    said = [line for line in lines if line.startswith("ERROR: ")]
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert len(said) == 1, lines
    assert not [line for line in lines if "Traceback" in line or "INTERNALERROR" in line]
    return said[0]


def test_help_shows_every_option(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--help", encoder=None)
    assert run.ret == 0
    group = run.stdout.str().split("testtone: claims about audio encoders", 1)[1].split("\n\n")[0]
    assert re.findall(r"^  (--[a-z-]+)", group, flags=re.MULTILINE) == list(OPTIONS)
    assert "claims(claim)" in check(pytester, "--markers", encoder=None).stdout.str()


def test_help_needs_no_encoder(pytester: pytest.Pytester) -> None:
    # A person who mistypes an encoder and asks for help is to get help.
    assert check(pytester, "--help", encoder="no_such").ret == 0


BAD_SPECS = {
    "unknown name": ("encodec-24hz", "did you mean encodec-24khz"),
    "missing file": ("not_here.py:build", "there is no file not_here.py"),
    "nothing in the file": ("toy_encoders.py", "add a colon and a callable, as in toy_encoders.py:build"),
    "missing attribute": ("toy_encoders.py:ful", "there is no 'ful' in it; did you mean full?"),
    "missing module": ("no.such.module:build", "there is no module no here"),
    "callable raises": ("toy_encoders.py:raises", "calling it raised FileNotFoundError: weights.th is not here"),
    "no sample rate": ("toy_encoders.py:Timeless", "sample_rate=0; it must be a positive number of Hz"),
    "cannot listen": ("toy_encoders.py:Silent", "gives a Silent without a method listen(waveforms)"),
    "no encoder at all": ("toy_encoders.py:answer", "names a float64; it must be an encoder"),
    "empty": ("", "is empty; name one of"),
}


@pytest.mark.parametrize(("spec", "says"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_a_bad_spec_is_one_line(pytester: pytest.Pytester, spec: str, says: str) -> None:
    error = error_of(check(pytester, f"--encoder={spec}", encoder=None))
    assert error.startswith("ERROR: --encoder: ")
    assert says in error


def test_a_file_that_does_not_compile_is_one_line(pytester: pytest.Pytester) -> None:
    (pytester.path / "mine.py").write_text("def build(:\n")
    error = error_of(check(pytester, "--encoder=mine.py:build", encoder=None))
    assert "importing it raised SyntaxError: invalid syntax (mine.py, line 1)" in error


def test_one_bad_spec_among_good_ones_is_named(pytester: pytest.Pytester) -> None:
    assert "'no-such'" in error_of(check(pytester, "--encoder=no-such"))


BAD_OPTIONS = {
    "seed below zero": (["--claims-seed=-1"], "--claims-seed=-1 must be 0 or more"),
    "a store of other things": (["--claims-store=."], " holds other files ("),
    "a store in a file": (["--claims-store=toy_encoders.py"], "toy_encoders.py is a file; name a folder"),
    "no thread": (["--claims-threads=0"], "--claims-threads=0 must be 1 or more"),
    "page without suffix": (["--claims-report=report"], "report must end in .html; its data goes to PATH.json beside"),
    "page as data": (["--claims-report=report.json"], "report.json must end in .html"),
    "missing folder": (["--claims-report=nowhere/report.html"], "there is no folder"),
    "no such device": (["--claims-device=tape"], "--claims-device=tape: toy_encoders.py:full has no method to(device)"),
}


@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_is_one_line(pytester: pytest.Pytester, options: list[str], says: str) -> None:
    error = error_of(check(pytester, *options))
    assert error.startswith(f"ERROR: {options[0].split('=')[0]}=")
    assert says in error


@pytest.mark.parametrize(("option", "choices"), [("--claims-effort=all", "quick"), ("--claims-seed=first", "int")])
def test_what_is_no_choice_is_refused(pytester: pytest.Pytester, option: str, choices: str) -> None:
    run = check(pytester, option)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert option.split("=")[0] in run.stderr.str()
    assert choices in run.stderr.str()


def test_a_device_that_torch_lacks_is_one_line(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    (pytester.path / "mine.py").write_text(
        "import torch\nimport toy_encoders\n\n"
        "class Mover(toy_encoders.Meter):\n"
        "    def to(self, device):\n"
        "        torch.zeros(1).to(device)\n"
    )
    error = error_of(check(pytester, "--encoder=mine.py:Mover", "--claims-device=tape", encoder=None))
    assert error.startswith("ERROR: --claims-device=tape: ")


def test_the_header_names_who_is_on_trial(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=power-filterbank", "--claims-seed=3", "--claims-effort=quick", "--collect-only")
    run.stdout.fnmatch_lines(["testtone: seed 3, effort quick, on trial: toy_encoders.py:full, power-filterbank"])


def test_before_the_first_claim_each_encoder_is_introduced(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--encoder=power-filterbank", "-k", "level_open and full")
    run.stdout.fnmatch_lines(["on trial: toy_encoders.py:full, 8000 Hz, stack_end 100/s, latent 100/s"])
    # Deselected: not on trial.
    run.stdout.no_fnmatch_line("on trial: power-filterbank*")


def test_a_run_without_claims_is_left_alone(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    (pytester.path / "test_toys.py").write_text("def test_something(): pass\n")
    run = pytester.runpytest_inprocess()
    run.assert_outcomes(passed=1)
    run.stdout.no_fnmatch_line("*testtone: seed*")
    run.stdout.no_fnmatch_line("*= claims =*")


COUNTS = """
import json, os, pathlib, pytest

@pytest.mark.claims
def test_numpy_is_loaded():
    import numpy
    told = {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}
    pathlib.Path("told.json").write_text(json.dumps(told))

def test_numpy_is_left_alone():
    assert "OPENBLAS_NUM_THREADS" not in os.environ
"""


@pytest.mark.parametrize(
    ("words", "wish", "threads"),
    [
        (["-m", "claims"], {}, "1"),
        (["-m", "claims", "--claims-threads", "2"], {}, "2"),
        (["-m", "claims"], {"OMP_NUM_THREADS": "3"}, None),
        (["-m", "not claims"], {}, None),
        (["-m", "claims", "-p", "numpy"], {}, None),
    ],
    ids=["nothing said", "option", "environment", "no claims", "too late"],
)
def test_numpy_computes_with_as_many_threads_as_torch(
    pytester: pytest.Pytester, words: list[str], wish: dict[str, str], threads: str | None
) -> None:
    """Only a fresh process can tell: the threads are taken when numpy is loaded."""
    (pytester.path / "test_counts.py").write_text(COUNTS)
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        env=kept | wish,
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = pytester.path / "told.json"
    found = json.loads(told.read_text()) if told.exists() else {}
    assert found.get("OPENBLAS_NUM_THREADS") == threads
    assert ("numpy was loaded before" in run.stdout) == ("numpy" in words)
