"""Known disagreements: where a measured verdict contradicts its source, and why that is understood.

`claims/known_disagreements.toml` holds a table per case::

    [[disagreement]]
    claim = "pitch_direction"
    encoder = "encodec-24khz-default"
    site = "latent"
    verdict = "supported"
    reason = "..."

Such a case is an expected failure. It is strict: once it is run and comes out otherwise, the run fails. Only verdicts
may stand there; what is inconclusive, insufficient or invalid is no finding, and cannot be excused.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).parent / "claims" / "known_disagreements.toml"


@dataclass(frozen=True)
class Disagreement:
    """One case, and the verdict that is known to contradict the source."""

    claim: str
    encoder: str
    site: str
    verdict: str
    reason: str

    def __post_init__(self) -> None:
        if self.verdict not in ("supported", "refuted"):
            raise ValueError(
                f"verdict={self.verdict!r} of {self.claim} on {self.encoder} at {self.site}: only "
                "supported or refuted can be a known disagreement"
            )
        if not self.reason.strip():
            raise ValueError(f"reason is empty for {self.claim} on {self.encoder} at {self.site}")


WORDS = tuple(each.name for each in fields(Disagreement))


@lru_cache
def load(file: Path = FILE) -> dict[tuple[str, str, str], Disagreement]:
    """Return all cases by claim, encoder and site. Raises ValueError for a line that may not stand there."""
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    if foreign := sorted(set(tables) - {"disagreement"}):
        raise ValueError(f"{file.name} holds {', '.join(foreign)}; it may hold [[disagreement]] tables only")
    found: dict[tuple[str, str, str], Disagreement] = {}
    for table in tables.get("disagreement", []):
        if set(table) != set(WORDS):
            raise ValueError(f"{file.name}: a disagreement has {', '.join(WORDS)}; this one has {', '.join(table)}")
        each = Disagreement(**table)
        if (each.claim, each.encoder, each.site) in found:
            raise ValueError(f"{file.name}: {each.claim} on {each.encoder} at {each.site} stands there twice")
        found[each.claim, each.encoder, each.site] = each
    return found


def find(claim: str, encoder: str, site: str) -> Disagreement | None:
    """Return the known disagreement of this case, if there is one."""
    return load().get((claim, encoder, site))
