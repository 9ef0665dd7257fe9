"""Aliasing arithmetic of a chain of strides: where a frequency folds to, and what it then shares.

Keeping every s-th sample turns rate r into r / s. A frequency then looks like its distance to the nearest multiple of
the new rate (its alias). The rates of a chain divide each other, so the alias after several strides is the distance to
the nearest multiple of the last rate: 440 Hz through strides 2, 4, 5, 8 from 24 000 Hz is 440, 440, 160, 10 Hz.

All frequencies with one alias are an alias class. Its members lie above a multiple of the final rate (orientation +1)
or below one (-1). Two members of equal orientation are translations of each other, two of opposite orientation mirror
images: after the strides a mirrored member runs with its phase reversed, its spectrum conjugated.

Nothing here knows filters: a chain with an anti-aliasing filter folds to the same frequencies, attenuated.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, pairwise

TOLERANCE_HZ = 1e-6  # rounding of frequencies and rates stays a thousand times below this


@dataclass(frozen=True)
class Collision:
    """Two frequencies that a chain gives one alias, and the stride (index from 0) after which it does."""

    first_hz: float
    second_hz: float
    stride: int
    rate_hz: float
    relation: str


@dataclass(frozen=True)
class Chain:
    """Strides applied one after another to a signal at ``sample_rate`` Hz: ``Chain(24000, (2, 4, 5, 8))``.

    >>> chain = Chain(24_000, (2, 4, 5, 8))
    >>> chain.hop, chain.rates[-1]
    (320, 75.0)
    >>> chain.alias(440.0), chain.same_class(440.0, 515.0)
    (10.0, True)
    """

    sample_rate: int
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", tuple(self.strides))
        if not (math.isfinite(self.sample_rate) and self.sample_rate > 0):
            raise ValueError(f"sample_rate={self.sample_rate!r} must be positive (Hz)")
        if not self.strides or any(stride != int(stride) or stride < 1 for stride in self.strides):
            raise ValueError(f"strides={self.strides!r} must be whole numbers of at least 1, one or more")

    @property
    def hop(self) -> int:
        """Samples per frame at the end of the chain."""
        return math.prod(self.strides)

    @property
    def rates(self) -> tuple[float, ...]:
        """Rate in Hz after each stride."""
        return tuple(self.sample_rate / math.prod(self.strides[: index + 1]) for index in range(len(self.strides)))

    @property
    def rate(self) -> float:
        """Rate in Hz at the end of the chain, the frame rate."""
        return self.sample_rate / self.hop

    def cascade(self, hz: float) -> tuple[float, ...]:
        """Return the frequency that ``hz`` has become after each stride."""
        self._audible(hz)
        return tuple(fold(hz, rate) for rate in self.rates)

    def alias(self, hz: float) -> float:
        """Return the frequency that ``hz`` has become at the end, between 0 and half the final rate."""
        self._audible(hz)
        return fold(hz, self.rate)

    def orientation(self, hz: float) -> int:
        """Return +1 if ``hz`` lies above the nearest multiple of the final rate, -1 if below it (mirrored).

        On a multiple, and half way between two, both are true: +1.
        """
        self._audible(hz)
        above = hz - self.rate * math.floor(hz / self.rate)
        return -1 if self.rate / 2.0 + TOLERANCE_HZ < above < self.rate - TOLERANCE_HZ else 1

    def members(self, alias_hz: float) -> tuple[float, ...]:
        """Return all frequencies above 0 and below Nyquist with the alias of ``alias_hz``, ascending.

        There are ``hop`` of them, or about half as many if the alias is 0 or half the final rate.
        """
        alias = self.alias(alias_hz)
        found = {self.rate * k + sign * alias for k in range(self.hop // 2 + 2) for sign in (1, -1)}
        inside = sorted(hz for hz in found if TOLERANCE_HZ < hz < self.sample_rate / 2 - TOLERANCE_HZ)
        # at the edges of a band the two signs meet, give or take rounding
        return tuple(inside[:1]) + tuple(high for low, high in pairwise(inside) if high - low > TOLERANCE_HZ)

    def same_class(self, first_hz: float, second_hz: float, *, tolerance_hz: float = TOLERANCE_HZ) -> bool:
        """Return whether two frequencies have one alias at the end of the chain."""
        return abs(self.alias(first_hz) - self.alias(second_hz)) <= tolerance_hz

    def first_collision(self, first_hz: float, second_hz: float, *, tolerance_hz: float = TOLERANCE_HZ) -> int | None:
        """Return the index of the stride after which two frequencies have one alias, or None if they never do.

        From there on they stay together. Equal frequencies are together after stride 0.
        """
        pairs = zip(self.cascade(first_hz), self.cascade(second_hz), strict=True)
        return next((index for index, (one, other) in enumerate(pairs) if abs(one - other) <= tolerance_hz), None)

    def relation(self, first_hz: float, second_hz: float, *, tolerance_hz: float = TOLERANCE_HZ) -> str | None:
        """Return ``"translation"`` or ``"mirror"`` for two members of one alias class, else None.

        Translation: the difference is a multiple of the final rate. Mirror: the sum is. Where both are (alias 0 or half
        the rate) a translation.
        """
        self._audible(first_hz)
        self._audible(second_hz)
        if fold(first_hz - second_hz, self.rate) <= tolerance_hz:
            return "translation"
        return "mirror" if fold(first_hz + second_hz, self.rate) <= tolerance_hz else None

    def collisions(
        self, frequencies_hz: Iterable[float], *, tolerance_hz: float = TOLERANCE_HZ
    ) -> tuple[Collision, ...]:
        """Return the pairs among the partials of a sound that the chain gives one alias, and where.

        Give ``tolerance_hz`` the resolution of what follows, about 1 / seconds, to find near misses as well.
        """
        found = []
        for first, second in combinations(frequencies_hz, 2):
            stride = self.first_collision(first, second, tolerance_hz=tolerance_hz)
            relation = self.relation(first, second, tolerance_hz=tolerance_hz)
            if stride is not None and relation is not None:
                found.append(Collision(first, second, stride, self.rates[stride], relation))
        return tuple(found)

    def clearance(self, hz: float) -> float:
        """Return the distance in Hz to the nearest multiple of half the final rate.

        There the alias is 0 or half the rate: it no longer turns, and amplitude and phase cannot be told apart.
        """
        self._audible(hz)
        return fold(hz, self.rate / 2.0)

    def _audible(self, hz: float) -> None:
        if not 0.0 <= hz <= self.sample_rate / 2:
            raise ValueError(
                f"hz={hz!r} must lie between 0 and Nyquist "
                f"({self.sample_rate / 2} Hz at sample_rate={self.sample_rate})"
            )


def fold(hz: float, rate: float) -> float:
    """Return the distance in Hz from ``hz`` to the nearest multiple of ``rate``: its alias at that sampling rate.

    >>> fold(440.0, 75.0)
    10.0
    """
    if not rate > 0:
        raise ValueError(f"rate={rate!r} must be positive (Hz)")
    if not math.isfinite(hz):
        raise ValueError(f"hz={hz!r} must be finite (Hz)")
    return abs(hz - rate * round(hz / rate))
