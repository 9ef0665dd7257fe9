"""One claim on one encoder, without pytest: for a notebook, a training loop, or a question in passing.

    from testtone.tests.check import check

    result = check("pitch_direction", encoder, effort="quick", seed=0)
    result["latent"].verdict

The encoder is heard as ``pytest -m claims`` hears it, controls and all, and the records are those of its report. In a
notebook the result shows the claim's section of the page, with its figure and its sounds. `claims` lists what can be
checked.
"""

from __future__ import annotations

import difflib
import html
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testtone.models.listening import EncoderFault
from testtone.models.protocol import Encoder
from testtone.models.threads import held
from testtone.stimuli.recordings import folder

from . import claims as shipped
from .claim import Claim
from .ledger import Ledger
from .memory import Memory
from .plugin import EFFORTS
from .search import FILE as PINNED
from .store import Store
from .trial import FAULT, Bench, entry


@dataclass(frozen=True)
class Finding:
    """What came of a claim at one site."""

    record: Mapping[str, Any] = field(repr=False)
    """As ``report.json`` holds it."""

    @property
    def site(self) -> str:
        """The site."""
        return str(self.record["site"])

    @property
    def verdict(self) -> str:
        """One of supported, refuted, inconclusive, not-applicable, insufficient, invalid."""
        return str(self.record["verdict"])

    @property
    def agrees(self) -> bool | None:
        """Whether the verdict agrees with the source; None where there is nothing to agree on."""
        agrees: bool | None = self.record["agrees"]
        return agrees

    @property
    def effect(self) -> float | None:
        """The deciding effect; larger means that the proposition is more true."""
        return None if self.record["effect"] is None else float(self.record["effect"]["value"])

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its interval, 90 % two-sided."""
        return None if self.record["effect"] is None else tuple(self.record["effect"]["ci"])

    @property
    def parts(self) -> tuple[Mapping[str, Any], ...]:
        """Other readings of the sentence, as records."""
        return tuple(self.record["parts"])

    @property
    def controls(self) -> tuple[Mapping[str, Any], ...]:
        """What the probe said of encoders whose answer is known, as records."""
        return tuple(self.record["controls"])

    @property
    def reason(self) -> str | None:
        """Why there is no verdict, or none that counts."""
        reason: str | None = self.record["reason"]
        return reason

    def __repr__(self) -> str:
        return f"Finding(site={self.site!r}, verdict={self.verdict!r}, effect={_said(self)})"


@dataclass(frozen=True, repr=False)
class Checked:
    """One claim on one encoder: a finding for each site, by its name."""

    claim: Claim
    encoder: str
    """Its spec, or its name."""
    effort: str
    seed: int
    findings: Mapping[str, Finding]
    report: Mapping[str, Any]
    """The report that ``--claims-report`` would have written, page and sounds included."""

    @property
    def verdicts(self) -> dict[str, str]:
        """Site -> verdict."""
        return {site: each.verdict for site, each in self.findings.items()}

    def to_json(self) -> list[dict[str, Any]]:
        """Return the records, one a site: the entries of ``report["claims"]``."""
        records: list[dict[str, Any]] = json.loads(json.dumps(self.report["claims"]))
        return records

    def __getitem__(self, site: str) -> Finding:
        if site not in self.findings:
            raise KeyError(f"{site!r} is no site of {self.claim.id}; it has {', '.join(self.findings)}")
        return self.findings[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __repr__(self) -> str:
        agrees = {True: "agrees", False: "disagrees", None: ""}
        heads = ("site", "effect [90 % interval]", "verdict", "with the source")
        rows = [(each.site, _said(each), each.verdict, agrees[each.agrees]) for each in self.findings.values()]
        widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
        lines = [
            f"{self.claim.id} on {self.encoder} (effort {self.effort}, seed {self.seed})",
            self.claim.proposition,
            *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)),
            *(f"{each.site}: {each.reason}" for each in self.findings.values() if each.reason),
        ]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        # A frame of its own: the page's style and ids stay inside, the notebook's outside.
        from testtone.reports import excerpt

        page = html.escape(excerpt(dict(self.report)), quote=True)
        title = html.escape(f"{self.claim.id} on {self.encoder}", quote=True)
        return (
            f'<iframe srcdoc="{page}" title="{title}" sandbox="allow-same-origin" '
            'style="width: 100%; height: 42rem; border: 0"></iframe>'
        )


def check(
    claim: str | Claim,
    encoder: str | Encoder,
    *,
    effort: str = "standard",
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    audio: str | Path | None = None,
    search: bool = False,
    store: str | Path | Store | None = None,
) -> Checked:
    """Put one claim to one encoder at all of its sites, controls included, and return what came of it.

    Args:
        claim: its id, such as ``"pitch_direction"``, or a claim of your own.
        encoder: an object with ``name``, ``sample_rate`` and ``listen`` (a torch module becomes one by
            ``testtone.models.tap``), or a spec as ``--encoder`` takes it.
        effort: how much is played: quick, standard or thorough.
        seed: redraws everything random.
        device: torch device for the encoder, where it can be moved.
        threads: that torch computes with meanwhile; by default one, or what OMP_NUM_THREADS says.
        audio: folder with recordings of your own, further contexts for claims that need no exact frequencies.
        store: folder in which answers and measurements are kept between calls, as with ``--claims-store``.
        search: whether a counterexample is searched for, beside the estimate.

    Raises:
        ValueError: for a claim, an effort, a seed or an encoder that there is not; the message says which there are.
        testtone.models.listening.EncoderFault: if the encoder breaks its promise while it is heard.
    """
    claim = _found(claim)
    if effort not in EFFORTS:
        raise ValueError(f"effort={effort!r} must be one of {', '.join(EFFORTS)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number, 0 or more")
    try:
        found_audio = None if audio is None else folder(audio)
    except ValueError as error:
        raise ValueError(f"audio={str(audio)!r}: {error}") from error
    with held(threads):
        return _checked(
            claim,
            encoder,
            Bench(
                seed=seed,
                effort=effort,
                device=device,
                threads=threads,
                audio=found_audio,
                audio_path=None if audio is None else str(audio),
                search=search,
                pinned=(PINNED,) if search else (),
                memory=None if store is None else Memory(store if isinstance(store, Store) else Store(store)),
            ),
        )


def _checked(claim: Claim, encoder: str | Encoder, bench: Bench) -> Checked:
    seed, effort = bench.seed, bench.effort
    spec = bench.seat(encoder)
    if claim.on_trial and spec not in claim.on_trial:
        raise ValueError(f"{claim.id} is about {', '.join(claim.on_trial)}, not about {spec!r}")
    bench.want(claim, spec)
    said = repr(spec) if isinstance(encoder, str) else "encoder"
    again = f"check({claim.id!r}, {said}, {effort=}, {seed=}{', search=True' if bench.search else ''})"
    ledger = Ledger()
    ledger.expect((claim, spec, site) for site in claim.sites)
    for site in claim.sites:
        # As the report holds it: what JSON cannot say fails here.
        payload = json.loads(json.dumps(entry(bench, claim, spec, site), allow_nan=False))
        if FAULT in payload["record"]:
            raise EncoderFault(payload["record"][FAULT])
        if not isinstance(encoder, str):
            payload["record"]["rerun"] = again
        ledger.enter(payload)
    report = ledger.report(command=again, seed=seed, effort=effort)
    found = {record["site"]: Finding(record) for record in report["claims"]}
    return Checked(
        claim=claim,
        encoder=spec,
        effort=effort,
        seed=seed,
        findings={site: found[site] for site in claim.sites},
        report=report,
    )


def claims() -> dict[str, Claim]:
    """Return all claims that are shipped, by id."""
    found: dict[str, Claim] = {}
    for module in pkgutil.iter_modules(shipped.__path__):
        if module.name.startswith("test_"):
            names = vars(importlib.import_module(f"{shipped.__name__}.{module.name}"))
            found |= {each.id: each for each in names.values() if isinstance(each, Claim)}
    return dict(sorted(found.items()))


def _found(claim: str | Claim) -> Claim:
    if isinstance(claim, Claim):
        return claim
    known = claims()
    if claim in known:
        return known[claim]
    near = difflib.get_close_matches(str(claim), known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"claim={claim!r} is not a claim; {hint}")


def _said(finding: Finding) -> str:
    if finding.effect is None or finding.interval is None:
        return "-"
    low, high = finding.interval
    return f"{finding.effect:.3f} [{low:.3f}, {high:.3f}]"
