"""A checkout that is not installed answers to the name ``testtone`` as well."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

if importlib.util.find_spec("testtone") is None:
    testtone = types.ModuleType("testtone")
    testtone.__path__ = [str(Path(__file__).parent)]
    sys.modules["testtone"] = testtone

pytest_plugins = ["testtone.tests.plugin", "pytester"]


def pytest_configure(config: Any) -> None:
    """Let ``--hypothesis-profile`` name the efforts of testtone's own properties: quick, standard, thorough."""
    # A conftest is asked before the plugin of hypothesis, which loads the profile.
    chosen = config.getoption("--hypothesis-profile", default=None)
    if chosen in ("quick", "standard", "thorough"):
        from testtone.stimuli.strategies import profiles

        profiles.register(prefix="")
