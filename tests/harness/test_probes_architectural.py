"""Alike or not: what comes of comparing scores whose truth is known, and of encoders that are known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from testtone.models import references, resolve, specs
from testtone.models.listening import Listener
from testtone.probes import architectural as probe
from testtone.probes.hearing import ear_of, hear
from testtone.probes.records import Effect, Measurement, Part
from testtone.probes.statistics import verdict
from testtone.tests.claims.test_architectural import CLAIM, SEEDS, company
from testtone.tests.trial import Bench

TOLERANCE = 0.05
T11 = 1.796  # Student's t, 11 degrees of freedom, one-sided .05


def scores(**values: float | tuple[float, float] | None) -> Measurement:
    """A measurement as the probe returns it: scores, each with its standard error over twelve clusters."""
    parts = []
    for name, value in values.items():
        score, error = value if isinstance(value, tuple) else (value, 0.0)
        effect = None
        if score is not None:
            half = error * T11
            effect = Effect(name=name, value=score, low=score - half, high=score + half, confidence=0.9, unit="", n=12)
        parts.append(Part(name=name, effect=effect, threshold=CLAIM.threshold))
    return Measurement(site="latent", probe="architectural", version=1, effect=None, reason="", parts=tuple(parts))


# --- the comparison -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param({"a": 0.5, "b": 0.5}, 0.15, id="no difference"),
        pytest.param({"a": 0.6, "b": 0.5}, 0.05, id="one differs, up"),
        pytest.param({"a": 0.5, "b": 0.4}, 0.05, id="one differs, down"),
        pytest.param({"a": 0.9, "b": 0.45}, -0.25, id="the largest counts"),
    ],
)
def test_the_effect_is_the_margin_less_the_largest_difference(own: dict[str, float], expected: float) -> None:
    found = probe.compare(scores(**own), [scores(a=0.5, b=0.5 + step) for step in (-0.001, 0.0, 0.001)])
    assert found.effect.value == pytest.approx(expected, abs=1e-9)
    assert found.effect.n == 3
    assert found.effect.low <= found.effect.value <= found.effect.high


def test_the_interval_is_that_of_a_difference_of_means() -> None:
    """One question that matters: Welch's interval, formed here by hand."""
    from scipy import stats

    others = np.array([0.40, 0.44, 0.47, 0.52, 0.41, 0.46])
    found = probe.compare(
        scores(a=(0.8, 0.03), b=0.5), [scores(a=float(each), b=0.5 + 1e-6 * i) for i, each in enumerate(others)]
    )
    a, b = others.var(ddof=1) / 6, 0.03**2
    freedom = (a + b) ** 2 / (a**2 / 5 + b**2 / 11)
    size = 0.8 - others.mean()
    half = stats.t.ppf(0.95, freedom) * np.sqrt(a + b)
    (part, _) = found.parts
    assert part.effect.low == pytest.approx(0.15 - size - half, abs=1e-4)
    assert part.effect.high == pytest.approx(0.15 - size + half, abs=1e-4)
    strict = stats.t.ppf(0.975, freedom) * np.sqrt(a + b)
    assert found.effect.low == pytest.approx(0.15 - size - half, abs=1e-4)
    assert found.effect.high == pytest.approx(0.15 - size + strict, abs=1e-4)


@pytest.mark.parametrize(
    ("differences", "false"),
    [((0.15, 0.0, 0.0), "supported"), ((0.15, 0.15, 0.15), "supported"), ((0.30, 0.30, 0.30), "refuted")],
)
def test_false_verdicts_stay_rare_at_the_thresholds(differences: tuple[float, ...], false: str) -> None:
    """Truth at a threshold: at most one verdict in twenty is false (6.4 % of 1000 counts as that)."""
    rng = np.random.default_rng(0)
    names, errors, wrong = "abc", (0.02, 0.03, 0.01), 0
    for _ in range(1000):
        own = {
            n: (float(0.5 + d + rng.normal(0, e)), float(e * np.sqrt(rng.chisquare(11) / 11)))
            for n, d, e in zip(names, differences, errors, strict=True)
        }
        others = [scores(**{n: float(rng.normal(0.5, 0.05)) for n in names}) for _ in range(6)]
        wrong += verdict(probe.compare(scores(**own), others).effect, CLAIM.threshold) == false
    assert wrong / 1000 <= 0.064


def test_equal_ones_are_found_alike_and_far_ones_different() -> None:
    rng = np.random.default_rng(0)
    for shift, expected in ((0.0, "supported"), (0.5, "refuted")):
        found = []
        for _ in range(200):
            own = scores(**{n: (float(rng.normal(0.5 + shift, 0.02)), 0.02) for n in "abc"})
            others = [scores(**{n: float(rng.normal(0.5, 0.03)) for n in "abc"}) for _ in range(6)]
            found.append(verdict(probe.compare(own, others).effect, CLAIM.threshold) == expected)
        assert np.mean(found) > 0.95


def test_the_order_of_the_others_changes_nothing() -> None:
    others = [scores(a=0.1 * i, b=0.3) for i in range(5)]
    first, second = (probe.compare(scores(a=0.2, b=0.3), each).effect for each in (others, others[::-1]))
    assert (first.low, first.value, first.high) == pytest.approx((second.low, second.value, second.high), abs=1e-12)


def test_without_company_the_claim_does_not_apply() -> None:
    found = probe.compare(scores(a=0.1, b=0.2), [])
    assert found.not_applicable
    assert "no untrained encoders of its architecture are known" in found.reason


def test_questions_without_an_answer_are_left_out_and_said() -> None:
    others = [scores(a=0.5, b=0.5 + 0.001 * i, c=None if i else 0.5) for i in range(4)]
    found = probe.compare(scores(a=0.5, b=0.5, c=0.5), others)
    assert found.effect is not None
    assert found.parts[2].effect is None
    assert found.parts[2].note == "untrained encoders that answer: 1 (at least 3)"
    found = probe.compare(scores(a=0.5, b=None, c=None), others)
    assert found.effect is None
    assert found.reason == "only 1 of 3 questions have answers on both sides (at least 2)"
    assert verdict(found.effect, CLAIM.threshold) == "insufficient"


# --- company --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", specs.TWINS)
def test_a_trained_encoder_is_compared_with_untrained_draws_of_it(name: str) -> None:
    for spec in (name, f"{name}:weights.pt"):
        kin = [spec.partition(",")[0] for spec in company(spec)]
        assert kin == [f"{name}-gain:seed={seed}" for seed in SEEDS]
    assert company(f"{name}-gain") == ()
    assert company(f"{name}-gain:seed=101") == company(name)
    assert len(set(SEEDS)) >= 5


@pytest.mark.parametrize("name", ["encodec-mini", "samplecnn", "holistic-features:seed=101"])
def test_company_is_of_other_widths(name: str) -> None:
    """Half to twice as wide, evenly on a logarithmic scale, and what the rest of a model receives as it was."""
    company_of = [resolve(spec) for spec in company(name)]
    assert len({each.name for each in company_of}) == len(SEEDS)
    if name.startswith("holistic"):
        wide = [each.listen(np.zeros((1, 3200), np.float32))["latent"].shape[1] for each in company_of]
    else:
        layers = [next(each.module.modules()) for each in company_of]
        wide = [sum(p.numel() for p in each.parameters()) ** 0.5 for each in layers]
    steps = np.diff(np.log2(wide))
    assert (steps > 0).all()
    assert np.log2(wide[-1] / wide[0]) == pytest.approx(2.0, abs=0.6)


@pytest.mark.parametrize("spec", ["mine.py:build", "linear-stft", "crepe-tiny"])
def test_where_no_twin_is_known_there_is_no_company(spec: str) -> None:
    assert company(spec) == ()
    record = Bench(seed=0, effort="quick").record(CLAIM, "linear-stft", "latent")
    assert record["verdict"] == "not-applicable"


# --- the scores -----------------------------------------------------------------------------------------------------


def heard(encoder: Any, *, seed: int = 0, effort: str = "quick") -> dict[str, Effect | None]:
    listener = Listener(resolve(encoder) if isinstance(encoder, str) else encoder)
    ear = ear_of(listener, ("latent",))
    found = hear(listener, {"it": (ear, probe.architectural(ear, np.random.default_rng(seed), effort))})["it"]
    if found.error is not None:
        raise found.error
    assert found.fault is None, found.fault
    return {part.name: part.effect for part in found.measurements["latent"].parts}


@cache
def record(spec: str, seed: int) -> dict[str, Any]:
    bench = Bench(seed=seed, effort="quick")
    bench.want(CLAIM, spec)
    return bench.record(CLAIM, spec, "latent")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_controls_come_out_as_expected(seed: int) -> None:
    found = record("power-filterbank", seed)
    assert {each["expected"]: each["verdict"] for each in found["controls"]} == {
        "supported": "supported",
        "refuted": "refuted",
    }
    assert found["verdict"] == "refuted"


def test_scores_stand_between_their_controls() -> None:
    linear, texture, wide = heard("linear-stft"), heard("holistic-features"), heard("bare-decimator")
    assert linear["stability"].value == pytest.approx(1.0, abs=0.001)
    assert texture["stability"].value == pytest.approx(0.0, abs=TOLERANCE)
    assert linear["holism"].value == pytest.approx(0.0, abs=0.001)
    assert texture["holism"].value == pytest.approx(1.0, abs=TOLERANCE)
    assert wide["width"].value == pytest.approx(1.0, abs=TOLERANCE)
    assert heard("power-filterbank")["width"].value == pytest.approx(0.0, abs=TOLERANCE)


@pytest.mark.parametrize("weight", [0.3, 3.0])
def test_a_difference_is_that_of_the_scores_of_its_claim(weight: float) -> None:
    """Textures of a known weight beside a filterbank: holism is known in closed form, and so is the difference."""
    own = heard(f"partly-holistic:weight={weight}", effort="standard")["holism"]
    rng = np.random.default_rng(1)
    lengths = 10 ** (rng.uniform(-3, 3, (20_000, 4)) / 10)
    additive, random = (lengths**2 / 4).sum(axis=1), weight * 15 / 16
    expected = np.mean(random / (additive + random))
    assert own.value == pytest.approx(expected, abs=TOLERANCE)
    others = [scores(holism=0.001 * i, width=0.0) for i in range(6)]
    found = probe.compare(scores(holism=own.value, width=0.0), others)
    assert found.effect.value == pytest.approx(0.15 - expected, abs=TOLERANCE)


def test_a_deaf_encoder_answers_nothing() -> None:
    class Deaf:
        name, sample_rate, frame_rates = "deaf", 24_000, {"latent": 75.0}

        def listen(self, waveforms: Any) -> dict[str, Any]:
            """Return zeros."""
            return {"latent": np.zeros((len(waveforms), 3, waveforms.shape[1] // 320), np.float32)}

    assert set(heard(Deaf()).values()) == {None}


def test_another_clock_and_one_channel() -> None:
    found = heard(references.bare_decimator(sample_rate=16_000, hop=160))
    assert found["stability"].value == pytest.approx(1.0, abs=0.001)
    assert found["width"].value == pytest.approx(1.0, abs=TOLERANCE)
