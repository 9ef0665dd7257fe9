"""Runs of pytest within a test: toy claims on toy encoders, in a folder of their own."""

import json
import shutil
from pathlib import Path
from typing import Any

# Loaded out here: a run within this process forgets what it imported, and torch cannot be loaded twice.
import hypothesis  # noqa: F401
import pytest

import testtone.reports
import testtone.tests.ledger
import testtone.tests.trial  # noqa: F401
from testtone.stimuli import soundfont

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLUGIN = "testtone.tests.plugin"

soundfont()


def furnish(pytester: pytest.Pytester) -> None:
    """Put the toy claims and encoders into the folder of a run."""
    shutil.copy(HERE / "toy_claims.py", pytester.path / "test_toys.py")
    shutil.copy(HERE / "toy_encoders.py", pytester.path)
    if PLUGIN not in pytester.plugins:
        pytester.plugins.append(PLUGIN)


def check(pytester: pytest.Pytester, *args: str, encoder: str | None = "full", **options: bool) -> pytest.RunResult:
    """Run the toy claims within this process, on a toy encoder."""
    furnish(pytester)
    chosen = [f"--encoder=toy_encoders.py:{encoder}"] if encoder else []
    return pytester.runpytest_inprocess(*chosen, *args, **options)


def check_apart(pytester: pytest.Pytester, *args: str, encoder: str = "full") -> pytest.RunResult:
    """Run the toy claims in a process of its own, where this checkout answers to the name testtone."""
    furnish(pytester)
    # Beside the folder of the run, or the checkout would be collected with it.
    house = pytester.path.with_name(f"{pytester.path.name}-house")
    house.mkdir()
    (house / "testtone").symlink_to(ROOT, target_is_directory=True)
    pytester._monkeypatch.setenv("PYTHONPATH", str(house))
    return pytester.runpytest_subprocess(f"--encoder=toy_encoders.py:{encoder}", *args)


def report(pytester: pytest.Pytester, name: str = "report.json") -> dict[str, Any]:
    """Return the report that a run wrote."""
    return json.loads((pytester.path / name).read_text(encoding="utf-8"))
