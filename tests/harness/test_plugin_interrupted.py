"""Runs that end before their time: what ran is in the report, what did not is named, and no file is half a file."""

import json
import os
import re
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
from testtone.tests import ledger
from testtone.tests.__main__ import main
from testtone.tests.journal import Journal

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


@pytest.mark.parametrize("words", [[], ["-n", "1"]], ids=["serial", "xdist"])
def test_the_end_of_a_schedulers_patience_leaves_a_report_of_what_ran(
    pytester: pytest.Pytester, words: list[str]
) -> None:
    if words:
        pytest.importorskip("xdist")
    run = begin(pytester, *words, "test_toys.py", "test_slow.py")
    os.kill(run.pid, signal.SIGTERM)
    assert run.wait(timeout=120) == pytest.ExitCode.INTERRUPTED
    found = whole(pytester)
    assert ran(found) == {"level_holds", "level_denied", "level_open"}
    assert set(not_run(found)) == {"slow", "later"}
    assert not list(pytester.path.glob("*.jsonl"))


JOURNAL = "report.unfinished-1.jsonl"


@pytest.fixture
def killed(pytester: pytest.Pytester) -> pytest.Pytester:
    """The folder of a run that was killed within its fourth claim of five."""
    run = begin(pytester, "test_toys.py", "test_slow.py")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=60)
    assert [path.name for path in pytester.path.glob("*report*")] == [JOURNAL]
    return pytester


def test_what_a_killed_run_had_finished_becomes_a_report(
    killed: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recover", str(killed.path / JOURNAL), "-o", str(killed.path / "kept.html")]) == 0
    assert "4 records were finished, 2 were not" in capsys.readouterr().out
    found = whole(killed, "kept.json")
    assert ran(found) == {"level_holds", "level_denied", "level_open"}
    assert set(not_run(found)) == {"slow", "later"}
    check(killed, "--claims-report=whole.html", "test_toys.py")
    once = {each["id"]: each["effect"] for each in report(killed, "whole.json")["claims"]}
    assert {each["id"]: each["effect"] for each in found["claims"]} == once


def test_the_next_run_says_what_was_left_and_takes_it_away_when_it_has_found_it_again(killed: pytest.Pytester) -> None:
    some = check(killed, "--claims-report=report.html", "-k", "open")
    some.stdout.fnmatch_lines([f"*a run before this one did not end; *recover *{JOURNAL} -o report-recovered.html"])
    assert (killed.path / JOURNAL).exists(), "what it holds of other claims would be lost"
    other = check(killed, "--claims-report=report.html", "--claims-seed=1", "test_toys.py")
    other.stdout.fnmatch_lines(["report: *"])
    assert (killed.path / JOURNAL).exists(), "it holds what another seed gave"
    check(killed, "--claims-report=report.html", "test_toys.py")
    assert not (killed.path / JOURNAL).exists()
    assert "did not end" not in check(killed, "--claims-report=report.html", "-k", "open").stdout.str()


def test_a_journal_that_is_being_written_is_nobody_elses(pytester: pytest.Pytester) -> None:
    run = begin(pytester, "test_toys.py", "test_slow.py")
    first = (pytester.path / JOURNAL).read_bytes()
    beside = check(pytester, "--claims-report=report.html", "test_toys.py")
    assert "did not end" not in beside.stdout.str()
    whole(pytester)
    assert (pytester.path / JOURNAL).read_bytes() == first
    assert not (pytester.path / "report.unfinished-2.jsonl").exists()
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=60)


SPOILT = {
    "half a line at the end": (lambda text: text + '{"payload": {"rec', None),
    "half of its only finding": (lambda text: "".join(text.splitlines(True)[:1]) + '{"pay', "holds nothing that was"),
    "empty": (lambda text: "", "is no journal of a run: its first line should say that it is 'testtone-journal/1'"),
    "another thing": (lambda text: "[]\n", "is no journal of a run: its first line should say"),
    "half a line within": (lambda text: text.replace('{"payload"', '{"pay\n{"payload"', 1), "line 2, is not JSON: "),
    "a record that is none": (lambda text: text + '{"payload": 3}\n', "is no journal as a run writes it (TypeError: "),
    "a verdict by hand": (
        lambda text: text.replace('"verdict": "refuted"', '"verdict": "supported"'),
        "contradicts itself: ",
    ),
    "not a number": (lambda text: text.replace('"seconds": ', '"seconds": NaN, "was": '), "NaN is no number of JSON"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT)
def test_a_damaged_journal_is_refused_in_a_line_and_nothing_is_written(
    journal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, said: str | None
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(spoil(journal), encoding="utf-8")
    code = main(["recover", str(path), "-o", str(tmp_path / "made.html")])
    complaint = capsys.readouterr().err
    if said is None:
        assert (code, complaint) == (0, "")
        return
    assert code == 2
    assert re.fullmatch(f"python -m testtone.tests recover: .*{re.escape(said)}.*\n", complaint)
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.fixture
def journal(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a journal holds when all three toy claims were found."""
    monkeypatch.setattr(Journal, "close", lambda self, *, reported: self._file.close())
    check(pytester, "--claims-report=report.html", "test_toys.py")
    return (pytester.path / JOURNAL).read_text(encoding="utf-8")


def test_a_report_that_could_not_be_written_leaves_what_was_found(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(ledger, "_write_whole", full)
        run = check(pytester, "--claims-report=report.html", "test_toys.py")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["ERROR: *could not be written: *No space left*", f"nothing is lost: *{JOURNAL} *"])
    assert main(["recover", str(pytester.path / JOURNAL), "-o", str(pytester.path / "kept.html")]) == 0
    assert len(ran(whole(pytester, "kept.json"))) == 3


def test_a_journal_that_cannot_be_kept_costs_no_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("testtone.tests.journal.os.fsync", full)
    run = check(pytester, "--claims-report=report.html", "-k", "open")
    assert run.ret == 0
    run.stdout.fnmatch_lines([f"testtone: what is finished could not be kept in *{JOURNAL} for *: No space left*"])
    whole(pytester)


def test_a_killed_run_leaves_the_old_report_as_it_was(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=report.html", "-k", "open")
    before = {path.name: path.read_bytes() for path in pytester.path.glob("report.*")}
    run = begin(pytester, "test_toys.py", "test_slow.py")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=60)
    (pytester.path / JOURNAL).unlink()
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
