"""Intervals, nulls and the verdict rule.

What is estimated is always a statistic of *clusters* (pitches, contexts, sets of partials, seeds), never of tokens or
of pairs: tokens of one cluster are not independent, and intervals that treat them so are far too narrow.

* :func:`jackknife` -- delete one cluster, Student's t with n - 1 degrees of freedom (Tukey 1958; Efron & Tibshirani
  1993, ch. 11). For dyads (pairs of pitches, say) the cluster is the node: deleting it deletes all of its pairs.
* :func:`jackknife_two_way` -- crossed factors, pitch by context: se^2 = se_a^2 + se_b^2 - se_ab^2 (Cameron, Gelbach &
  Miller 2011), never below the larger of the two, with min(n) - 1 degrees of freedom.
* :func:`bootstrap` -- resampled clusters, percentile; for medians, maxima and other statistics that are not smooth,
  where the jackknife is inconsistent.
* :func:`permutation` -- p-value of a restricted permutation null, (1 + #) / (1 + draws) (Phipson & Smyth 2010).
* :func:`holm` -- adjusted p-values over a family (Holm 1979).
* :func:`cliffs_delta`, :func:`auc` -- probability of superiority and its symmetric form (Cliff 1993).
* :func:`as_share` -- an interval widened near 0 and 1, by the arcsine of the root.
* :func:`singular_vectors` -- of any finite matrix, also where LAPACK's fast driver gives up.
* :func:`verdict` -- the rule: with a 90 % interval, two one-sided tests at .05.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, special, stats

from .records import Effect, Threshold

CONFIDENCE = 0.90
"""Two-sided; its ends are two one-sided tests at .05 (Lakens 2017, equivalence tests)."""

SHARE_EDGE = 0.01
"""Shares are taken this far from 0 and 1 where the arcsine of their root is formed."""

Indices = NDArray[np.intp]
Statistic = Callable[[Indices], float]


def jackknife(
    statistic: Statistic,
    n: int,
    *,
    name: str,
    unit: str = "",
    confidence: float = CONFIDENCE,
    transform: tuple[Callable[[float], float], Callable[[float], float]] | None = None,
) -> Effect:
    """Estimate with a delete-one-cluster jackknife-t interval.

    Args:
        statistic: called with the indices of the clusters that are in, ``[clusters]``; smooth (a mean, a ratio).
        n: number of clusters, at least 2.
        name: what the effect is called.
        unit: its unit.
        confidence: of the two-sided interval.
        transform: a pair (forward, back) for a bounded statistic, such as ``(numpy.arctanh, numpy.tanh)``: the interval
            is made on the forward scale.

    Returns:
        The effect; its ends are nan where the statistic is not finite.

    Raises:
        ValueError: if there are fewer than 2 clusters.
    """
    if n < 2:
        raise ValueError(f"n={n} clusters cannot give an interval (at least 2)")
    forward, back = transform or (_same, _same)
    everything = np.arange(n)
    value = float(statistic(everything))
    centre = forward(value)
    left_out = np.array([forward(float(statistic(np.delete(everything, i)))) for i in range(n)])
    half = _standard_error(left_out) * _t(confidence, n - 1)
    return Effect(
        name=name, value=value, low=back(centre - half), high=back(centre + half), confidence=confidence, unit=unit, n=n
    )


def jackknife_two_way(
    statistic: Callable[[NDArray[np.bool_]], float],
    shape: tuple[int, int],
    *,
    name: str,
    unit: str = "",
    confidence: float = CONFIDENCE,
) -> Effect:
    """Estimate with a two-way jackknife-t interval for crossed factors.

    ``statistic`` is called with a mask ``'rows columns'`` of the cells that are in. The variance is that of Cameron,
    Gelbach & Miller (2011) with jackknife terms, rows + columns - cells, floored at the larger one-way term; t with
    min(shape) - 1 degrees of freedom.
    """
    rows, columns = shape
    if min(shape) < 2:
        raise ValueError(f"shape={shape} cannot give a two-way interval (at least 2 clusters of each factor)")
    everything = np.ones(shape, dtype=bool)

    def without(index: tuple[slice | int, slice | int]) -> float:
        mask = everything.copy()
        mask[index] = False
        return float(statistic(mask))

    value = float(statistic(everything))
    row = _standard_error(np.array([without((i, slice(None))) for i in range(rows)])) ** 2
    column = _standard_error(np.array([without((slice(None), j)) for j in range(columns)])) ** 2
    cell = _standard_error(np.array([without((i, j)) for i in range(rows) for j in range(columns)])) ** 2
    half = math.sqrt(max(row + column - cell, row, column)) * _t(confidence, min(shape) - 1)
    return Effect(
        name=name, value=value, low=value - half, high=value + half, confidence=confidence, unit=unit, n=min(shape)
    )


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    rng: np.random.Generator,
    name: str,
    unit: str = "",
    confidence: float = CONFIDENCE,
    draws: int = 1999,
) -> Effect:
    """Estimate with a percentile interval over resampled clusters, for statistics that are not smooth."""
    if n < 2:
        raise ValueError(f"n={n} clusters cannot give an interval (at least 2)")
    value = float(statistic(np.arange(n)))
    resampled = [statistic(rng.integers(0, n, n)) for _ in range(draws)]
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Effect(name=name, value=value, low=float(low), high=float(high), confidence=confidence, unit=unit, n=n)


def permutation(
    observed: float, draw: Callable[[np.random.Generator], float], *, rng: np.random.Generator, draws: int = 999
) -> float:
    """One-sided p-value: the share of draws from the null that reach ``observed``, itself counted.

    A draw that is nan counts as reaching it: p may then be too large, never too small.
    """
    reached = sum(not draw(rng) < observed for _ in range(draws))
    return (1 + reached) / (1 + draws)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment; the same order as ``p``. A nan counts towards the family and stays nan.

    >>> holm([0.01, 0.04, 0.5])
    [0.03, 0.08, 0.5]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, (len(values) - rank) * values[index])
        adjusted[index] = min(1.0, running) if np.isfinite(values[index]) else np.nan
    return [float(value) for value in adjusted]


def auc(higher: ArrayLike, lower: ArrayLike) -> float:
    """Probability that a draw from ``higher`` exceeds one from ``lower``, ties counted half (Mann & Whitney 1947)."""
    a, b = np.asarray(higher, dtype=float), np.asarray(lower, dtype=float)
    if a.size == 0 or b.size == 0:
        return math.nan
    ordered = np.sort(b, axis=None)
    if np.isnan(ordered[-1]) or np.isnan(a).any():
        return math.nan
    # Twice the draws that are exceeded, ties counted once: whole numbers, so nothing is rounded before the division.
    won = np.searchsorted(ordered, a.ravel(), "left").sum() + np.searchsorted(ordered, a.ravel(), "right").sum()
    return float(won / 2 / (a.size * b.size))


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1 on along the first axis, ties at their mean: `scipy.stats.rankdata`, several times as fast."""
    array = np.asarray(values, dtype=float)
    order = np.argsort(array, axis=0)
    ordered = np.take_along_axis(array, order, axis=0)
    # Whether all rise strictly; nan does not, nor do ties.
    if not (ordered[1:] > ordered[:-1]).all() or not array.size or np.isnan(ordered[-1]).any():
        return np.asarray(stats.rankdata(array, axis=0))
    found = np.empty(array.shape)
    places = np.arange(1.0, len(array) + 1).reshape(-1, *[1] * (array.ndim - 1))
    np.put_along_axis(found, order, np.broadcast_to(places, array.shape), axis=0)
    return found


def cliffs_delta(higher: ArrayLike, lower: ArrayLike) -> float:
    """Cliff's delta, 2 AUC - 1, in [-1, 1]."""
    return 2 * auc(higher, lower) - 1


def d_prime_from_auc(area: float, tokens: int) -> float:
    """d'_a = sqrt(2) z(AUC) (Macmillan & Creelman 2005), the area kept half a token away from 0 and 1."""
    edge = 1 / (2 * tokens)
    return float(math.sqrt(2) * special.ndtri(min(max(area, edge), 1 - edge)))


def as_share(effect: Effect) -> Effect:
    """Return the effect with either end no nearer than on the scale on which a share has one variance everywhere.

    Where most clusters keep all and a few nothing, draws that missed the few have missed the variance with them. On the
    arcsine of the root (Freeman & Tukey 1950) an interval reaches further towards the middle: that of 15 of 16 kept
    begins at .79, where it began at .83. For effects between 0 and 1, or nearly so, with a symmetric interval.
    """
    if not math.isfinite(effect.value):
        return effect
    centre = min(max(effect.value, SHARE_EDGE), 1.0 - SHARE_EDGE)
    at = math.asin(math.sqrt(centre))
    half = (effect.high - effect.low) / 4.0 / math.sqrt(centre * (1.0 - centre))
    ends = [math.sin(min(max(each, 0.0), math.pi / 2)) ** 2 + effect.value - centre for each in (at - half, at + half)]
    return replace(effect, low=min(effect.low, ends[0]), high=max(effect.high, ends[1]))


def above_noise(effect: Effect, *, errors: float = 3.0) -> bool:
    """Whether an effect that is 0 on average where there is nothing stands more than ``errors`` standard errors above.

    For powers formed as products of performances, whose interval is symmetric.
    """
    return bool(effect.value > errors * standard_error(effect))


def one_sided_p(effect: Effect, bound: float) -> float:
    """p-value of 'the effect is at most ``bound``' from the interval's own standard error."""
    error = standard_error(effect)
    if not math.isfinite(error):
        return math.nan
    if error == 0:
        return 0.0 if effect.value > bound else 1.0
    return float(stats.t.sf((effect.value - bound) / error, effect.n - 1))


def standard_error(effect: Effect) -> float:
    """Standard error of an effect whose interval is symmetric, Student's t with n - 1 degrees of freedom."""
    return (effect.high - effect.low) / 2 / _t(effect.confidence, effect.n - 1)


def verdict(effect: Effect | None, threshold: Threshold) -> str:
    """Supported, refuted, inconclusive, or insufficient where no interval can be had.

    Supported: the whole interval lies above ``supported_above``; refuted: below ``refuted_below``.

    >>> from testtone.probes.records import Effect, Threshold
    >>> effect = Effect(name="stability", value=0.6, low=0.55, high=0.65, confidence=0.9, unit="cosine", n=12)
    >>> verdict(effect, Threshold(supported_above=0.5, refuted_below=0.2))
    'supported'
    """
    if effect is None or not (math.isfinite(effect.low) and math.isfinite(effect.high)):
        return "insufficient"
    if effect.low > threshold.supported_above:
        return "supported"
    if effect.high < threshold.refuted_below:
        return "refuted"
    return "inconclusive"


def _standard_error(left_out: NDArray[np.float64]) -> float:
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum()))


def _t(confidence: float, degrees: int) -> float:
    # What stats.t.ppf() calls, without a check of its arguments that takes a hundred times as long.
    return float(special.stdtrit(degrees, 0.5 + confidence / 2))


def _same(value: float) -> float:
    return value


def singular_vectors(matrix: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[Any]]:
    """Return left vectors, singular values from the largest down, and right vectors of a finite matrix, as numpy does.

    Divide and conquer (LAPACK's gesdd) now and then does not converge on matrices of far from full rank, such as codes
    of a few entries make; there the slower QR iteration (gesvd) takes its place.
    """
    try:
        return np.linalg.svd(matrix, full_matrices=False)
    except np.linalg.LinAlgError:
        left, singular, right = linalg.svd(matrix, full_matrices=False, lapack_driver="gesvd")
        return left, singular, right
