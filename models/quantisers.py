"""Codebooks for encoders that were never trained: residual k-means on a stated set of sounds.

An untrained EnCodec has codebooks of zeros, so all its codes are 0 and its quantised site is silent. To ask what
quantising does, its codebooks must at least cover its own latents. The calibration set is made here, of sounds that
owe nothing to any stimulus played later: harmonic complexes and noise bursts at many levels, and silence.

Residual quantisation: Zeghidour et al., SoundStream, IEEE/ACM TASLP 30 (2022), algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CALIBRATION_CLIPS = 20
CALIBRATION_SECONDS = 2.5
ITERATIONS = 5
MIXTURES = 5120


@dataclass(frozen=True, kw_only=True)
class Codebooks:
    """Fitted residual codebooks and how evenly the calibration set uses them."""

    entries: Tensor
    """float32 'codebooks entries channels'."""
    counts: Tensor
    """float32 'codebooks entries': how many of the given vectors, as they are, fall on each entry."""

    @property
    def perplexities(self) -> tuple[float, ...]:
        """Effective number of entries in use, per codebook: the exponential of the entropy of the counts in nats."""
        share = self.counts.double() / self.counts.double().sum(dim=1, keepdim=True)
        entropy = -torch.xlogy(share, share).sum(dim=1)
        return tuple(float(value) for value in entropy.exp())


def calibration_waveforms(
    *,
    sample_rate: int,
    clips: int = CALIBRATION_CLIPS,
    seconds: float = CALIBRATION_SECONDS,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return the calibration set, 'batch samples' in [-1, 1].

    Every clip holds four to eight events of .15 to 1.2 s, each a complex of up to 12 harmonics on 60 to 1200 Hz or a
    noise between two random frequencies, at -50 to -6 dB RMS; between them is silence.
    """
    generator = np.random.default_rng(seed)
    samples = round(seconds * sample_rate)
    waveforms = np.zeros((clips, samples))
    for clip in waveforms:
        for _ in range(generator.integers(4, 9)):
            length = min(samples, round(generator.uniform(0.15, 1.2) * sample_rate))
            start = generator.integers(0, samples - length + 1)
            make = _complex if generator.random() < 0.65 else _noise
            event = make(generator, length=length, sample_rate=sample_rate)
            ramp = min(length // 2, round(0.01 * sample_rate))
            fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp)
            event[:ramp] *= fade
            event[length - ramp :] *= fade[::-1]
            level = 10.0 ** (generator.uniform(-50.0, -6.0) / 20.0)
            clip[start : start + length] += level * event / np.sqrt(np.mean(np.square(event)))
    peaks = np.abs(waveforms).max(axis=1, keepdims=True)
    return (waveforms / np.maximum(peaks, 1.0)).astype(np.float32)


def fit_residual_codebooks(
    vectors: Tensor,
    *,
    codebooks: int,
    entries: int = 1024,
    iterations: int = ITERATIONS,
    mixtures: int | None = MIXTURES,
    seed: int = 0,
) -> Codebooks:
    """Return codebooks fitted one after the other, each to what the ones before it leave over.

    A few thousand vectors and a thousand entries: the residual of vectors that were fitted before shrinks to nothing,
    and later codebooks would be fitted to nothing (measured: from the fifth on one entry in use). So each codebook is
    fitted to fresh vectors, random mixtures of two of the given ones at random level, up to 20 dB down.

    Args:
        vectors: float 'vectors channels'.
        codebooks: how many.
        entries: per codebook.
        iterations: rounds of Lloyd's algorithm for each codebook.
        mixtures: how many mixtures to draw for each codebook; None fits all codebooks to the vectors as they are.
        seed: of the mixtures and of the initial choice of entries.

    Raises:
        ValueError: if there are fewer vectors than entries, or they are not finite.
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors of shape {tuple(vectors.shape)} must be 'vectors channels'")
    if (count := len(vectors) if mixtures is None else mixtures) < entries:
        raise ValueError(f"entries={entries} is more than the {count} vectors to fit them to")
    if not bool(torch.isfinite(vectors).all()):
        raise ValueError("vectors must be finite")
    generator = torch.Generator().manual_seed(seed)
    # Around a large common offset the differences would drown in float32; the first codebook gets it back below.
    vectors = vectors.detach().cpu()
    offset = vectors.double().mean(dim=0).float()
    centred = vectors.float() - offset
    fitted: list[Tensor] = []
    for _ in range(codebooks):
        residual = centred if mixtures is None else _mixtures(centred, count=mixtures, generator=generator)
        for centres in fitted:
            residual = residual - centres[_nearest(residual, centres)[1]]
        fitted.append(_k_means(residual, entries=entries, iterations=iterations, generator=generator))
    residual, counts = centred, []
    for centres in fitted:
        nearest = _nearest(residual, centres)[1]
        residual = residual - centres[nearest]
        counts.append(torch.bincount(nearest, minlength=entries).float())
    fitted[0] = fitted[0] + offset
    return Codebooks(entries=torch.stack(fitted), counts=torch.stack(counts))


def fit_to_many(
    vectors: Tensor, *, codebooks: int, entries: int = 1024, sample: int, iterations: int = ITERATIONS, seed: int = 0
) -> Codebooks:
    """Return codebooks fitted one after the other to a great many vectors, each to a random sample of its own.

    A fresh sample for every codebook keeps what one has learned by heart from the next one's sight.

    Args:
        vectors: float 'vectors channels', many times `entries`.
        codebooks: how many.
        entries: per codebook.
        sample: vectors that each codebook is fitted to.
        iterations: rounds of Lloyd's algorithm for each codebook.
        seed: of the samples and of the initial choice of entries.

    Raises:
        ValueError: if a sample is smaller than the entries.
    """
    if min(sample, len(vectors)) < entries:
        raise ValueError(f"sample={sample} of {len(vectors)} vectors is fewer than entries={entries}")
    generator = torch.Generator().manual_seed(seed)
    residual = vectors.detach().cpu().float().clone()
    fitted, counts = [], []
    for _ in range(codebooks):
        chosen = torch.randperm(len(residual), generator=generator)[:sample]
        centres = _k_means(residual[chosen], entries=entries, iterations=iterations, generator=generator)
        count = torch.zeros(entries)
        for part in residual.split(1 << 14):
            nearest = _nearest(part, centres)[1]
            part -= centres[nearest]
            count += torch.bincount(nearest, minlength=entries)
        fitted.append(centres)
        counts.append(count)
    return Codebooks(entries=torch.stack(fitted), counts=torch.stack(counts))


def _mixtures(vectors: Tensor, *, count: int, generator: torch.Generator) -> Tensor:
    """Return random mixtures of two vectors each, 'count channels', of the same power or less."""
    first, second = torch.randint(len(vectors), (2, count), generator=generator)
    turn, drop = torch.rand(2, count, 1, generator=generator)
    angle = 2.0 * torch.pi * turn
    mixture: Tensor = 10.0**-drop * (angle.cos() * vectors[first] + angle.sin() * vectors[second])
    return mixture


def _k_means(vectors: Tensor, *, entries: int, iterations: int, generator: torch.Generator) -> Tensor:
    """Return centres 'entries channels'."""
    centres = vectors[torch.randperm(len(vectors), generator=generator)[:entries]].clone()
    for _ in range(iterations):
        distance, nearest = _nearest(vectors, centres)
        counts = torch.bincount(nearest, minlength=entries)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        alive = counts > 0
        centres[alive] = sums[alive] / counts[alive, None]
        # An entry that nobody uses moves to the vector that is served worst.
        dead = (~alive).nonzero()[:, 0]
        centres[dead] = vectors[distance.topk(len(dead)).indices]
    return centres


def _nearest(vectors: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distance to, and the index of, the nearest centre of each vector."""
    score = torch.addmm(centres.square().sum(dim=1), vectors, centres.T, alpha=-2.0)
    best, nearest = score.min(dim=1)
    return best + vectors.square().sum(dim=1), nearest


def _complex(generator: np.random.Generator, *, length: int, sample_rate: int) -> NDArray[np.float64]:
    """Return a harmonic complex with random amplitudes and phases, 'samples'."""
    hz = 60.0 * 20.0 ** generator.random() * np.arange(1, generator.integers(2, 13))
    hz = hz[hz < 0.45 * sample_rate]
    tilt = np.arange(1, len(hz) + 1) ** -generator.uniform(0.0, 2.0)
    amplitude = tilt * 10.0 ** (generator.uniform(-6.0, 6.0, len(hz)) / 20.0)
    phase = generator.uniform(0.0, 2.0 * np.pi, len(hz))
    time = np.arange(length) / sample_rate
    return amplitude @ np.cos(2.0 * np.pi * hz[:, None] * time + phase[:, None])


def _noise(generator: np.random.Generator, *, length: int, sample_rate: int) -> NDArray[np.float64]:
    """Return Gaussian noise between two random frequencies at least half an octave apart, 'samples'."""
    low = 40.0 * 100.0 ** generator.random()
    high = min(0.48 * sample_rate, low * 2.0 ** generator.uniform(0.5, 6.0))
    spectrum = np.fft.rfft(generator.standard_normal(length))
    hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    spectrum[(hz < low) | (hz > high)] = 0.0
    return np.fft.irfft(spectrum, length)
