"""Dense periodic multisines: thousands of partials on one grid, drawn anew by a seed and rendered by one transform.

``LineSpectrum``  which multiples of a fundamental sound, and how loud
``Multisine``     one performance of it: sizes and phases drawn from a seed

A clip of T seconds that repeats every T seconds holds a whole number of periods of each of its partials, so that each
stands on a line of its own in a Fourier transform over one period, and nothing leaks (Pintelon & Schoukens, System
Identification: A Frequency Domain Approach, 2012, chapter 2). What a nonlinear system adds falls on the same grid.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6
"""Samples by which a period may miss a whole number: the rounding of a rate, not another rate."""


@dataclass(frozen=True)
class LineSpectrum:
    """Partials at ``harmonics`` times ``fundamental_hz``, each with an amplitude re full scale 1."""

    fundamental_hz: float
    harmonics: tuple[int, ...]
    amplitudes: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "harmonics", tuple(int(each) for each in self.harmonics))
        object.__setattr__(self, "amplitudes", tuple(float(each) for each in self.amplitudes))
        if not (math.isfinite(self.fundamental_hz) and self.fundamental_hz > 0):
            raise ValueError(f"fundamental_hz={self.fundamental_hz!r} must be positive (Hz)")
        if not self.harmonics or len(self.harmonics) != len(self.amplitudes):
            raise ValueError(
                f"{len(self.harmonics)} harmonics and {len(self.amplitudes)} amplitudes must be equally many, at least "
                "one"
            )
        if min(self.harmonics) < 1 or len(set(self.harmonics)) != len(self.harmonics):
            raise ValueError("harmonics must be different whole numbers of at least 1")
        if not all(math.isfinite(each) and each >= 0 for each in self.amplitudes):
            raise ValueError("amplitudes must be at least 0 (re full scale 1)")

    @cached_property
    def sha256(self) -> str:
        """Hash of the grid and the amplitudes."""
        content = [self.fundamental_hz, self.harmonics, self.amplitudes]
        return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()

    @cached_property
    def rms(self) -> float:
        """RMS re full scale 1 that a performance has on average."""
        return math.sqrt(sum(each**2 for each in self.amplitudes) / 2.0)


@dataclass(frozen=True)
class Multisine:
    """A performance of a line spectrum: sum of ``gain * Re(c_i exp(2 pi j f_i t))``.

    c_i is the amplitude times a phase drawn uniformly or, with ``sized``, times a complex normal number of mean square
    1: then size and phase are both drawn anew, as in noise.
    """

    spectrum: LineSpectrum
    seed: int
    sized: bool = True
    gain: float = 1.0

    def __post_init__(self) -> None:
        if self.seed != int(self.seed) or self.seed < 0:
            raise ValueError(f"seed={self.seed!r} must be a whole number of at least 0")
        if not math.isfinite(self.gain):
            raise ValueError(f"gain={self.gain!r} must be finite")

    @cached_property
    def drawn(self) -> NDArray[np.complex128]:
        """What each amplitude is multiplied by, ``harmonics``: mean square 1."""
        normal = np.random.default_rng(self.seed).standard_normal((2, len(self.spectrum.harmonics)))
        number = normal[0] + 1j * normal[1]
        return number / math.sqrt(2.0) if self.sized else number / np.abs(number)

    def waveform(self, samples: int, *, sample_rate: int) -> NDArray[np.float64]:
        """Return ``samples``, float64.

        Raises:
            ValueError: if a partial is not below Nyquist, or a period is no whole number of samples.
        """
        exact = sample_rate / self.spectrum.fundamental_hz
        period = round(exact)
        if abs(period - exact) > TOLERANCE * max(1.0, exact):
            raise ValueError(
                f"fundamental_hz={self.spectrum.fundamental_hz} has a period of {exact:.3f} samples at "
                f"sample_rate={sample_rate}; a multisine needs a whole number"
            )
        highest = max(self.spectrum.harmonics)
        if 2 * highest >= period:
            raise ValueError(
                f"harmonic {highest} of fundamental_hz={self.spectrum.fundamental_hz} is at or above Nyquist "
                f"({sample_rate / 2} Hz at sample_rate={sample_rate})"
            )
        lines = np.zeros(period // 2 + 1, dtype=np.complex128)
        lines[list(self.spectrum.harmonics)] = self.gain * np.array(self.spectrum.amplitudes) * self.drawn
        once = np.fft.irfft(lines, period) * (period / 2)
        return np.resize(once, samples)

    def scaled(self, db: float) -> Multisine:
        """Return the multisine changed by ``db`` dB."""
        return dataclasses.replace(self, gain=self.gain * 10.0 ** (db / 20.0))

    def inverted(self) -> Multisine:
        """Return the multisine upside down."""
        return dataclasses.replace(self, gain=-self.gain)

    def with_phases(self, rng: np.random.Generator) -> Multisine:
        """Return another performance of the same spectrum."""
        return dataclasses.replace(self, seed=int(rng.integers(2**63)))

    def identity(self) -> dict[str, Any]:
        """Return what the samples depend on, the spectrum by its hash."""
        return {"spectrum": self.spectrum.sha256, "seed": self.seed, "sized": self.sized, "gain": self.gain}

    def truth(self) -> dict[str, Any]:
        """Return the ground truth as plain JSON."""
        return {"kind": "multisine", **dataclasses.asdict(self)}
