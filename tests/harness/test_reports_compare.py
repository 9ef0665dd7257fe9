"""Reports side by side: what flipped comes first, and the exit status says whether anything did."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reports_sample import ENCODERS, effect, sample

from testtone.reports import compare, files
from testtone.reports.__main__ import main

DEFAULT, GAIN = ENCODERS


def fit() -> dict[str, Any]:
    """Return the sample without its invalid record."""
    found = sample()
    found["claims"] = [record for record in found["claims"] if record["verdict"] != "invalid"]
    found["exit"] = {"ran": len(found["claims"]), "not_run": []}
    return found


def record_of(found: dict[str, Any], claim: str, encoder: str, site: str) -> dict[str, Any]:
    """Return one record of a report."""
    return next(r for r in found["claims"] if (r["id"], r["encoder"], r["site"]) == (claim, encoder, site))


def turned(found: dict[str, Any]) -> dict[str, Any]:
    """Return a report in which one verdict was reversed and one lost."""
    found = copy.deepcopy(found)
    pitch = record_of(found, "pitch_direction", DEFAULT, "latent")
    pitch["effect"] |= {"value": 0.71, "ci": [0.6, 0.8]}
    pitch.update(verdict="supported", agrees=False)
    alias = record_of(found, "alias_collapse", DEFAULT, "latent")
    alias["effect"] |= {"value": 0.19, "ci": [0.1, 0.28]}
    alias.update(verdict="inconclusive", agrees=None)
    return found


def of_one_encoder(encoder: str, name: str) -> dict[str, Any]:
    """Return the report of a run on one encoder under another name."""
    found = fit()
    found["claims"] = [record | {"encoder": name} for record in found["claims"] if record["encoder"] == encoder]
    for each in found["encoders"]:
        if each["spec"] == encoder:
            each["spec"] = each["name"] = name
    found["exit"] = {"ran": len(found["claims"]), "not_run": []}
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, found: dict[str, Any]) -> str:
    """Write a report here; return its name."""
    Path(name).write_text(files.dump(found), encoding="utf-8")
    return name


def test_equal_reports_have_nothing_flipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", save("a.json", fit()), save("b.json", fit())]) == 0
    out = capsys.readouterr().out
    assert out.endswith("0 of 14 verdicts flipped\n")
    assert "Reversed" not in out
    assert "Flipped" not in out


def test_flipped_verdicts_come_first_and_set_the_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", save("a.json", fit()), save("b.json", turned(fit())), "-o", "c.html"]) == 1
    out = capsys.readouterr().out
    assert out.endswith("2 of 14 verdicts flipped (1 reversed)\npage: c.html\n")
    heads = [
        "Reversed: supported in one, refuted in another",
        "Flipped: the verdict is another one",
        "The same verdict",
    ]
    places = [out.index(head) for head in heads]
    assert places == sorted(places)
    reversed_, flipped, same = (out[a:b] for a, b in zip(places, [*places[1:], None], strict=True))
    assert re.search(
        r"pitch_direction +encodec-24khz-default +latent +refuted 0.147 \[0.092, 0.202\] +supported 0.710 \[0.600, 0.8",
        reversed_,
    )
    assert "alias_collapse" in flipped
    assert same.count("pitch_direction") == 5
    page = Path("c.html").read_text(encoding="utf-8")
    assert page.index('id="reversed"') < page.index('id="flipped"') < page.index('id="same"')
    assert page.count('<figure class="intervals">') == 2
    assert "0.710" in page
    assert "[0.600, 0.800]" in page


def test_the_page_needs_nothing_and_is_the_same_again() -> None:
    found = compare.compare([fit(), turned(fit())], names=["a", "b"])
    page = compare.render(found)
    assert page == compare.render(compare.compare([fit(), turned(fit())], names=["a", "b"]))
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "default-src 'none'" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_what_the_runs_differ_in_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = fit() | {"seed": 8, "effort": "standard"}
    other["environment"]["versions"]["torch"] = "2.14.0"
    other["encoders"][0]["weights_sha256"] = "ab" * 32
    assert main(["compare", save("a.json", fit()), save("b.json", other), "-o", "c.html"]) == 0
    out = capsys.readouterr().out
    for line in ("seed: 7 | 8", "effort: quick | standard", "versions.torch: 2.13.0 | 2.14.0"):
        assert line in out.splitlines()
    assert f"weights of {DEFAULT}: " in out
    assert "versions.torch" in Path("c.html").read_text(encoding="utf-8")


def test_two_encoders_are_matched_by_site(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = of_one_encoder(DEFAULT, "one"), of_one_encoder(GAIN, "other")
    assert main(["compare", save("a.json", one), save("b.json", other)]) == 1
    out = capsys.readouterr().out
    assert "Reversed" in out
    assert re.search(r"pitch_direction +stack_end +refuted 0.162 .*supported 0.652", out)
    assert "encoders: one | other" in out


def test_encoders_in_both_reports_are_matched_by_name(folder: Path) -> None:
    # One report has an encoder more; it is alone, and nobody's partner.
    one, both = of_one_encoder(DEFAULT, DEFAULT), fit()
    found = compare.compare([one, both], names=["one", "both"])
    assert not found.flipped
    assert {row.encoder for row in found.rows if row.kind == "alone"} == {GAIN}


def test_three_reports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [save(f"{name}.json", found) for name, found in (("a", fit()), ("b", fit()), ("c", turned(fit())))]
    assert main(["compare", *names]) == 1
    assert "2 of 14 verdicts flipped" in capsys.readouterr().out


def test_what_is_not_in_all_reports_flips_nothing_and_is_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    less = fit()
    del less["claims"][0]
    less["exit"]["ran"] -= 1
    assert main(["compare", save("a.json", fit()), save("b.json", less)]) == 0
    out = capsys.readouterr().out
    assert "Not in all reports" in out
    assert out.endswith("0 of 13 verdicts flipped (1 not in all reports)\n")


NOTES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "probe": (lambda r: r["probe"].update(version="2"), "probe version differs: 1, then 2"),
    "thresholds": (
        lambda r: r["threshold"].update(supported_above=0.55),
        "thresholds differs: supported above 0.5, refuted below 0.5, then supported above 0.55",
    ),
    "unit": (lambda r: r["effect"].update(unit="dB"), "unit differs: cosine, then dB"),
    "stance": (
        lambda r: r.update(stance="open", agrees=None),
        "stance of the source differs: does-not-hold, then open",
    ),
}


@pytest.mark.parametrize(("change", "note"), NOTES.values(), ids=NOTES)
def test_what_makes_numbers_less_comparable_is_said(change: Callable[[dict[str, Any]], None], note: str) -> None:
    other = fit()
    change(record_of(other, "pitch_direction", DEFAULT, "latent"))
    found = compare.compare([fit(), other], names=["a", "b"])
    assert note in compare.table(found)
    assert note in compare.render(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "a.json"], "1 report is nothing to compare; name two or more"),
        (["compare", "a.json", "empty.json"], "a.json, empty.json share no claim at the same site"),
        (["compare", "a.json", "none.json"], "none.json: No such file or directory"),
        (["compare", "a.json", "b.json", "-o", "b.json"], "--output=b.json is the report itself; name another file"),
        (["compare", "a.json", "b.json", "-o", "nowhere/c.html"], "nowhere/c.html: No such file or directory"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    save("a.json", fit())
    save("b.json", turned(fit()))
    save("empty.json", fit() | {"claims": [], "exit": None})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert message in line
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_reports_of_the_same_name_are_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        Path(name).mkdir()
        save(f"{name}/report.json", fit())
    assert main(["compare", "one/report.json", "two/report.json"]) == 0
    assert capsys.readouterr().out.startswith("1  one/report.json: ")


def test_effects_of_every_kind_of_row_are_drawn_or_dashed() -> None:
    other = fit()
    gone = record_of(other, "alias_collapse", GAIN, "latent")
    gone.update(effect=None, verdict="insufficient")
    far = record_of(other, "alias_collapse", GAIN, "stack_end")
    far.update(effect=effect(1e300, 1e299, 1e301, name="theta"), verdict="supported", agrees=True)
    found = compare.compare([fit(), other], names=["a", "b"])
    assert "insufficient" in compare.table(found)
    assert "NaN" not in compare.render(found)


def moved_by(share: float) -> dict[str, Any]:
    """Return the sample with one effect moved by a share of its interval's width, its verdict as before."""
    found = copy.deepcopy(fit())
    measured = record_of(found, "pitch_direction", DEFAULT, "latent")["effect"]
    low, high = measured["ci"]
    measured["value"] += share * (high - low)
    return found


@pytest.mark.parametrize(
    ("share", "within", "status"), [(0.02, "0.1", 0), (0.2, "0.1", 1), (0.0, "0", 0), (0.02, "0", 1)]
)
def test_effects_that_lie_too_far_apart_are_no_agreement(
    folder: Path, capsys: pytest.CaptureFixture[str], share: float, within: str, status: int
) -> None:
    names = save("a.json", fit()), save("b.json", moved_by(share))
    assert main(["compare", *names]) == 0, "no verdict flipped"
    capsys.readouterr()
    assert main(["compare", *names, "--within", within]) == status
    said = capsys.readouterr().out.splitlines()[-1]
    where = f" (pitch_direction {DEFAULT} latent)" if share else ""
    assert said == f"effects lie at most {share:.2g} widths of their interval apart{where}; allowed were {within}"


def test_what_rounding_moves_is_no_difference(folder: Path) -> None:
    other = fit()
    for record in other["claims"]:
        if record["effect"] is not None:
            record["effect"]["value"] += 1e-9
    assert main(["compare", save("a.json", fit()), save("b.json", other), "--within", "0"]) == 0


def test_no_share_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", save("a.json", fit()), save("b.json", fit()), "--within", "-1"]) == 2
    assert "--within=-1 must be 0 or more (widths of the interval)" in capsys.readouterr().err
