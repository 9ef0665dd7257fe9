"""What is on disk, what is installed and what is pinned are the same."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("stimuli", "models", "probes", "reports", "tests")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
CONSTRAINTS = [
    line.strip()
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]


def packages_on_disk() -> dict[str, str]:
    """Return the packages that ought to ship, dotted name -> folder. tests/harness is no package."""
    folders = (path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py"))
    return {".".join(("testtone", *folder.parts)): folder.as_posix() for folder in folders}


def test_every_package_on_disk_is_installed_and_no_other() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_on_disk())
    assert SETUPTOOLS["package-dir"] == packages_on_disk()


def test_the_harness_stays_home() -> None:
    assert not (ROOT / "tests/harness/__init__.py").exists()
    assert not any("harness" in name for name in SETUPTOOLS["packages"])


def test_no_python_file_lies_outside_a_package() -> None:
    shipped = {ROOT / folder for folder in packages_on_disk().values()}
    stray = [
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if path.parent not in shipped
        and path.parent not in {ROOT / "tests/harness", ROOT / "tests/benchmarks", ROOT / "tests/mutation"}
    ]
    assert not stray


def test_every_data_file_is_installed() -> None:
    git = shutil.which("git") or pytest.skip("no git: nothing says which files belong to the project")
    tracked = subprocess.run([git, "ls-files", "-z", *ROOMS], cwd=ROOT, capture_output=True, check=False)
    if tracked.returncode:
        pytest.skip("no git checkout: nothing says which files belong to the project")
    shipped = packages_on_disk()
    for name in filter(None, tracked.stdout.decode().split("\0")):
        # The gallery is for readers of the repository; nobody installs it.
        if name.endswith(".py") or name.startswith(("tests/harness/", "tests/mutation/", "reports/gallery/")):
            continue
        # The nearest package above the file carries it.
        package = next(p for p in reversed(sorted(shipped)) if name.startswith(shipped[p] + "/"))
        inside = Path(name).relative_to(shipped[package])
        globs = SETUPTOOLS["package-data"].get(package, [])
        assert any(inside.match(glob) and len(inside.parts) == len(Path(glob).parts) for glob in globs), (
            f"{name} would not be installed: add it to package-data of {package}"
        )


def test_every_data_pattern_matches_a_file() -> None:
    for package, globs in SETUPTOOLS["package-data"].items():
        for glob in globs:
            assert list((ROOT / packages_on_disk()[package]).glob(glob)), f"{package}: {glob}"


def test_the_plugin_is_registered_under_the_name_of_its_module() -> None:
    # Else pytest stops with "already registered under a different name" where it is loaded both ways.
    entry_points = PROJECT["entry-points"]["pytest11"]
    assert entry_points == {"testtone.tests.plugin": "testtone.tests.plugin"}
    assert (ROOT / "tests/plugin.py").is_file()


def test_a_bare_checkout_answers_to_the_name() -> None:
    # -S: without site-packages, so that no installed copy helps.
    code = "import conftest, testtone.tests as t; print(t.__file__)"
    command = [sys.executable, "-S", "-B", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == ROOT / "tests/__init__.py"


# --- dependencies --------------------------------------------------------------------------------------------------


def declared(*extras: str) -> list[Requirement]:
    """Return the declared dependencies, with those of some extras."""
    lines = [*PROJECT["dependencies"], *(line for e in extras for line in PROJECT["optional-dependencies"][e])]
    return [Requirement(line) for line in lines]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in CONSTRAINTS}
    for requirement in declared("test", "lint"):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} excludes {version} of constraints.txt"


def test_pins_hold_on_every_platform() -> None:
    # A local version (+cpu) or an address would tie the file to one machine's idea of where packages come from.
    for line in CONSTRAINTS:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml", "Makefile", "scripts/setup.sh", ".ci/run"])
def test_no_place_to_fetch_from_is_written_down(name: str) -> None:
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


# --- setting up ----------------------------------------------------------------------------------------------------

TOOLS = ("sh", "dirname", "cat", "rm", "uname", "id")


@pytest.fixture
def bare_machine(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the set-up where only a few programs exist, some of them feigned.

    A feigned program is given as the body of a shell script. ``python`` is code that runs at the start of the real
    Python, to take something away from it.
    """
    if os.name != "posix":
        pytest.skip("the set-up is a shell script")
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    checkout = tmp_path / "a checkout"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup.sh", checkout / "scripts")

    def run(*, python: str, **feigned: str) -> subprocess.CompletedProcess[str]:
        without = tmp_path / "without"
        without.mkdir()
        (without / "sitecustomize.py").write_text(python)
        scripts = {
            # Whatever goes wrong here, nothing is downloaded.
            "python3": f'[ "$2" != venv ] || exit 3\nPYTHONPATH="{without}" exec "{sys.executable}" -B "$@"',
            **{name.replace("_", "-"): body for name, body in feigned.items()},
        }
        for name, body in scripts.items():
            path = programs / name
            path.unlink(missing_ok=True)
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        environment = {"PATH": str(programs), "HOME": str(tmp_path), "LOG": str(tmp_path / "log")}
        done = subprocess.run(
            ["sh", "scripts/setup.sh"], cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert "making .venv" not in done.stdout, "began to install before it knew that it could"
        return done

    return run


NO_LIBRARY = "import ctypes.util\nctypes.util.find_library = lambda name: None"
NO_VENV = "import sys\nsys.modules['ensurepip'] = None"
OLD = "import sys\nsys.version_info = (3, 9, 6, 'final', 0)"
LOG = 'echo "$0 $@" >>"$LOG"'
USER = "echo 1000"
ROOT_USER = "echo 0"


@pytest.mark.parametrize(
    ("python", "feigned", "says"),
    [
        pytest.param(OLD, {}, r"Python 3\.11 or newer is needed, found Python 3", id="old python"),
        pytest.param(
            NO_VENV, {"uname": "echo Linux", "apt_get": LOG, "id": USER},
            rf"type 'sudo apt-get install python3\.{sys.version_info[1]}-venv'", id="no venv, no sudo",
        ),
        pytest.param(
            NO_LIBRARY, {"uname": "echo Linux", "apt_get": LOG, "id": USER},
            r"type 'sudo apt-get install libfluidsynth3'", id="no library, no sudo",
        ),
        pytest.param(
            NO_LIBRARY, {"uname": "echo Linux", "apt_get": LOG, "id": USER, "sudo": "exit 1"},
            r"type 'sudo apt-get install libfluidsynth3'", id="no library, sudo with password",
        ),
        pytest.param(
            f"{NO_LIBRARY}\n{NO_VENV}", {"uname": "echo Linux", "apt_get": LOG, "id": USER},
            r"type 'sudo apt-get install python3\.\d+-venv libfluidsynth3'", id="both missing",
        ),
        pytest.param(
            NO_LIBRARY, {"uname": "echo Linux"},
            r"FluidSynth library \(libfluidsynth 2 or newer\) is missing", id="no library, no apt-get",
        ),
        pytest.param(
            NO_LIBRARY, {"uname": "echo Darwin"},
            r"install Homebrew, type 'brew install fluid-synth'", id="mac without brew",
        ),
        pytest.param(
            NO_LIBRARY, {"uname": "echo Darwin", "brew": "exit 1"},
            r"type 'brew install fluid-synth'", id="mac, brew fails",
        ),
        pytest.param(
            NO_LIBRARY, {"uname": "echo Linux", "apt_get": "exit 1", "id": ROOT_USER},
            r"apt-get did not install them", id="apt-get fails",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_one_line(
    bare_machine: Callable[..., subprocess.CompletedProcess[str]], python: str, feigned: dict[str, str], says: str
) -> None:
    done = bare_machine(python=python, **feigned)
    assert done.returncode == 1
    assert re.search(says, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize(
    ("feigned", "called"),
    [
        pytest.param(
            {"uname": "echo Linux", "apt_get": LOG, "id": ROOT_USER}, "apt-get install -y .*libfluidsynth3", id="root"
        ),
        pytest.param(
            {"uname": "echo Linux", "apt_get": LOG, "id": USER, "sudo": LOG},
            "sudo -n apt-get install -y .*libfluidsynth3",
            id="sudo without password",
        ),
        pytest.param({"uname": "echo Darwin", "brew": LOG}, "brew install fluid-synth", id="mac"),
    ],
)
def test_the_library_is_installed_where_that_is_allowed(
    bare_machine: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    feigned: dict[str, str],
    called: str,
) -> None:
    done = bare_machine(python=NO_LIBRARY, **feigned)
    assert re.search(called, (tmp_path / "log").read_text())
    # The feigned installer brings nothing, and that is noticed.
    assert done.returncode == 1
    assert "cannot load it" in done.stderr


def test_the_script_asks_for_the_python_of_pyproject() -> None:
    major, minor = PROJECT["requires-python"].removeprefix(">=").split(".")
    assert f"sys.version_info < ({major}, {minor})" in (ROOT / "scripts/setup.sh").read_text(encoding="utf-8")


@pytest.fixture
def ready_checkout(tmp_path: Path) -> Path:
    """Return a folder, its name with a space, that looks like a checkout that was set up."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    checkout = tmp_path / "a checkout"
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
        os.utime(checkout / name, (1, 1))
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(sys.executable)
    (checkout / ".venv/.ready").write_text(f"{checkout.resolve()}\n")
    return checkout


def would_run(checkout: Path, *arguments: str) -> str:
    """Return the commands that make would run."""
    # Under `make test ARGS=...` the outer make hands its own options and variables down.
    handed_down = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in handed_down}
    command = ["make", "-n", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_second_run_installs_nothing(ready_checkout: Path) -> None:
    commands = would_run(ready_checkout, "claims", 'ARGS=-k "alias or pitch"')
    assert commands.split("\n") == [
        '.venv/bin/python -m pytest -m claims --claims-report report.html -k "alias or pitch"',
        "",
    ]
    assert would_run(ready_checkout, "test").split() == [".venv/bin/python", "-m", "pytest"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "scripts/setup.sh"])
def test_a_changed_dependency_is_installed(ready_checkout: Path, name: str) -> None:
    (ready_checkout / name).touch()
    stamp = (ready_checkout / ".venv/.ready").stat().st_mtime
    os.utime(ready_checkout / name, (stamp + 1, stamp + 1))
    assert would_run(ready_checkout, "test").startswith("sh scripts/setup.sh")


def test_a_moved_checkout_is_set_up_anew(ready_checkout: Path) -> None:
    # Its .venv would import the code of the place where it was made.
    moved = ready_checkout.rename(ready_checkout.with_name("moved"))
    assert would_run(moved, "test").startswith("sh scripts/setup.sh")


def test_a_lost_python_is_replaced(ready_checkout: Path) -> None:
    (ready_checkout / ".venv/bin/python").unlink()
    (ready_checkout / ".venv/bin/python").symlink_to("/nowhere/python")
    assert would_run(ready_checkout, "test").startswith("sh scripts/setup.sh")


@pytest.mark.parametrize(
    ("recipe", "passes"),
    [
        pytest.param("echo '== 12 passed, 1 skipped in 3.21s =='", True, id="passed"),
        pytest.param("echo '12 passed in 3.21s'", True, id="passed, quietly"),
        pytest.param("echo '== 1 failed, 11 passed in 3.21s =='; exit 1", False, id="failed"),
        pytest.param("echo '== 12 skipped in 3.21s =='", False, id="all skipped"),
        pytest.param("echo '== 12 deselected in 3.21s =='", False, id="all deselected"),
        pytest.param(":", False, id="silence"),
    ],
)
def test_continuous_integration_fails_unless_tests_passed(tmp_path: Path, recipe: str, passes: bool) -> None:
    if not (shutil.which("make") and shutil.which("bash")):
        pytest.skip("make or bash is not installed")
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(f"test:\n\t@{recipe}\n")
    done = subprocess.run(["bash", tmp_path / ".ci/run"], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
