"""The walls between the folders, read from the imports of every module.

``stimuli`` and ``models`` know nothing in-house, but for ``models/training``, which plays stimuli. ``probes`` know
stimuli, and of the models only the records they exchange. ``reports`` know nothing in-house and no numbers. ``tests``
know all, and nobody knows ``tests``. torch is for ``models``, and for ``probes`` where a gradient is needed.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("stimuli", "models", "probes", "tests", "reports")


@dataclass(frozen=True)
class Walls:
    """What the modules of one folder may import: prefixes within the house, and packages from outside."""

    inside: tuple[str, ...]
    outside: frozenset[str] | None = None
    """Names beside the standard library; None is any."""
    not_outside: frozenset[str] = frozenset()


# The longest matching path decides.
WALLS = {
    "stimuli": Walls(
        inside=("testtone.stimuli",), outside=frozenset({"numpy", "scipy", "fluidsynth", "pretty_midi", "soundfile"})
    ),
    "stimuli/strategies": Walls(inside=("testtone.stimuli",), outside=frozenset({"numpy", "scipy", "hypothesis"})),
    # It names hypothesis for whoever imported it.
    "stimuli/registration.py": Walls(inside=("testtone.stimuli",), outside=frozenset({"hypothesis"})),
    "models": Walls(inside=("testtone.models",), not_outside=frozenset({"pytest", "hypothesis", "jinja2"})),
    "models/training": Walls(inside=("testtone.models", "testtone.stimuli")),
    "probes": Walls(
        inside=("testtone.probes", "testtone.stimuli", "testtone.models.protocol", "testtone.models.listening"),
        outside=frozenset({"numpy", "scipy", "torch"}),
    ),
    "reports": Walls(inside=("testtone.reports",), outside=frozenset({"jinja2", "markupsafe", "soundfile"})),
    "tests": Walls(inside=("testtone",)),
    # pytest reads the plugin, and the packages that it lies in, in every session of an environment that holds testtone.
    "tests/__init__.py": Walls(inside=(), outside=frozenset()),
    # hypothesis calls it in every process that imports it.
    "tests/registration.py": Walls(inside=("testtone.stimuli.registration",), outside=frozenset()),
}


def modules() -> list[Path]:
    """Return every Python file of the five folders, relative to the checkout."""
    return sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def walls_of(path: Path) -> Walls:
    """Return the walls around a module, its path relative to the checkout."""
    for prefix in (path, *path.parents):
        if (walls := WALLS.get(prefix.as_posix())) is not None:
            return walls
    raise LookupError(path)


def imports(tree: ast.AST, path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what each import names, at any depth of the code: an absolute name, or the two readings of a `from`.

    ``from a import b`` may mean the module ``a.b`` or a name in ``a``.
    """
    # `a/b/c.py` and `a/b/__init__.py` both lie in the package `testtone.a.b`.
    package = ["testtone", *path.parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ((module, f"{module}.{alias.name}") for alias in node.names)


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    """Say whether a dotted name is one of the prefixes or lies beneath one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def trespasses(path: Path, source: str) -> list[str]:
    """Return the names that a module, its path relative to the checkout, imports through a wall."""
    walls = walls_of(path)
    found = []
    for names in imports(ast.parse(source), path):
        top = names[0].split(".")[0]
        if top == "testtone":
            broken = not any(within(name, walls.inside) for name in names)
        elif top in ROOMS:
            # Works by accident in a checkout, never once installed.
            broken = True
        elif top in sys.stdlib_module_names:
            broken = False
        else:
            broken = top in walls.not_outside or (walls.outside is not None and top not in walls.outside)
        if broken:
            found.append(names[-1])
    return found


@pytest.mark.parametrize("path", modules(), ids=str)
def test_no_module_reaches_through_a_wall(path: Path) -> None:
    found = trespasses(path, (ROOT / path).read_text(encoding="utf-8"))
    assert not found, f"{path} imports {', '.join(found)}"


def test_every_room_has_modules() -> None:
    rooms = {path.parts[0] for path in modules()}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("stimuli/tone.py", "import testtone.models"),
        ("stimuli/tone.py", "from testtone import probes"),
        ("stimuli/tone.py", "import torch.nn"),
        ("models/encodec.py", "from testtone.stimuli import Stimulus"),
        ("models/encodec.py", "from ..stimuli import Stimulus"),
        ("models/encodec.py", "from .. import stimuli"),
        ("models/encodec.py", "def late():\n    import testtone.stimuli as s"),
        ("models/training/clips.py", "from testtone.probes import hearing"),
        ("probes/direction.py", "from testtone.models import encodec"),
        ("probes/direction.py", "from testtone.models.references import Holistic"),
        ("probes/direction.py", "if True:\n    from testtone.reports import render"),
        ("probes/direction.py", "import testtone.tests.plugin"),
        ("probes/direction.py", "import hypothesis"),
        ("reports/page.py", "import numpy as np"),
        ("reports/page.py", "import testtone"),
        ("reports/page.py", "from testtone.probes.records import Measurement"),
        ("models/encodec.py", "import models.protocol"),
        ("tests/claims/test_alias.py", "from probes import alias"),
        ("tests/__init__.py", "import testtone.tests.plugin"),
    ],
)
def test_a_hole_in_a_wall_is_seen(path: str, source: str) -> None:
    assert trespasses(Path(path), source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("stimuli/tone.py", "import numpy as np\nfrom . import pitch\nfrom .pitch import name"),
        ("models/encodec.py", "import torch\nfrom testtone.models import protocol"),
        ("models/training/clips.py", "from testtone.stimuli import Stimulus\nfrom ..protocol import Encoder"),
        ("probes/direction.py", "from testtone.models import protocol\nfrom testtone.models.listening import listen"),
        ("reports/page.py", "import json, jinja2\nfrom .plots import interval"),
        ("tests/claims/test_alias.py", "from testtone import models, probes, reports\nimport pytest"),
    ],
)
def test_a_door_is_no_hole(path: str, source: str) -> None:
    assert not trespasses(Path(path), source)


# Distributions whose module has another name.
MODULES = {"pretty-midi": "pretty_midi", "pyfluidsynth": "fluidsynth"}
# They import the files beside them, and what the extra `test` brings.
UNSHIPPED = (("tests", "harness"), ("tests", "benchmarks"), ("tests", "mutation"))
# Imported only where they are there; the module says what happens where they are not.
OPTIONAL = {
    "torchaudio": "encodec asks for it on import and the model does not use it",
    "xdist": "the plugin asks for it in a hook that nobody but xdist calls",
}
# Asked for by its name at run time: resvg_py, in reports/export.py, which makes no PNG without it.


@pytest.mark.parametrize("path", [p for p in modules() if p.parts[:2] not in UNSHIPPED], ids=str)
def test_shipped_modules_import_only_what_is_declared(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [canonicalize_name(Requirement(line).name) for line in project["dependencies"]]
    brought = {MODULES.get(name, name.replace("-", "_")) for name in declared}
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    tops = {names[0].split(".")[0] for names in imports(tree, path)}
    missing = tops - brought - set(OPTIONAL) - sys.stdlib_module_names - {"testtone", "_pytest"}
    assert not missing, f"pyproject.toml does not declare {missing}"


def module_level_imports(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield the top names that are imported when a module is, conditional ones included."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield "testtone" if statement.level else (statement.module or "").split(".")[0]
        elif isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            yield from module_level_imports(statement.orelse)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            blocks = (getattr(statement, name, []) for name in ("body", "orelse", "finalbody", "handlers"))
            yield from module_level_imports([child for block in blocks for child in block])


def test_the_plugin_imports_only_pytest_and_the_standard_library() -> None:
    tree = ast.parse((ROOT / "tests/plugin.py").read_text(encoding="utf-8"))
    foreign = set(module_level_imports(tree.body)) - sys.stdlib_module_names - {"pytest", "_pytest"}
    assert not foreign


def test_loading_the_plugin_loads_no_number_crunching() -> None:
    heavy = {"torch", "numpy", "scipy", "hypothesis", "encodec", "jinja2", "fluidsynth", "pretty_midi"}
    code = f"import conftest, sys, testtone.tests.plugin; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_reports_are_shown_without_numpy_and_torch() -> None:
    code = (
        "import conftest, sys\n"
        "for name in ('numpy', 'scipy', 'torch', 'testtone.stimuli', 'testtone.models', 'testtone.probes'):\n"
        "    sys.modules[name] = None\n"
        "import testtone.reports\n"
        "print(callable(testtone.reports.render))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
