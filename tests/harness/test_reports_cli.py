"""The command line of reports: a page for a report, one clear line for anything else."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reports_sample import sample

from testtone.reports import render
from testtone.reports.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(sample()), encoding="utf-8")
    return path


def test_the_page_lands_where_it_was_asked_for(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = report.with_name("somewhere.html")
    assert main([str(report), "-o", str(output)]) == 0
    assert output.read_text(encoding="utf-8") == render(sample())
    assert capsys.readouterr().out.strip() == str(output)


def test_without_a_place_the_page_lands_beside_the_report(report: Path) -> None:
    assert main([str(report)]) == 0
    assert report.with_suffix(".html").exists()


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p.unlink(), "No such file"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "Is a directory"),
    "empty": (lambda p: p.write_text(""), "is not JSON: Expecting value"),
    "half a file": (lambda p: p.write_text(p.read_text()[:1000]), "is not JSON"),
    "not text": (lambda p: p.write_bytes(b"\xff\xfe\x00"), "is not UTF-8 text"),
    "a list": (lambda p: p.write_text("[]"), "not the object that report.json holds"),
    "another thing": (lambda p: p.write_text("{}"), "report lacks 'schema'"),
    "a later format": (
        lambda p: p.write_text(json.dumps(sample() | {"schema": "testtone-report/2"})),
        "report.schema='testtone-report/2' is not 'testtone-report/1'",
    ),
    "nested without end": (lambda p: p.write_text("[" * 100_000), "nested too deeply"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_one_clear_line(
    report: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], message: str
) -> None:
    spoil(report)
    assert main([str(report)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("testtone.reports: ")
    assert message in line
    assert "run.json" in line
    assert not report.with_suffix(".html").exists()


def test_a_page_that_cannot_be_written_is_one_clear_line(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(report), "-o", str(report.parent / "nowhere" / "run.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere" in line


def test_the_report_is_never_overwritten_by_its_page(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = report.read_bytes()
    assert main([str(report), "-o", str(report)]) == 2
    assert "is the report itself; name another file" in capsys.readouterr().err
    assert report.read_bytes() == before


def test_it_runs_as_a_module(report: Path) -> None:
    code = (
        "import importlib.util, runpy\n"
        "if importlib.util.find_spec('testtone') is None: import conftest\n"
        "runpy.run_module('testtone.reports', run_name='__main__', alter_sys=True)"
    )
    arguments = [sys.executable, "-c", code, str(report), "-o", str(report.with_name("page.html"))]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert report.with_name("page.html").exists()
