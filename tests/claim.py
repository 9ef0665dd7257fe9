"""A claim: a sentence of a post, what would make it true, and who keeps its probe honest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from testtone.models.protocol import SITES
from testtone.probes.hearing import Ear, Probe
from testtone.probes.margins import Margin
from testtone.probes.records import Measurement, Threshold

STANCES = ("holds", "does-not-hold", "open")


@dataclass(frozen=True, kw_only=True)
class Control:
    """A reference encoder, and the verdict that the probe must reach on it."""

    encoder: str
    expected: Literal["supported", "refuted"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One sentence, decided by one effect at each of its sites.

    ``stance`` is what the source says of the proposition; the verdict agrees with the source if a proposition that
    holds is supported, or one that does not hold is refuted.
    """

    id: str
    title: str
    source: str
    """Post or paper, and the section."""
    quote: str
    proposition: str
    stance: Literal["holds", "does-not-hold", "open"]
    sites: tuple[str, ...]
    probe: Callable[[Ear, np.random.Generator, str], Probe]
    threshold: Threshold
    controls: tuple[Control, ...]
    explanation: str
    """One paragraph for a musician."""
    method: str
    """What was played, what was measured, why these thresholds; for a reader who doubts."""
    beside: tuple[str, ...] = ()
    """Further sites that the probe looks at, where the encoder has them, without judging them."""
    needs_level: str | None = None
    """Why the claim says nothing of an encoder that divides sound by its level; None where it does."""
    lacking: Callable[[Ear], Mapping[str, str]] | None = None
    """Sites at which the question cannot be asked of an encoder that has them, and why: from what it says of itself,
    without hearing it. What only its sound tells is for the probe to say."""
    family: str = ""
    """Claims of one family draw from one generator: sounds that they draw alike are played once for all of them."""
    on_trial: tuple[str, ...] = ()
    """Encoders that the claim is about, whoever else is on trial; none: those that the user names."""
    company: Callable[[str], tuple[str, ...]] | None = None
    """Encoders that an encoder (by its spec) is compared with; the same probe hears each, on draws of its own."""
    same_draws: bool = False
    """Company hears the very sounds that the encoder hears, not draws of its own."""
    company_is_optional: bool = False
    """The question can be asked of an encoder without company as well."""
    compare: Callable[[Measurement, Sequence[Measurement]], Measurement] | None = None
    """An encoder's measurement and those of its company, at one site -> the measurement that decides."""

    margin: Margin | None = None
    """What the claim says of one case, for a search (``--claims-search``); None where it says nothing of one."""
    universal: str = ""
    """The words of the quote that speak of all cases, if it does: one counterexample then refutes. "Regardless of" is
    such a word; "can", "could" and "in general" are not, and a quote that denies such a sentence has none."""

    def __post_init__(self) -> None:
        unknown = set(self.sites) - set(SITES)
        if unknown or not self.sites:
            raise ValueError(f"sites={self.sites!r} must be some of {', '.join(SITES)}")
        if set(self.beside) - set(SITES):
            raise ValueError(f"beside={self.beside!r} must be some of {', '.join(SITES)}")
        if self.stance not in STANCES:
            raise ValueError(f"stance={self.stance!r} must be one of {', '.join(STANCES)}")
        if {control.expected for control in self.controls} != {"supported", "refuted"}:
            raise ValueError(
                f"controls of {self.id!r} must hold an encoder on which the proposition is supported and one on "
                "which it is refuted: a probe that cannot say both says nothing"
            )
        if self.universal and (self.margin is None or self.universal not in self.quote):
            raise ValueError(f"universal={self.universal!r} of {self.id!r} must stand in its quote, and needs a margin")
        if (self.company is None) != (self.compare is None):
            raise ValueError(f"{self.id!r} must have both company and compare, or neither")

    def companions(self, spec: str) -> tuple[str, ...]:
        """Return the specs of the encoders that one is compared with; none for most claims."""
        return () if self.company is None else self.company(spec)

    def agrees(self, verdict: str) -> bool | None:
        """Whether a verdict agrees with the source; None where there is nothing to agree on."""
        if self.stance == "open" or verdict not in ("supported", "refuted"):
            return None
        return (verdict == "supported") == (self.stance == "holds")
