"""Which tests run which lines: read once, with coverage, a context per test.

A test that reads what a shared fixture made runs none of the lines that made it. So tests of a file in which any test
runs a line are candidates too, after those that do.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOMS = ("stimuli", "probes")
"""Folders into which faults are put."""

LEFT_OUT = (
    "test_house", "test_packaging", "test_readme", "test_mutation", "test_models", "test_training", "test_reports",
    "test_plugin",
)  # fmt: skip
"""Test files that read source text, need the network, train, or are about models, pages and options."""

# This command lies in a package that pytest would rewrite the asserts of; it has none.
PYTEST = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class Context:
    """A pytest plugin: one coverage context per test, and the seconds that each took."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.coverage.switch_context(item.nodeid)
        started = time.process_time()
        yield
        self.seconds[item.nodeid] = time.process_time() - started
        self.coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def test_files(root: Path) -> list[Path]:
    """Return the harness files that import what is put on trial."""
    files = sorted((root / "tests" / "harness").glob("test_*.py"))
    named = [path for path in files if not path.stem.startswith(LEFT_OUT)]
    # Golden numbers reach them through a helper.
    rooms = (*(f"testtone.{room}" for room in ROOMS), "harness import golden")
    return [path for path in named if any(room in path.read_text(encoding="utf-8") for room in rooms)]


def trace(root: Path, file: Path, out: Path) -> None:
    """Run one test file under coverage, in this process, and write what its tests ran to ``out``."""
    import coverage

    watcher = coverage.Coverage(
        data_file=None, config_file=False, include=[f"{root}/{room}/*" for room in ROOMS], messages=False
    )
    watcher.start()
    plugin = Context(watcher)
    code = pytest.main([*PYTEST, str(file.relative_to(root))], plugins=[plugin])
    watcher.stop()
    data = watcher.get_data()
    lines: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for path in data.measured_files():
        name = os.path.relpath(path, root)
        for line, contexts in data.contexts_by_lineno(path).items():
            for context in contexts:
                lines[name].setdefault(context, []).append(line)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"exit": int(code), "seconds": plugin.seconds, "failed": plugin.failed, "lines": lines}),
        encoding="utf-8",
    )


def trace_all(root: Path, work: Path, files: Iterable[Path]) -> None:
    """Trace each file in a process of its own; those already traced are left as they are."""
    folder = work / "map"
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        out = folder / f"{file.stem}.json"
        if out.exists():
            continue
        started = time.monotonic()
        command = [sys.executable, "-m", "testtone.tests.mutation", "trace", str(file), "--work", str(work)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        said = (done.stdout.strip().splitlines() or ["nothing"])[-1]
        print(f"{file.name}: {time.monotonic() - started:.0f} s, {said}", flush=True)
        if not out.exists():
            print(done.stderr[-2000:], flush=True)


def present(root: Path, work: Path) -> set[str]:
    """Return the names of the tests that stand in the traced files now.

    Raises:
        RuntimeError: if they cannot be collected.
    """
    named = {each.split("::")[0] for each in Map(work).seconds}
    files = sorted(each for each in named if (root / each).exists())
    command = [sys.executable, "-m", "pytest", *PYTEST, "--collect-only", *files]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the tests cannot be collected: {done.stdout[-500:]}{done.stderr[-500:]}")
    return {line for line in done.stdout.splitlines() if "::" in line}


class Map:
    """What was traced: tests by line, and their seconds."""

    def __init__(self, work: Path, present: set[str] | None = None) -> None:
        """``present``: the tests that there are now; others are not asked. pytest would fail on their names."""
        self.seconds: dict[str, float] = {}
        self.by_line: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.by_module: dict[str, set[str]] = defaultdict(set)
        failed: set[str] = set()
        for path in sorted((work / "map").glob("*.json")):
            traced = json.loads(path.read_text(encoding="utf-8"))
            self.seconds |= traced["seconds"]
            failed |= set(traced["failed"])
            for module, contexts in traced["lines"].items():
                for context, lines in contexts.items():
                    if not context:
                        continue
                    self.by_module[module].add(context)
                    for line in lines:
                        self.by_line[module, line].add(context)
        gone = set() if present is None else self.seconds.keys() - present
        for test in failed | gone:
            self.seconds.pop(test, None)

    def ordered(self, tests: Iterable[str]) -> list[str]:
        """Return the tests that passed when traced, fastest first."""
        return sorted((each for each in set(tests) if each in self.seconds), key=lambda each: self.seconds[each])

    def of_file(self, tests: Iterable[str]) -> list[str]:
        """Return every test of the files in which ``tests`` stand, fastest first."""
        files = {each.split("::")[0] for each in tests}
        return self.ordered(each for each in self.seconds if each.split("::")[0] in files)
