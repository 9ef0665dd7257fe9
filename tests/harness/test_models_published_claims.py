"""Encoders that keep no level: which claims are put to them, and why not the others."""

from functools import cache
from typing import Any

import pytest
import torch
from plugin_toys import furnish

from testtone.models import encodec48, specs
from testtone.models.listening import Listener
from testtone.probes import statistics
from testtone.probes.hearing import ear_of, hear
from testtone.tests.claim import Claim
from testtone.tests.claims import test_alias_collapse, test_holistic_texture, test_pitch_direction
from testtone.tests.trial import Bench, generator

CLAIMS = {
    module.CLAIM.id: module.CLAIM for module in (test_alias_collapse, test_holistic_texture, test_pitch_direction)
}


class Normalised:
    """An encoder that hears every clip at an RMS of .1."""

    normalises = "each clip is divided by its RMS"

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.name, self.sample_rate = f"normalised {inner.name}", inner.sample_rate

    def listen(self, waveforms: torch.Tensor) -> Any:
        """Return what the inner encoder hears in the clips at one level."""
        clips = torch.as_tensor(waveforms)
        return self._inner.listen(0.1 * clips / (1e-8 + clips.square().mean(dim=1, keepdim=True).sqrt()))

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._inner, attribute)


@cache
def verdict(claim_id: str, spec: str) -> str:
    """Return the verdict on a normalised reference encoder."""
    claim = CLAIMS[claim_id]
    listener = Listener(Normalised(specs.resolve(spec)))
    ear = ear_of(listener, claim.sites)
    heard = hear(listener, {claim.id: (ear, claim.probe(ear, generator(claim.id, 0), "quick"))})[claim.id]
    assert heard.fault is None
    assert heard.error is None
    (measurement,) = heard.measurements.values()
    return statistics.verdict(measurement.effect, claim.threshold)


@pytest.mark.parametrize("claim", [each for each in CLAIMS.values() if each.needs_level is None], ids=lambda c: c.id)
def test_a_claim_that_needs_no_level_is_decided_without_it(claim: Claim) -> None:
    """Its controls come out as they do at their own level."""
    for control in claim.controls:
        assert verdict(claim.id, control.encoder) == control.expected


def test_a_sum_of_parts_is_none_once_its_level_is_gone() -> None:
    """Why a holistic texture cannot be told of an encoder that normalises."""
    assert [each.id for each in CLAIMS.values() if each.needs_level] == ["holistic_texture"]
    assert verdict("holistic_texture", "power-filterbank") != "refuted"


def test_the_48_khz_model_is_not_asked_for_its_texture(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encodec48.untrained(quantise=False)
    monkeypatch.setattr(specs, "resolve", lambda spec: encoder)
    monkeypatch.setattr(encoder, "listen", lambda waveforms: pytest.fail("it was asked"))
    bench = Bench(seed=0, effort="quick")
    record = bench.record(CLAIMS["holistic_texture"], "encodec-48khz-default", "latent")
    assert (record["verdict"], record["agrees"], record["effect"], record["controls"]) == (
        "not-applicable", None, None, [],
    )  # fmt: skip
    assert "the encoder keeps no level (each second of sound is divided by its RMS" in record["reason"]
    assert "no code is the sum of those of its parts" in record["reason"]


TOYS = """
from toy_encoders import Meter

class Automatic(Meter):
    normalises = "each clip is divided by its RMS"

def automatic():
    return Automatic()
"""

TESTS = """
import dataclasses
import pytest
from toy_claims import HOLDS

BY_LEVEL = dataclasses.replace(HOLDS, id="by_level", sites=("latent",), needs_level="it is about level")
AT_ANY_LEVEL = dataclasses.replace(HOLDS, id="at_any_level", sites=("latent",))

@pytest.mark.claims(BY_LEVEL)
def test_by_level(trial):
    trial.settle()

@pytest.mark.claims(AT_ANY_LEVEL)
def test_at_any_level(trial):
    trial.settle()
"""


def test_a_run_skips_what_needs_level_and_says_why(pytester: pytest.Pytester) -> None:
    furnish(pytester)
    (pytester.path / "test_toys.py").rename(pytester.path / "toy_claims.py")
    pytester.makepyfile(automatic=TOYS, test_level=TESTS)
    run = pytester.runpytest_inprocess("--encoder=automatic.py:automatic", "-m", "claims", "-rs")
    run.assert_outcomes(passed=1, skipped=1)
    run.stdout.fnmatch_lines(
        ["*not applicable: the encoder keeps no level (each clip is divided by its RMS): it is about level"]
    )
