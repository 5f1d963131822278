"""Frechet and kernel distances: invariants and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.video.frechet import extrapolated_fvd, frechet_distance
from eval.video.kernel import kernel_distance

_SETTINGS = settings(max_examples=30, deadline=None)


@st.composite
def _sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two sets (N, d), (M, d) of unlike scales, some with N < d."""
    num_x, num_y = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    dim = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    scales = rng.uniform(0.1, 5, (2, 1, dim))
    x = rng.normal(size=(num_x, dim)) * scales[0]
    return x, rng.normal(size=(num_y, dim)) * scales[1] + 1


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@_SETTINGS
@given(_sets())
def test_a_set_has_no_distance_from_itself(sets: tuple[np.ndarray, ...]) -> None:
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-9)


@_SETTINGS
@given(_sets())
def test_the_distance_is_symmetric_and_not_negative(
    sets: tuple[np.ndarray, ...],
) -> None:
    x, y = sets
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), abs=1e-9)
    assert frechet_distance(x, y) >= -1e-9


@_SETTINGS
@given(_sets(), st.floats(-10, 10))
def test_moving_both_sets_changes_nothing_and_moving_one_adds_its_square(
    sets: tuple[np.ndarray, ...], step: float
) -> None:
    x, y = sets
    distance = frechet_distance(x, y)
    assert frechet_distance(x + step, y + step) == pytest.approx(distance, abs=1e-8)
    moved = frechet_distance(x, x + step)
    assert moved == pytest.approx(x.shape[1] * step**2, abs=1e-8)


@_SETTINGS
@given(_sets(), st.floats(0.1, 10))
def test_scaling_both_sets_scales_by_the_square(
    sets: tuple[np.ndarray, ...], scale: float
) -> None:
    x, y = sets
    expected = scale**2 * frechet_distance(x, y)
    assert frechet_distance(scale * x, scale * y) == pytest.approx(expected, abs=1e-7)


@_SETTINGS
@given(_sets())
def test_the_distance_equals_the_textbook_formula(
    sets: tuple[np.ndarray, ...],
) -> None:
    x, y = sets
    cov_x, cov_y = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    values, vectors = scipy.linalg.eigh(cov_x)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(scipy.linalg.eigvalsh(root @ cov_y @ root).clip(0)).sum()
    means = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = means + np.trace(cov_x) + np.trace(cov_y) - 2 * cross
    # The textbook form takes roots of rounding noise where N < d.
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-5)


def test_identical_clips_leave_the_squared_distance_of_means() -> None:
    x = np.tile([1.0, 2.0, 3.0], (5, 1))
    assert frechet_distance(x, x + np.array([0, 3, 4])) == pytest.approx(25)


def test_small_sets_are_biased_and_the_extrapolation_is_less_so() -> None:
    rng = _rng()
    x, y = rng.normal(size=(2, 256, 16))
    at_64 = frechet_distance(x[:64], y[:64])
    at_256 = frechet_distance(x, y)
    line = extrapolated_fvd(x, y, rng=rng)
    assert at_64 > at_256 > abs(line.value)
    assert line.slope > 0


def test_extrapolating_a_distance_of_means_finds_it() -> None:
    rng = _rng()
    x, y = rng.normal(size=(2, 512, 4))
    line = extrapolated_fvd(x, y + 3.0, rng=rng)
    assert line.value == pytest.approx(36, rel=0.1)


def test_extrapolation_refuses_unequal_or_tiny_sets() -> None:
    rng = _rng()
    for num_x, num_y in ((16, 12), (7, 7)):
        x, y = np.zeros((num_x, 3)), np.zeros((num_y, 3))
        with pytest.raises(ValueError, match=f"N >= 8, got {num_x} and {num_y}"):
            extrapolated_fvd(x, y, rng=rng)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 4)), np.zeros((3, 5)), r"got \(3, 4\) and \(3, 5\)"),
        (np.zeros((1, 4)), np.zeros((3, 4)), "at least 2 clips .* got 1 and 3"),
        (np.full((3, 4), np.nan), np.zeros((3, 4)), "must be finite"),
    ],
)
def test_broken_sets_are_refused(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, y)
    with pytest.raises(ValueError, match=message):
        kernel_distance(x, y, rng=_rng())


@_SETTINGS
@given(_sets())
def test_the_kernel_distance_is_the_mean_over_pairs_of_different_clips(
    sets: tuple[np.ndarray, ...],
) -> None:
    x, y = sets

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(z) for b in np.delete(z, i, 0)])
        for z in (x, y)
    ]
    cross = np.mean([kernel(a, b) for a in x for b in y])
    expected = sum(within) - 2 * cross
    assert kernel_distance(x, y, rng=_rng()).value == pytest.approx(expected)


def test_the_kernel_distance_is_unbiased_and_its_interval_covers_zero() -> None:
    rng = _rng()
    found = [kernel_distance(*rng.normal(size=(2, 24, 8)), rng=rng) for _ in range(60)]
    values = np.array([distance.value for distance in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert np.mean([distance.low <= 0 <= distance.high for distance in found]) > 0.9


def test_the_interval_lies_around_a_distance_that_is_there() -> None:
    rng = _rng()
    x, y = rng.normal(size=(2, 64, 8))
    distance = kernel_distance(x, y + 1, rng=rng)
    assert 0 < distance.low < distance.value < distance.high
    assert distance.kernel == "(x.y/d + 1)^3"


def test_the_same_generator_gives_the_same_interval() -> None:
    x, y = _rng().normal(size=(2, 16, 4))
    assert kernel_distance(x, y, rng=_rng()) == kernel_distance(x, y, rng=_rng())


def test_two_clips_a_side_still_have_an_interval() -> None:
    x, y = _rng().normal(size=(2, 2, 4))
    distance = kernel_distance(x, y, rng=_rng())
    assert np.isfinite([distance.low, distance.high]).all()
