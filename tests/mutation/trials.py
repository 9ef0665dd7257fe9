"""Putting faults into a copy, running the tests that may notice, and writing down which did.

Each trial is a fork of one process that has imported what is slow to import and nothing of testtone. The tests that run
the line come first, fastest first; then the other tests of their files, which may read what a shared fixture made.
"""

import atexit
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from testtone.tests.mutation import covered, faults
from testtone.tests.mutation.ideas import IDEAS

SLOW = ("numpy", "scipy.signal", "scipy.stats", "scipy.optimize", "scipy.fft", "torch", "hypothesis", "pretty_midi",
        "soundfile", "safetensors.torch", "jinja2", "_pytest.pytester")  # fmt: skip
COPIED = ("stimuli", "models", "probes", "reports", "tests", "scripts")
FIRST_SECONDS = 6.0
"""CPU time of the tests that are run first. The others that run the line get two thirds of the budget, the others of
their files one third."""

CONTROLS = "test_golden.py::test_controls"
"""The tests that hear every claim's controls."""


@dataclass(frozen=True)
class Trial:
    """A fault as text: what a module is when it is wrong."""

    name: str
    module: str
    lines: tuple[int, ...]
    kind: str
    source: str
    files: tuple[str, ...] = ()
    """Test files that may notice, where the module's lines are not traced."""


def drawn(root: Path, *, count: int, seed: int, without: str, only: str) -> list[Trial]:
    """Return trials of drawn faults."""
    rooms = (only,) if only else covered.ROOMS
    found = faults.draw(root, rooms, count=count, seed=seed, without=without)
    return [
        Trial(each.name, each.module, (each.line,), each.kind, each.apply((root / each.module).read_text("utf-8")))
        for each in found
    ]


def ideas(root: Path) -> list[Trial]:
    """Return trials of the faults written by hand in `IDEAS`.

    Raises:
        ValueError: if what one replaces does not stand in its module exactly once.
    """
    trials = []
    for idea in IDEAS:
        source = (root / idea["module"]).read_text(encoding="utf-8")
        if source.count(idea["before"]) != 1:
            raise ValueError(f"{idea['name']!r}: {source.count(idea['before'])} places in {idea['module']}, not one")
        line = source[: source.index(idea["before"])].count("\n") + 1
        lines = tuple(range(line, line + idea["before"].count("\n") + 1))
        wrong = source.replace(idea["before"], idea["after"])
        files = tuple(idea.get("tests", ()))
        trials.append(Trial(f"idea: {idea['name']}", idea["module"], lines, "idea", wrong, files))
    return trials


def candidates(trial: Trial, traced: covered.Map, root: Path, *, budget: float) -> list[list[str]]:
    """Return the tests to run, in up to four goes."""
    running: set[str] = set().union(*(traced.by_line.get((trial.module, line), set()) for line in trial.lines))
    running |= {each for each in traced.seconds if each.split("::")[0] in trial.files}
    if not running:
        running = _at_import(trial, traced, root)
    ordered = traced.ordered(running)
    first, spent = [], 0.0
    for test in ordered:
        spent += traced.seconds[test]
        if first and spent > FIRST_SECONDS:
            break
        first.append(test)
    then = _within(ordered[len(first) :], traced, budget * 2 / 3)
    others = _within([each for each in traced.of_file(ordered) if each not in running], traced, budget / 3)
    asked = {*first, *then, *others}
    # What the controls of every claim measure that runs the line is asked last, whatever it costs.
    controls = [each for each in ordered if CONTROLS in each and each not in asked]
    return [each for each in (first, then, others, controls) if each]


def _within(tests: Iterable[str], traced: covered.Map, seconds: float) -> list[str]:
    kept, spent = [], 0.0
    for test in tests:
        spent += traced.seconds[test]
        if kept and spent > seconds:
            break
        kept.append(test)
    return kept


def _at_import(trial: Trial, traced: covered.Map, root: Path) -> set[str]:
    """Tests of a line that runs at import: those that run a line that names what it defines, or any of its module."""
    text = (root / trial.module).read_text(encoding="utf-8").split("\n")
    defined: set[str] = set()
    for line in trial.lines:
        while line > 1 and text[line - 1][:1] in (" ", ")", "}", "]", ""):
            line -= 1
        defined |= set(re.findall(r"^(?:def |class )?([A-Za-z_]\w*)", text[line - 1]))
    found: set[str] = set()
    for module in sorted(traced.by_module):
        for number, each in enumerate((root / module).read_text(encoding="utf-8").split("\n"), start=1):
            if any(re.search(rf"\b{name}\b", each) for name in defined):
                found |= traced.by_line.get((module, number), set())
    return found or traced.by_module.get(trial.module, set())


class Noticed:
    """A pytest plugin: which test failed first, and how."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            said = getattr(getattr(report.longrepr, "reprcrash", None), "message", str(report.longrepr))
            self.path.write_text(json.dumps([report.nodeid, said[:300]]), encoding="utf-8")


class Bench:
    """A copy of the checkout, in which one module at a time is wrong."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root
        # Two processes may work side by side on one list.
        own = Path(tempfile.mkdtemp(prefix="bench-", dir=work))
        atexit.register(self._clear, own, os.getpid())
        self.copy, self.own = own / "copy", own
        for room in COPIED:
            shutil.copytree(root / room, self.copy / room, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("conftest.py", "pyproject.toml", "constraints.txt", "README.md", "CHANGELOG.md", "Makefile"):
            shutil.copy(root / file, self.copy / file)
        self.alias = own / "name"
        self.alias.mkdir()
        (self.alias / "testtone").symlink_to(self.copy)
        for name in SLOW:
            importlib.import_module(name)

    @staticmethod
    def _clear(own: Path, owner: int) -> None:
        if os.getpid() == owner:  # a fork ends without it
            shutil.rmtree(own, ignore_errors=True)

    def attempt(self, trial: Trial, traced: covered.Map, *, budget: float) -> dict[str, Any]:
        """Return what became of a fault: caught (by which test), timeout, survived or untested."""
        goes = candidates(trial, traced, self.root, budget=budget)
        record: dict[str, Any] = {"name": trial.name, "kind": trial.kind, "module": trial.module}
        if not goes:
            return record | {"outcome": "untested", "tests": 0, "seconds": 0.0}
        started, run = time.monotonic(), 0
        place = self.copy / trial.module
        right = (self.root / trial.module).read_text(encoding="utf-8")
        place.write_text(trial.source, encoding="utf-8")
        try:
            outcome, by = "survived", None
            for tests in goes:
                run += len(tests)
                outcome, by = self._fork(tests, limit=40.0 + 4.0 * sum(traced.seconds[each] for each in tests))
                if outcome != "survived":
                    break
        finally:
            place.write_text(right, encoding="utf-8")
            # All else stays compiled from trial to trial.
            for compiled in (place.parent / "__pycache__").glob(f"{place.stem}.*"):
                compiled.unlink()
        return record | {"outcome": outcome, "by": by, "tests": run, "seconds": round(time.monotonic() - started, 1)}

    def _fork(self, tests: list[str], *, limit: float) -> tuple[str, Any]:
        noticed = self.own / "noticed.json"
        noticed.unlink(missing_ok=True)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self._run(tests, noticed, limit)
        deadline = time.monotonic() + 20.0 * limit
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.05)
        by = json.loads(noticed.read_text(encoding="utf-8")) if noticed.exists() else None
        if os.WIFSIGNALED(status):
            return ("caught", by) if by else ("timeout", f"signal {os.WTERMSIG(status)}")
        return ("survived", None) if os.WEXITSTATUS(status) == 0 else ("caught", by or "at import")

    def _run(self, tests: list[str], noticed: Path, limit: float) -> None:
        """Run tests in this fork, and end it."""
        code = 70
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
            sink = os.open(self.own / "last.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            for name in [each for each in sys.modules if each.split(".")[0] == "testtone"]:
                del sys.modules[name]
            sys.path[:] = [str(self.alias), *(each for each in sys.path if not (Path(each) / "testtone").is_dir())]
            os.environ |= {"PYTHONPATH": str(self.alias), "CI": "1"}
            os.chdir(self.copy)
            code = int(pytest.main([*covered.PYTEST, "-x", *tests], plugins=[Noticed(noticed)]))
        finally:
            os._exit(code)


def run(root: Path, work: Path, trials: list[Trial], *, again: bool = False, budget: float = 300.0) -> None:
    """Try every fault that ``work/trials.jsonl`` does not hold yet, and append what became of it.

    ``budget`` bounds the CPU seconds of the tests of a fault that nothing notices. With ``again`` those that nothing
    noticed are tried once more: there may be other tests now.
    """
    left = [each for each in trials if _last(work).get(each.name, {}).get("outcome") not in _settled(again)]
    print(f"{len(trials)} faults, {len(trials) - len(left)} done", flush=True)
    if not left:
        return
    bench = Bench(root, work)
    present = covered.present(root, work)
    for trial in left:
        if _last(work).get(trial.name, {}).get("outcome") in _settled(again):
            continue  # another process was faster
        # Read anew: what is traced meanwhile counts.
        record = bench.attempt(trial, covered.Map(work, present), budget=budget)
        with (work / "trials.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(f"{record['outcome']:9} {record['seconds']:6.1f} s  {trial.name}", flush=True)


def _settled(again: bool) -> tuple[str, ...]:
    return ("caught", "timeout") if again else ("caught", "timeout", "survived", "untested")


def _last(work: Path) -> dict[str, dict[str, Any]]:
    """Fault -> what became of it when it was last tried."""
    log = work / "trials.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return {record["name"]: record for record in map(json.loads, lines)}


def report(work: Path) -> str:
    """Return the share of the faults that was noticed, with its Wilson interval (95 %), and those that were not."""
    records = list(_last(work).values())
    lines = []
    for title, own in (
        ("drawn", [each for each in records if each["kind"] != "idea"]),
        ("ideas", [each for each in records if each["kind"] == "idea"]),
    ):
        noticed = [each for each in own if each["outcome"] in ("caught", "timeout")]
        if own:
            low, high = _wilson(len(noticed), len(own))
            share = f"{len(noticed) / len(own):.1%} [{low:.1%}, {high:.1%}]"
            lines.append(f"{title}: {len(noticed)} of {len(own)} noticed, {share}")
        lines += [f"  {each['outcome']}: {each['name']} ({each['tests']} tests)" for each in own if each not in noticed]
    return "\n".join(lines)


def _wilson(noticed: int, count: int) -> tuple[float, float]:
    """The interval of a share, 95 % two-sided."""
    interval = stats.binomtest(noticed, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
