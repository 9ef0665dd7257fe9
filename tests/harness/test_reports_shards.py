"""Shards and their merging: many machines, one report, the same as of one run."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugin_toys import check, check_apart, furnish, report
from reports_sample import sample

from testtone.probes import statistics
from testtone.reports import files, merge
from testtone.reports.__main__ import main
from testtone.tests.ledger import case_of, shares


def shard(pytester: pytest.Pytester, index: int, of: int, *words: str, encoder: str = "half") -> Path:
    """Run one shard of the toy claims; return its report."""
    check(pytester, f"--claims-shard={index}/{of}", f"--claims-report=shard{index}.html", *words, encoder=encoder)
    return pytester.path / f"shard{index}.json"


def timeless(text: str) -> str:
    """Return a report's text without times, the command line, and the state of the checkout."""
    found = json.loads(text)
    for key in ("created", "seconds", "command"):
        found[key] = None
    for claim in found["claims"]:
        claim["seconds"] = None
    for key in ("commit", "dirty"):
        found["environment"][key] = None
    return files.dump(found)


FAMILIES = """
import pytest
from test_toys import claim

A = claim(id="one_of_two", family="twins", sites=("latent",))
B = claim(id="two_of_two", family="twins", source="Another post, section 2")

@pytest.mark.claims(A)
def test_one_of_two(trial):
    trial.settle()

@pytest.mark.claims(B)
def test_two_of_two(trial):
    trial.settle()
"""


def test_shards_share_out_all_claims_and_keep_families_together(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    pytester.makepyfile(test_families=FAMILIES)
    heard: list[set[str]] = []
    for index in (1, 2, 3):
        shard(pytester, index, 3, "test_toys.py", "test_families.py", encoder="full")
        heard.append({claim["id"] for claim in report(pytester, f"shard{index}.json")["claims"]})
    assert set.union(*heard) == {"level_holds", "level_denied", "level_open", "one_of_two", "two_of_two"}
    assert sum(map(len, heard)) == 5
    assert sum({"one_of_two", "two_of_two"} <= each for each in heard) == 1


@pytest.mark.parametrize("of", [2, 3])
@pytest.mark.parametrize("encoder", ["half", "none", "latent_only"])
def test_merged_shards_are_the_report_of_one_run_to_the_byte(
    pytester: pytest.Pytester, of: int, encoder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "--encoder=toy_encoders.py:full"
    check(pytester, "--claims-report=whole.html", more, encoder=encoder)
    parts = [shard(pytester, index, of, more, encoder=encoder) for index in range(1, of + 1)]
    random.Random(of).shuffle(parts)
    assert main(["merge", *map(str, parts), "-o", str(pytester.path / "merged.json")]) == 0
    whole, merged = ((pytester.path / f"{name}.json").read_text(encoding="utf-8") for name in ("whole", "merged"))
    assert timeless(merged) == timeless(whole)
    assert "shard" not in json.loads(merged)


def test_families_works_and_orders_survive_the_merging(pytester: pytest.Pytester) -> None:
    # Two posts, a family, and claims that are met in another order than that of their names.
    furnish(pytester)
    pytester.makepyfile(test_families=FAMILIES)
    words = ["test_families.py", "test_toys.py"]
    check(pytester, "--claims-report=whole.html", *words, "--encoder=toy_encoders.py:none")
    parts = [shard(pytester, n, 3, *words, "--encoder=toy_encoders.py:none", encoder="full") for n in (3, 1, 2)]
    assert main(["merge", *map(str, parts), "-o", str(pytester.path / "merged.json")]) == 0
    whole, merged = ((pytester.path / f"{name}.json").read_text(encoding="utf-8") for name in ("whole", "merged"))
    assert timeless(merged) == timeless(whole)


ELSEWHERE = """
import pytest
import toy_encoders
from test_toys import HOLDS, claim, follows_level

class Fast(toy_encoders.Meter):
    name = "fast"
    sample_rate = 16000

def fast():
    return Fast()

# About an encoder of its own; and the same sounds as those of another claim, for another claim draws alike.
A = claim(id="a_of_its_own", on_trial=("test_elsewhere.py:fast",), sites=("latent",))
B = claim(id="b_alike", family="level_holds", title="Alike")

@pytest.mark.claims(A)
def test_a_of_its_own(trial):
    trial.settle()

@pytest.mark.claims(B)
def test_b_alike(trial):
    trial.settle()
"""


@pytest.mark.parametrize("of", [2, 3])
def test_encoders_of_one_shard_and_sounds_at_two_rates_are_merged(pytester: pytest.Pytester, of: int) -> None:
    furnish(pytester)
    pytester.makepyfile(test_elsewhere=ELSEWHERE)
    words = ["test_elsewhere.py", "test_toys.py", "--encoder=test_elsewhere.py:fast"]
    check(pytester, "--claims-report=whole.html", *words, encoder="half")
    parts = [shard(pytester, index, of, *words) for index in range(1, of + 1)]
    for turned in (parts, parts[::-1]):
        assert main(["merge", *map(str, turned), "-o", str(pytester.path / "merged.json")]) == 0
        whole, merged = ((pytester.path / f"{name}.json").read_text(encoding="utf-8") for name in ("whole", "merged"))
        assert timeless(merged) == timeless(whole)


def test_shards_by_xdist_are_the_same(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    serial = shard(pytester, 1, 2).read_text(encoding="utf-8")
    check_apart(pytester, "--claims-shard=1/2", "--claims-report=parallel.html", "-n", "2", encoder="half")
    assert timeless((pytester.path / "parallel.json").read_text(encoding="utf-8")) == timeless(serial)


def test_a_shard_says_that_it_is_one_and_what_it_leaves_to_others(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--claims-shard=2/3", "--claims-report=report.html")
    found = report(pytester)
    assert (found["shard"]["index"], found["shard"]["of"]) == (2, 3)
    left = {(each["id"], each["why"]) for each in found["exit"]["not_run"]}
    assert len({claim for claim, _ in left}) == 2
    assert {why for _, why in left} == {"is in shard 1/3", "is in shard 3/3"}
    run.stdout.fnmatch_lines([f"shard 2 of 3: {len(found['exit']['not_run'])} cases are in other shards"])


def test_a_missing_shard_is_missed(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [shard(pytester, index, 3) for index in (1, 2)]
    output = pytester.path / "merged.json"
    assert main(["merge", *map(str, parts), "-o", str(output)]) == 2
    assert "shard 3/3 is missing; add its report, or say --partial" in capsys.readouterr().err
    assert not output.exists()
    assert main(["merge", *map(str, parts), "-o", str(output), "--partial"]) == 0
    not_run = json.loads(output.read_text(encoding="utf-8"))["exit"]["not_run"]
    assert {each["why"] for each in not_run} == {"is in shard 3/3"}
    # The rest can still be merged in.
    parts = [output, shard(pytester, 3, 3)]
    assert main(["merge", *map(str, parts), "-o", str(pytester.path / "all.json")]) == 0
    check(pytester, "--claims-report=whole.html", encoder="half")
    whole, merged = ((pytester.path / f"{name}.json").read_text(encoding="utf-8") for name in ("whole", "all"))
    assert timeless(merged) == timeless(whole)


def test_claims_asked_one_by_one_make_the_report_of_all(pytester: pytest.Pytester) -> None:
    check(pytester, "--claims-report=whole.html", encoder="half")
    for word in ("holds", "denied", "open"):
        check(pytester, f"--claims-report={word}.html", "-k", word, encoder="half")
    parts = [str(pytester.path / f"{word}.json") for word in ("open", "holds", "denied")]
    assert main(["merge", *parts, "-o", str(pytester.path / "merged.json")]) == 0
    whole, merged = (json.loads((pytester.path / f"{name}.json").read_text()) for name in ("whole", "merged"))
    assert len(whole["claims"]) == 4
    assert [c | {"seconds": 0} for c in merged["claims"]] == [c | {"seconds": 0} for c in whole["claims"]]


def test_what_an_interrupted_shard_did_not_run_stays_so(pytester: pytest.Pytester) -> None:
    parts = [shard(pytester, 1, 2, "-x", encoder="none"), shard(pytester, 2, 2, encoder="none")]
    ran = [len(json.loads(each.read_text())["claims"]) for each in parts]
    assert main(["merge", *map(str, parts), "-o", str(pytester.path / "merged.json")]) == 0
    merged = json.loads((pytester.path / "merged.json").read_text(encoding="utf-8"))
    assert merged["exit"]["ran"] == sum(ran)
    assert len(merged["exit"]["not_run"]) == 4 - sum(ran) > 0
    assert {each["why"] for each in merged["exit"]["not_run"]} == {"did not run to its end"}


@pytest.mark.parametrize(
    "words",
    ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", "1.0/2", "", "١/٢"],
)
def test_what_is_no_shard_is_refused(pytester: pytest.Pytester, words: str) -> None:
    run = check(pytester, f"--claims-shard={words}", "--claims-report=report.html")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--claims-shard={words} must be I/N with 1 <= I <= N, such as 1/4" in run.stderr.str()
    assert not (pytester.path / "report.html").exists()


def test_more_shards_than_claims_are_refused(pytester: pytest.Pytester) -> None:
    run = check(pytester, "--claims-shard=1/4")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    said = "--claims-shard=1/4: there are only 3 claims (or families of them) to share out"
    assert said in run.stderr.str() + run.stdout.str()


def test_shares_are_even_and_depend_on_nothing_else() -> None:
    groups = ["a"] * 7 + ["b"] * 5 + ["c"] * 4 + ["d"] * 4 + ["e"]
    found = shares(groups, 2)
    assert sorted([found.count(1), found.count(2)]) == [10, 11]
    shuffled = groups[::-1]
    assert dict(zip(shuffled, shares(shuffled, 2), strict=True)) == dict(zip(groups, found, strict=True))


@pytest.mark.parametrize(
    ("node", "case"),
    [
        ("a/test_x.py::test_alias_collapse[encodec-mini-stack_end]", ("alias_collapse", "encodec-mini", "stack_end")),
        ("test_x.py::test_a[mine.py:build-latent]", ("a", "mine.py:build", "latent")),
        ("test_x.py::test_a", None),
    ],
)
def test_a_case_is_known_by_the_name_of_its_test(node: str, case: object) -> None:
    assert case_of(node) == case


# --- what is not merged ---------------------------------------------------------------------------------------------


def halves() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two reports that share one claim and are parts of one run."""
    one, other = sample(), sample()
    one["claims"], other["claims"] = one["claims"][:8], other["claims"][7:]
    for each in (one, other):
        each["exit"]["ran"] = len(each["claims"])
        each["exit"]["not_run"] = []
    return one, other


def put(value: Any, *path: str | int) -> Callable[[Any], None]:
    """Return a change that puts a value at a path."""

    def change(report: Any) -> None:
        for step in path[:-1]:
            report = report[step]
        report[path[-1]] = value

    return change


SOUND = next(iter(sample()["sounds"]))
RECORD = "alias_collapse on encodec-24khz-default at latent differs: "

APART: dict[str, tuple[Callable[[Any], None], str]] = {
    "seed": (put(8, "seed"), "not parts of one run: seed is 7 in one.json and 8 in two.json"),
    "effort": (put("thorough", "effort"), "effort is 'quick' in one.json and 'thorough' in two.json"),
    "torch": (put("2.14.0", "environment", "versions", "torch"), "environment.versions.torch is '2.13.0' in one.json"),
    "commit": (put("1" * 40, "environment", "commit"), "environment.commit is '000"),
    "dirty": (put(True, "environment", "dirty"), "environment.dirty is None in one.json and True in two.json"),
    "threads": (put(1, "environment", "threads"), "environment.threads is 2 in one.json and 1 in two.json"),
    "soundfont": (put("00", "environment", "soundfont_sha256"), "environment.soundfont_sha256 is '5b5b"),
    "weights": (
        put("ab" * 32, "encoders", 0, "weights_sha256"),
        "encoder encodec-24khz-default differs: weights_sha256 is",
    ),
    "rate": (put(48000, "encoders", 0, "sample_rate"), "sample_rate is 24000 in one.json and 48000 in two.json"),
    "effect": (put(0.111, "claims", 0, "effect", "value"), RECORD + "effect is {'name'"),
    "threshold": (
        put({"supported_above": 0.6, "refuted_below": 0.2}, "claims", 0, "threshold"),
        RECORD + "threshold is",
    ),
    "words": (put("Another.", "claims", 0, "proposition"), RECORD + "proposition is 'Frequencies"),
    "new field": (put(1, "claims", 0, "something_new"), RECORD + "something_new is None in one.json and 1 in two.json"),
    "sound": (
        put(0.5, "sounds", SOUND, "seconds"),
        f"sound {SOUND} at 24000 Hz differs: seconds is 0.25 in one.json and 0.5",
    ),
}


@pytest.mark.parametrize(("change", "message"), APART.values(), ids=APART)
def test_parts_of_different_runs_are_not_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Any], None], message: str
) -> None:
    one, other = halves()
    change(other)
    for name, found in (("one", one), ("two", other)):
        (tmp_path / f"{name}.json").write_text(files.dump(found), encoding="utf-8")
    words = ["merge", str(tmp_path / "one.json"), str(tmp_path / "two.json"), "-o", str(tmp_path / "all.json")]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "two.json"]


def test_records_in_both_are_merged_if_they_are_equal_but_for_their_time() -> None:
    one, other = halves()
    other["claims"][0]["seconds"] += 1
    merged = merge.merge([one, other], names=["one", "two"])
    assert len(merged["claims"]) == len(sample()["claims"])


def test_merging_twice_changes_nothing() -> None:
    one, other = halves()
    merged = merge.merge([one, other], names=["one", "two"])
    again = merge.merge([merged, copy.deepcopy(one)], names=["merged", "one"])
    assert again["claims"] == merged["claims"]


def test_holm_is_the_adjustment_of_the_statistics() -> None:
    rng = random.Random(0)
    for count in (1, 2, 7, 60):
        p = [rng.choice([rng.random(), rng.random() ** 8, 0.5]) for _ in range(count)]
        assert merge.holm(p) == statistics.holm(p)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["merge", "one.json", "-o", "all.json"], "1 report is nothing to merge; name two or more"),
        (["merge", "one.json", "two.json", "-o", "one.json"], "is the report itself; name another file"),
        (["merge", "one.json", "two.json", "-o", "all.html"], "is to be a report, PATH.json"),
        (["merge", "one.json", "none.json", "-o", "all.json"], "none.json: No such file"),
    ],
)
def test_a_merge_that_cannot_be_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, found in zip(("one", "two"), halves(), strict=True):
        Path(f"{name}.json").write_text(files.dump(found), encoding="utf-8")
    before = Path("one.json").read_bytes()
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "two.json"]
    assert Path("one.json").read_bytes() == before
