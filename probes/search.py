"""Search: sounds that an encoder cannot tell from a given one, and how near any sound could come.

`metamers`        with a gradient: from another sound, downhill on the distance between codes, kept away in waveform
`impulse_matrix`  of a linear code: what each sample of a stretch adds to each value of the frames that hear it
`nearest_codes`   of a linear code: the least distance between codes that any sound so far away in waveform can have

Formula   minimise |E(x') - E(x)|^2 subject to d(x', x) >= a, d = |x' - x| / sqrt(|x'|^2 + |x|^2), x' = x outside the
          stretch. With a gradient: the constraint as a penalty, L-BFGS (Nocedal 1980), each sound on its own. For a
          linear code E(x') - E(x) = A u, u = x' - x, and the constraint is one quadratic inequality, so that the global
          minimum follows from the Lagrangian however the constraint is curved (S-lemma; Polik & Terlaky 2007, SIAM
          Review 49): u = -l a^2 (A'A - l (1 - a^2) I)^-1 x for the multiplier l at which the constraint is met.
Traps     A direction that is null about silence need not be null on top of a chord: linearity is tested at the sounds
          themselves. A minimum found downhill is an upper bound on the distance, never a lower one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HISTORY = 16
PENALTY = 30.0

Objective = Callable[[Floats], tuple[Floats, Floats, Floats]]
"""Sounds 'sounds samples' -> (loss of each, its gradient, distance between the codes of each and its target's)."""


def metamers(objective: Objective, start: Floats, *, evaluations: int) -> tuple[Floats, list[float]]:
    """Return sounds of least loss found from ``start``, 'sounds samples', and the mean code distance as it fell.

    L-BFGS with backtracking, each sound with steps of its own; those whose step fails try a shorter one while the
    others go on.
    """
    at = start.copy()
    loss, slope, far = objective(at)
    path = [float(far.mean())]
    steps: list[tuple[Floats, Floats, Floats]] = []
    direction, length = -slope, np.minimum(1.0, 0.05 * np.linalg.norm(at, axis=1) / _size(slope))
    for _ in range(evaluations - 1):
        trial = np.clip(at + length[:, None] * direction, -1.0, 1.0)
        new_loss, new_slope, new_far = objective(trial)
        better = new_loss <= loss + 1e-4 * length * (slope * direction).sum(axis=1)
        moved = np.where(better[:, None], trial - at, 0.0)
        turned = np.where(better[:, None], new_slope - slope, 0.0)
        curved = (moved * turned).sum(axis=1)
        # A sound that did not move, or whose loss curves the wrong way, learns nothing from this step.
        weight = np.divide(1.0, curved, out=np.zeros_like(curved), where=curved > 1e-12 * _size(moved) * _size(turned))
        at, slope = np.where(better[:, None], trial, at), np.where(better[:, None], new_slope, slope)
        loss, far = np.where(better, new_loss, loss), np.where(better, new_far, far)
        steps = [*steps, (moved, turned, weight)][-HISTORY:]
        direction = _towards(slope, steps)
        uphill = (direction * slope).sum(axis=1) >= 0
        direction[uphill] = -slope[uphill]
        length = np.where(better, 1.0, 0.4 * length)
        path.append(float(far.mean()))
    return at, path


def _towards(slope: Floats, steps: list[tuple[Floats, Floats, Floats]]) -> Floats:
    """The quasi-Newton direction of each sound: the two loops of Nocedal 1980."""
    q, alphas = slope.copy(), []
    for moved, turned, weight in reversed(steps):
        alpha = weight * (moved * q).sum(axis=1)
        alphas.append(alpha)
        q -= alpha[:, None] * turned
    scale = np.zeros(len(q))
    for moved, turned, weight in steps:
        known = weight > 0
        energy = np.square(turned[known]).sum(axis=1)
        scale[known] = (moved[known] * turned[known]).sum(axis=1) / np.maximum(energy, 1e-300)
    fallback = 0.05 / np.maximum(_size(slope), 1e-300)
    q *= np.where(scale > 0, scale, fallback)[:, None]
    for (moved, turned, weight), alpha in zip(steps, reversed(alphas), strict=True):
        beta = weight * (turned * q).sum(axis=1)
        q += (alpha - beta)[:, None] * moved
    return -q


def differentiable(
    encode: Callable[[Any], Any], targets: Floats, sizes: Floats, sounds: Floats, stretch: slice, least: float
) -> Objective:
    """Return the objective of `metamers` for an encoder with a gradient.

    Args:
        encode: tensor 'sounds samples' -> tensor 'sounds values'.
        targets: codes to be reached, 'sounds values'.
        sizes: distance that counts as one, 'sounds'.
        sounds: the sounds to keep away from, 'sounds samples'.
        stretch: where the sounds may differ.
        least: distance in waveform to keep.
    """
    import torch

    goal, size = torch.as_tensor(targets, dtype=torch.float32), torch.as_tensor(sizes, dtype=torch.float32)
    own = torch.as_tensor(sounds, dtype=torch.float32)

    def objective(trial: Floats) -> tuple[Floats, Floats, Floats]:
        with torch.enable_grad():
            waves = torch.as_tensor(trial, dtype=torch.float32).requires_grad_()
            mixed = own.clone()
            mixed[:, stretch] = waves
            codes = encode(mixed)
            far = torch.linalg.vector_norm(codes - goal.to(codes.device), dim=1).cpu() / size
            apart = (waves - own[:, stretch]).norm(dim=1)
            energy = (waves.square() + own[:, stretch].square()).sum(dim=1)
            near = torch.relu(least - apart / energy.sqrt())
            loss = far.square() + PENALTY * near.square()
            (slope,) = torch.autograd.grad(loss.sum(), waves)
        return (
            loss.detach().numpy().astype(np.float64),
            slope.numpy().astype(np.float64),
            far.detach().numpy().astype(np.float64),
        )

    return objective


def impulse_matrix(answers: Floats, *, hops: int, frames: int, first: int) -> Floats:
    """Return what each sample of a stretch of ``hops`` hops adds to ``frames`` frames.

    An impulse a hop later gives the same answer a frame later, so that those of one hop are enough.

    Args:
        answers: codes of unit impulses at each place within the first hop of the stretch, 'places channels frames'.
        hops: length of the stretch.
        frames: frames to account for.
        first: the first of them, as the answers count.

    Returns:
        'values samples', values in the order 'channels frames'.
    """
    places, channels, available = answers.shape
    matrix = np.zeros((channels, frames, hops, places))
    for hop in range(hops):
        for frame in range(frames):
            heard = first + frame - hop
            if 0 <= heard < available:
                matrix[:, frame, hop] = answers[:, :, heard].T
    return matrix.reshape(channels * frames, hops * places)


def nearest_codes(matrix: Floats, sounds: Floats, *, least: float, energies: Floats | None = None) -> Floats:
    """Return, for each sound, the change that moves a linear code least and the waveform enough.

    Args:
        matrix: what the code gains by a change, 'values coordinates'; coordinates are samples, or those of changes
            along orthonormal directions.
        sounds: the sounds in these coordinates, 'sounds coordinates'.
        least: distance in waveform to keep.
        energies: of the whole sounds, where the coordinates do not span them.

    Returns:
        'sounds coordinates'.
    """
    values, vectors = np.linalg.eigh(matrix.T @ matrix)
    values = np.maximum(values, 0.0)
    share = least**2
    found = []
    for index, sound in enumerate(sounds):
        along = vectors.T @ sound
        energy = float(sound @ sound) if energies is None else float(energies[index])

        def change(multiplier: float, along: Floats = along) -> Floats:
            rest = values - multiplier * (1.0 - share)
            return np.divide(-multiplier * share * along, rest, out=np.zeros_like(rest), where=rest > 0)

        def met(u: Floats, along: Floats = along, energy: float = energy) -> float:
            return float((1.0 - share) * (u @ u) - 2.0 * share * (along @ u) - 2.0 * share * energy)

        # The constraint is met better the nearer the multiplier comes to where the least direction gives way.
        low, high = 0.0, float(values[0]) / (1.0 - share)
        if met(change(high * (1.0 - 1e-9))) < 0 or high <= 1e-12 * float(values[-1]):
            # The least direction is (nearly) free: as much of it as it takes, on top of what the others do.
            u = change(high * (1.0 - 1e-3)) if high > 0 else np.zeros_like(along)
            free = values <= values[0] + 1e-9 * values[-1]
            ahead = np.where(free, along, 0.0)
            ahead = ahead / np.linalg.norm(ahead) if np.linalg.norm(ahead) > 0 else free / np.sqrt(free.sum())
            reach = np.sqrt(energy) * np.geomspace(0.05, 50.0, 400)
            enough = [size for size in reach if met(u - size * ahead) >= 0]
            found.append(vectors @ (u - (enough[0] if enough else reach[-1]) * ahead))
            continue
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if met(change(middle)) >= 0 else (middle, high)
        found.append(vectors @ change(high))
    return np.stack(found)


def _size(vectors: Floats) -> Floats:
    return np.asarray(np.maximum(np.linalg.norm(vectors, axis=1), 1e-300))
