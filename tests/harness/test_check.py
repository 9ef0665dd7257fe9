"""A claim checked from Python: the same records as pytest writes, errors that help, and what a notebook shows."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from testtone.models import references
from testtone.models.listening import EncoderFault
from testtone.reports import excerpt, validate
from testtone.tests.check import Checked, check, claims

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parents[2]
CLAIM = "selectivity_limited"
VOLATILE = ("seconds", "rerun")


@cache
def result() -> Checked:
    return check(CLAIM, "power-filterbank", effort="quick", seed=3)


def test_findings_are_there_by_site() -> None:
    found = result()["latent"]
    assert found.verdict == "refuted"
    assert found.agrees is False
    assert found.interval is not None
    assert found.effect is not None
    assert found.interval[0] < found.effect < found.interval[1]
    assert {each["expected"]: each["verdict"] for each in found.controls} == {
        "supported": "supported",
        "refuted": "refuted",
    }
    assert [each["name"] for each in found.parts]
    assert result().verdicts["stack_end"] == "not-applicable"
    assert result()["stack_end"].reason == "the encoder has no site 'stack_end'"
    assert list(result()) == list(claims()[CLAIM].sites)


def test_records_are_those_of_the_report(pytester: pytest.Pytester) -> None:
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8").replace("__file__", repr(str(ROOT / "x"))))
    path = pytester.path / "report.html"
    done = pytester.runpytest_subprocess(
        str(ROOT / f"tests/claims/test_{CLAIM}.py"),
        "-m", "claims", "--encoder", "power-filterbank", "--claims-effort", "quick", "--claims-seed", "3",
        f"--claims-report={path}", "--rootdir", str(ROOT), "-p", "no:cacheprovider",
    )  # fmt: skip
    assert path.is_file(), done.stdout.str()
    written = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))

    def lasting(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in each.items() if key not in VOLATILE} for each in records]

    assert lasting(result().to_json()) == lasting(written["claims"])
    assert result().report["sounds"] == written["sounds"]


def test_the_report_keeps_the_contract() -> None:
    validate(dict(result().report))


def test_repr_is_a_short_table() -> None:
    lines = repr(result()).splitlines()
    assert lines[0] == f"{CLAIM} on power-filterbank (effort quick, seed 3)"
    assert re.search(r"^latent +-?0\.\d{3} \[-?0\.\d{3}, -?\d\.\d{3}\] +refuted +disagrees$", "\n".join(lines), re.M)
    assert max(map(len, lines)) < 120


def test_a_notebook_shows_the_section_with_figure_and_sounds() -> None:
    shown = result()._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', shown)[1])
    assert page == excerpt(dict(result().report))
    assert "data:audio/flac;base64," in page
    assert '<figure class="intervals">' in page
    assert claims()[CLAIM].title in page
    for absent in ("<header>", "<footer", "Back to the verdicts", 'href="#verdicts"', "<script"):
        assert absent not in page


def test_links_of_an_excerpt_lead_somewhere() -> None:
    page = excerpt(dict(result().report))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_an_object_is_heard_as_it_is() -> None:
    encoder = references.power_filterbank(bandwidth=4.0)
    found = check(CLAIM, encoder, effort="quick", seed=3)
    assert found.encoder == encoder.name
    assert found["latent"].effect == pytest.approx(result()["latent"].effect + 2.0, abs=0.15)
    assert found["latent"].record["rerun"] == f"check('{CLAIM}', encoder, effort='quick', seed=3)"


def test_an_object_may_bear_the_name_of_a_control() -> None:
    class Imposter:
        name, sample_rate = "power-filterbank", 24_000

        def listen(self, waveforms: Any) -> dict[str, Any]:
            """Return every sample of each hop, summed."""
            return references.bare_decimator().listen(waveforms)

    found = check(CLAIM, Imposter(), effort="quick")
    assert found.encoder == "power-filterbank (as given)"
    assert found["latent"].verdict == "supported"


def test_a_result_is_frozen() -> None:
    with pytest.raises(AttributeError):
        result().seed = 1  # type: ignore[misc]
    with pytest.raises(KeyError, match="'first_conv' is no site of selectivity_limited; it has stack_end, latent"):
        result()["first_conv"]


def test_claims_are_all_of_the_folder() -> None:
    files = {path.stem.removeprefix("test_") for path in (ROOT / "tests/claims").glob("test_*.py")}
    assert set(claims()) >= files
    assert list(claims()) == sorted(claims())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"claim": "pitch_directions"}, r"claim='pitch_directions'.* did you mean pitch_direc", id="near"),
        pytest.param({"claim": "xyzzy"}, r"claim='xyzzy' is not a claim; there are .*alias_collapse", id="far"),
        pytest.param({"effort": "full"}, r"effort='full' must be one of quick, standard, thorough", id="effort"),
        pytest.param({"seed": -1}, r"seed=-1 must be a whole number, 0 or more", id="negative seed"),
        pytest.param({"seed": 0.5}, r"seed=0.5 must be a whole number", id="fractional seed"),
        pytest.param({"encoder": "encodec-minni"}, r"did you mean encodec-mini", id="spec"),
        pytest.param({"encoder": torch.nn.Linear(1, 1)}, r"testtone.models.tap\(module", id="module"),
        pytest.param({"encoder": object()}, r"gives a object without a method listen", id="object"),
    ],
)  # fmt: skip
def test_a_bad_question_gets_a_line_that_helps(options: dict[str, Any], message: str) -> None:
    given = {"claim": CLAIM, "encoder": "power-filterbank", "effort": "quick"} | options
    with pytest.raises(ValueError, match=message):
        check(given.pop("claim"), given.pop("encoder"), **given)


def test_an_encoder_that_breaks_its_promise_is_named() -> None:
    class Broken:
        name, sample_rate = "broken", 24_000

        def listen(self, waveforms: Any) -> dict[str, Any]:
            """Return what is not a number."""
            return {"latent": np.full((len(waveforms), 2, 75), np.nan)}

    with pytest.raises(EncoderFault, match="broken"):
        check(CLAIM, Broken(), effort="quick")
