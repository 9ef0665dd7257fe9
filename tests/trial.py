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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testtone import stimuli
from testtone.models import listening, specs
from testtone.models.listening import EncoderFault, Listener
from testtone.models.protocol import Encoder
from testtone.probes import statistics
from testtone.probes.hearing import Heard, ear_of, hear
from testtone.probes.records import Effect, Measurement
from testtone.stimuli.recordings import Folder

from . import disagreements
from .claim import Claim
from .memory import Memory

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
    _listeners: dict[str, Listener | str] = field(default_factory=dict)
    _heard: dict[tuple[str, str, int], Heard] = field(default_factory=dict)
    """(Claim id, encoder spec, place) -> what was heard. Place 0: on trial or a control; from 1 on: company."""

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
            reason = self._lacks(claim, spec) or f"the encoder has no site {site!r}"
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
        return record | {"verdict": verdict, "agrees": claim.agrees(verdict)}

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
        except EncoderFault:
            sites, rates, margins = [], {}, {}
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
        }

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
        self._listeners[spec] = Listener(self._moved(encoder, spec), spec=spec)
        return spec

    def _listener(self, spec: str) -> Listener | str:
        if spec not in self._listeners:
            try:
                with _resolving:
                    self._listeners[spec] = Listener(self._moved(specs.resolve(spec), spec), spec=spec)
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
                draws = generator(each.family or each.id, self.seed, where)
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
        return {
            sound.sha256: {
                "label": label,
                "seconds": sound.seconds,
                "sample_rate": listener.sample_rate,
                "truth": sound.truth(),
            }
            for label, sound in measurement.sounds
        }

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
        if known is not None and not record["known_disagreement"] and record["verdict"] != "invalid":
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


def _p_value(effect: Effect | None, claim: Claim) -> float | None:
    """One-sided p of the side the effect lies on: above the first threshold, or below the second."""
    if effect is None or effect.to_json() is None:
        return None
    above = statistics.one_sided_p(effect, claim.threshold.supported_above)
    below = 1 - statistics.one_sided_p(effect, claim.threshold.refuted_below)
    return float(min(above, below))


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
