"""The contract of a report: what it accepts, what it refuses, and that both readers of the schema agree."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from reports_sample import sample

from testtone.reports import schema as schema_module
from testtone.reports import validate

SCHEMA = schema_module.schema()
OFFICIAL = jsonschema.Draft202012Validator(SCHEMA)


def rules(rule: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema inside a schema."""
    if isinstance(rule, dict):
        yield rule
        for name in ("properties", "$defs"):
            for inner in rule.get(name, {}).values():
                yield from rules(inner)
        for name in ("items", "additionalProperties"):
            yield from rules(rule.get(name))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_keyword_of_the_schema_is_one_that_the_checker_enforces() -> None:
    used = {keyword for rule in rules(SCHEMA) for keyword in rule}
    silent = {"$schema", "$id", "$defs", "title", "description"}
    assert used - silent - {"type", "$ref"} == set(schema_module._CHECKS) & used
    assert used - silent - {"type", "$ref"} <= set(schema_module._CHECKS)


CONTRACT = {
    "report": {"schema", "command", "seed", "environment", "encoders", "claims"},
    "encoder": {"spec", "name", "sample_rate", "sites", "weights_sha256", "parameters", "reference"},
    "claim": {"id", "title", "source", "encoder", "site", "stance", "verdict", "agrees", "known_disagreement"}
    | {"effect", "threshold", "parts", "controls", "search", "stimuli", "seconds"},
    "effect": {"name", "value", "ci", "confidence", "unit", "n"},
    "threshold": {"supported_above", "refuted_below"},
    "part": {"name", "effect", "threshold", "verdict"},
    "control": {"encoder", "expected", "verdict", "effect"},
}


@pytest.mark.parametrize("thing", CONTRACT)
def test_the_contract_is_required(thing: str) -> None:
    rule = SCHEMA if thing == "report" else SCHEMA["$defs"][thing]
    assert set(rule["required"]) == CONTRACT[thing]


def test_the_sample_keeps_the_contract() -> None:
    validate(sample())
    OFFICIAL.validate(sample())


def test_what_was_written_as_json_keeps_the_contract() -> None:
    validate(json.loads(json.dumps(sample())))


def test_fields_may_be_added_anywhere() -> None:
    report = sample()
    for place in (report, report["claims"][0], report["claims"][0]["effect"], report["encoders"][0]):
        place["something_new"] = {"of": ["a later version"]}
    validate(report)
    OFFICIAL.validate(report)


def put(value: Any, *path: str | int) -> Callable[[dict[str, Any]], None]:
    """Return a change that puts a value at a path."""

    def change(report: Any) -> None:
        for step in path[:-1]:
            report = report[step]
        report[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    """Return a change that takes away what stands at a path."""

    def change(report: Any) -> None:
        for step in path[:-1]:
            report = report[step]
        del report[path[-1]]

    return change


CLAIM = ("claims", 3)
SOUND = "ab" * 32

BROKEN = {
    "another format": (put("testtone-report/9", "schema"), r"report\.schema='testtone-report/9' is not"),
    "no claims": (drop("claims"), r"report lacks 'claims', which testtone-report/1 requires"),
    "no command": (drop("command"), "report lacks 'command'"),
    "claims of the wrong kind": (put({}, "claims"), r"report\.claims={} is not of type array"),
    "an unknown verdict": (
        put("maybe", *CLAIM, "verdict"),
        r"claims\[3\]\.verdict='maybe' is not one of 'supported', ",
    ),
    "a spelling of a verdict": (put("not_applicable", *CLAIM, "verdict"), r"verdict='not_applicable' is not one of"),
    "an unknown stance": (put("yes", *CLAIM, "stance"), r"stance='yes' is not one of 'holds', 'does-not-hold', 'open'"),
    "agreement in words": (put("true", *CLAIM, "agrees"), r"agrees='true' is not of type boolean or null"),
    "agreement in numbers": (put(1, *CLAIM, "agrees"), r"agrees=1 is not of type boolean or null"),
    "no effect at all": (drop(*CLAIM, "effect"), r"report\.claims\[3\] lacks 'effect'"),
    "an effect without its n": (drop(*CLAIM, "effect", "n"), r"claims\[3\]\.effect lacks 'n'"),
    "an n between integers": (put(2.5, *CLAIM, "effect", "n"), r"effect\.n=2\.5 is not of type integer or null"),
    "an effect that is a truth": (put(True, *CLAIM, "effect", "value"), r"value=True is not of type number or null"),
    "half an interval": (put([0.1], *CLAIM, "effect", "ci"), r"effect\.ci=\[0\.1\] has 1 items, fewer than 2"),
    "three ends": (put([0.1, 0.2, 0.3], *CLAIM, "effect", "ci"), r"has 3 items, more than 2"),
    "an interval in words": (put(["low", "high"], *CLAIM, "effect", "ci"), r"ci\[0\]='low' is not of type number"),
    "a negative confidence": (put(-0.9, *CLAIM, "effect", "confidence"), r"confidence=-0\.9 is below 0"),
    "a threshold of one side": (drop(*CLAIM, "threshold", "refuted_below"), r"threshold lacks 'refuted_below'"),
    "a control without answer": (drop(*CLAIM, "controls", 0, "expected"), r"controls\[0\] lacks 'expected'"),
    "a control that may do anything": (
        put("inconclusive", *CLAIM, "controls", 0, "expected"),
        r"expected='inconclusive' is not one of 'supported', 'refuted'",
    ),
    "a part without verdict": (drop(*CLAIM, "parts", 0, "verdict"), r"parts\[0\] lacks 'verdict'"),
    "a stimulus without hash": (drop(*CLAIM, "stimuli", 0, "sha256"), r"stimuli\[0\] lacks 'sha256'"),
    "a sound that is no base64": (
        put({"flac": '"><script>'}, "sounds", SOUND),
        r"report\.sounds\['abab.*\.flac='\"><script>' does not match",
    ),
    "a sound without sound": (put({"label": "silence"}, "sounds", SOUND), r"report\.sounds\['abab.* lacks 'flac'"),
    "an encoder without a role": (drop("encoders", 0, "reference"), r"encoders\[0\] lacks 'reference'"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_report_is_refused_with_its_place(change: Callable[[dict[str, Any]], None], message: str) -> None:
    report = copy.deepcopy(sample())
    change(report)
    assert not OFFICIAL.is_valid(report)
    with pytest.raises(ValueError, match=message):
        validate(report)


@pytest.mark.parametrize("thing", [None, [], "report.json", 7], ids=repr)
def test_what_is_no_object_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"not the object that report\.json holds"):
        validate(thing)


def test_a_long_value_does_not_flood_the_message() -> None:
    report = sample()
    report["claims"][0]["verdict"] = "x" * 10_000
    with pytest.raises(ValueError, match=r"verdict='xxx") as caught:
        validate(report)
    assert len(str(caught.value)) < 300


def test_an_integer_may_be_written_with_a_point() -> None:
    report = sample()
    report["claims"][0]["effect"]["n"] = 24.0
    validate(report)
    OFFICIAL.validate(report)
