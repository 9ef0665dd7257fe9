"""The same report wherever the work is done, and in whatever order."""

import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from testtone.tests.__main__ import main
from testtone.tests.sweep import Unit, sweep, work

CLAIMS = ("first_layer_isolates", "entangled_basis")
ENCODERS = ("power-filterbank", "polyphase")


def plain(value: Any) -> Any:
    """Return a report without times and the command line."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in ("seconds", "created", "command")}
    return [plain(each) for each in value] if isinstance(value, list) else value


def text(report: dict[str, Any]) -> str:
    return json.dumps(plain(report), sort_keys=True)


@pytest.fixture(scope="module")
def serial() -> str:
    return text(sweep(CLAIMS, ENCODERS, effort="quick"))


class Backwards(Executor):
    """Does its work when it is asked for, the last unit first."""

    def __init__(self) -> None:
        self._asked: list[tuple[Future, Any]] = []

    def submit(self, function: Any, *args: Any, **options: Any) -> Future:
        """Take in a call for later."""
        backwards = self

        class Late(Future):
            def result(self, timeout: float | None = None) -> Any:
                for future, call in reversed(backwards._asked):
                    if not future.done():
                        future.set_result(call())
                return super().result(timeout)

        future = Late()
        self._asked.append((future, lambda: function(*args, **options)))
        return future


def test_the_order_of_the_work_changes_nothing(serial: str) -> None:
    assert text(sweep(CLAIMS, ENCODERS, effort="quick", executor=Backwards())) == serial


def test_threads_give_the_same_report(serial: str) -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(3) as executor:
        assert text(sweep(CLAIMS, ENCODERS, effort="quick", executor=executor)) == serial
    assert torch.get_num_threads() == before


@pytest.fixture
def _named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let processes that start anew find this checkout under its name, installed or not."""
    house = tmp_path / "house"
    house.mkdir()
    (house / "testtone").symlink_to(Path(__file__).parents[2], target_is_directory=True)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(house), *filter(None, [os.environ.get("PYTHONPATH")])]))


@pytest.mark.usefixtures("_named")
def test_processes_give_the_same_report(serial: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        assert text(sweep(CLAIMS, ENCODERS, effort="quick", executor=executor)) == serial


def test_a_unit_can_be_pickled_and_comes_back_as_text() -> None:
    import pickle

    unit = Unit("first_layer_isolates", "polyphase", "quick", 0, "cpu", None, None, None)
    assert pickle.loads(pickle.dumps(unit)) == unit
    (payload,) = json.loads(work(unit))
    assert payload["record"]["encoder"] == "polyphase"


def test_a_store_shared_by_all_changes_nothing(serial: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert text(sweep(CLAIMS, ENCODERS, effort="quick", store=tmp_path / "store")) == serial


def test_the_page_is_written(serial: str, tmp_path: Path) -> None:
    report = sweep(CLAIMS, ENCODERS, effort="quick", page=tmp_path / "report.html")
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert text(written) == text(report) == serial


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"asked": ["pitch_directions"]}, "did you mean pitch_direction"),
        ({"encoders": []}, "encoders is empty; name one as --encoder would"),
        ({"effort": "great"}, "effort='great' must be one of quick, standard, thorough"),
    ],
)
def test_what_there_is_not_is_said_before_work_begins(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        sweep(**{"asked": CLAIMS, "encoders": ENCODERS, "effort": "quick"} | change)


def test_the_command_line_without_a_scheduler_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["sweep", "--encoder", "polyphase", "--scheduler", "tcp://here:1", "--report", str(tmp_path / "r.html")]
    assert main(words) == 2
    assert "--scheduler needs dask.distributed: pip install 'testtone[cluster]'" in capsys.readouterr().err


def test_the_command_line_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--encoder", "polyphase", "--claim", CLAIMS[0], "--effort", "quick", "--report", str(tmp_path / "r.html")]
    assert main(["sweep", *words]) == 0
    assert f"{CLAIMS[0]} on polyphase\n" in capsys.readouterr().out
    assert (tmp_path / "r.json").is_file()


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_named")
def test_a_cluster_that_loses_a_worker_gives_the_same_report(serial: str) -> None:
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        victim = next(iter(client.run(os.getpid).values()))

        def kill() -> None:
            # As soon as somebody works.
            while not any(client.processing().values()):
                time.sleep(0.05)
            time.sleep(1.0)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert text(sweep(CLAIMS, ENCODERS, effort="quick", executor=client.get_executor(pure=False))) == serial
        killer.join()
