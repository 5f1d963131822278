import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval.intervals import (
    bootstrap_interval,
    bootstrap_ratio,
    paired_bootstrap_difference,
    paired_proportion_difference,
    wilson_interval,
)

numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Published in R's documentation of `binom.confint(method = "wilson")` and in
        # Newcombe 1998, Statistics in Medicine 17, table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombes_table(successes, n, low, high):
    estimate = wilson_interval(successes, n)
    assert estimate.value == successes / n
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy_and_contains_the_proportion(counts):
    estimate = wilson_interval(*counts)
    expected = stats.binomtest(*counts).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected), abs=1e-12)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_mirrors_success_and_failure(counts):
    successes, n = counts
    a, b = wilson_interval(successes, n), wilson_interval(n - successes, n)
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low))


@pytest.mark.parametrize("counts", [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(counts):
    text = r"`successes` must lie in 0 \.\.\. `num_trials`.* got -?\d of \d"
    with pytest.raises(ValueError, match=text):
        wilson_interval(*counts)


@given(st.lists(numbers, min_size=2, max_size=30))
def test_bootstrap_bounds_lie_within_the_values(values):
    estimate = bootstrap_interval(values, rng=rng())
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert estimate.value == pytest.approx(np.mean(values), abs=slack)
    assert min(values) - slack <= estimate.low
    assert estimate.low <= estimate.high <= max(values) + slack


def test_bootstrap_approaches_the_normal_interval_for_many_values():
    values = rng().normal(3.0, 2.0, size=2000)
    estimate = bootstrap_interval(values, rng=rng())
    half = 1.96 * values.std(ddof=1) / np.sqrt(2000)
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.01)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.01)


def test_the_same_rng_gives_the_same_interval():
    a, b = (bootstrap_interval([1.0, 2.0, 5.0], rng=rng()) for _ in range(2))
    assert a == b


def test_equal_values_have_an_interval_of_no_width():
    estimate = bootstrap_interval([4.0] * 5, rng=rng())
    assert (estimate.low, estimate.high) == (4.0, 4.0)


def test_repeating_each_episode_in_its_scene_adds_no_certainty():
    values = rng().normal(size=40)
    once = bootstrap_interval(values, rng=rng())
    scenes = np.tile(np.arange(40), 5)
    clustered = bootstrap_interval(np.tile(values, 5), clusters=scenes, rng=rng())
    naive = bootstrap_interval(np.tile(values, 5), rng=rng())
    assert clustered.high - clustered.low == pytest.approx(once.high - once.low)
    assert naive.high - naive.low < 0.6 * (once.high - once.low)


def test_one_scene_says_nothing_about_others():
    estimate = bootstrap_interval([1.0, 3.0], clusters=["a", "a"], rng=rng())
    assert (estimate.value, estimate.low, estimate.high) == (2.0, None, None)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_bootstrap_refuses_missing_values(values):
    with pytest.raises(ValueError, match="finite numbers, got .* leave out what is"):
        bootstrap_interval(values, rng=rng())


def test_every_value_needs_its_scene():
    with pytest.raises(ValueError, match="each of the 2 values, got 1"):
        bootstrap_interval([1.0, 2.0], clusters=["a"], rng=rng())


@given(st.lists(numbers, min_size=2, max_size=20), numbers)
def test_pairing_removes_what_both_rows_share(values, shift):
    shifted = [value + shift for value in values]
    estimate = paired_bootstrap_difference(shifted, values, rng=rng())
    bounds = (estimate.value, estimate.low, estimate.high)
    assert bounds == pytest.approx((shift, shift, shift), abs=1e-6)


def table(both, first, second, neither):
    """Paired outcomes by how many episodes both, one or none of the rows solved."""
    a = [1] * (both + first) + [0] * (second + neither)
    b = [1] * both + [0] * first + [1] * second + [0] * neither
    return a, b


def test_newcombes_interval_agrees_with_a_published_example():
    # Bentur et al. 2009 in Fagerland, Lydersen and Laake 2014, Statistics in Medicine
    # 33: airways of 21 children before and after a transplantation.
    found = paired_proportion_difference(*table(1, 1, 7, 12))
    assert found.value == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-0.507, -0.026), abs=5e-4)


counts = st.tuples(*[st.integers(0, 40)] * 4).filter(any)


@given(counts)
def test_a_paired_difference_is_mirrored_lies_within_and_has_a_width(cells):
    a, b = table(*cells)
    found, mirrored = (paired_proportion_difference(*x) for x in ((a, b), (b, a)))
    assert found.value == pytest.approx(np.mean(a) - np.mean(b))
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low))
    assert -1 - 1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9
    # Also where all episodes agree: so few say nothing of the others.
    assert found.high - found.low > 1e-3


def test_rows_that_win_everything_are_not_certain_to():
    found = paired_proportion_difference(*table(0, 200, 0, 0))
    wilson = wilson_interval(200, 200)
    assert found.high == 1.0
    assert found.low == pytest.approx(1 - np.sqrt(2) * (1 - wilson.low))


def test_four_wins_and_no_loss_in_a_hundred_are_no_proof():
    assert paired_proportion_difference(*table(92, 4, 0, 4)).low < 0


def test_paired_proportions_are_zeros_and_ones():
    with pytest.raises(ValueError, match="0 or 1 of every episode, got .0.0, 0.5"):
        paired_proportion_difference([0.5, 1.0], [0.0, 1.0])


def test_pairs_need_rows_of_equal_length():
    with pytest.raises(ValueError, match="got 2 and 1: join them on `seed`"):
        paired_bootstrap_difference([1.0, 2.0], [1.0], rng=rng())


@given(st.lists(numbers, min_size=2, max_size=20))
def test_a_ratio_to_ones_is_the_mean(values):
    ones = np.ones(len(values))
    ratio = bootstrap_ratio(values, ones, rng=rng())
    assert ratio == bootstrap_interval(values, rng=rng())


def test_a_ratio_that_all_scenes_share_has_no_width_and_does_not_average_ratios():
    estimate = bootstrap_ratio([1, 10, 100], [2, 20, 200], rng=rng())
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)
    assert bootstrap_ratio([0, 1], [9, 1], rng=rng()).value == 0.1
    assert bootstrap_ratio([1], [2], rng=rng()).low is None


@pytest.mark.parametrize("tops", [[1, 0, 0, 0], [0, 1, 0, 0]])
def test_a_ratio_to_what_may_well_be_nothing_has_no_bounds(tops):
    estimate = bootstrap_ratio(tops, [1, 0, 0, 0], rng=rng())
    assert (estimate.value, estimate.low, estimate.high) == (1, None, None)
    assert bootstrap_ratio(tops, [3, -1, -1, 0], rng=rng()).low is None


def test_a_ratio_of_unequal_lists_is_refused():
    with pytest.raises(ValueError, match="needs both numbers of every episode, got 2"):
        bootstrap_ratio([1, 2], [1], rng=rng())
