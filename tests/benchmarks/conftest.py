"""The table at the end: what each encoder needs, one line each."""

from collections.abc import Callable
from typing import Any

import pytest

ROWS = pytest.StashKey[dict[str, dict[str, Any]]]()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Callable[..., None]:
    """A function that puts a line into the table: name, and what was measured or why it was left out."""

    def put(name: str, **row: Any) -> None:
        request.config.stash.setdefault(ROWS, {})[name] = row

    return put


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
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
