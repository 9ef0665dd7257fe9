"""The trial: encoders are heard, controls first of all, and each claim comes to a verdict that is a record.

A :class:`Bench` lives as long as a session. It knows which claims are asked of which encoders, hears each encoder once
for all of them, hears the controls of a claim through the same probe with the same numbers, and hands out records
(plain dicts, the objects of ``report.json``).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import operator
import platform
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testtone import stimuli
from testtone.models import listening, specs
from testtone.models.isolation import LIMIT_SECONDS
from testtone.models.listening import EncoderFault, Listener
from testtone.models.protocol import Encoder
from testtone.probes import statistics
from testtone.probes.hearing import Heard, ear_of, hear
from testtone.probes.records import Effect, Measurement
from testtone.stimuli import Stimulus
from testtone.stimuli.recordings import Folder

from . import disagreements, search
from .claim import Claim
from .illustrations import illustration
from .memory import Memory
from .search import Found

_resolving = threading.Lock()
"""One encoder is made at a time, whatever thread asks: imports of strangers look at paths that are set meanwhile."""

FAULT = "fault"
"""Key of a record that ends a test without a verdict: the encoder broke its promise."""


@dataclass
class Bench:
    """Encoders on trial, the references beside them, and all that was heard of them in this session."""

    seed: int
    effort: str
    device: str = "cpu"
    limit_seconds: float = LIMIT_SECONDS
    """How long an encoder may take for one batch of clips."""
    threads: int | None = None
    """Threads that torch was asked to compute with, where the user said; for the command that repeats a claim."""
    audio: Folder | None = None
    """Recordings of the user's own, for claims that can use them."""
    audio_path: str | None = None
    """Where they were found, as typed."""
    memory: Memory | None = None
    """What is remembered between runs, where the user keeps a store."""
    where: tuple[str, ...] = ()
    """What pytest was told about where the claims are, for the command that repeats one."""
    say: Callable[[str, int, int], None] = field(default=lambda spec, done, total: None)
    """Told how far an encoder has been heard: spec, sounds heard, sounds in all."""
    wanted: dict[str, dict[tuple[str, int], Claim]] = field(default_factory=dict)
    """Encoder spec -> (claim id, place) -> claim: all that this session will ask, so that it is asked in one pass."""
    search: bool = False
    """Whether a counterexample is searched for, beside the estimate."""
    pinned: tuple[Path, ...] = ()
    """Files of cases that a search replays first."""
    _listeners: dict[str, Listener | str] = field(default_factory=dict)
    _illustrated: set[str] = field(default_factory=set)
    _heard: dict[tuple[str, str, int], Heard] = field(default_factory=dict)
    """(Claim id, encoder spec, place) -> what was heard. Place 0: on trial or a control; from 1 on: company."""
    _searched: dict[tuple[str, str], tuple[Mapping[str, Found], float]] = field(default_factory=dict)
    """(Claim id, encoder spec) -> what a search found at each site, and its seconds."""

    def want(self, claim: Claim, spec: str) -> None:
        """Say in advance that ``claim`` will be asked of ``spec``: and so of its controls, and of their company."""
        for each in (spec, *(control.encoder for control in claim.controls)):
            for place, asked in enumerate((each, *claim.companions(each))):
                self.wanted.setdefault(asked, {})[claim.id, place] = claim

    def record(self, claim: Claim, spec: str, site: str) -> dict[str, Any]:
        """One claim on one encoder at one site: a claim object of the report, plus what the page needs."""
        heard = self._hear(claim, spec)
        record: dict[str, Any] = {
            "id": claim.id,
            "title": claim.title,
            "source": claim.source,
            "quote": claim.quote,
            "proposition": claim.proposition,
            "explanation": claim.explanation,
            "method": claim.method,
            "encoder": spec,
            "site": site,
            "stance": claim.stance,
            "verdict": None,
            "agrees": None,
            "known_disagreement": None,
            "effect": None,
            "threshold": claim.threshold.to_json(),
            "parts": [],
            "controls": [],
            "search": None,
            "null": None,
            "stimuli": [],
            "reason": None,
            "probe": {"name": claim.id, "version": None},
            "figures": {},
            "sounds": {},
            "rerun": self._rerun(claim, spec, site),
            "seconds": heard.seconds,
        }
        if heard.fault is not None:
            return record | {FAULT: heard.fault, "reason": heard.fault}
        measurement = (heard.measurements or {}).get(site)
        if measurement is not None:
            fault = self._fault_of_company(claim, spec)
            if fault is not None:
                return record | {FAULT: fault, "reason": fault}
            measurement = self._compared(claim, spec, measurement)
        if measurement is None:
            reason = self._lacks(claim, spec) or _no_site(site)
            return record | {"verdict": "not-applicable", "reason": reason}
        record |= _measured(measurement, claim)
        record["sounds"] = self._sounds(measurement, spec)
        record["stimuli"] = [{"sha256": sound.sha256, "label": label} for label, sound in measurement.sounds]
        if measurement.not_applicable:
            return record | {"verdict": "not-applicable"}
        record["controls"] = [
            self._control(claim, control.encoder, control.expected, site) for control in claim.controls
        ]
        wrong = [each for each in record["controls"] if each["verdict"] != each["expected"]]
        if wrong:
            return record | {
                "verdict": "invalid",
                "reason": "; ".join(
                    f"control {each['encoder']} should be {each['expected']} and is {each['verdict']}"
                    + (f" ({_said(each['effect'])})" if each["effect"] else "")
                    for each in wrong
                ),
            }
        verdict = statistics.verdict(measurement.effect, claim.threshold)
        record |= {"verdict": verdict, "agrees": claim.agrees(verdict)}
        return self._with_search(record, claim) if self.search and claim.margin is not None else record

    def _with_search(self, record: dict[str, Any], claim: Claim) -> dict[str, Any]:
        """The record with what a search found; a counterexample that counts refutes, and leaves the effect as it is."""
        spec, site = record["encoder"], record["site"]
        try:
            found, seconds = self._search(claim, spec)
        except (EncoderFault, search.PinError) as fault:
            return record | {FAULT: str(fault), "verdict": None, "agrees": None, "reason": str(fault)}
        if site not in found:
            return record
        controls = []
        for control in claim.controls:
            theirs, _ = self._search(claim, control.encoder, control.expected)
            controls.append((control.encoder, control.expected, theirs.get(site) or next(iter(theirs.values()), None)))
        searched = search.record(claim, spec, found[site], controls, seconds=seconds)
        worst = found[site].worst
        if worst is not None:
            listener = self._listener(spec)
            assert isinstance(listener, Listener)
            kind = "counterexample" if found[site].counterexample else "worst of the search"
            heard = [(f"{kind}: {label}", sound) for label, sound in worst.case.sounds]
            record["sounds"] = record["sounds"] | _heard_sounds(heard, listener.sample_rate)
            record["stimuli"] = record["stimuli"] + [{"sha256": s.sha256, "label": label} for label, s in heard]
        if searched["refutes"]:
            record |= {"verdict": "refuted", "agrees": claim.agrees("refuted"), "reason": searched["said"]}
        return record | {"search": searched}

    def _search(self, claim: Claim, spec: str, expected: str | None = None) -> tuple[Mapping[str, Found], float]:
        """What a search finds at the sites that were measured; controls are searched alike, but nothing is shrunk."""
        assert claim.margin is not None
        if (claim.id, spec) not in self._searched:
            listener = self._listener(spec)
            assert isinstance(listener, Listener)
            measured = self._hear(claim, spec).measurements or {}
            decided = {site: each.effect.name for site, each in measured.items() if each.effect is not None}
            hunt = search.Search(
                claim=claim.id,
                margin=claim.margin,
                refuted_below=claim.threshold.refuted_below,
                listener=listener,
                ear=ear_of(listener, (*claim.beside, *claim.sites)),
                sites=tuple(site for site in claim.sites if site in decided),
                readings=decided,
                claims_seed=self.seed,
                effort=self.effort,
                say=partial(self.say, f"{spec} for a counterexample to {claim.id}"),
            )
            pins = search.pins(claim.id, spec, self.pinned)
            early = min(search.FIRST, search.EXAMPLES[self.effort])
            found: Mapping[str, Found] = {}
            if hunt.sites and expected == "refuted":
                found = hunt.run(pins, shrink=False, examples=early)
            if hunt.sites and not (found and all(each.counterexample for each in found.values())):
                found = hunt.run(pins, shrink=expected is None)
            self._searched[claim.id, spec] = found, hunt.seconds
        return self._searched[claim.id, spec]

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What the numbers depend on besides encoder and seed."""
        if self.audio is None:
            return _environment()
        files, skipped = len(self.audio.recordings), sum(self.audio.left_out.values())
        return _environment() | {
            "claims_audio": {"files": files, "left_out": skipped, "sha256": self.audio.sha256},
        }

    def encoder(self, spec: str) -> dict[str, Any]:
        """What the report says of an encoder."""
        listener = self._listener(spec)
        if isinstance(listener, str):
            return {
                "spec": spec,
                "name": spec,
                "sample_rate": None,
                "sites": [],
                "weights_sha256": None,
                "parameters": None,
                "reference": False,
                FAULT: listener,
            }
        encoder = listener.encoder
        try:
            sites, rates = list(listener.sites), dict(listener.frame_rates)
            margins = {site: [margin.left, margin.right] for site, margin in listener.margins.items()}
            unrepeatable = 0.0 if getattr(encoder, "reference", False) else listener.unrepeatable
        except EncoderFault:
            sites, rates, margins, unrepeatable = [], {}, {}, 0.0
        return {
            "spec": spec,
            "name": str(getattr(encoder, "name", spec)),
            "sample_rate": _plain(getattr(encoder, "sample_rate", None)),
            "sites": sites,
            "weights_sha256": _text(getattr(encoder, "weights_sha256", None)),
            "parameters": _whole(getattr(encoder, "parameters", None)),
            "reference": bool(getattr(encoder, "reference", False)),
            "frame_rates": rates,
            "margin_frames": margins,
            "bandwidth_kbps": _plain(getattr(encoder, "bandwidth_kbps", None)),
            "unrepeatable": unrepeatable,
        }

    def illustration(self, spec: str) -> dict[str, Any] | None:
        """What an encoder on trial makes of the sound that opens the page; said once a session, None from then on."""
        listener = self._listener(spec)
        if spec in self._illustrated or isinstance(listener, str) or getattr(listener.encoder, "reference", False):
            return None
        self._illustrated.add(spec)
        return illustration(listener)

    def fault(self, spec: str) -> str | None:
        """Why ``spec`` leads to no encoder, in one line; None if it leads to one."""
        listener = self._listener(spec)
        return listener if isinstance(listener, str) else None

    def seat(self, encoder: str | Encoder) -> str:
        """Put an encoder on trial, and return what it is called here: its spec or, for an object, its name.

        Raises:
            EncoderSpecError: one line that says what is wrong with it.
        """
        if isinstance(encoder, str):
            fault = self.fault(encoder)
            if fault is not None:
                raise specs.EncoderSpecError(fault)
            return encoder
        encoder = specs.checked(encoder, str(getattr(encoder, "name", "") or type(encoder).__name__))
        # A reference of this name may be heard as a control.
        spec = f"{encoder.name} (as given)" if encoder.name in specs.BUNDLED else str(encoder.name)
        self._listeners[spec] = Listener(self._moved(encoder, spec), spec=spec, limit_seconds=self.limit_seconds)
        return spec

    def _listener(self, spec: str) -> Listener | str:
        if spec not in self._listeners:
            try:
                with _resolving:
                    self._listeners[spec] = Listener(
                        self._moved(specs.resolve(spec), spec), spec=spec, limit_seconds=self.limit_seconds
                    )
            except specs.EncoderSpecError as error:
                self._listeners[spec] = str(error)
        return self._listeners[spec]

    def _moved(self, encoder: Encoder, spec: str) -> Encoder:
        """The encoder on the device asked for; references compute where they are."""
        if self.device == "cpu" or getattr(encoder, "reference", False):
            return encoder
        move = getattr(encoder, "to", None)
        if move is None:
            raise specs.EncoderSpecError(f"--claims-device={self.device}: {spec} has no method to(device)")
        try:
            return move(self.device)
        except (RuntimeError, AssertionError) as error:
            raise specs.EncoderSpecError(
                f"--claims-device={self.device}: {' '.join(str(error).split())[:200]}"
            ) from error

    def _hear(self, claim: Claim, spec: str, place: int = 0) -> Heard:
        """Hear the encoder for this claim; and, in the same pass, for every other claim that is wanted of it."""
        if (claim.id, spec, place) not in self._heard:
            listener = self._listener(spec)
            if isinstance(listener, str):
                return Heard(None, listener, None, 0.0)
            claims = {(claim.id, place): claim} | self.wanted.get(spec, {})
            probes = {}
            for (name, where), each in claims.items():
                key = (name, spec, where)
                if key in self._heard:
                    continue
                if self._lacks(each, spec) is not None:
                    self._heard[key] = Heard({}, None, None, 0.0)
                    continue
                try:
                    ear = ear_of(
                        listener, (*each.beside, *each.sites), self.audio.recordings if self.audio is not None else ()
                    )
                except EncoderFault as fault:
                    self._heard[key] = Heard(None, str(fault), None, 0.0)
                    continue
                if not set(ear.sites) & set(each.sites):
                    self._heard[key] = Heard({}, None, None, 0.0)
                    continue
                remembered = self._remembered(listener, each, where)
                if remembered is not None:
                    self._heard[key] = remembered
                    continue
                draws = generator(each.family or each.id, self.seed, 0 if each.same_draws else where)
                probes[key] = (ear, each.probe(ear, draws, self.effort))
            before = None if self.memory is None or not probes else self.memory.answers(listener)
            new = hear(listener, probes, progress=partial(self.say, spec), answers_before=before)
            for (name, _, where), found in new.items():
                self._remember(listener, claims[name, where], where, found)
            self._heard |= new
        heard = self._heard[claim.id, spec, place]
        if heard.error is not None:
            raise heard.error
        return heard

    def _remembered(self, listener: Listener, claim: Claim, place: int) -> Heard | None:
        """What a probe found in an earlier run in which everything was the same."""
        key = self._measurement_key(claim, place)
        if self.memory is None or key is None:
            return None
        started = time.perf_counter()
        found = self.memory.recall(listener, key)
        return None if found is None else Heard(found, None, None, time.perf_counter() - started)

    def _remember(self, listener: Listener, claim: Claim, place: int, heard: Heard) -> None:
        key = self._measurement_key(claim, place)
        if self.memory is not None and key is not None and heard.measurements is not None:
            self.memory.keep(listener, key, heard.measurements)

    def _measurement_key(self, claim: Claim, place: int) -> dict[str, Any] | None:
        if self.memory is None:
            return None
        audio = None if self.audio is None else self.audio.sha256
        return self.memory.measurement_key(claim, seed=self.seed, effort=self.effort, place=place, audio_sha256=audio)

    def _fault_of_company(self, claim: Claim, spec: str) -> str | None:
        """Why an encoder cannot be compared with its company, if it cannot."""
        faults = (self._hear(claim, each, place).fault for place, each in enumerate(claim.companions(spec), start=1))
        return next((fault for fault in faults if fault is not None), None)

    def _compared(self, claim: Claim, spec: str, own: Measurement) -> Measurement:
        """The measurement that decides: an encoder's own, or what comes of comparing it with its company."""
        if claim.compare is None or own.not_applicable:
            return own
        others = []
        for place, each in enumerate(claim.companions(spec), start=1):
            found = self._hear(claim, each, place).measurements or {}
            # As with controls: at the same site or, where company has but one, at that.
            other = found.get(own.site) or next(iter(found.values()), None)
            if other is not None:
                others.append(other)
        return claim.compare(own, others)

    def _lacks(self, claim: Claim, spec: str) -> str | None:
        """What the claim needs of an encoder, besides sites, and this one lacks; None if it lacks nothing."""
        listener = self._listener(spec)
        normalises = None if isinstance(listener, str) else getattr(listener.encoder, "normalises", None)
        if claim.needs_level is None or not normalises:
            return None
        return f"the encoder keeps no level ({normalises}): {claim.needs_level}"

    def not_applicable(self, claim: Claim, spec: str) -> dict[str, str]:
        """Return the sites of a claim at which it is not applicable to an encoder, and why, without hearing a sound.

        The encoder says of itself what sites it offers, and is heard for nothing but its margins. A probe may find more
        in its answers: a code without a derivative at rest, say.

        Raises:
            EncoderFault: if the encoder breaks its promise.
            EncoderSpecError: if the spec leads to no encoder.
        """
        listener = self._listener(spec)
        if isinstance(listener, str):
            raise specs.EncoderSpecError(listener)
        if claim.on_trial and spec not in claim.on_trial:
            return dict.fromkeys(claim.sites, f"the claim is about {', '.join(claim.on_trial)}, and asked of no other")
        lacks = self._lacks(claim, spec)
        if lacks is not None:
            return dict.fromkeys(claim.sites, lacks)
        ear = ear_of(listener, (*claim.beside, *claim.sites))
        out = {site: _no_site(site) for site in claim.sites if site not in ear.sites}
        if claim.company is not None and not claim.company_is_optional and not claim.companions(spec):
            return out | dict.fromkeys(ear.sites, "there is nothing known to compare it with")
        found = claim.lacking(ear) if claim.lacking is not None else {}
        return out | {site: why for site, why in found.items() if site in claim.sites and site not in out}

    def _control(self, claim: Claim, spec: str, expected: str, site: str) -> dict[str, Any]:
        """What the probe found on a reference encoder, at the same site or, as most have but one, at its latent."""
        heard = self._hear(claim, spec)
        found = heard.measurements or {}
        measurement = found.get(site) or next(iter(found.values()), None)
        if measurement is not None:
            measurement = self._compared(claim, spec, measurement)
        if measurement is None:
            return {
                "encoder": spec,
                "expected": expected,
                "verdict": "insufficient",
                "effect": None,
                "reason": heard.fault or "no site of the claim",
            }
        return {
            "encoder": spec,
            "expected": expected,
            "verdict": statistics.verdict(measurement.effect, claim.threshold),
            "effect": measurement.effect and measurement.effect.to_json(),
            "reason": measurement.reason,
        }

    def _sounds(self, measurement: Measurement, spec: str) -> dict[str, Any]:
        listener = self._listener(spec)
        assert isinstance(listener, Listener)
        return _heard_sounds(measurement.sounds, listener.sample_rate)

    def _rerun(self, claim: Claim, spec: str, site: str) -> str:
        words = [
            "pytest",
            *self.where,
            "-m",
            "claims",
            "--encoder",
            spec,
            "--claims-seed",
            str(self.seed),
            "--claims-effort",
            self.effort,
            "-k",
            f"{claim.id} and {site}",
            *(("--claims-threads", str(self.threads)) if self.threads is not None else ()),
            *(("--claims-audio", self.audio_path) if self.audio_path is not None else ()),
            *(("--claims-search",) if self.search else ()),
        ]
        return shlex.join(words)


@dataclass(frozen=True)
class Trial:
    """One claim, one encoder, one site: what a claim's test is handed."""

    bench: Bench
    claim: Claim
    spec: str
    site: str
    tell: Callable[[dict[str, Any]], None]
    """Where the record goes, before the test passes or fails by it."""

    def settle(self) -> None:
        """Measure, enter the record, and pass, fail, xfail or skip by the verdict.

        Passes if the verdict agrees with the source, or if the source leaves it open and a verdict was reached.
        """
        payload = entry(self.bench, self.claim, self.spec, self.site)
        record = payload["record"]
        known = disagreements.find(self.claim.id, self.spec, self.site)
        self.tell(payload)
        if FAULT in record:
            pytest.fail(f"no verdict: {record[FAULT]}", pytrace=False)
        # An invalid probe has not judged the line either.
        refuted_by_search = bool((record["search"] or {}).get("refutes"))
        if (
            known is not None
            and not record["known_disagreement"]
            and record["verdict"] != "invalid"
            and not refuted_by_search
        ):
            pytest.fail(
                f"{disagreements.FILE.name} holds {self.claim.id} on {self.spec} at {self.site} as {known.verdict} "
                f"against its source; now it comes out otherwise: take the line out.\n{_summary(record)}",
                pytrace=False,
            )
        if record["verdict"] == "not-applicable":
            pytest.skip(f"not applicable: {record['reason']}")
        if record["known_disagreement"]:
            pytest.xfail(f"known disagreement: {record['known_disagreement']}")
        decided = record["verdict"] in ("supported", "refuted")
        if not decided or record["agrees"] is False:
            pytest.fail(_summary(record), pytrace=False)


def entry(bench: Bench, claim: Claim, spec: str, site: str) -> dict[str, Any]:
    """What the ledger takes in: the record of one claim on one encoder at one site, and what it depends on."""
    record = bench.record(claim, spec, site)
    known = disagreements.find(claim.id, spec, site)
    if known is not None and record["agrees"] is False and record["verdict"] == known.verdict:
        record["known_disagreement"] = known.reason
    specs_heard = (spec, *(control["encoder"] for control in record["controls"]))
    return {
        "record": record,
        "encoders": [bench.encoder(each) for each in specs_heard],
        "environment": bench.environment,
        # An encoder that broke its promise is not asked again.
        "illustration": None if FAULT in record else bench.illustration(spec),
    }


def _summary(record: Mapping[str, Any]) -> str:
    """What a failing test says."""
    threshold = record["threshold"]
    says = {"holds": "holds", "does-not-hold": "does not hold", "open": "is left open"}[record["stance"]]
    lines = [
        f"{record['verdict']}: {record['proposition']}",
        f"  on {record['encoder']} at {record['site']}; {record['source']} says that it {says}",
    ]
    if record["effect"]:
        lines.append(
            f"  {record['effect']['name']}: {_said(record['effect'])}, n = {record['effect']['n']}; supported above "
            f"{threshold['supported_above']:g}, refuted below {threshold['refuted_below']:g}"
        )
    if record["reason"]:
        lines.append(f"  {record['reason']}")
    return "\n".join([*lines, f"  rerun: {record['rerun']}"])


def generator(name: str, seed: int, place: int = 0) -> np.random.Generator:
    """The random numbers of a claim, or of a family: of name and seed alone, whatever else runs, in whatever order.

    ``place`` gives the company of an encoder draws of its own.
    """
    text = f"{name}:{seed}" if place == 0 else f"{name}:{seed}:{place}"
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def _environment() -> dict[str, Any]:
    """What the numbers depend on besides encoder and seed."""
    import torch

    distributions = ("numpy", "scipy", "torch", "encodec", "pretty-midi", "pyfluidsynth", "pytest", "hypothesis")
    commit, dirty = _commit()
    return {
        "testtone": _version("testtone"),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: _version(name) for name in distributions},
        "threads": torch.get_num_threads(),
        "batch": listening.BATCH,
        "soundfont_sha256": stimuli.soundfont(),
        "fluidsynth": stimuli.renders.fluidsynth_version() if stimuli.renders.available() else None,
    }


def _measured(measurement: Measurement, claim: Claim) -> dict[str, Any]:
    effect = measurement.effect and measurement.effect.to_json()
    return {
        "effect": effect,
        "reason": measurement.reason,
        "parts": [
            {
                "name": part.name,
                "effect": part.effect and part.effect.to_json(),
                "threshold": part.threshold.to_json(),
                "verdict": statistics.verdict(part.effect, part.threshold),
                "note": part.note,
            }
            for part in measurement.parts
        ],
        "null": measurement.null
        and {"kind": measurement.null.kind, "draws": measurement.null.draws, "p": measurement.null.p},
        "probe": {"name": measurement.probe, "version": measurement.version},
        "figures": dict(measurement.figures),
        "p": _p_value(measurement.effect, claim),
    }


def _heard_sounds(sounds: Iterable[tuple[str, Stimulus]], sample_rate: int) -> dict[str, Any]:
    return {
        sound.sha256: {
            "label": label,
            "seconds": sound.seconds,
            "sample_rate": sample_rate,
            "truth": sound.truth(),
        }
        for label, sound in sounds
    }


def _p_value(effect: Effect | None, claim: Claim) -> float | None:
    """One-sided p of the side the effect lies on: above the first threshold, or below the second."""
    if effect is None or effect.to_json() is None:
        return None
    above = statistics.one_sided_p(effect, claim.threshold.supported_above)
    below = 1 - statistics.one_sided_p(effect, claim.threshold.refuted_below)
    return float(min(above, below))


def _no_site(site: str) -> str:
    return f"the encoder has no site {site!r}"


def _said(effect: Mapping[str, Any]) -> str:
    low, high = effect["ci"]
    return f"{effect['value']:.3f} [{low:.3f}, {high:.3f}]"


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else repr(value)


def _whole(value: Any) -> int | None:
    """A whole number as JSON holds it; None for whatever is none."""
    try:
        return operator.index(value)
    except TypeError:
        return None


def _plain(value: Any) -> Any:
    """A number as JSON holds it; whatever is no number, as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.number)):
        number = value.item() if isinstance(value, np.number) else value
        return number if np.isfinite(number) else str(number)
    return repr(value)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout that this file stands in, and whether it was changed since; None, None outside one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None, None
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit.stdout.strip(), bool(changed.stdout.strip())
