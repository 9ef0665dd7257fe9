"""What crosses the wall between a probe and the claim that asked it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testtone.stimuli import Stimulus


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect size with its interval. Oriented: larger means that the proposition is more true."""

    name: str
    value: float
    low: float
    high: float
    confidence: float
    unit: str
    n: int
    """Clusters that the interval rests on."""

    def to_json(self) -> dict[str, Any] | None:
        """The contract's ``effect`` object, or None where there is no finite value."""
        if not all(math.isfinite(number) for number in (self.value, self.low, self.high)):
            return None
        return {
            "name": self.name,
            "value": float(self.value),
            "ci": [float(self.low), float(self.high)],
            "confidence": self.confidence,
            "unit": self.unit,
            "n": int(self.n),
        }


@dataclass(frozen=True)
class Threshold:
    """Supported if the interval lies above the first number, refuted if below the second."""

    supported_above: float
    refuted_below: float

    def __post_init__(self) -> None:
        if self.refuted_below > self.supported_above:
            raise ValueError(
                f"refuted_below={self.refuted_below} lies above supported_above={self.supported_above}: "
                "an effect between them would be both"
            )

    def to_json(self) -> dict[str, float]:
        """The contract's ``threshold`` object."""
        return {"supported_above": self.supported_above, "refuted_below": self.refuted_below}


@dataclass(frozen=True, kw_only=True)
class Part:
    """Another reading of the same sentence: measured, judged, reported beside; it never decides."""

    name: str
    effect: Effect | None
    threshold: Threshold
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Null:
    """A permutation null, reported beside the interval; the interval decides."""

    kind: str
    draws: int
    p: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a probe found at one site."""

    site: str
    probe: str
    version: int
    effect: Effect | None
    """The deciding effect; None where no interval can be had."""
    reason: str | None = None
    """Why there is no effect, in words."""
    not_applicable: bool = False
    """True where the encoder lacks what the question needs; `reason` says what."""
    parts: tuple[Part, ...] = ()
    null: Null | None = None
    sounds: tuple[tuple[str, Stimulus], ...] = ()
    """(label, stimulus): what a reader should hear."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Plain numbers for the report's pictures."""
