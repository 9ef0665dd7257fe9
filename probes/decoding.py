"""Decoding: what a linear reader finds in a code, heard out on sounds that it did not learn from.

A reader is a ridge regression of labels on features, one for each label, its strength chosen on the sounds that it
learns from. What it says of other sounds is scored by the area under the ROC curve (`areas`), or by how often the
largest of several answers is the right one (`choices`).

Formula   features standardised by the training sounds; w = argmin |y - X w|^2 + k |w|^2, k out of `STRENGTHS` times the
          mean squared singular value, by the exact leave-one-out error of the training sounds (Allen 1974; Golub, Heath
          & Wahba 1979); a k of its own for each label.
Traps     Sounds that share what is to be generalised over (a context, a performance) must share a fold. Scores of
          different folds have different offsets: areas are formed within folds. A strength chosen on the test sounds,
          or features standardised with them, would make everything look readable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .readouts import FLOOR
from .statistics import auc, singular_vectors

Floats = NDArray[np.float64]

STRENGTHS = 10.0 ** np.arange(-4.0, 3.01, 0.5)
"""Of the penalty, re the mean squared singular value of the standardised training features."""

NOUGHT, FAINT = 1e-14, 1e-11
"""Of the largest squared singular value: what is rounding, and what rounding could reach."""

POWER_FLOOR = 1e-3
"""Of a channel's mean power over all sounds: below it nothing counts as oscillation (`floored_features`)."""


def ridge(train: Floats, labels: Floats, test: Floats, *, standardise: bool = True, shared: bool = False) -> Floats:
    """Return what readers that learned from `train` say of `test`.

    Args:
        train: 'sounds features', at least 3 sounds.
        labels: 'sounds labels', of the training sounds; numbers, such as 0 and 1.
        test: 'sounds features'.
        standardise: by the training sounds; without it features are only centred, for those that have a common scale.
        shared: one strength for all labels, for labels that compete (`choices`): a label that is shrunk less than the
            others would win for that alone.

    Returns:
        'sounds labels', on the scale of the labels.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than 3 sounds to learn from.
    """
    return _learned(train, labels, test, standardise=standardise, shared=shared)[0]


def _learned(
    train: Floats, labels: Floats, test: Floats, *, standardise: bool = True, shared: bool = False
) -> tuple[Floats, float]:
    """What readers say, and their mean squared leave-one-out error on the sounds that they learned from."""
    train, labels, test = (np.asarray(each, dtype=np.float64) for each in (train, labels, test))
    if train.ndim != 2 or labels.ndim != 2 or len(train) != len(labels) or train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"train {train.shape}, labels {labels.shape} and test {test.shape} must be 'sounds features', "
            "'sounds labels' and 'sounds features'"
        )
    count = len(train)
    if count < 3:
        raise ValueError(f"train holds {count} sounds; a reader learns from at least 3")
    centre, spread = train.mean(axis=0), train.std(axis=0)
    heard = spread > 1e-12 * max(float(spread.max(initial=0.0)), 1e-300)
    if not heard.any():
        guess = np.broadcast_to(labels.mean(axis=0), (len(test), labels.shape[1])).copy()
        return guess, float(labels.var(axis=0).mean())
    scale = spread if standardise else np.ones_like(spread)
    train = (train[:, heard] - centre[heard]) / scale[heard]
    test = (test[:, heard] - centre[heard]) / scale[heard]
    mean = labels.mean(axis=0)
    projected, powers, project = _axes(train)
    along = projected.T @ (labels - mean)
    strengths = STRENGTHS * powers.mean()
    shrunk = 1.0 / (powers[:, None] + strengths)
    leverage = np.minimum(np.square(projected) @ shrunk + 1.0 / count, 1.0 - 1e-9)
    residuals = labels - mean - projected @ (shrunk.T[:, :, None] * along)
    errors = np.square(residuals / (1.0 - leverage).T[:, :, None]).mean(axis=1)
    if shared:
        errors = np.broadcast_to(errors.mean(axis=1, keepdims=True), errors.shape)
    best = np.argmin(errors, axis=0)
    said = mean + project(test, shrunk[:, best] * along)
    return np.asarray(said), float(np.min(errors, axis=0).mean())


def _axes(train: Floats) -> tuple[Floats, Floats, Callable[[Floats, Floats], Floats]]:
    """Return the principal axes of centred features, as far as readers use them.

    From the smaller of the two matrices of products, several times faster than the singular vectors of the features.
    Where some axis is so faint that its square would drown in rounding, the singular vectors themselves.

    Returns:
        projected: the sounds on the axes, 'sounds axes'.
        powers: squared singular values, 'axes'.
        project: what weights 'axes labels' on the axes say of other sounds, 'sounds features' -> 'sounds labels'.
    """
    wide = len(train) <= train.shape[1]
    powers, axes = np.linalg.eigh(train @ train.T if wide else train.T @ train)
    # Centring costs a rank: what is left of it is rounding.
    kept = powers > NOUGHT * powers[-1]
    if not (powers[kept][0] > FAINT * powers[-1] and np.sum(~kept) <= wide):
        left, singular, right = singular_vectors(train)
        heard = singular > 1e-9 * singular[0]
        return (
            left[:, heard] * singular[heard],
            singular[heard] ** 2,
            lambda test, weights: (test @ right[heard].T) @ weights,
        )
    powers, axes = powers[kept], axes[:, kept]
    if wide:
        projected = axes * np.sqrt(powers)
        return projected, powers, lambda test, weights: test @ (train.T @ (axes @ (weights / np.sqrt(powers)[:, None])))
    return train @ axes, powers, lambda test, weights: test @ (axes @ weights)


def held_out(features: Floats, labels: Floats, folds: NDArray[np.intp]) -> Floats:
    """Return what readers say of each sound that learned from the sounds of all other folds.

    Args:
        features: 'sounds features'.
        labels: 'sounds labels'.
        folds: fold of each sound, 'sounds'; sounds that belong together share one.

    Returns:
        'sounds labels'.
    """
    said = np.empty(labels.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        said[inside] = ridge(features[~inside], labels[~inside], features[inside])
    return said


def held_out_best(readouts: Sequence[Floats], labels: Floats, folds: NDArray[np.intp]) -> Floats:
    """Return what readers say of each sound, each fold's with the readout that served its training sounds best.

    The readout is chosen for all labels together, by the leave-one-out error of the sounds that readers learn from: one
    that holds nothing then costs nothing, where side by side with a good one it would drown it.

    Args:
        readouts: each 'sounds features', of the same sounds.
        labels: 'sounds labels'.
        folds: fold of each sound, 'sounds'.

    Returns:
        'sounds labels'.
    """
    said = np.empty(labels.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        rivals = [_learned(each[~inside], labels[~inside], each[inside]) for each in readouts]
        said[inside] = min(rivals, key=lambda rival: rival[1])[0]
    return said


def areas(said: Floats, labels: Floats, groups: NDArray[np.intp] | None = None) -> Floats:
    """Return the area under the ROC curve of each label, 'labels': pairs are formed within groups, all pairs alike.

    Args:
        said: 'sounds labels', scores.
        labels: 'sounds labels', 0 or 1.
        groups: group of each sound (folds, contexts); all in one by default.

    Returns:
        nan for a label that no group holds both values of.
    """
    groups = np.zeros(len(said), dtype=np.intp) if groups is None else groups
    total, pairs = np.zeros(labels.shape[1]), np.zeros(labels.shape[1])
    for group in np.unique(groups):
        inside = groups == group
        for index in range(labels.shape[1]):
            yes = labels[inside, index] > 0.5
            weight = float(yes.sum()) * float((~yes).sum())
            if weight:
                total[index] += weight * auc(said[inside, index][yes], said[inside, index][~yes])
                pairs[index] += weight
    return np.divide(total, pairs, out=np.full(len(total), np.nan), where=pairs > 0)


def choices(said: Floats) -> NDArray[np.intp]:
    """Return the label with the largest score for each sound, 'sounds labels' -> 'sounds'."""
    return np.argmax(said, axis=1)


def sequence_features(mean: Floats, log_power: Floats) -> Floats:
    """Return RO1 and RO2 side by side: what of a code does not depend on start phases.

    Args:
        mean: 'sounds ...', RO1.
        log_power: 'sounds ...', RO2.

    Returns:
        'sounds features'.
    """
    count = len(mean)
    return np.concatenate([mean.reshape(count, -1), log_power.reshape(count, -1)], axis=1)


def floored_features(mean: Floats, log_power: Floats) -> Floats:
    """As `sequence_features`, log powers floored 30 dB below a channel's mean power over all sounds.

    Below it there is rounding, and its logarithm would be a feature as large as any.
    """
    linear = np.maximum(np.exp(np.asarray(log_power, dtype=np.float64)) - FLOOR, 0.0)
    floor = POWER_FLOOR * linear.mean(axis=0)
    return sequence_features(
        np.asarray(mean, dtype=np.float64), np.log(np.maximum(linear, np.where(floor > 0, floor, 1.0)))
    )
