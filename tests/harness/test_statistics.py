"""Intervals cover as often as they say, nulls are uniform, and the verdict rule is what its table says."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from testtone.probes.records import Effect, Threshold
from testtone.probes.statistics import (
    CONFIDENCE,
    auc,
    bootstrap,
    cliffs_delta,
    d_prime_from_auc,
    holm,
    jackknife,
    jackknife_two_way,
    one_sided_p,
    permutation,
    singular_vectors,
    standard_error,
    verdict,
)

SIMULATIONS = 2000
"""The standard error of a coverage of .90 is then .0067."""

COVERAGE = (0.87, 0.93)
"""Where the coverage of a 90 % interval must lie."""

inner = settings(derandomize=True, deadline=None, max_examples=60)
numbers = st.floats(-100, 100, allow_subnormal=False)
samples = st.lists(numbers, min_size=2, max_size=12)


def interval(low: float, high: float, *, n: int = 10) -> Effect:
    return Effect(name="x", value=(low + high) / 2, low=low, high=high, confidence=0.9, unit="", n=n)


def mean_of(values: NDArray[np.float64]) -> Callable[[NDArray[Any]], float]:
    return lambda kept: values[kept].mean()


def covered(effect: Effect, truth: float) -> bool:
    return effect.low <= truth <= effect.high


# --- jackknife ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_for_a_mean_it_is_students_interval(confidence: float) -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 9)
    found = jackknife(mean_of(values), 9, name="level", unit="dB", confidence=confidence)
    expected = stats.t.interval(confidence, 8, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-12)
    assert found.value == pytest.approx(values.mean())
    assert (found.name, found.unit, found.confidence, found.n) == ("level", "dB", confidence, 9)


def test_the_interval_is_90_percent_unless_said_otherwise() -> None:
    assert CONFIDENCE == 0.9
    values = np.arange(6.0)
    expected = stats.t.interval(0.9, 5, 2.5, stats.sem(values))
    found = jackknife(mean_of(values), 6, name="x")
    assert (found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize("n", [12, 24])
@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng, n: rng.normal(1.0, 1.0, n), 1.0),
        (lambda rng, n: rng.gamma(4.0, 0.25, n), 1.0),
    ],
    ids=["normal", "skewed"],
)
def test_it_covers_the_truth_nine_times_in_ten(draw: Callable[..., Any], truth: float, n: int) -> None:
    rng = np.random.default_rng(1)
    hits = [covered(jackknife(mean_of(draw(rng, n)), n, name="x"), truth) for _ in range(SIMULATIONS)]
    assert COVERAGE[0] < np.mean(hits) < COVERAGE[1]


def test_tokens_of_a_cluster_do_not_count_as_clusters() -> None:
    """Eight tokens a cluster that agree with each other: taken for independent they make an interval that lies."""
    rng = np.random.default_rng(2)
    clusters, tokens, hits, lies = 12, 8, [], []
    for _ in range(500):
        values = rng.normal(0, 1, (clusters, 1)) + rng.normal(0, 0.5, (clusters, tokens))
        hits.append(covered(jackknife(mean_of(values), clusters, name="x"), 0.0))
        lies.append(covered(jackknife(mean_of(values.ravel()), values.size, name="x"), 0.0))
    assert COVERAGE[0] < np.mean(hits) < COVERAGE[1]
    assert np.mean(lies) < 0.6


def test_dyads_are_deleted_by_their_nodes() -> None:
    """A pair's value is the product of two nodes; the mean over pairs of 12 nodes is covered as promised."""
    rng = np.random.default_rng(3)
    n, hits = 12, []
    for _ in range(SIMULATIONS // 2):
        node = rng.normal(1.0, 0.5, n)

        def over_pairs(kept: NDArray[np.intp], node: NDArray[np.float64] = node) -> float:
            own, total = node[kept], len(kept)
            return (own.sum() ** 2 - (own**2).sum()) / (total * (total - 1))

        hits.append(covered(jackknife(over_pairs, n, name="x"), 1.0))
    assert COVERAGE[0] < np.mean(hits) < COVERAGE[1]


def test_a_bounded_statistic_stays_in_bounds_on_a_scale_of_its_own() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, 8)
    y = x + rng.normal(0, 0.2, 8)

    def correlation(kept: NDArray[np.intp]) -> float:
        return np.corrcoef(x[kept], y[kept])[0, 1]

    plain = jackknife(correlation, 8, name="r", confidence=0.999)
    scaled = jackknife(correlation, 8, name="r", confidence=0.999, transform=(np.arctanh, np.tanh))
    assert plain.high > 1
    assert -1 < scaled.low < scaled.value < scaled.high < 1
    assert scaled.value == pytest.approx(plain.value)
    # On its scale the interval is symmetric about the estimate.
    assert np.arctanh([scaled.low, scaled.high]).mean() == pytest.approx(np.arctanh(scaled.value))


@inner
@given(samples, st.randoms(use_true_random=False))
def test_the_names_of_clusters_do_not_matter(values: list[float], random: Any) -> None:
    shuffled = random.sample(values, len(values))
    one, other = (jackknife(mean_of(np.array(each)), len(each), name="x") for each in (values, shuffled))
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-9)


@inner
@given(samples, st.floats(-50, 50), st.floats(0.01, 10))
def test_units_do_not_matter(values: list[float], offset: float, gain: float) -> None:
    plain, moved = (
        jackknife(mean_of(np.array(each)), len(each), name="x")
        for each in (values, [offset + gain * value for value in values])
    )
    expected = [offset + gain * number for number in (plain.value, plain.low, plain.high)]
    assert (moved.value, moved.low, moved.high) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_cluster_without_which_nothing_is_left_leaves_no_interval(bad: float) -> None:
    with np.errstate(invalid="ignore"):
        found = jackknife(lambda kept: 1.0 if 3 in kept else bad, 6, name="x")
    assert found.value == 1.0
    assert math.isnan(found.low)
    assert verdict(found, Threshold(0.5, 0.5)) == "insufficient"
    assert found.to_json() is None


# --- two-way jackknife ----------------------------------------------------------------------------------------------


def crossed(rng: np.random.Generator, shape: tuple[int, int], row: float, column: float, cell: float) -> NDArray:
    """Random effects of rows and columns and noise, with these standard deviations, about 0."""
    return rng.normal(0, row, (shape[0], 1)) + rng.normal(0, column, shape[1]) + rng.normal(0, cell, shape)


def two_way(values: NDArray[np.float64]) -> Effect:
    """The mean of the cells that are in."""
    return jackknife_two_way(lambda kept: (values * kept).sum() / kept.sum(), values.shape, name="x")


@pytest.mark.parametrize(
    ("shape", "sizes", "most"),
    [
        # In 3000 simulations .903 and .906.
        ((12, 12), (1.0, 1.0, 1.0), 0.94),
        ((12, 12), (1.0, 0.3, 2.0), 0.94),
        # Noise alone: both one-way terms estimate it, and at least the larger of the two is taken: .950.
        ((12, 12), (0.0, 0.0, 1.0), 0.98),
        # Degrees of freedom are those of the shorter factor, here 5, though the longer one varies more: .928.
        ((20, 6), (1.0, 0.5, 1.0), 0.96),
    ],
    ids=["both", "rows-and-noise", "noise-alone", "oblong"],
)
def test_crossed_factors_are_covered_and_not_much_more(shape: tuple[int, int], sizes: Any, most: float) -> None:
    rng = np.random.default_rng(5)
    hits = [covered(two_way(crossed(rng, shape, *sizes)), 0.0) for _ in range(500)]
    assert 0.87 < np.mean(hits) < most


def test_one_factor_alone_does_not_cover_two() -> None:
    rng = np.random.default_rng(6)
    hits = []
    for _ in range(500):
        values = crossed(rng, (12, 12), 0.7, 1.4, 1.0)
        hits.append(covered(jackknife(mean_of(values), 12, name="x"), 0.0))
    assert np.mean(hits) < 0.7


def test_the_variance_is_rows_and_columns_less_cells() -> None:
    values = crossed(np.random.default_rng(7), (8, 5), 2.0, 2.0, 0.5)
    row = values.mean(axis=1).var(ddof=1) / 8
    column = values.mean(axis=0).var(ddof=1) / 5
    cell = values.var(ddof=1) / 40
    found = two_way(values)
    assert found.high - found.value == pytest.approx(math.sqrt(row + column - cell) * stats.t.ppf(0.95, 4))
    assert found.value - found.low == pytest.approx(found.high - found.value)
    assert found.n == 5


@pytest.mark.parametrize("axis", [0, 1])
def test_the_interval_is_never_narrower_than_that_of_either_factor(axis: int) -> None:
    """Where one factor has no effect and the cells are noisy, the difference would fall below the other's term."""
    values = crossed(np.random.default_rng(8), (6, 6), 0.2, 0.2, 1.0)
    values = values - values.mean(axis=axis, keepdims=True)
    one_way = values.mean(axis=1 - axis).var(ddof=1) / 6
    found = two_way(values)
    assert found.high - found.value == pytest.approx(math.sqrt(one_way) * stats.t.ppf(0.95, 5))


def test_rows_and_columns_may_change_places_and_names() -> None:
    rng = np.random.default_rng(9)
    values = crossed(rng, (7, 4), 1.0, 1.0, 1.0)
    found = two_way(values)
    for other in (values.T, values[rng.permutation(7)], values[:, rng.permutation(4)]):
        moved = two_way(other)
        assert (moved.value, moved.low, moved.high) == pytest.approx((found.value, found.low, found.high))


def test_a_mask_leaves_out_a_row_a_column_or_a_cell() -> None:
    seen: list[NDArray[np.bool_]] = []
    jackknife_two_way(lambda kept: float(seen.append(kept.copy()) or 0), (3, 4), name="x")
    left_out = [tuple(map(tuple, np.argwhere(~kept).tolist())) for kept in seen]
    rows = [tuple((i, j) for j in range(4)) for i in range(3)]
    columns = [tuple((i, j) for i in range(3)) for j in range(4)]
    cells = [((i, j),) for i in range(3) for j in range(4)]
    assert sorted(left_out) == sorted([(), *rows, *columns, *cells])


# --- bootstrap ------------------------------------------------------------------------------------------------------


def test_the_bootstrap_covers_a_median() -> None:
    rng = np.random.default_rng(10)
    n, hits = 25, []
    for _ in range(600):
        # In order, the median of a resample is the value at its middle index.
        values = np.sort(rng.exponential(1.0, n))
        middle = bootstrap(
            lambda kept, values=values: values[np.partition(kept, n // 2)[n // 2]], n, rng=rng, name="median", draws=299
        )
        hits.append(covered(middle, math.log(2)))
    # .887 in 2000 simulations; the standard error here is .012.
    assert 0.85 < np.mean(hits) < 0.95


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory() -> None:
    values = np.random.default_rng(11).normal(0, 1, 50)
    found = bootstrap(mean_of(values), 50, rng=np.random.default_rng(0), name="x", confidence=0.8, draws=4000)
    half = values.std() / math.sqrt(50) * stats.norm.ppf(0.9)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)
    assert (found.value, found.n, found.confidence) == (pytest.approx(values.mean()), 50, 0.8)


def test_one_generator_one_interval() -> None:
    values = np.arange(10.0)
    one, same, other = (
        bootstrap(mean_of(values), 10, rng=np.random.default_rng(seed), name="x", draws=200) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


# --- permutation ----------------------------------------------------------------------------------------------------


def p_of_a_difference(rng: np.random.Generator, *, effect: float, draws: int = 99) -> float:
    """Two groups of eight, labels permuted."""
    values = rng.normal(0, 1, 16)
    values[:8] += effect

    def difference(rng: np.random.Generator) -> float:
        moved = rng.permutation(values)
        return moved[:8].sum() - moved[8:].sum()

    return permutation(values[:8].sum() - values[8:].sum(), difference, rng=rng, draws=draws)


def test_p_is_uniform_under_the_null() -> None:
    rng = np.random.default_rng(12)
    p = np.array([p_of_a_difference(rng, effect=0.0) for _ in range(500)])
    assert stats.kstest(p, "uniform").pvalue > 0.05
    # Exact at each level that 99 draws can tell: no more than alpha, give or take three standard errors.
    for alpha in (0.05, 0.1, 0.5):
        assert (p <= alpha).mean() <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / len(p))


def test_p_is_small_under_an_effect_and_large_under_its_opposite() -> None:
    rng = np.random.default_rng(13)
    p = [p_of_a_difference(rng, effect=2.0) for _ in range(50)]
    assert np.mean(np.array(p) <= 0.05) > 0.9
    assert min(p_of_a_difference(rng, effect=-2.0) for _ in range(50)) > 0.5


def test_p_counts_what_was_observed_itself() -> None:
    rng = np.random.default_rng(0)
    assert permutation(1.0, lambda _: 0.0, rng=rng, draws=99) == 1 / 100
    assert permutation(1.0, lambda _: 2.0, rng=rng, draws=99) == 1.0
    # A tie reaches what was observed.
    assert permutation(1.0, lambda _: 1.0, rng=rng, draws=99) == 1.0
    # What cannot be said is not held against the null.
    assert permutation(1.0, lambda _: math.nan, rng=rng, draws=99) == 1.0


# --- holm -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        # .005 x 4, .01 x 3, .03 x 2; .04 x 1 would be less than the .06 before it.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.7, 0.6, 0.01], [1.0, 1.0, 0.03]),
        ([0.2], [0.2]),
        ([], []),
    ],
    ids=["worked", "ties", "capped", "alone", "none"],
)
def test_holm_by_hand(p: list[float], adjusted: list[float]) -> None:
    assert holm(p) == pytest.approx(adjusted)


@inner
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    ordered = [new for _, new in sorted(zip(p, adjusted, strict=True))]
    assert ordered == sorted(ordered)
    assert min(adjusted) == pytest.approx(min(1.0, len(p) * min(p)))
    assert all(each <= new + 1e-12 for each, new in zip(p, adjusted, strict=True))
    assert all(new <= min(1.0, len(p) * each) + 1e-12 for each, new in zip(p, adjusted, strict=True))


def test_holm_leaves_what_has_no_p_without_one() -> None:
    found = holm([0.01, math.nan, 0.2])
    assert math.isnan(found[1])
    # It was asked all the same, and counts.
    assert [found[0], found[2]] == pytest.approx([0.03, 0.4])


# --- auc, delta, d' -------------------------------------------------------------------------------------------------


@inner
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
)
def test_auc_and_delta_are_counts_of_pairs(higher: list[int], lower: list[int]) -> None:
    # Seven values for up to 24 draws: most examples have ties.
    above = np.mean([(a > b) + 0.5 * (a == b) for a in higher for b in lower])
    sign = np.mean([np.sign(a - b) for a in higher for b in lower])
    assert auc(higher, lower) == pytest.approx(above)
    assert cliffs_delta(higher, lower) == pytest.approx(sign, abs=1e-12)
    assert auc(lower, higher) == pytest.approx(1 - above)


def test_auc_of_arrays_of_any_shape() -> None:
    assert auc(np.ones((2, 3)), np.zeros((4, 1))) == 1.0
    assert cliffs_delta(np.zeros((2, 3)), np.ones((4, 1))) == -1.0


@pytest.mark.parametrize(("higher", "lower"), [([], [1.0]), ([1.0], []), ([math.nan, 1.0], [0.0])])
def test_auc_of_nothing_is_nan(higher: list[float], lower: list[float]) -> None:
    assert math.isnan(auc(higher, lower))
    assert math.isnan(cliffs_delta(higher, lower))


def test_d_prime_of_two_normal_distributions_is_their_distance() -> None:
    distance = np.array([0.0, 0.5, 1.0, 2.0])
    area = stats.norm.cdf(distance / math.sqrt(2))
    np.testing.assert_allclose([d_prime_from_auc(each, 10_000) for each in area], distance, atol=1e-9)
    rng = np.random.default_rng(14)
    found = d_prime_from_auc(auc(rng.normal(1.5, 1, 5000), rng.normal(0, 1, 5000)), 5000)
    assert found == pytest.approx(1.5, abs=0.06)


def test_d_prime_stays_half_a_token_from_certainty() -> None:
    assert d_prime_from_auc(1.0, 10) == pytest.approx(math.sqrt(2) * stats.norm.ppf(0.95))
    assert d_prime_from_auc(0.0, 10) == pytest.approx(-d_prime_from_auc(1.0, 10))
    assert d_prime_from_auc(1.0, 100) > d_prime_from_auc(1.0, 10)


# --- p and standard error of an effect ------------------------------------------------------------------------------


def test_the_p_of_an_effect_is_that_of_a_t_test() -> None:
    values = np.random.default_rng(15).normal(0.6, 1.0, 12)
    effect = jackknife(mean_of(values), 12, name="x")
    assert standard_error(effect) == pytest.approx(stats.sem(values))
    for bound in (0.0, 0.5, 1.0):
        expected = stats.ttest_1samp(values, bound, alternative="greater").pvalue
        assert one_sided_p(effect, bound) == pytest.approx(expected)
    # The end of a 90 % interval is the bound that a test at .05 just rejects.
    assert one_sided_p(effect, effect.low) == pytest.approx(0.05)
    assert one_sided_p(effect, effect.high) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("effect", "bound", "p"),
    [
        (interval(1.0, 1.0), 0.5, 0.0),
        (interval(1.0, 1.0), 1.0, 1.0),
        (interval(1.0, 1.0), 2.0, 1.0),
        (interval(math.nan, math.nan), 0.5, math.nan),
        (interval(0.0, math.inf), 0.5, math.nan),
    ],
    ids=["certainly-above", "on-the-bound", "certainly-below", "nan", "unbounded"],
)
def test_p_where_there_is_no_spread_or_no_interval(effect: Effect, bound: float, p: float) -> None:
    assert one_sided_p(effect, bound) == pytest.approx(p, nan_ok=True)


# --- the verdict rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.51, 0.9, "supported"),
        (0.5, 0.9, "inconclusive"),
        (0.3, 0.4, "inconclusive"),
        (0.1, 0.9, "inconclusive"),
        (0.1, 0.2, "inconclusive"),
        (0.1, 0.19, "refuted"),
        (-1.0, -0.5, "refuted"),
        (math.nan, math.nan, "insufficient"),
        (0.6, math.nan, "insufficient"),
        (math.nan, 0.1, "insufficient"),
        (-math.inf, 0.1, "insufficient"),
        (0.6, math.inf, "insufficient"),
    ],
)
def test_the_rule(low: float, high: float, said: str) -> None:
    assert verdict(interval(low, high), Threshold(0.5, 0.2)) == said


def test_no_effect_is_no_verdict() -> None:
    assert verdict(None, Threshold(0.5, 0.2)) == "insufficient"


def test_an_interval_on_a_single_threshold_decides_nothing() -> None:
    assert verdict(interval(0.5, 0.5), Threshold(0.5, 0.5)) == "inconclusive"


@inner
@given(numbers, st.floats(0, 50), st.floats(0, 100), numbers, st.floats(0, 20))
def test_a_larger_effect_is_never_less_supported(
    low: float, width: float, rise: float, bound: float, grey: float
) -> None:
    order = ["refuted", "inconclusive", "supported"]
    threshold = Threshold(bound + grey, bound)
    before, after = (verdict(interval(low + up, low + up + width), threshold) for up in (0.0, rise))
    assert order.index(after) >= order.index(before)


@inner
@given(numbers, st.floats(0, 50), st.floats(0, 20), numbers)
def test_a_wider_interval_never_says_more(low: float, width: float, more: float, bound: float) -> None:
    narrow, wide = interval(low, low + width), interval(low - more, low + width + more)
    threshold = Threshold(bound, bound)
    assert verdict(wide, threshold) in (verdict(narrow, threshold), "inconclusive")


# --- the engine as a whole: from values to a verdict ------------------------------------------------------------------


ORDER = ["refuted", "inconclusive", "supported"]


def judged(values: NDArray[np.float64], threshold: Threshold) -> str:
    """Values of clusters, or of crossed clusters, to a verdict."""
    if values.ndim == 2:
        return verdict(two_way(values), threshold)
    return verdict(jackknife(mean_of(values), len(values), name="x"), threshold)


@pytest.mark.parametrize("shape", [(12,), (8, 8)], ids=["clusters", "crossed"])
def test_a_truth_on_the_threshold_is_supported_and_refuted_one_time_in_twenty_each(shape: tuple[int, ...]) -> None:
    """The two one-sided tests behind a verdict have the size they say, .05, give or take three standard errors."""
    rng, said = np.random.default_rng(31), []
    for _ in range(SIMULATIONS):
        values = rng.normal(0, 1, shape) if len(shape) == 1 else crossed(rng, shape, 1.0, 1.0, 0.5)
        said.append(judged(values, Threshold(0.0, 0.0)))
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)
    for outcome in ("supported", "refuted"):
        assert np.mean([each == outcome for each in said]) <= most
    # Nor is it a rule that never speaks: for one factor the size is exact.
    if len(shape) == 1:
        assert np.mean([each == "supported" for each in said]) >= 0.05 - 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)


def test_the_p_of_an_effect_is_uniform_where_the_truth_is_the_bound() -> None:
    rng = np.random.default_rng(32)
    p = []
    for _ in range(SIMULATIONS // 2):
        values = rng.normal(0.3, 2.0, 10)
        p.append(one_sided_p(jackknife(mean_of(values), 10, name="x"), 0.3))
    assert stats.kstest(p, "uniform").pvalue > 0.05


def test_more_clusters_decide_more_often_and_larger_effects_do() -> None:
    rng = np.random.default_rng(33)

    def power(effect: float, n: int) -> float:
        said = [judged(rng.normal(effect, 1, n), Threshold(0.0, 0.0)) for _ in range(200)]
        return float(np.mean([each == "supported" for each in said]))

    assert power(0.0, 10) < power(0.5, 10) < power(0.5, 30) < power(1.0, 30)
    assert power(1.0, 30) > 0.98


@inner
@given(st.lists(numbers, min_size=4, max_size=12), st.floats(0, 100), numbers, st.floats(0, 20))
def test_a_larger_effect_in_every_cluster_is_never_less_supported(
    values: list[float], rise: float, bound: float, grey: float
) -> None:
    threshold = Threshold(bound + grey, bound)
    before, after = (judged(np.array(values) + up, threshold) for up in (0.0, rise))
    assert ORDER.index(after) >= ORDER.index(before)


grids = st.integers(2, 5).flatmap(
    lambda rows: st.integers(2, 5).flatmap(
        lambda columns: st.lists(numbers, min_size=rows * columns, max_size=rows * columns).map(
            lambda flat: np.array(flat).reshape(rows, columns)
        )
    )
)


@inner
@given(grids, st.floats(0, 100), numbers, st.randoms(use_true_random=False))
def test_crossed_verdicts_rise_with_the_effect_and_know_no_names(
    values: NDArray[np.float64], rise: float, bound: float, random: Any
) -> None:
    threshold = Threshold(bound, bound)
    before, after = (judged(values + up, threshold) for up in (0.0, rise))
    assert ORDER.index(after) >= ORDER.index(before)
    rows, columns = (random.sample(range(size), size) for size in values.shape)
    renamed, found = two_way(values[np.ix_(rows, columns)]), two_way(values)
    assert (renamed.value, renamed.low, renamed.high) == pytest.approx((found.value, found.low, found.high), abs=1e-6)


@inner
@given(samples, numbers, st.floats(0, 20))
def test_a_proposition_turned_round_turns_its_verdict_round(values: list[float], bound: float, grey: float) -> None:
    turned = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}
    said = judged(np.array(values), Threshold(bound + grey, bound))
    opposite = judged(-np.array(values), Threshold(-bound, -bound - grey))
    assert opposite == turned[said]


@inner
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_holm_knows_no_names(p: list[float], random: Any) -> None:
    order = random.sample(range(len(p)), len(p))
    assert holm([p[index] for index in order]) == pytest.approx([holm(p)[index] for index in order])


@inner
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9), st.lists(st.integers(-9, 9), min_size=1, max_size=9))
def test_auc_knows_order_alone(higher: list[int], lower: list[int]) -> None:
    assert auc(higher, lower) + auc(lower, higher) == pytest.approx(1.0)
    assert auc(np.exp(higher), np.exp(lower)) == pytest.approx(auc(higher, lower))
    assert auc(sorted(higher), sorted(lower)) == pytest.approx(auc(higher, lower))
    assert cliffs_delta(higher, lower) == pytest.approx(-cliffs_delta(lower, higher))
    assert auc(np.add(higher, 1), lower) >= auc(higher, lower)


def test_a_generator_of_its_own_decides_a_bootstrap_and_a_null() -> None:
    values = np.random.default_rng(1).normal(0, 1, 10)

    def ends(seed: int) -> tuple[float, float]:
        found = bootstrap(mean_of(values), 10, rng=np.random.default_rng(seed), name="x", draws=200)
        return found.low, found.high

    assert ends(1) == ends(1) != ends(2)


def test_draws_that_are_nan_never_make_p_smaller() -> None:
    rng = np.random.default_rng(0)
    assert permutation(1.0, lambda _: math.nan, rng=rng, draws=9) == 1.0


def test_the_bootstrap_covers_nine_times_in_ten_whatever_the_names() -> None:
    rng, hits = np.random.default_rng(34), []
    for _ in range(300):
        values = rng.normal(1.0, 1.0, 30)
        found = bootstrap(mean_of(values), 30, rng=rng, name="x", draws=299)
        hits.append(covered(found, 1.0))
    # A percentile interval of 30 is a little short; the error of 300 coverages is .017.
    assert 0.83 < np.mean(hits) < 0.94


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jackknife(lambda kept: 0.0, 1, name="x"), r"n=1 clusters cannot give an interval \(at least 2\)"),
        (
            lambda: bootstrap(lambda kept: 0.0, 0, rng=np.random.default_rng(0), name="x"),
            r"n=0 clusters cannot give an interval \(at least 2\)",
        ),
        (
            lambda: jackknife_two_way(lambda kept: 0.0, (5, 1), name="x"),
            r"shape=\(5, 1\) cannot give a two-way interval \(at least 2 clusters of each factor\)",
        ),
        (lambda: Threshold(0.2, 0.5), r"refuted_below=0\.5 lies above supported_above=0\.2"),
    ],
    ids=["jackknife", "bootstrap", "two-way", "threshold"],
)
def test_bad_arguments(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_singular_vectors_are_found_where_the_fast_driver_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(0).standard_normal((12, 3)) @ np.random.default_rng(1).standard_normal((3, 5))
    expected = np.linalg.svd(matrix, full_matrices=False)[1]

    def gives_up(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", gives_up)
    left, singular, right = singular_vectors(matrix)
    np.testing.assert_allclose(left * singular @ right, matrix, atol=1e-12)
    np.testing.assert_allclose(singular, expected, atol=1e-12)
