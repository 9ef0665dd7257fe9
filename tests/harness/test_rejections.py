"""Calls that are refused, in one table: each with the message that it is refused with, and nothing written or lost.

``rejected_calls.toml`` has them: from Python with the exception, from the command line with the exit status (the last
line of what is said counts, and there is no traceback), and options of pytest, which are refused before anything is
collected. In a message ``[...]`` stands for a list of names that grows with testtone, or for a path. A message
says what was given: the argument by its name, its value, the limit with its unit, and what to do where that does not
follow.
Files of reports that are refused, some eighty through six commands, stand in ``test_reports_bad_files.py``.
"""

import importlib
import random
import re
import shlex
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import public
import pytest
import rejected_names
import torch
from test_reports_bad_files import BAD

TABLE = tomllib.loads(Path(__file__).with_name("rejected_calls.toml").read_text(encoding="utf-8"))
NAMES = rejected_names.names()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a call is made."""
    rejected_names.furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_said(found: str, says: str) -> bool:
    """Whether a message is the one in the table."""
    return re.fullmatch(".+".join(map(re.escape, says.split("[...]"))), found) is not None


def state() -> tuple[Any, ...]:
    """Return what of a process a refused call might change."""
    return torch.get_num_threads(), torch.initial_seed(), random.getstate(), np.random.get_state()[1].tobytes()


@pytest.mark.parametrize("row", TABLE["calls"], ids=lambda row: row["call"])
def test_a_call_is_refused(row: dict[str, str], place: Path) -> None:
    tree, before = rejected_names.tree(place), state()
    with pytest.raises(Exception) as caught:  # noqa: PT011 (the table says which)
        eval(row["call"], dict(NAMES))
    assert type(caught.value).__name__ == row["raises"]
    assert "\n" not in str(caught.value)
    assert is_said(str(caught.value), row["says"]), str(caught.value)
    assert rejected_names.tree(place) == tree
    assert state() == before


@pytest.mark.parametrize("row", TABLE["commands"], ids=lambda row: row["line"])
def test_a_command_is_refused(row: dict[str, Any], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = rejected_names.tree(place)
    module, *words = shlex.split(row["line"])
    main = importlib.import_module(row.get("module", f"{module}.__main__")).main
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert code == row["exit"]
    assert "Traceback" not in said.err + said.out
    assert is_said((said.err.strip() or said.out.strip()).splitlines()[-1].strip(), row["says"]), said
    assert rejected_names.tree(place) == tree


@pytest.mark.parametrize("row", TABLE["options"], ids=lambda row: row["given"])
def test_an_option_is_refused_before_anything_is_collected(row: dict[str, str], pytester: pytest.Pytester) -> None:
    rejected_names.furnish(pytester.path)
    tree = rejected_names.tree(pytester.path)
    if rejected_names.PLUGIN not in pytester.plugins:
        pytester.plugins.append(rejected_names.PLUGIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(pytest.UsageError) as caught:
            pytester.parseconfigure("-p", "no:cacheprovider", *shlex.split(row["given"]))
    assert is_said(str(caught.value).splitlines()[-1].strip(), row["says"]), str(caught.value)
    assert rejected_names.tree(pytester.path) == tree


def test_the_table_is_long_enough() -> None:
    rows = [*TABLE["calls"], *TABLE["commands"], *TABLE["options"]]
    assert len(rows) >= 150
    assert len(rows) + len(BAD) >= 250
    told = [row.get("call") or row.get("line") or row["given"] for row in rows]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("row", TABLE["calls"], ids=lambda row: row["call"])
def test_a_message_says_which_argument_it_was(row: dict[str, str]) -> None:
    """By its name, or by its value: whoever reads it in a log knows where to look."""
    given = set(re.findall(r"[\w.-]+", row["call"])) | ARGUMENTS
    assert given & set(re.findall(r"[\w.-]+", row["says"].replace("=", " "))), row


PARAMETERS = re.findall(r"(\w+)(?:: |=)", public.LIST.read_text(encoding="utf-8"))
ARGUMENTS = set(PARAMETERS) | {"audio", "hz", "listen", "peak", "site", "stimulus"}
