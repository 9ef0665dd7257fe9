"""A claim is put to an encoder: which verdict, who agrees, and who must not judge."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from toy_claims import claim, follows_level
from toy_encoders import Faulty, Meter, nan

from testtone.models import specs
from testtone.probes.hearing import Ear, Listen, Probe
from testtone.probes.readouts import mean
from testtone.probes.records import Effect, Measurement, Threshold
from testtone.reports import validate
from testtone.stimuli import Partial, Stimulus, Tone
from testtone.tests import disagreements
from testtone.tests.claim import Claim, Control
from testtone.tests.ledger import Ledger
from testtone.tests.trial import Bench, Trial, generator

CONTROLS = (Control(encoder="yes", expected="supported"), Control(encoder="no", expected="refuted"))


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> dict[str, Meter]:
    """Return who is on trial: spec -> encoder. A spec that is not there is a bad one."""
    known = {"yes": Meter(1.0), "no": Meter(0.0), "mine": Meter(1.0), "half": Meter(0.5), "minus": Meter(-1.0)}

    def resolve(spec: str) -> Meter:
        if spec not in known:
            raise specs.EncoderSpecError(f"there is no encoder {spec!r}")
        return known[spec]

    monkeypatch.setattr(specs, "resolve", resolve)
    return known


@pytest.fixture
def bench(cast: dict[str, Meter]) -> Bench:
    """Return a bench on which `cast` is known."""
    return Bench(seed=0, effort="quick")


def toy(**changes: Any) -> Claim:
    return claim(sites=("latent",), **{"controls": CONTROLS} | changes)


def says(effect: Effect | None, **more: Any) -> Callable[[Ear, np.random.Generator, str], Probe]:
    """Return a probe that hears one sound and says the same of every encoder but the controls."""

    def probe(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
        tone = Stimulus.of(Tone((Partial(1000.0, 0.1),)), seconds=0.3)
        (answer,) = yield [Listen((tone,), mean)]
        found = effect
        level = ear.unit("latent") * answer["latent"].item() / (0.1 / math.sqrt(2))
        if level == 0 or level > 0.9:
            found = interval(level - 0.1, level + 0.1)
        return {"latent": Measurement(site="latent", probe="says", version=1, effect=found, **more)}

    return probe


def interval(low: float, high: float, *, value: float | None = None) -> Effect:
    middle = (low + high) / 2 if value is None else value
    return Effect(name="gain", value=middle, low=low, high=high, confidence=0.9, unit="", n=10)


# --- verdicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "stance", "verdict", "agrees"),
    [
        ("mine", "holds", "supported", True),
        ("mine", "does-not-hold", "supported", False),
        ("mine", "open", "supported", None),
        ("minus", "holds", "refuted", False),
        ("minus", "does-not-hold", "refuted", True),
        ("minus", "open", "refuted", None),
        ("half", "holds", "inconclusive", None),
        ("half", "does-not-hold", "inconclusive", None),
        ("half", "open", "inconclusive", None),
    ],
)
def test_the_verdict_is_of_the_encoder_and_agreement_of_the_source(
    bench: Bench, spec: str, stance: str, verdict: str, agrees: bool | None
) -> None:
    record = bench.record(toy(stance=stance), spec, "latent")
    assert (record["verdict"], record["agrees"]) == (verdict, agrees)


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [
        (interval(0.76, 2.0), "supported"),
        # On the line is not beyond it.
        (interval(0.75, 2.0), "inconclusive"),
        (interval(-1.0, 0.24), "refuted"),
        (interval(-1.0, 0.25), "inconclusive"),
        (interval(0.3, 0.7), "inconclusive"),
        (interval(-1.0, 2.0), "inconclusive"),
        (None, "insufficient"),
        (interval(math.nan, math.nan, value=0.9), "insufficient"),
        (interval(-math.inf, 0.1, value=0.0), "insufficient"),
    ],
    ids=str,
)
def test_the_whole_interval_decides(bench: Bench, effect: Effect | None, verdict: str) -> None:
    record = bench.record(toy(probe=says(effect)), "half", "latent")
    assert record["verdict"] == verdict
    if verdict == "insufficient":
        assert record["effect"] is None
    # What a report can hold: no NaN, no infinity.
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize(
    ("effect", "p"),
    [
        # A 90 % interval that just touches a threshold is a one-sided test at .05 that just rejects.
        (interval(0.75, 1.25), pytest.approx(0.05, abs=1e-9)),
        (interval(-0.25, 0.25), pytest.approx(0.05, abs=1e-9)),
        # In the middle of the grey zone both sides are as far.
        (interval(0.4, 0.6), pytest.approx(1.0, abs=0.01)),
        # No spread: beyond doubt, one way or the other.
        (interval(0.8, 0.8), 0.0),
        (interval(0.1, 0.1), 0.0),
        (None, None),
    ],
    ids=str,
)
def test_the_p_value_is_that_of_the_side_the_effect_lies_on(bench: Bench, effect: Effect | None, p: object) -> None:
    assert bench.record(toy(probe=says(effect)), "half", "latent")["p"] == p


def test_what_the_encoder_lacks_is_not_applicable(bench: Bench) -> None:
    record = bench.record(claim(sites=("quantised",), controls=CONTROLS), "mine", "quantised")
    assert (record["verdict"], record["agrees"], record["controls"]) == ("not-applicable", None, [])
    assert "no site 'quantised'" in record["reason"]


def test_what_the_probe_calls_not_applicable_is(bench: Bench) -> None:
    wordless = says(None, not_applicable=True, reason="it has no gradient")
    record = bench.record(toy(probe=wordless), "half", "latent")
    assert (record["verdict"], record["reason"], record["agrees"]) == ("not-applicable", "it has no gradient", None)


def test_an_unknown_encoder_has_no_verdict(bench: Bench) -> None:
    record = bench.record(toy(), "stranger", "latent")
    assert (record["verdict"], record["reason"]) == (None, "there is no encoder 'stranger'")


# --- controls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("controls", "reason"),
    [
        (
            (Control(encoder="half", expected="supported"), CONTROLS[1]),
            "control half should be supported and is inconclusive (0.5",
        ),
        (
            (CONTROLS[0], Control(encoder="yes", expected="refuted")),
            "control yes should be refuted and is supported (1.0",
        ),
        (
            (Control(encoder="no", expected="supported"), Control(encoder="yes", expected="refuted")),
            "control no should be supported and is refuted",
        ),
        (
            (CONTROLS[0], Control(encoder="stranger", expected="refuted")),
            "control stranger should be refuted and is insufficient",
        ),
        (
            (CONTROLS[0], Control(encoder="broken", expected="refuted")),
            "control broken should be refuted and is insufficient",
        ),
    ],
    ids=["undecided", "one side", "both swapped", "unknown", "broken"],
)
def test_a_probe_whose_controls_come_out_wrong_may_not_judge(
    bench: Bench, cast: dict[str, Meter], controls: tuple[Control, ...], reason: str
) -> None:
    cast["broken"] = nan()
    record = bench.record(toy(controls=controls), "mine", "latent")
    # The effect is where the source wants it, and counts for nothing.
    assert record["effect"]["ci"][0] > record["threshold"]["supported_above"]
    assert (record["verdict"], record["agrees"]) == ("invalid", None)
    assert reason in record["reason"]


def test_controls_go_through_the_same_probe_with_the_same_sounds(bench: Bench) -> None:
    drawn: list[float] = []

    def probe(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
        drawn.append(rng.random())
        return (yield from follows_level(ear, rng, effort))

    bench.record(toy(probe=probe), "mine", "latent")
    assert len(drawn) == 3
    assert len(set(drawn)) == 1


def test_controls_are_heard_once_for_all_encoders_and_sites(bench: Bench, cast: dict[str, Meter]) -> None:
    cast["yes"] = counter = Faulty(lambda answer: answer)
    both = claim(controls=CONTROLS)
    bench.record(both, "mine", "latent")
    calls = counter.calls
    bench.record(both, "half", "latent")
    bench.record(both, "half", "stack_end")
    assert counter.calls == calls > 0


def test_a_control_without_the_site_answers_at_the_site_it_has(bench: Bench, cast: dict[str, Meter]) -> None:
    # References have one site, and stand for every site of a claim.
    cast["yes"] = Faulty(lambda answer: {"latent": answer["latent"]})
    record = bench.record(claim(controls=CONTROLS), "mine", "stack_end")
    assert record["verdict"] == "supported"


# --- one pass -------------------------------------------------------------------------------------------------------


def test_all_claims_on_an_encoder_share_one_pass(bench: Bench, cast: dict[str, Meter]) -> None:
    cast["mine"] = counter = Faulty(lambda answer: answer)
    tone = Stimulus.of(Tone((Partial(700.0, 0.1),)), seconds=0.3)

    def probe(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
        yield [Listen((tone,), mean)]
        return {}

    claims = [toy(id=f"claim_{number}", probe=probe) for number in range(5)]
    for each in claims:
        bench.want(each, "mine")
    for each in claims:
        bench.record(each, "mine", "latent")
    # Three looks at the encoder (one second, five seconds, margins), then the tone and silence, once.
    assert counter.calls == 5


def test_claims_draw_from_their_name_and_the_seed_alone() -> None:
    draws = {(name, seed): generator(name, seed).random() for name in ("a", "b") for seed in (0, 1)}
    assert len(set(draws.values())) == 4
    assert generator("a", 0).random() == draws["a", 0]


def test_one_clumsy_probe_leaves_the_other_claims_alone(bench: Bench) -> None:
    def clumsy(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
        yield []
        raise ZeroDivisionError("our own mistake")

    fine, spoilt = toy(), toy(id="clumsy", probe=clumsy)
    for each in (spoilt, fine):
        bench.want(each, "mine")
    assert bench.record(fine, "mine", "latent")["verdict"] == "supported"
    with pytest.raises(ZeroDivisionError, match="our own mistake"):
        bench.record(spoilt, "mine", "latent")


def test_a_record_is_what_a_report_may_hold(bench: Bench) -> None:
    record = bench.record(toy(), "mine", "latent")
    ledger = Ledger()
    environment = bench.environment
    ledger.enter({"record": record, "encoders": [bench.encoder("mine")], "environment": environment})
    validate(json.loads(json.dumps(ledger.report(command="pytest", seed=0, effort="quick"), allow_nan=False)))
    assert environment["soundfont_sha256"]
    assert environment["versions"]["numpy"] == np.__version__


# --- what becomes of a test -----------------------------------------------------------------------------------------


class Settled(Bench):
    """A bench that has measured already."""

    def record(self, claim: Claim, spec: str, site: str) -> dict[str, Any]:
        """Return a record with the verdict that the seed names."""
        return super().record(claim, spec, site) | self.found

    found: dict[str, Any]


def outcome(bench: Bench, verdict: str | None, stance: str, known: str | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return passed, failed, skipped or xfailed, for a verdict as measured and a line as known."""
    one = toy(stance=stance)
    agrees = one.agrees(verdict or "")
    settled = Settled(seed=0, effort="quick")
    settled.found = {"verdict": verdict, "agrees": agrees, "reason": "a reason"}
    if verdict is None:
        settled.found["fault"] = "the encoder broke"
    line = known and disagreements.Disagreement(one.id, "mine", "latent", known, "why")
    monkeypatch.setattr(disagreements, "find", lambda *case: line)
    heard: list[dict[str, Any]] = []
    trial = Trial(bench=settled, claim=one, spec="mine", site="latent", tell=heard.append)
    try:
        trial.settle()
    except (pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception) as end:
        result = {"Failed": "failed", "Skipped": "skipped", "XFailed": "xfailed"}[type(end).__name__]
    else:
        result = "passed"
    # Whatever becomes of the test, its record is in the report, and excused only where it is excused there.
    assert len(heard) == 1
    assert (heard[0]["record"]["known_disagreement"] is not None) == (result == "xfailed")
    return result


SETTLED = [
    # verdict, stance, known, outcome
    ("supported", "holds", None, "passed"),
    ("supported", "does-not-hold", None, "failed"),
    ("supported", "open", None, "passed"),
    ("refuted", "holds", None, "failed"),
    ("refuted", "does-not-hold", None, "passed"),
    ("refuted", "open", None, "passed"),
    ("inconclusive", "holds", None, "failed"),
    ("inconclusive", "open", None, "failed"),
    ("insufficient", "holds", None, "failed"),
    ("insufficient", "open", None, "failed"),
    ("invalid", "holds", None, "failed"),
    ("invalid", "open", None, "failed"),
    ("not-applicable", "holds", None, "skipped"),
    (None, "holds", None, "failed"),
    # A disagreement that is known, as it is known.
    ("refuted", "holds", "refuted", "xfailed"),
    ("supported", "does-not-hold", "supported", "xfailed"),
    # A line that was run and is no longer true.
    ("supported", "holds", "refuted", "failed"),
    ("refuted", "does-not-hold", "supported", "failed"),
    ("inconclusive", "holds", "refuted", "failed"),
    ("insufficient", "holds", "refuted", "failed"),
    ("not-applicable", "holds", "refuted", "failed"),
    # A line that never was a disagreement, whatever comes out.
    ("refuted", "holds", "supported", "failed"),
    ("supported", "holds", "supported", "failed"),
    ("supported", "open", "supported", "failed"),
    # Nothing excuses a probe that may not judge, or an encoder that broke.
    ("invalid", "holds", "refuted", "failed"),
    (None, "holds", "refuted", "failed"),
]


@pytest.mark.parametrize(("verdict", "stance", "known", "becomes"), SETTLED)
def test_what_becomes_of_a_test(
    bench: Bench, verdict: str | None, stance: str, known: str | None, becomes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(bench, verdict, stance, known, monkeypatch) == becomes


def test_an_invalid_control_does_not_accuse_the_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    line = disagreements.Disagreement("level_holds", "minus", "latent", "refuted", "why")
    monkeypatch.setattr(disagreements, "find", lambda *case: line)
    swapped = toy(controls=(Control(encoder="no", expected="supported"), CONTROLS[1]))
    with pytest.raises(pytest.fail.Exception, match=r"^invalid: ") as failure:
        Trial(bench=bench, claim=swapped, spec="minus", site="latent", tell=lambda payload: None).settle()
    assert "take the line out" not in str(failure.value)


# --- claims ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sites": ()}, r"sites=\(\) must be some of first_conv, stack_end, latent, quantised"),
        ({"sites": ("latent", "codes")}, r"sites=\('latent', 'codes'\) must be some of"),
        ({"stance": "perhaps"}, "stance='perhaps' must be one of holds, does-not-hold, open"),
        ({"controls": ()}, "controls of 'level_holds' must hold an encoder on which the proposition is supported"),
        ({"controls": CONTROLS[:1]}, "a probe that cannot say both says nothing"),
        ({"controls": CONTROLS[1:]}, "a probe that cannot say both says nothing"),
    ],
    ids=["no site", "codes", "stance", "no control", "nobody refutes", "nobody supports"],
)
def test_a_claim_that_could_not_be_judged_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        claim(**changes)


def test_thresholds_that_would_let_an_effect_be_both_are_refused() -> None:
    with pytest.raises(ValueError, match=r"refuted_below=0.5 lies above supported_above=0.2"):
        Threshold(0.2, 0.5)


def test_a_claim_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy().stance = "holds"  # type: ignore[misc]


# --- company --------------------------------------------------------------------------------------------------------


def less(own: Measurement, company: Sequence[Measurement]) -> Measurement:
    """Return the own effect less that of the company."""
    (other,) = company
    assert own.effect is not None
    assert other.effect is not None
    shift = other.effect.value
    effect = dataclasses.replace(
        own.effect, value=own.effect.value - shift, low=own.effect.low - shift, high=own.effect.high - shift
    )
    return dataclasses.replace(own, effect=effect)


def beside(spec: str, **changes: Any) -> Claim:
    """Return a claim whose encoders are all compared with one."""
    return toy(**{"company": lambda on_trial: (spec,), "compare": less} | changes)


def test_an_encoder_is_judged_by_its_difference_from_its_company(bench: Bench) -> None:
    record = bench.record(beside("half", threshold=Threshold(0.3, -0.3)), "mine", "latent")
    assert record["effect"]["value"] == pytest.approx(0.5, abs=1e-3)
    # The controls are compared as well: full is half more than half, none half less.
    assert [each["verdict"] for each in record["controls"]] == ["supported", "refuted"]
    assert [each["effect"]["value"] for each in record["controls"]] == pytest.approx([0.5, -0.5], abs=1e-3)
    assert record["verdict"] == "supported"


def test_company_may_be_the_encoder_itself_and_hears_draws_of_its_own(bench: Bench) -> None:
    drawn: list[float] = []

    def probe(ear: Ear, rng: np.random.Generator, effort: str) -> Probe:
        drawn.append(rng.random())
        return (yield from follows_level(ear, rng, effort))

    one = beside("no", probe=probe, threshold=Threshold(0.3, 0.3))
    record = bench.record(one, "no", "latent")
    assert record["effect"]["value"] == pytest.approx(0.0)
    assert (record["verdict"], [each["verdict"] for each in record["controls"]]) == (
        "refuted",
        ["supported", "refuted"],
    )
    # Two encoders on the claim's own draws, and the company, once for both, on others.
    assert len(drawn) == 3
    assert len(set(drawn)) == 2


def test_company_is_heard_in_the_same_pass_as_what_else_is_wanted_of_it(bench: Bench, cast: dict[str, Meter]) -> None:
    cast["half"] = counter = Faulty(lambda answer: {name: value / 2 for name, value in answer.items()})
    one = beside("half", threshold=Threshold(0.3, -0.3))
    bench.want(one, "mine")
    bench.want(one, "half")
    bench.record(one, "mine", "latent")
    calls = counter.calls
    bench.record(one, "half", "latent")
    assert counter.calls == calls > 0


def test_without_its_company_an_encoder_has_no_verdict(bench: Bench, cast: dict[str, Meter]) -> None:
    cast["broken"] = nan()
    record = bench.record(beside("broken"), "mine", "latent")
    assert record["verdict"] is None
    assert "NaN" in record["fault"]
    record = bench.record(beside("stranger"), "mine", "latent")
    assert (record["verdict"], record["reason"]) == (None, "there is no encoder 'stranger'")


def test_company_without_the_site_answers_at_the_site_it_has(bench: Bench, cast: dict[str, Meter]) -> None:
    cast["half"] = Faulty(lambda answer: {"latent": answer["latent"] / 2})
    one = dataclasses.replace(beside("half", threshold=Threshold(0.3, -0.3)), sites=("stack_end", "latent"))
    record = bench.record(one, "mine", "stack_end")
    assert record["effect"]["value"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("half", [{"company": lambda spec: ("half",)}, {"compare": less}], ids=["no compare", "alone"])
def test_company_and_comparison_go_together(half: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must have both company and compare, or neither"):
        toy(**half)
