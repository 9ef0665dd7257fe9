"""Encoders that misbehave while they listen: nobody else pays for it, and the run comes to an end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from plugin_toys import check, report
from toy_encoders import Dice, Meter

from testtone.models.isolation import OverdueError, isolated, overdue_after
from testtone.models.listening import EncoderFault, Listener
from testtone.reports import validate

HOSTILE = """
import os, random, sys, time
import numpy as np
import torch
from toy_encoders import Meter


class Hostile(Meter):
    def listen(self, waveforms):
        answer = super().listen(waveforms)
        {}
        return answer
"""

MISDEEDS = {
    "seeds everything": "torch.manual_seed(0); np.random.seed(0); random.seed(0)",
    "takes all threads": "torch.set_num_threads(7)",
    "changes the default type": "torch.set_default_dtype(torch.float64)",
    "makes overflow an error": "np.seterr(all='raise')",
    "goes elsewhere": "os.chdir('/')",
    "prints": "print('listening ' * 1000); print('and more', file=sys.stderr)",
    "writes to its input": "waveforms.fill_(float('nan'))",
    "turns gradients on": "torch.set_grad_enabled(True)",
    "starts a process": "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)",
}


def record(run_report: dict) -> list:
    """Return what a report says of claims, but for what names the encoder and the time."""
    left_out = {"encoder", "rerun", "seconds"}
    return [{key: value for key, value in claim.items() if key not in left_out} for claim in run_report["claims"]]


@pytest.mark.parametrize("misdeed", MISDEEDS.values(), ids=MISDEEDS)
def test_what_it_does_to_the_process_changes_no_verdict(pytester: pytest.Pytester, misdeed: str) -> None:
    before = torch.get_num_threads(), torch.get_default_dtype(), np.geterr(), os.getcwd(), torch.is_grad_enabled()
    (pytester.path / "hostile.py").write_text(HOSTILE.format(misdeed))
    check(pytester, "--claims-report=report.html")
    honest = record(report(pytester))
    run = check(pytester, "--encoder=hostile.py:Hostile", "--claims-report=report.html", encoder=None)
    assert "INTERNALERROR" not in run.stdout.str()
    found = report(pytester)
    validate(found)
    assert record(found) == honest
    after = torch.get_num_threads(), torch.get_default_dtype(), np.geterr(), os.getcwd(), torch.is_grad_enabled()
    assert after == before


def test_one_that_hangs_is_given_up(pytester: pytest.Pytester) -> None:
    (pytester.path / "hostile.py").write_text(HOSTILE.format("time.sleep(60)"))
    began = time.monotonic()
    run = check(
        pytester,
        "--encoder=hostile.py:Hostile",
        "--encoder=toy_encoders.py:full",
        "--claims-timeout=0.3",
        "--claims-report=report.html",
        encoder=None,
    )
    assert time.monotonic() - began < 30
    run.stdout.fnmatch_lines(
        [
            "no verdict: hostile.py:Hostile: listen() took longer than 0.3 s for one batch of clips; if that is meant, "
            "allow more with --claims-timeout"
        ]
    )
    # The others have their verdicts.
    assert {claim["encoder"] for claim in report(pytester)["claims"]} == {"toy_encoders.py:full"}


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_a_limit_that_is_none_is_refused(pytester: pytest.Pytester, seconds: str) -> None:
    run = check(pytester, f"--claims-timeout={seconds}", "--claims-report=report.html")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([f"ERROR: --claims-timeout={seconds} must be above 0 (seconds)"])
    assert not (pytester.path / "report.html").exists()


def test_one_that_asks_for_all_memory_is_at_fault() -> None:
    class Greedy(Meter):
        def listen(self, waveforms: torch.Tensor) -> dict:
            return {"latent": torch.empty(1 << 60)}

    with pytest.raises(EncoderFault, match=r"^meter: listen\(\) raised RuntimeError: .*memory"):
        _ = Listener(Greedy()).sites


def test_one_that_answers_otherwise_each_time_is_seen_to() -> None:
    assert Listener(Dice()).unrepeatable > 1e-3
    assert Listener(Meter()).unrepeatable == 0.0


def test_the_header_says_that_its_numbers_will_not_repeat(pytester: pytest.Pytester) -> None:
    run = check(pytester, "-k", "open", encoder="dice")
    run.stdout.fnmatch_lines(["on trial: toy_encoders.py:dice, * it answers the same sound twice *% apart: its *"])
    assert "twice" not in check(pytester, "-k", "open").stdout.str()


# --- the limit itself -----------------------------------------------------------------------------------------------


def test_an_alarm_of_somebody_else_goes_on() -> None:
    rung = []
    previous = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    began = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with overdue_after(5.0):
            time.sleep(0.05)
        while not rung and time.monotonic() - began < 5:
            time.sleep(0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert rung
    assert 0.2 < rung[0] - began < 2.0


def test_elsewhere_than_in_the_main_thread_there_is_no_limit() -> None:
    ended = []

    def listen() -> None:
        with overdue_after(0.01):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert ended


def test_what_is_in_time_leaves_no_alarm_behind() -> None:
    with overdue_after(0.2):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with pytest.raises(OverdueError, match=r"took longer than 0\.05 s"), overdue_after(0.05):
        time.sleep(1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_folder_that_is_gone_is_no_trouble(tmp_path) -> None:
    @contextmanager
    def inside() -> Iterator[None]:
        place = os.getcwd()
        os.chdir(tmp_path)
        yield
        os.chdir(place)

    with inside(), isolated():
        os.chdir("/")
    script = "import os, tempfile; from testtone.models.isolation import isolated\n"
    script += "d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)\nwith isolated(): pass\n"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    house = tmp_path / "house"
    house.mkdir()
    (house / "testtone").symlink_to(root, target_is_directory=True)
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(house)}, check=True)
