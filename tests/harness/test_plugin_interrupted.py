"""Runs that end before their time: what ran is in the report, what did not is named, and no file is half a file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from plugin_toys import ROOT, check, check_apart, furnish, report

from testtone.reports import files, validate
from testtone.reports.consistency import contradictions

KILLED = """
import os, signal
import pytest
from test_toys import claim

@pytest.mark.claims(claim(id="deadly", sites=("latent",)))
def test_deadly(trial):
    os.kill(os.getpid(), signal.SIGKILL)
"""

SLOW = """
import pathlib, time
import pytest
from test_toys import claim

@pytest.mark.claims(claim(id="slow", sites=("latent",)))
def test_slow(trial):
    pathlib.Path("sleeping").touch()
    time.sleep(60)
    trial.settle()

@pytest.mark.claims(claim(id="later", sites=("latent",)))
def test_later(trial):
    trial.settle()
"""


def whole(pytester: pytest.Pytester, name: str = "report.json") -> dict[str, Any]:
    """Return a report, known to keep the contract; its page is there, and nothing of the writing is left."""
    found = report(pytester, name)
    validate(found)
    assert not list(contradictions(found))
    assert (pytester.path / name).with_suffix(".html").read_text(encoding="utf-8").endswith("</html>")
    assert not list(pytester.path.glob(".report*"))
    return found


def ran(found: dict[str, Any]) -> set[str]:
    """Return the claims that have a verdict."""
    return {record["id"] for record in found["claims"]}


def not_run(found: dict[str, Any]) -> dict[str, str]:
    """Return the claims that have none, and why."""
    return {each["id"]: each["why"] for each in found["exit"]["not_run"]}


def begin(pytester: pytest.Pytester, *words: str) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own, and wait until it sleeps within a claim."""
    furnish(pytester)
    pytester.makepyfile(test_slow=SLOW)
    house = pytester.path.with_name(f"{pytester.path.name}-house")
    house.mkdir()
    (house / "testtone").symlink_to(ROOT, target_is_directory=True)
    command = [sys.executable, "-m", "pytest", "-p", "testtone.tests.plugin", "-p", "no:cacheprovider"]
    run = subprocess.Popen(
        [*command, "--encoder=toy_encoders.py:full", "--claims-report=report.html", *words],
        cwd=pytester.path,
        env=os.environ | {"PYTHONPATH": str(house)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A shell starts what it puts in the background deaf to Control-C, and so are its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(1200):
        if (pytester.path / "sleeping").exists():
            return run
        assert run.poll() is None
        time.sleep(0.1)
    raise AssertionError("the run never came to the slow claim")


def test_a_killed_worker_loses_its_claim_and_no_other(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    furnish(pytester)
    pytester.makepyfile(test_deadly=KILLED)
    run = check_apart(pytester, "--claims-report=report.html", "-n", "2")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*worker 'gw?' crashed while running *test_deadly*"])
    found = whole(pytester)
    assert ran(found) == {"level_holds", "level_denied", "level_open"}
    assert not_run(found) == {"deadly": "did not run to its end"}


def test_if_no_worker_lives_what_ran_is_reported_all_the_same(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    furnish(pytester)
    pytester.makepyfile(test_deadly=KILLED, test_slow=SLOW)
    files = ["test_toys.py::test_level_open", "test_deadly.py", "test_slow.py"]
    words = ["-n", "1", "--max-worker-restart=0", *files]
    run = check_apart(pytester, "--claims-report=report.html", *words)
    assert run.ret != 0
    found = whole(pytester)
    assert ran(found) == {"level_open"}
    assert set(not_run(found)) == {"deadly", "slow", "later"}


@pytest.mark.parametrize("words", [[], ["-n", "1"]], ids=["serial", "xdist"])
def test_control_c_leaves_a_report_of_what_ran(pytester: pytest.Pytester, words: list[str]) -> None:
    if words:
        pytest.importorskip("xdist")
    run = begin(pytester, *words, "test_toys.py", "test_slow.py")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(timeout=120) == pytest.ExitCode.INTERRUPTED
    found = whole(pytester)
    assert ran(found) == {"level_holds", "level_denied", "level_open"}
    assert set(not_run(found)) == {"slow", "later"}


def test_a_killed_run_leaves_the_old_report_as_it_was(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open")
    before = {path.name: path.read_bytes() for path in pytester.path.glob("report.*")}
    run = begin(pytester, "test_toys.py", "test_slow.py")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=60)
    assert {path.name: path.read_bytes() for path in pytester.path.glob("report.*")} == before
    assert set(before) == {"report.html", "report.json"}


def test_the_first_failure_stops_parallel_runs_and_is_reported(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    run = check_apart(pytester, "--claims-report=report.html", "-n", "1", "-x", encoder="none")
    assert run.ret != 0
    found = whole(pytester)
    assert len(found["claims"]) + len(found["exit"]["not_run"]) == 4
    assert found["exit"]["ran"] == len(found["claims"]) >= 1
    assert found["exit"]["not_run"]


def test_what_was_deselected_is_counted(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open")
    found = whole(pytester)
    assert (found["exit"]["ran"], found["exit"]["deselected"], found["exit"]["not_run"]) == (1, 3, [])
    assert "3 by the command" in (pytester.path / "report.html").read_text(encoding="utf-8")


def test_deselected_claims_are_counted_once_by_parallel_runs(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    check_apart(pytester, "--claims-report=report.html", "-k", "open", "-n", "2")
    assert whole(pytester)["exit"]["deselected"] == 3


def test_a_plugin_that_breaks_down_costs_no_report(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    pytester.makeconftest(
        """
        def pytest_runtest_setup(item):
            if "holds" in item.name:
                raise SystemExit(3)
        """
    )
    check(pytester, "--claims-report=report.html", "test_toys.py::test_level_open", "test_toys.py")
    found = whole(pytester)
    assert "level_open" in ran(found)
    assert "level_holds" in not_run(found)


WRITER = """
import sys
from testtone.reports import files
for turn in range(10_000):
    files.write(sys.argv[1], files.dump({"turn": turn, "ballast": "x" * 2_000_000}))
    if turn == 0:
        print("written", flush=True)
"""


@pytest.mark.parametrize("moment", range(6))
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path, moment: int) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "testtone").symlink_to(ROOT, target_is_directory=True)
    path = tmp_path / "out" / "report.json"
    path.parent.mkdir()
    run = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], env=os.environ | {"PYTHONPATH": str(house)}, stdout=subprocess.PIPE
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"written\n"
    time.sleep(0.013 * moment)
    run.kill()
    run.wait()
    run.stdout.close()
    found = json.loads(path.read_text(encoding="utf-8"))
    assert len(found["ballast"]) == 2_000_000


def test_a_full_disk_leaves_the_old_file_and_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.write(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]
