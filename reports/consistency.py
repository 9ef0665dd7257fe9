"""Whether a report contradicts itself: each verdict is worked out again from what stands beside it.

A verdict is not a word that somebody may write. It follows from the interval, the thresholds and the controls of the
same record, and agreement follows from verdict and stance. A report in which they differ was edited, cut or made by
something else; it is refused, whoever reads it.

What is worked out, for each record:

* the interval above or below the thresholds, or neither: ``supported``, ``refuted``, ``inconclusive``; without both
  ends of an interval ``insufficient``. The same for each control and each other reading.
* a control that came out otherwise than expected: ``invalid``, and nothing else. ``invalid`` without such a control is
  a contradiction as well.
* any verdict on the proposition needs a control of either kind, one that had to be supported and one that had to be
  refuted.
* ``agrees`` from verdict and stance; a known disagreement only where it is false.

And for the report: no case stands there twice, or both with a verdict and as not run; as many records as it says ran.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .wording import as_float, ends

DECIDED = ("supported", "refuted")
SIDES = ("supported", "refuted")

Record = Mapping[str, Any]
Case = tuple[str, str | None, str | None]
"""Claim id, encoder spec, site."""


def case(record: Record) -> Case:
    """Return what identifies a record in its report: claim, encoder, site."""
    return record["id"], record["encoder"], record["site"]


def called(found: Case) -> str:
    """Return a case in words."""
    claim, encoder, site = found
    return claim + (f" on {encoder}" if encoder else "") + (f" at {site}" if site else "")


def verdict(effect: Record | None, threshold: Record | None) -> str:
    """Return the verdict that an effect's interval makes against two thresholds, controls apart."""
    low, high = ends(effect)
    above, below = limits(threshold)
    if low is None or high is None:
        return "insufficient"
    if above is not None and low > above:
        return "supported"
    if below is not None and high < below:
        return "refuted"
    return "inconclusive"


def limits(threshold: Record | None) -> tuple[float | None, float | None]:
    """Return two thresholds: supported above, refuted below; None for one that is not there."""
    above, below = ((threshold or {}).get(name) for name in ("supported_above", "refuted_below"))
    return as_float(above), as_float(below)


def agreement(verdict: str, stance: str) -> bool | None:
    """Return whether a verdict agrees with the source; None where there is nothing to agree on."""
    if stance == "open" or verdict not in DECIDED:
        return None
    return (verdict == "supported") == (stance == "holds")


def wrong_controls(record: Record) -> list[Record]:
    """Return the controls that did not come out as they had to, by their own intervals or by their own words."""
    return [
        control
        for control in record["controls"]
        if not control["expected"] == control["verdict"] == verdict(control["effect"], record["threshold"])
    ]


def contradictions(report: Record) -> Iterator[str]:
    """Yield what a report that keeps the contract says against itself, with its place, in the order of the report."""
    seen: dict[Case, int] = {}
    for index, record in enumerate(report["claims"]):
        place = f"report.claims[{index}]"
        if case(record) in seen:
            yield f"{place} is {called(case(record))}, which stands at claims[{seen[case(record)]}] already"
        seen.setdefault(case(record), index)
        for problem in _of_record(record):
            yield f"{place} ({called(case(record))}) contradicts itself: {problem}"
    exit = report.get("exit") or {}
    for index, missed in enumerate(exit.get("not_run") or []):
        found = (missed.get("id"), missed.get("encoder"), missed.get("site"))
        if found in seen:
            yield f"report.exit.not_run[{index}] is {called(found)}, which has a verdict at claims[{seen[found]}]"
    ran = exit.get("ran")
    if ran is not None and ran != len(report["claims"]):
        yield f"report.exit.ran={ran}, but there are {len(report['claims'])} claims"


def _of_record(record: Record) -> Iterator[str]:
    said, threshold = record["verdict"], record["threshold"]
    above, below = limits(threshold)
    if above is not None and below is not None and below > above:
        yield f"refuted_below={below:g} lies above supported_above={above:g}"
    for name, effect in _effects(record):
        low, high = ends(effect)
        if low is not None and high is not None and low > high:
            yield f"{name} has the interval [{low:g}, {high:g}], whose ends are the wrong way round"
    for each in record["controls"]:
        found = verdict(each["effect"], threshold)
        if each["verdict"] != found:
            yield f"control {each['encoder']} is said to be {each['verdict']!r}, but {_why(each, threshold)} {found!r}"
    for each in record["parts"]:
        found = verdict(each["effect"], each["threshold"])
        if each["verdict"] is not None and each["verdict"] != found:
            why = _why(each, each["threshold"])
            yield f"reading {each['name']!r} is said to be {each['verdict']!r}, but {why} {found!r}"
    yield from _of_verdict(record)
    if record["agrees"] is not agreement(said, record["stance"]):
        yield (
            f"agrees={_json(record['agrees'])}, but verdict={said!r} where the source says {record['stance']!r} "
            f"makes it {_json(agreement(said, record['stance']))}"
        )
    if record["known_disagreement"] and record["agrees"] is not False:
        yield f"known_disagreement is given, but agrees={_json(record['agrees'])}"


def _of_verdict(record: Record) -> Iterator[str]:
    """Yield what speaks against a record's verdict."""
    said, wrong = record["verdict"], wrong_controls(record)
    if said == "not-applicable":
        if record["effect"] is not None:
            yield "verdict='not-applicable', but there is an effect"
    elif said == "invalid":
        if not wrong:
            yield "verdict='invalid', but no control came out wrong"
    elif wrong:
        each = wrong[0]
        yield (
            f"verdict={said!r}, but control {each['encoder']} had to be {each['expected']} and is "
            f"{each['verdict']}: the probe may not judge, and the verdict is 'invalid'"
        )
    else:
        found = verdict(record["effect"], record["threshold"])
        if said != found:
            yield f"verdict={said!r}, but {_why(record, record['threshold'])} {found!r}"
        missing = [side for side in SIDES if side not in {each["expected"] for each in record["controls"]}]
        if missing:
            yield f"verdict={said!r}, but there is no control that had to be {' or '.join(missing)}"


def _effects(record: Record) -> Iterator[tuple[str, Record]]:
    named = [("effect", record)]
    named += [(f"reading {each['name']!r}", each) for each in record["parts"]]
    named += [(f"control {each['encoder']}", each) for each in record["controls"]]
    yield from ((name, each["effect"]) for name, each in named if each["effect"] is not None)


def _why(record: Record, threshold: Record | None) -> str:
    """Say what makes a verdict: the numbers that it follows from."""
    low, high = ends(record["effect"])
    if low is None or high is None:
        return "no interval makes it"
    above, below = limits(threshold)
    against = f"supported_above={_json(above)} and refuted_below={_json(below)}"
    return f"the interval [{low:g}, {high:g}] with {against} makes it"


def _json(value: bool | float | None) -> str:
    return json.dumps(value)
