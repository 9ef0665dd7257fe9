"""The ledger: records as they come in, the table a person reads, and the report that is written of them."""

from __future__ import annotations

import base64
import datetime
import io
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .scope import out_of_scope, work

SCHEMA = "testtone-report/1"

Case = tuple[str, str, str]
"""Claim id, encoder spec, site."""


class Ledger:
    """Collects payloads (record, encoders, environment) and writes them down. Needs no torch."""

    def __init__(self) -> None:
        self.expected: dict[Case, None] = {}
        self.records: dict[Case, dict[str, Any]] = {}
        self.encoders: dict[str, dict[str, Any]] = {}
        self.environment: dict[str, Any] = {}
        self.illustrations: dict[str, dict[str, Any]] = {}
        """What each encoder on trial makes of the sound that opens the page."""
        self.page: Path | None = None
        self.unwritten: str | None = None
        """Why there is no page though one was asked for."""
        self.shard: tuple[int, int] | None = None
        """Index from 1 on, and how many there are, if this run is a part of one."""
        self.elsewhere: dict[Case, str] = {}
        """What runs in another shard: why it does not run here."""
        self.on_trial: dict[str, None] = {}
        """Specs of the encoders on trial in all shards, in the order of collection."""
        self.works: set[str] = set()
        """The works that the claims of all shards rest on."""
        self.named: dict[Case, None] = {}
        """What workers said by the names of their tests; used if none lived to say it in full."""
        self.deselected = 0
        """Cases that -k or the like left out."""
        self._started = time.monotonic()

    def expect(self, cases: Iterable[tuple[Any, str, str]]) -> None:
        """Note what is going to run."""
        self.expected.update(dict.fromkeys((claim.id, spec, site) for claim, spec, site in cases))

    def share_out(self, cases: Iterable[tuple[tuple[Any, str, str], int]]) -> None:
        """Note the cases of all shards, each with the number of its shard."""
        assert self.shard is not None
        index, of = self.shard
        for (claim, spec, site), share in cases:
            self.on_trial.setdefault(spec)
            self.works.add(work(claim.source))
            if share != index:
                self.elsewhere[claim.id, spec, site] = f"is in shard {share}/{of}"

    def told(self) -> dict[str, Any]:
        """What a worker of xdist tells the controller, besides what it expected."""
        return {
            "shard": self.shard and list(self.shard),
            "elsewhere": [[*case, why] for case, why in self.elsewhere.items()],
            "on_trial": list(self.on_trial),
            "works": sorted(self.works),
            "deselected": self.deselected,
        }

    def learn(self, told: Mapping[str, Any] | None) -> None:
        """Take in what a worker told."""
        if not told:
            return
        self.shard = told["shard"] and tuple(told["shard"])
        self.elsewhere |= {(claim, spec, site): why for claim, spec, site, why in told["elsewhere"]}
        self.on_trial |= dict.fromkeys(told["on_trial"])
        self.works |= set(told["works"])
        self.deselected = told["deselected"]

    @property
    def unfit(self) -> list[Case]:
        """Cases whose probe may not judge, or whose encoder broke its promise."""
        return [case for case, record in self.records.items() if record["verdict"] in ("invalid", None)]

    def enter(self, payload: Mapping[str, Any]) -> None:
        """Take in what one test found."""
        record = payload["record"]
        case = (record["id"], record["encoder"], record["site"])
        # Once its control has failed, a probe does not judge for the rest of the run.
        if self.records.get(case, record)["verdict"] != "invalid" or record["verdict"] == "invalid":
            self.records[case] = record
        for encoder in payload["encoders"]:
            self.encoders.setdefault(encoder["spec"], encoder)
        self.environment = payload["environment"]
        if payload.get("illustration"):
            self.illustrations.setdefault(record["encoder"], payload["illustration"])

    def report(self, *, command: str, seed: int, effort: str) -> dict[str, Any]:
        """The report as a plain dict, the objects of ``report.json``; its order does not depend on who ran what."""
        specs = list(self.on_trial) or list(dict.fromkeys(spec for _, spec, _ in self.expected))
        records = sorted(
            (record for record in self.records.values() if record["verdict"] is not None),
            key=lambda each: (each["id"], _place(specs, each["encoder"]), _place(_SITES, each["site"])),
        )
        records = _with_holm(records)
        sounds: dict[str, Any] = {}
        for record in records:
            sounds |= record["sounds"]
        illustrated = {spec: self.illustrations[spec] for spec in specs if spec in self.illustrations}
        for each in reversed(illustrated.values()):
            sounds[each["sha256"]] = each["sound"]
        tested = [self.encoders[spec] for spec in specs if spec in self.encoders]
        beside = [self.encoders[spec] for spec in sorted(set(self.encoders) - set(specs))]
        return {
            "schema": SCHEMA,
            "title": "Claims about audio encoders",
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._started, 3),
            "command": command,
            "seed": seed,
            "effort": effort,
            "environment": self.environment,
            "encoders": tested + beside,
            "claims": [{key: value for key, value in record.items() if key != "sounds"} for record in records],
            "out_of_scope": out_of_scope(self.works | {work(record["source"]) for record in records}),
            "exit": {
                "ran": len(records),
                "deselected": self.deselected,
                "not_run": [
                    dict(zip(("id", "encoder", "site"), case, strict=True)) | {"why": why}
                    for case, why in sorted(self._without_verdict().items())
                ],
            },
            "illustrations": _illustrations(illustrated),
            "sounds": {sha256: _playable(sounds[sha256]) for sha256 in sorted(sounds)},
        } | (
            {}
            if self.shard is None
            else {"shard": {"index": self.shard[0], "of": self.shard[1], "on_trial": list(self.on_trial)}}
        )

    def _without_verdict(self) -> dict[Case, str]:
        """What was to run and has no verdict, and why: a fault of the encoder, or an end before its turn."""
        expected = self.expected or self.named
        missing = {case: "did not run to its end" for case in expected if case not in self.records}
        faults = {case: record["reason"] for case, record in self.records.items() if record["verdict"] is None}
        return self.elsewhere | missing | faults

    def write(self, page: Path, *, command: str, seed: int, effort: str) -> None:
        """Write the page and, beside it, its data; each is whole or not there."""
        from testtone.reports import render

        report = self.report(command=command, seed=seed, effort=effort)
        text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        _write_whole(page.with_suffix(".json"), text)
        _write_whole(page, render(json.loads(text)))
        self.page = page

    def lines(self, width: int) -> list[tuple[str, dict[str, bool]]]:
        """The table for the terminal: text and markup per line."""
        rows, works = [], []
        for record in sorted(
            self.records.values(),
            key=lambda each: (work(each["source"]), each["id"], each["encoder"], _place(_SITES, each["site"])),
        ):
            works.append(work(record["source"]))
            verdict = record["verdict"] or "no verdict"
            agrees = {True: "agrees", False: "disagrees", None: ""}[record["agrees"]]
            if record["known_disagreement"]:
                agrees = "disagrees (known)"
            rows.append((record["id"], record["encoder"], record["site"], _interval(record["effect"]), verdict, agrees))
        several = len(set(works)) > 1
        source = "the source" if several else "the post"
        heads = ("claim", "encoder", "site", "effect [90 % interval]", "verdict", f"with {source}")
        widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
        lines: list[tuple[str, dict[str, bool]]] = [(_aligned(heads, widths), {"bold": True})]
        for index, (row, of) in enumerate(zip(rows, works, strict=True)):
            if several and (index == 0 or of != works[index - 1]):
                lines.append((of, {"bold": True}))
            lines.append((_aligned(row, widths), _markup(row[4], row[5])))
        for of in dict.fromkeys(works) if several else ():
            lines.append((f"{self._agreeing(of)} agree with {of}", {}))
        lines.append(
            (
                f"{self._agreeing()} agree with {'their source' if several else source}; "
                f"{len(self.records)} records, {len(self.encoders)} encoders heard",
                {"bold": True},
            )
        )
        invalid = [case for case, record in self.records.items() if record["verdict"] == "invalid"]
        if invalid:
            lines.append(
                (f"{len(invalid)} INVALID: a control came out wrong, and the probe may not judge", {"red": True})
            )
        if self.shard is not None:
            place, shards = self.shard
            lines.append((f"shard {place} of {shards}: {len(self.elsewhere)} cases are in other shards", {}))
        return lines

    def searches(self) -> list[str]:
        """What came of the searches, a line each, and how to keep what they found; nothing where there was none."""
        records = sorted(
            (record for record in self.records.values() if record["search"]),
            key=lambda each: (each["id"], each["encoder"], _place(_SITES, each["site"])),
        )
        lines = [f"{each['id']}  {each['encoder']}  {each['site']}: {each['search']['said']}" for each in records]
        if not lines:
            return []
        seconds = sum({(each["id"], each["encoder"]): each["search"]["seconds"] for each in records}.values())
        lines = [f"searches for a counterexample, beside the intervals ({seconds:.0f} s on trial):", *lines]
        if any(each["search"]["counterexample"] for each in records):
            data = "REPORT.json" if self.page is None else self.page.with_suffix(".json")
            lines.append(f"replay these from now on: python -m testtone.tests.search {data} >> counterexamples.toml")
        return lines

    def _agreeing(self, of: str | None = None) -> str:
        """How many of the decided claims (of one work) agree with their source, in words."""
        records = (each for each in self.records.values() if of in (None, work(each["source"])))
        agreeing = [record["agrees"] for record in records if record["agrees"] is not None]
        return f"{sum(agreeing)} of {len(agreeing)} decided claims"


def _with_holm(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with ``p_holm`` beside ``p``: adjusted over all asked of the same encoder. The interval decides."""
    from testtone.probes.statistics import holm

    adjusted: dict[int, float] = {}
    for encoder in dict.fromkeys(record["encoder"] for record in records):
        family = [i for i, each in enumerate(records) if each["encoder"] == encoder and each.get("p") is not None]
        adjusted |= dict(zip(family, holm([records[i]["p"] for i in family]), strict=True))
    return [record | {"p_holm": adjusted.get(index)} for index, record in enumerate(records)]


def shares(groups: Sequence[str], of: int) -> list[int]:
    """Return a share from 1 to ``of`` for each case, by the group that it belongs to; a group stays together.

    The largest groups go first, each to the share that holds least so far: the same groups give the same shares.

    >>> shares(["pitch", "pitch", "alias", "chord"], 2)
    [1, 1, 2, 2]
    """
    held = [0] * of
    share: dict[str, int] = {}
    for group in sorted(set(groups), key=lambda group: (-groups.count(group), group)):
        share[group] = held.index(min(held))
        held[share[group]] += groups.count(group)
    return [share[group] + 1 for group in groups]


def case_of(node: str) -> Case | None:
    """Return the case that a test is by its name, ``...::test_<claim>[<encoder>-<site>]``; None if it is none."""
    match = re.fullmatch(r".*::test_(\w+)\[(.+)-(\w+)\]", node)
    return match and (match[1], match[2], match[3])


REPEATS = 1e-6
"""Share of its size by which an answer may differ from the one before, for rounding."""

_SITES = ("first_conv", "stack_end", "latent", "quantised")


def introduction(encoder: Mapping[str, Any]) -> str:
    """One line that says who an encoder is."""
    rates = encoder.get("frame_rates") or {}
    sites = ", ".join(f"{site} {rates[site]:g}/s" if site in rates else site for site in encoder["sites"]) or "no site"
    weights, apart = encoder["weights_sha256"], encoder.get("unrepeatable") or 0.0
    return (
        f"on trial: {encoder['spec']}, {encoder['sample_rate']} Hz, {sites}"
        + (f", weights {weights[:12]}" if weights else "")
        + (
            f"; it answers the same sound twice {apart:.1%} apart: its numbers will not repeat"
            if apart > REPEATS
            else ""
        )
    )


def _place(order: Iterable[str], name: str) -> int:
    names = list(order)
    return names.index(name) if name in names else len(names)


def _interval(effect: Mapping[str, Any] | None) -> str:
    if effect is None:
        return "-"
    low, high = effect["ci"]
    return f"{effect['value']:6.3f} [{low:6.3f}, {high:6.3f}]"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _markup(verdict: str, agrees: str) -> dict[str, bool]:
    if agrees == "agrees":
        return {"green": True}
    if verdict in ("invalid", "no verdict") or agrees == "disagrees":
        return {"red": True}
    return {"yellow": True} if verdict != "not-applicable" else {}


def _illustrations(illustrated: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The data of the figures that open the page: one sound in several representations, a wave and its partials."""
    from testtone.stimuli import portraits

    return {
        "representations": [
            {"encoder": spec} | {key: value for key, value in each.items() if key != "sound"}
            for spec, each in illustrated.items()
        ],
        "mixture": portraits.mixture(),
    }


def _playable(sound: Mapping[str, Any]) -> dict[str, Any]:
    """A sound with its samples as FLAC, and its portrait; a long one also with its opening, which is what a page plays.

    FLAC is lossless, and gives the same bytes every time.
    """
    from testtone.stimuli import Stimulus, portraits

    rate = sound["sample_rate"]
    samples = Stimulus.from_truth(sound["truth"]).render(rate)
    opening = portraits.opening(samples, rate)
    heard = {"flac": _flac(samples, rate)} | portraits.portrait(samples, rate)
    if opening is not None:
        heard["opening"] = {"flac": _flac(opening, rate), "seconds": len(opening) / rate}
    return dict(sound) | heard


def _flac(samples: Any, sample_rate: int) -> str:
    """16 bits a sample, in base64."""
    import soundfile

    memory = io.BytesIO()
    soundfile.write(memory, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(memory.getvalue()).decode("ascii")


def writable(page: Path, argument: str) -> None:
    """Find out, before anything is computed, whether a page can be written there.

    Raises:
        ValueError: if it ends otherwise than a page, or its folder is missing.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{argument}={page} must end in .html; its data goes to PATH.json beside it")
    if not page.parent.is_dir():
        raise ValueError(f"{argument}={page}: there is no folder {page.parent}; make it first")


def _write_whole(path: Path, text: str) -> None:
    """Write beside, then put in place: a reader sees the old file or the new one."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
