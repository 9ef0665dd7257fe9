"""A checkout that is not installed answers to the name ``testtone`` as well."""

import importlib.util
import sys
import types
from pathlib import Path

if importlib.util.find_spec("testtone") is None:
    testtone = types.ModuleType("testtone")
    testtone.__path__ = [str(Path(__file__).parent)]
    sys.modules["testtone"] = testtone

pytest_plugins = ["testtone.tests.plugin", "pytester"]
