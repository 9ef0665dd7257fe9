"""Odd surroundings: no locale, no home, no room for temporary files, a kill in the middle, two runs in one folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from plugin_toys import PLUGIN, ROOT, check, furnish, report

from testtone.reports import validate

SLOW = """
import time
from toy_encoders import Meter


class Slow(Meter):
    def listen(self, waveforms):
        open("listening", "w").close()
        time.sleep(0.2)
        return super().listen(waveforms)
"""

SURROUNDINGS = {
    "no locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no home": {"HOME": "/nonexistent", "XDG_CACHE_HOME": None},
    "a home that may not be written": {"HOME": "/proc", "XDG_CACHE_HOME": None},
    "no TMPDIR": {"TMPDIR": "/nonexistent"},
    "a terminal of ten columns": {"COLUMNS": "10"},
    "no colours": {"NO_COLOR": "1", "TERM": "dumb"},
    "another zone": {"TZ": "Pacific/Kiritimati"},
}


BACKWARDS = """
import time
real, began = time.time, time.monotonic()
time.time = lambda: real() - 86_400 - 100 * (time.monotonic() - began)
"""
SMALL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
"""
GREEDY = """
import torch
from toy_encoders import Meter


class Greedy(Meter):
    def listen(self, waveforms):
        import resource
        with open("/proc/self/statm") as file:
            most = int(file.read().split()[0]) * resource.getpagesize() + 1_000_000_000
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        return {"latent": torch.ones(8_000_000_000)}
"""


@pytest.fixture
def house(pytester: pytest.Pytester) -> dict[str, str]:
    """The environment of a run in a process of its own, where this checkout answers to the name testtone."""
    furnish(pytester)
    (pytester.path / "slow.py").write_text(SLOW)
    house = pytester.path.with_name(f"{pytester.path.name}-house")
    house.mkdir()
    (house / "testtone").symlink_to(ROOT, target_is_directory=True)
    return {**os.environ, "PYTHONPATH": str(house)}


def started(folder: Path, env: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    """Start a run of the toy claims."""
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "--claims-report=report.html", *words]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def lasting(found: dict[str, Any]) -> list[Any]:
    """Return what a report says, but for times."""
    return [{key: value for key, value in each.items() if key not in ("seconds", "rerun")} for each in found["claims"]]


@pytest.mark.parametrize("changes", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_a_run_comes_out_the_same_wherever_it_is_run(
    pytester: pytest.Pytester, house: dict[str, str], changes: dict[str, str | None]
) -> None:
    env = {key: value for key, value in {**house, **changes}.items() if value is not None}
    run = started(pytester.path, env, "--encoder=toy_encoders.py:full")
    said = run.communicate(timeout=300)[0].decode(errors="replace")
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said
    found = report(pytester)
    validate(found)
    check(pytester, "--claims-report=here.html")
    assert lasting(found) == lasting(report(pytester, "here.json"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_run_leaves_what_was_there_and_the_next_one_completes(
    pytester: pytest.Pytester, house: dict[str, str]
) -> None:
    check(pytester, "--claims-report=report.html")
    before = {path.name: path.read_bytes() for path in pytester.path.glob("*report*")}
    run = started(pytester.path, house, "--encoder=slow.py:Slow")
    until = time.monotonic() + 200
    while not (pytester.path / "listening").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    run.kill()
    run.communicate()
    assert not list(pytester.path.glob("*.jsonl")), "nothing was finished, so there is nothing to keep"
    assert {path.name: path.read_bytes() for path in pytester.path.glob("*report*")} == before
    assert not list(pytester.path.glob(".report*"))
    check(pytester, "--claims-report=report.html")
    validate(report(pytester))


def test_two_runs_at_once_in_one_folder_leave_a_whole_report(pytester: pytest.Pytester, house: dict[str, str]) -> None:
    runs = [started(pytester.path, house, f"--encoder=toy_encoders.py:{name}") for name in ("full", "half")]
    for run in runs:
        said = run.communicate(timeout=300)[0].decode(errors="replace")
        assert "INTERNALERROR" not in said
    found = report(pytester)
    validate(found)
    (trial,) = {claim["encoder"] for claim in found["claims"]}
    assert trial in ("toy_encoders.py:full", "toy_encoders.py:half")
    page = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    assert not list(pytester.path.glob(".report*"))


def test_a_folder_that_may_not_be_written_costs_no_result(pytester: pytest.Pytester) -> None:
    if os.geteuid() == 0:
        target = "/proc/report.html"
    else:
        (pytester.path / "locked").mkdir(mode=0o500)
        target = "locked/report.html"
    run = check(pytester, "-k", "open", f"--claims-report={target}")
    run.assert_outcomes(passed=1)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["level_open * supported", f"ERROR: --claims-report=*{target} could not be written: *"])


def test_a_clock_that_runs_backwards_changes_no_number(pytester: pytest.Pytester, house: dict[str, str]) -> None:
    pytester.makeconftest(BACKWARDS)
    run = started(pytester.path, house, "--encoder=toy_encoders.py:full", "--claims-store=kept")
    said = run.communicate(timeout=300)[0].decode()
    assert run.returncode in (0, 1)
    assert "INTERNALERROR" not in said
    found = report(pytester)
    validate(found)
    assert found["seconds"] >= 0
    assert all(each["seconds"] >= 0 for each in found["claims"])
    (pytester.path / "conftest.py").unlink()
    check(pytester, "--claims-report=here.html", "--claims-store=kept")
    assert lasting(found) == lasting(report(pytester, "here.json"))


def test_a_disk_that_is_full_costs_no_finding(pytester: pytest.Pytester, house: dict[str, str]) -> None:
    pytest.importorskip("resource")
    pytester.makeconftest(SMALL)
    run = started(pytester.path, house, "--encoder=toy_encoders.py:full", "-k", "open", "-p", "no:cacheprovider")
    said = run.communicate(timeout=300)[0].decode()
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "ERROR: --claims-report=" in said
    assert "could not be written: [Errno 27] File too large" in said
    assert "level_open" in said.partition("= claims =")[2], "the table is shown all the same"
    assert not list(pytester.path.glob("report.html"))
    assert not list(pytester.path.glob(".report*"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="nothing says how much memory is in use")
def test_an_encoder_that_takes_all_memory_costs_nobody_else_a_verdict(
    pytester: pytest.Pytester, house: dict[str, str]
) -> None:
    pytest.importorskip("resource")
    (pytester.path / "greedy.py").write_text(GREEDY)
    run = started(pytester.path, house, "--encoder=toy_encoders.py:full", "--encoder=greedy.py:Greedy")
    said = run.communicate(timeout=300)[0].decode()
    assert "INTERNALERROR" not in said
    found = report(pytester)
    validate(found)
    assert {each["encoder"] for each in found["claims"]} == {"toy_encoders.py:full"}
    why = {each["why"] for each in found["exit"]["not_run"]}
    assert len(why) == 1
    assert "allocate" in why.pop()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_what_is_written_has_the_permissions_that_its_user_gives(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, umask: int, mode: int
) -> None:
    monkeypatch.setattr("pathlib.Path.unlink", lambda self, *, missing_ok=False: None)
    before = os.umask(umask)
    try:
        check(pytester, "--claims-report=report.html", "-k", "open")
    finally:
        os.umask(before)
    written = [pytester.path / name for name in ("report.html", "report.json", "report.unfinished-1.jsonl")]
    assert {path.name: path.stat().st_mode & 0o777 for path in written} == {path.name: mode for path in written}
