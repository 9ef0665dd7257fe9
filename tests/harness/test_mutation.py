"""The mutator: what it can do to a line, what it leaves alone by rule, and that a draw can be repeated."""

import json
from pathlib import Path

import pytest

from testtone.tests.mutation import covered, faults, ideas, trials

ROOT = Path(__file__).resolve().parents[2]


def after(source):
    """Return what the faults of one line make of it."""
    return {fault.apply(source) for fault in faults.faults(source, "m.py")}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("x = a + b", "x = (a - b)"),
        ("x = a * b", "x = (a / b)"),
        ("x = a ** 2", "x = (a * 2)"),
        ("x = a[1:]", "x = a[0:]"),
        ("x = a[1:]", "x = a[2:]"),
        ("x = 0.5", "x = 0.75"),
        ("x = -a", "x = a"),
        ("x = not a", "x = a"),
        ("x = a and b", "x = (a or b)"),
        ("x = a < b", "x = (a >= b)"),
        ("x = len(a) < b", "x = (len(a) <= b)"),
        ("x = np.abs(a)", "x = a"),
        ("x = a.conj()", "x = a"),
        ("x = f(a, b)", "x = f(b, a)"),
        ("x += a", "x -= a"),
        ("found.append(a)", "..."),
        ("x = True", "x = False"),
        ("if ready: x = 1", "if (not ready): x = 1"),
    ],
)
def test_a_line_can_go_wrong(line, wrong):
    assert wrong in after(line)


@pytest.mark.parametrize(
    "line",
    [
        '"""A docstring with 1 + 1."""',
        "raise ValueError(f'{a + 1} exceeds {b}')",
        "assert a + 1 > b",
        "import a",
        "x = f'{a + 1}'",
        "x = 'a' + b",
        "x = max(a, b)",
        "x = a + 1e-12 if 0 else b",
        "VERSION = 3",
        "Floats = NDArray[float]",
        "x = zip(a, b, strict=True)",
        "x = np.random.default_rng(7)",
        "@lru_cache(maxsize=4)\ndef f(): ...",
        "if TYPE_CHECKING:\n    import a",
        "x: dict[int, str] = y",
        "x = f(label='a', name=1)",
        "SIZES = {'quick': 3, 'standard': {'tones': 4}, 'thorough': (5, 6)}",
        "SIZES: dict[str, int] = {'quick': 3, 'standard': 4, 'thorough': 5}",
        "x = _spearman(a, b)",
    ],
)
def test_what_cannot_matter_is_left_alone(line):
    untouched = {"x = a - 1e-12 if 0 else b", "x = (a - 1e-12) if 0 else b"}
    wrong = after(line) - untouched
    assert not [each for each in wrong if "1e-12" not in each], wrong


def test_a_draw_is_of_as_many_lines_and_can_be_repeated_and_extended():
    drawn = faults.draw(ROOT, ("stimuli",), count=20, seed=3)
    assert drawn == faults.draw(ROOT, ("stimuli",), count=30, seed=3)[:20]
    assert drawn != faults.draw(ROOT, ("stimuli",), count=20, seed=4)
    assert len({(each.module, each.line) for each in drawn}) == 20
    assert not [
        each for each in faults.draw(ROOT, ("stimuli",), count=500, seed=1, without="stimuli/strategies")
        if each.module.startswith("stimuli/strategies")
    ]  # fmt: skip


def test_every_fault_drawn_changes_its_line_and_compiles():
    for fault in faults.draw(ROOT, covered.ROOMS, count=60, seed=5):
        right = (ROOT / fault.module).read_text(encoding="utf-8").split("\n")
        wrong = fault.apply("\n".join(right)).split("\n")
        assert [index + 1 for index, pair in enumerate(zip(right, wrong, strict=True)) if pair[0] != pair[1]] == [
            fault.line
        ]


def test_the_ideas_are_at_least_twenty_and_stand_in_the_code():
    found = trials.ideas(ROOT)
    assert len(found) == len({each.name for each in found}) == len(ideas.IDEAS) >= 20
    for each in found:
        compile(each.source, each.module, "exec")


def test_tests_that_run_the_line_come_first_and_fastest_first(tmp_path):
    traced = {
        "exit": 0,
        "failed": ["t.py::broken"],
        "seconds": {"t.py::slow": 3.0, "t.py::fast": 1.0, "t.py::other": 0.5, "t.py::broken": 0.1, "u.py::far": 0.1},
        "lines": {"stimuli/pitch.py": {"t.py::slow": [60], "t.py::fast": [60], "t.py::broken": [60], "": [1]}},
    }
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "t.json").write_text(json.dumps(traced), encoding="utf-8")
    trial = trials.Trial("n", "stimuli/pitch.py", (60,), "constant", "")
    goes = trials.candidates(trial, covered.Map(tmp_path), ROOT, budget=10.0)
    assert goes == [["t.py::fast", "t.py::slow"], ["t.py::other"]]


def test_what_controls_measure_is_asked_last_and_always(tmp_path):
    names = [f"test_golden.py::test_controls[{each}]" for each in ("quick", "slow")]
    traced = {
        "exit": 0,
        "failed": [],
        "seconds": {"t.py::fast": 1.0, names[0]: 2.0, names[1]: 90.0},
        "lines": {"stimuli/pitch.py": {"t.py::fast": [60], names[0]: [60], names[1]: [60]}},
    }
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "t.json").write_text(json.dumps(traced), encoding="utf-8")
    trial = trials.Trial("n", "stimuli/pitch.py", (60,), "constant", "")
    assert trials.candidates(trial, covered.Map(tmp_path), ROOT, budget=10.0) == [["t.py::fast", names[0]], [names[1]]]


def test_tests_that_are_gone_since_they_were_traced_are_not_asked(tmp_path):
    traced = {"exit": 0, "failed": [], "seconds": {"t.py::is": 1.0, "t.py::was": 1.0}, "lines": {}}
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "t.json").write_text(json.dumps(traced), encoding="utf-8")
    assert covered.Map(tmp_path, present={"t.py::is"}).ordered(["t.py::is", "t.py::was"]) == ["t.py::is"]


def test_the_report_counts_the_last_word_on_each_fault(tmp_path):
    said = [("a", "drawn", "survived"), ("b", "drawn", "caught"), ("a", "drawn", "timeout"), ("c", "idea", "untested")]
    lines = [json.dumps({"name": name, "kind": kind, "outcome": what, "tests": 2}) for name, kind, what in said]
    (tmp_path / "trials.jsonl").write_text("\n".join(lines), encoding="utf-8")
    text = trials.report(tmp_path)
    assert "drawn: 2 of 2 noticed, 100.0% [34.2%, 100.0%]" in text
    assert "ideas: 0 of 1 noticed, 0.0% [0.0%, 79.3%]" in text
    assert "untested: c (2 tests)" in text
