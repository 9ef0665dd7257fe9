"""The table at the end: what each encoder needs, one line each."""

import contextlib
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROWS = pytest.StashKey[dict[str, dict[str, Any]]]()
RATIOS = pytest.StashKey[dict[str, tuple[float, float]]]()
TABLE = "bench-ratios.json"


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Callable[..., None]:
    """A function that puts a line into the table: name, and what was measured or why it was left out."""

    def put(name: str, **row: Any) -> None:
        request.config.stash.setdefault(ROWS, {})[name] = row

    return put


@pytest.fixture
def ratios(request: pytest.FixtureRequest) -> Callable[[str, float, float], None]:
    """A function that puts a ratio into the second table: name, and the medians of which it is the ratio."""

    def put(name: str, above: float, below: float) -> None:
        request.config.stash.setdefault(RATIOS, {})[name] = (above, below)

    return put


def _machine() -> dict[str, Any]:
    """What a reader must know of the machine before a number means anything."""
    import torch

    model = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _write_ratios(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(RATIOS, {})
    if not found:
        return
    machine = _machine()
    terminalreporter.section("ratios: medians of processor seconds, two ways in turn")
    terminalreporter.write_line(", ".join(f"{name} {value}" for name, value in machine.items()))
    width = max(map(len, found))
    for name, (above, below) in found.items():
        terminalreporter.write_line(f"{name:{width}}  {above:9.3f} / {below:7.3f} = {above / below:7.3f}")
    path = Path(config.invocation_params.dir, TABLE)
    rows = {name: {"above": above, "below": below, "ratio": above / below} for name, (above, below) in found.items()}
    path.write_text(json.dumps({"machine": machine, "ratios": rows}, indent=1) + "\n", encoding="utf-8")
    terminalreporter.write_line(f"written to {path}")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables, and write that of ratios."""
    _write_ratios(terminalreporter, config)
    rows = config.stash.get(ROWS, {})
    measured = {name: row for name, row in rows.items() if "left_out" not in row}
    if measured:
        some = next(iter(measured.values()))
        terminalreporter.section(f"encoders: {some['clips']} clips a batch, {some['threads']} threads")
        heads = ("encoder", "x real time", "peak memory, MB", "parameters", "weights, MB", "file, MB")
        lines = [heads, *(_cells(name, row) for name, row in measured.items())]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            cells = [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
            terminalreporter.write_line("  ".join(cells))
        terminalreporter.write_line(
            f"Peak memory: a fresh process that builds the encoder and listens once; {some['imports_mb']:.0f} MB of it "
            "are there before. Weights: as float32. File: what ships with testtone."
        )
    for name, row in rows.items():
        if "left_out" in row:
            terminalreporter.write_line(f"left out: {name}: {row['left_out']}")


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        f"{row['times_real_time']:.1f}",
        f"{row['peak_mb']:.0f}",
        _number(row["parameters"], ",d"),
        _number(row["weights_mb"], ".1f"),
        _number(row["file_mb"], ".1f"),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
