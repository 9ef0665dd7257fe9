"""Readouts: what is kept of an activation ``'channels frames'``, relative to silence, in its site's units, edges cut.

==============  =====================================================================================================
`mean`          RO1, mean over frames, ``[channels]``: what a code holds whatever the start phases; weighted by a Hann
                window, so that what oscillates does not leak into it
`log_power`     RO2, log power about the mean, ``[channels]``: how much a channel moves
`power`         mean square: how much a channel answers, whichever way, ``[channels]``
`frames`        RO3 and RO6, every frame as it is, ``[channels, frames]``: what a quantiser sees; the frozen waveform
`BagOfCodes`    RO4, how often each code occurs, ``[codebooks, entries]``: what a codec's tokens say without their order
`AliasLines`    RO7, complex amplitude of each channel at the frequencies that a tone can fold to
==============  =====================================================================================================

RO5, the dequantised embedding, is no readout but the site ``quantised``.

Most energy of a steady tone in a linear encoder oscillates at the tone's alias frequency; its mean over frames is about
zero. A readout is therefore part of a question, and is named in every effect.

Readouts are hashable values: two probes that keep the same thing of the same sound share the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-12
"""Power that counts as none in `log_power`, activations being in units of their site (`hearing.Listen`): 120 dB below
what noise at an RMS of .1 moves."""


class Readout(Protocol):
    """A hashable function of one activation: ``'channels frames'``, Hz -> array."""

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[Any]:
        """Return what is kept."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Mean:
    """RO1: mean over frames, ``[channels]``, weighted by a Hann window.

    A plain mean over T seconds keeps 1 / (pi f T) of an oscillation at f, in a random direction: more than a nearly
    linear encoder's mean itself. Under a Hann window it falls with the third power of f once f exceeds 2 / T.
    """

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
        """``'channels frames'`` -> ``[channels]``."""
        return frames @ _hann(frames.shape[1])


@dataclass(frozen=True)
class LogPower:
    """RO2: natural log of the power about the mean, ``[channels]``."""

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
        """``'channels frames'`` -> ``[channels]``."""
        return np.log(FLOOR + frames.var(axis=1))


@dataclass(frozen=True)
class Power:
    """Mean square over frames, ``[channels]``: how much a channel answers, steadily or in oscillation."""

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
        """``'channels frames'`` -> ``[channels]``."""
        return np.square(frames).mean(axis=1)


@dataclass(frozen=True)
class Frames:
    """RO3 and RO6: the first ``count`` frames as they are, ``[channels, count]`` float32."""

    count: int

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.float32]:
        """``'channels frames'`` -> ``'channels count'``; fails where fewer are free of edges."""
        if frames.shape[1] < self.count:
            raise ValueError(
                f"count={self.count} frames were asked for and {frames.shape[1]} are free of edges; "
                "ask for a longer clip (Ear.seconds)"
            )
        return frames[:, : self.count].astype(np.float32)


@dataclass(frozen=True)
class BagOfCodes:
    """RO4: share of frames in which each entry of each codebook is chosen, ``[codebooks, entries]``; for codes only."""

    entries: int

    def __call__(self, frames: NDArray[Any], rate: float) -> NDArray[np.float64]:
        """Integers ``'codebooks frames'`` -> ``'codebooks entries'``, each row summing to 1."""
        if frames.dtype.kind not in "iu":
            raise TypeError(f"codes are integers, not {frames.dtype}: ask for BagOfCodes at the site 'codes' alone")
        if frames.min() < 0 or frames.max() >= self.entries:
            raise ValueError(f"entries={self.entries} is too few: codes run from {frames.min()} to {frames.max()}")
        counts = np.stack([np.bincount(book, minlength=self.entries) for book in frames])
        return counts / frames.shape[1]


@dataclass(frozen=True)
class AliasLines:
    """RO7: per token of ``count`` frames, mean and complex amplitude at each frequency of each set of lines.

    z(m) = mu + sum_i Re(v_i exp(j 2 pi f_i m / rate)) by least squares, m counted from the start of the token. Several
    sets are several fits: a tone is compared with different rivals, and lines that are absent should cost nothing.
    """

    line_sets: tuple[tuple[float, ...], ...]
    """Hz, below half the frame rate; the lines of a set further apart than about rate / count."""
    count: int
    tokens: int

    def __call__(self, frames: NDArray[np.float64], rate: float) -> NDArray[np.complex128]:
        """``'channels frames'`` -> complex ``'sets tokens channels lines'``, the mean first; short sets end in 0."""
        channels, available = frames.shape
        if available < self.count * self.tokens:
            raise ValueError(
                f"tokens={self.tokens} of count={self.count} frames were asked for and {available} are free "
                "of edges; ask for a longer clip (Ear.seconds)"
            )
        most = max(len(lines) for lines in self.line_sets)
        tokens = frames[:, : self.count * self.tokens].reshape(channels, self.tokens, self.count)
        kept = np.zeros((len(self.line_sets), self.tokens, channels, 1 + most), dtype=np.complex128)
        for index, lines in enumerate(self.line_sets):
            solution = np.einsum("ctm,lm->tcl", tokens, _solver(lines, self.count, rate))
            kept[index, :, :, 0] = solution[:, :, 0]
            pairs = solution[:, :, 1:].reshape(self.tokens, channels, len(lines), 2)
            kept[index, :, :, 1 : 1 + len(lines)] = pairs[..., 0] - 1j * pairs[..., 1]
        return kept


@lru_cache(maxsize=64)
def _hann(count: int) -> NDArray[np.float64]:
    """Weights of a mean over so many frames: a Hann window whose sum is 1."""
    weight = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(count) + 0.5) / count) if count > 2 else np.ones(count)
    weight = weight / weight.sum()
    weight.flags.writeable = False
    return weight


@lru_cache(maxsize=4096)
def _solver(lines: tuple[float, ...], count: int, rate: float) -> NDArray[np.float64]:
    """Least-squares operator ``'1+2*lines frames'`` for a mean and a cosine and sine at each line."""
    angle = 2 * np.pi * np.outer(np.arange(count) / rate, lines)
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(count, -1)
    return np.linalg.pinv(np.concatenate([np.ones((count, 1)), basis], axis=1))


mean = Mean()
log_power = LogPower()
power = Power()
