"""encodec can be imported whatever the state of torchaudio, and torchaudio is afterwards what it was before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARD = ROOT / "models" / "_torchaudio.py"

BROKEN = {
    "torchaudio/__init__.py": "from . import _half, _extension",
    "torchaudio/_half.py": "",
    "torchaudio/_extension.py": "raise OSError('libc10_cuda.so: cannot open shared object file')",
}
FINE = {"torchaudio/__init__.py": "answer = 42"}
DEPRECATED = {"torchaudio/__init__.py": "import warnings; warnings.warn('old', FutureWarning)\nanswer = 42"}

# What encodec does on import, without the seconds that torch takes.
ENCODEC = {
    "encodec/__init__.py": "from . import utils",
    "encodec/utils.py": "import torchaudio\ndef convert(): return torchaudio.transforms.Resample",
}

START = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("guard", {str(GUARD)!r})
guard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guard)

def state():
    return {{name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchaudio"}}

def outcome():
    try:
        import torchaudio
    except Exception as error:
        return type(error).__name__
    return torchaudio.answer

"""


def run(folder: Path, files: dict[str, str], script: str) -> None:
    """Run a script in a process of its own that can import `files`, with warnings as errors."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("order", ["encodec first", "torchaudio first"])
@pytest.mark.parametrize(
    ("files", "before", "expected"),
    [
        pytest.param(BROKEN, "", "OSError", id="broken"),
        pytest.param(FINE, "", 42, id="fine"),
        pytest.param({}, "sys.modules['torchaudio'] = None", "ModuleNotFoundError", id="forbidden"),
    ],
)
def test_torchaudio_is_what_it_was(tmp_path: Path, files: dict, before: str, expected: object, order: str) -> None:
    first = f"assert outcome() == {expected!r}, outcome()" if order == "torchaudio first" else ""
    lines = [
        before,
        first,
        "earlier = state()",
        "encodec = guard.import_encodec()",
        "assert encodec.utils.convert",
        "assert guard.import_encodec() is encodec",
        # A fine torchaudio is loaded by encodec itself; otherwise nothing may be left.
        "assert state() == earlier or outcome() == 42, state()",
        f"assert outcome() == {expected!r}, outcome()",
    ]
    run(tmp_path, ENCODEC | files, START + "\n".join(lines))


def test_absent(tmp_path: Path) -> None:
    lines = [
        "class Absent:",
        "    def find_spec(self, name, path=None, target=None):",
        "        if name.split('.')[0] == 'torchaudio': raise ModuleNotFoundError(name)",
        "sys.meta_path.insert(0, Absent())",
        "guard.import_encodec()",
        "assert state() == {}",
        "assert outcome() == 'ModuleNotFoundError'",
    ]
    run(tmp_path, ENCODEC, START + "\n".join(lines))


def test_a_torchaudio_that_warns_is_fine(tmp_path: Path) -> None:
    run(tmp_path, ENCODEC | DEPRECATED, START + "guard.import_encodec()\nassert outcome() == 42")


def test_what_needs_torchaudio_says_why_it_cannot(tmp_path: Path) -> None:
    lines = [
        "try:",
        "    guard.import_encodec().utils.convert()",
        "except ImportError as error:",
        "    assert 'torchaudio.transforms is needed here' in str(error), error",
        "    assert 'OSError: libc10_cuda.so' in str(error), error",
        "else:",
        "    raise AssertionError",
    ]
    run(tmp_path, ENCODEC | BROKEN, START + "\n".join(lines))


def test_an_encodec_that_fails_leaves_nothing(tmp_path: Path) -> None:
    lines = [
        "try:",
        "    guard.import_encodec()",
        "except RuntimeError:",
        "    pass",
        "assert state() == {} and not [name for name in sys.modules if name.startswith('encodec')]",
    ]
    files = ENCODEC | BROKEN | {"encodec/utils.py": "import torchaudio\nraise RuntimeError"}
    run(tmp_path, files, START + "\n".join(lines))


def test_the_real_encodec_beside_a_broken_torchaudio(tmp_path: Path) -> None:
    lines = [
        "encodec = guard.import_encodec()",
        "assert encodec.EncodecModel and encodec.model.ROOT_URL.endswith('/encodec/v0/')",
        "assert state() == {}",
        "assert outcome() == 'OSError'",
    ]
    run(tmp_path, BROKEN, START + "\n".join(lines))
