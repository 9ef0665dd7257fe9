"""Several reports of one run as one: the shards of a job array, or claims that were asked one after the other.

What comes out is the report that one run would have written, byte for byte but for times and the command line. So what
decides the numbers must be the same in all: seed, effort, versions, threads, whatever stands in the environment. An
encoder, a sound or a record that stands in two of them must be the same in both. Anything else is refused, with the
name of what differs. Only the adjustment of p-values over all claims is worked out anew, for it depends on what else
was asked.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .consistency import Case, called, case
from .page import _flat, _work

SITES = ("first_conv", "stack_end", "latent", "quantised")
"""Order of the sites of an encoder in a report."""

APART = frozenset({"seconds", "p_holm"})
"""What two records of one case may differ in: a time, and what depends on the other claims."""

ELSEWHERE = "is in shard "
"""How the reason begins why a claim did not run: it was another shard's."""

Report = Mapping[str, Any]


def merge(reports: Sequence[Report], *, names: Sequence[str], partial: bool = False) -> dict[str, Any]:
    """Return the report of the run that some reports are parts of.

    Args:
        reports: each keeps the contract and does not contradict itself (`files.read_report`).
        names: what each is called in a message, such as its file's name.
        partial: take what is there when shards are missing; their claims are then said not to have run.

    Raises:
        ValueError: if they are not parts of one run, naming the two reports and what differs.
    """
    if len(reports) < 2:
        raise ValueError(f"{len(reports)} report is nothing to merge; name two or more")
    first = reports[0]
    for report, name in zip(reports[1:], names[1:], strict=True):
        _alike(first, report, names[0], name)
    records = _records(reports, names)
    exit = _exit(reports, set(records))
    if not partial:
        _complete(exit["not_run"])
    order = _on_trial(reports)
    claims = sorted(records.values(), key=lambda each: _key(each, order))
    encoders = _union(((each["spec"], each) for each in report["encoders"]) for report in reports)
    _same(encoders, names, "encoder")
    sounds = _sounds(reports, claims, order, names)
    beside = sorted(set(encoders) - set(order))
    works = {_work(record["source"]) for record in claims}
    merged = dict(first) | {
        "created": min((r["created"] for r in reports if r.get("created")), default=None),
        "seconds": round(sum(report.get("seconds") or 0 for report in reports), 3),
        "command": "; ".join(dict.fromkeys(report["command"] for report in reports)),
        "encoders": [encoders[spec][0][1] for spec in (*order, *beside) if spec in encoders],
        "claims": list(_with_holm(claims)),
        "out_of_scope": [each for each in _out_of_scope(reports) if _work(each["source"]) in works],
        "exit": exit,
        "sounds": {sha256: sounds[sha256] for sha256 in sorted(sounds)},
    }
    if any(report.get("illustrations") for report in reports):
        merged["illustrations"] = _illustrations(reports, order, names)
    merged.pop("shard", None)
    return merged


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method, in their order."""
    running, adjusted = 0.0, [0.0] * len(p)
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        running = max(running, (len(p) - rank) * p[index])
        adjusted[index] = min(1.0, running)
    return adjusted


def _alike(first: Report, other: Report, name: str, other_name: str) -> None:
    """Raise a ValueError that names what two reports differ in, of what decides their numbers."""
    told = [
        (key, first.get(key), other.get(key))
        for key in ("schema", "title", "seed", "effort")
        if first.get(key) != other.get(key)
    ]
    mine, others = dict(_flat(first["environment"])), dict(_flat(other["environment"]))
    told += [
        (f"environment.{key}", mine.get(key), others.get(key))
        for key in dict.fromkeys((*mine, *others))
        if mine.get(key) != others.get(key)
    ]
    shards = [(report.get("shard") or {}) for report in (first, other)]
    if all(shards):
        told += [
            (f"shard.{key}", shards[0].get(key), shards[1].get(key))
            for key in ("of", "on_trial")
            if shards[0].get(key) != shards[1].get(key)
        ]
    if told:
        differences = (f"{key} is {_brief(a)} in {name} and {_brief(b)} in {other_name}" for key, a, b in told)
        raise ValueError(f"these are not parts of one run: {'; '.join(differences)}")


def _complete(not_run: Sequence[Mapping[str, Any]]) -> None:
    """Raise a ValueError if something was left to a shard that is not there."""
    missing = sorted({each["why"].removeprefix(ELSEWHERE) for each in not_run if _elsewhere(each)})
    if missing:
        raise ValueError(
            f"shard {', '.join(missing)} is missing; add its report, or say --partial and its claims are listed as not "
            "run"
        )


def _records(reports: Sequence[Report], names: Sequence[str]) -> dict[Case, Mapping[str, Any]]:
    records: dict[Case, tuple[str, Mapping[str, Any]]] = {}
    for report, name in zip(reports, names, strict=True):
        for record in report["claims"]:
            before, known = records.setdefault(case(record), (name, record))
            differing = [key for key in dict.fromkeys((*known, *record)) if known.get(key) != record.get(key)]
            if set(differing) - APART:
                key = next(key for key in differing if key not in APART)
                raise ValueError(
                    f"{called(case(record))} differs: {key} is {_brief(known.get(key))} in {before} and "
                    f"{_brief(record.get(key))} in {name}"
                )
    return {found: record for found, (_, record) in records.items()}


def _union(several: Iterable[Iterable[tuple[str, Any]]]) -> dict[str, list[tuple[int, Any]]]:
    """Return key -> what each report holds under it, as pairs of the report's place and the thing."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for index, pairs in enumerate(several):
        for key, thing in pairs:
            found.setdefault(key, []).append((index, thing))
    return found


def _same(found: Mapping[str, list[tuple[int, Any]]], names: Sequence[str], kind: str) -> None:
    for key, carried in found.items():
        index, known = carried[0]
        for other, thing in carried[1:]:
            for field in dict.fromkeys((*known, *thing)):
                if known.get(field) != thing.get(field):
                    raise ValueError(
                        f"{kind} {key} differs: {field} is {_brief(known.get(field))} in {names[index]} and "
                        f"{_brief(thing.get(field))} in {names[other]}"
                    )


def _sounds(
    reports: Sequence[Report], claims: Sequence[Mapping[str, Any]], order: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    """Return the sounds of all reports, by hash.

    A hash names a recipe. Encoders of two sample rates are played the same recipe at two rates, and two claims may call
    it differently; a run keeps the one that its last record plays, and the one that opens the page before that.
    """
    found = _union((report.get("sounds") or {}).items() for report in reports)
    by_rate = {
        f"{sha256} at {rate} Hz": [
            (index, {key: value for key, value in sound.items() if key != "label"})
            for index, sound in carried
            if sound.get("sample_rate") == rate
        ]
        for sha256, carried in found.items()
        for rate in dict.fromkeys(sound.get("sample_rate") for _, sound in carried)
    }
    _same(by_rate, names, "sound")
    several = {sha256: dict(carried) for sha256, carried in found.items() if len(carried) > 1}
    chosen = {sha256: next(iter(carried)) for sha256, carried in several.items()}
    home = {case(record): index for index, report in reversed([*enumerate(reports)]) for record in report["claims"]}
    for record in claims:
        index, text = home[case(record)], json.dumps(record)
        chosen |= {sha256: index for sha256, carried in several.items() if index in carried and sha256 in text}
    for index, shown in reversed(_shown(reports, order).values()):
        if index in several.get(shown["sha256"], {}):
            chosen[shown["sha256"]] = index
    return {sha256: dict(carried)[chosen.get(sha256, carried[0][0])] for sha256, carried in found.items()}


def _shown(reports: Sequence[Report], order: Sequence[str]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Return what each encoder makes of the sound that opens the page, with the place of the report that has it."""
    found: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for index, report in enumerate(reports):
        for each in (report.get("illustrations") or {}).get("representations") or []:
            found.setdefault(each["encoder"], (index, each))
    return {spec: found[spec] for spec in (*order, *found) if spec in found}


def _illustrations(reports: Sequence[Report], order: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    several = [report.get("illustrations") or {} for report in reports]
    _same(
        _union(((each["encoder"], each) for each in some.get("representations") or []) for some in several),
        names,
        "the illustration of",
    )
    return dict(next(some for some in several if some)) | {
        "representations": [each for _, each in _shown(reports, order).values()]
    }


def _on_trial(reports: Sequence[Report]) -> list[str]:
    """Return the specs of the encoders on trial, in the order in which one run would have met them."""
    for report in reports:
        if report.get("shard"):
            return list(report["shard"]["on_trial"])
    asked = {record["encoder"] for report in reports for record in (*report["claims"], *_not_run(report))}
    return list(dict.fromkeys(e["spec"] for report in reports for e in report["encoders"] if e["spec"] in asked))


def _key(record: Mapping[str, Any], order: Sequence[str]) -> tuple[Any, ...]:
    encoder, site = record["encoder"], record["site"]
    return (
        record["id"],
        order.index(encoder) if encoder in order else len(order),
        SITES.index(site) if site in SITES else len(SITES),
        str(encoder),
        str(site),
    )


def _with_holm(records: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the records, their p-values adjusted over all that was asked of the same encoder."""
    adjusted: dict[int, float] = {}
    for encoder in dict.fromkeys(record["encoder"] for record in records):
        family = [i for i, each in enumerate(records) if each["encoder"] == encoder and each.get("p") is not None]
        adjusted |= dict(zip(family, holm([records[i]["p"] for i in family]), strict=True))
    for index, record in enumerate(records):
        yield dict(record) | ({"p_holm": adjusted.get(index)} if "p_holm" in record else {})


def _out_of_scope(reports: Sequence[Report]) -> list[Any]:
    """Return the sentences of all reports, each once."""
    kept: list[Any] = []
    for report in reports:
        kept += [each for each in report.get("out_of_scope") or [] if each not in kept]
    return kept


def _not_run(report: Report) -> list[Mapping[str, Any]]:
    return list((report.get("exit") or {}).get("not_run") or [])


def _exit(reports: Sequence[Report], ran: set[Case]) -> dict[str, Any]:
    missed: dict[Case, Mapping[str, Any]] = {}
    # A shard knows best why a claim of its own did not run; the others know only where it was.
    for report in sorted(reports, key=lambda each: bool(each.get("shard"))):
        own = (report.get("shard") or {}).get("index")
        for each in _not_run(report):
            found = (each.get("id"), each.get("encoder"), each.get("site"))
            if found not in ran and (found not in missed or (own is not None and not _elsewhere(each))):
                missed[found] = each  # type: ignore[index]
    exits = [report.get("exit") or {} for report in reports]
    told = dict(exits[0]) | {
        "ran": len(ran),
        "not_run": [missed[found] for found in sorted(missed, key=lambda found: [str(word) for word in found])],
    }
    if "deselected" in told:
        told["deselected"] = max(each.get("deselected") or 0 for each in exits)
    return told


def _elsewhere(missed: Mapping[str, Any]) -> bool:
    """Say whether a claim did not run because it was another shard's."""
    return str(missed.get("why") or "").startswith(ELSEWHERE)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
