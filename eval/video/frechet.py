"""Frechet distance between two sets of feature vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FRACTIONS = (4, 3, 2, 1)  # subset sizes N/4, N/3, N/2, N for the extrapolation
MIN_EXTRAPOLATED = 8  # the smallest subset needs two vectors for a covariance


@dataclass(frozen=True)
class Extrapolation:
    """A straight line through distances against 1/N.

    Attributes:
        value: Its height at 1/N = 0, the estimate for endless sets. It halves the
            small-sample bias and does not remove it below some hundred clips.
        slope: Its slope; the distance's bias at N is about slope / N.
    """

    value: float
    slope: float


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared Wasserstein-2 distance of the Gaussians fitted to two sets.

    |mean_x - mean_y|^2 + tr(S_x + S_y - 2 (S_x^(1/2) S_y S_x^(1/2))^(1/2)), with
    covariances S over N - 1, in float64. For centred data X, Y the last trace is
    the sum of the singular values of X Y^T: no root of a singular matrix is
    taken, so nothing complex or negative arises when N < d.

    Args:
        x: Features (N, d), N >= 2.
        y: Features (M, d), M >= 2.

    Returns:
        The distance, >= 0 up to rounding; biased upwards by about 1/N.
    """
    check_features(x, y)
    factor_x, factor_y = _covariance_factor(x), _covariance_factor(y)
    cross = np.linalg.svd(factor_x @ factor_y.T, compute_uv=False).sum()
    means = x.mean(0, dtype=np.float64) - y.mean(0, dtype=np.float64)
    trace = (factor_x**2).sum() + (factor_y**2).sum() - 2 * cross
    return float(means @ means + trace)


def extrapolated_fvd(
    x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator
) -> Extrapolation:
    """The Frechet distance extrapolated to endless sets (Chong and Forsyth 2020).

    Distances of disjoint subsets of N/4, N/3, N/2 and N vectors are averaged per
    size and a line is fitted against 1/N.

    Args:
        x: Features (N, d), N >= 8.
        y: Features (N, d).
        rng: Shuffles both sets before they are cut into subsets.

    Raises:
        ValueError: If the sets are unequal or too small.
    """
    check_features(x, y)
    if len(x) != len(y) or len(x) < MIN_EXTRAPOLATED:
        raise ValueError(
            f"Extrapolation needs two sets of equal size N >= {MIN_EXTRAPOLATED}, "
            f"got {len(x)} and {len(y)}: cut them to one size or add clips."
        )
    x, y = x[rng.permutation(len(x))], y[rng.permutation(len(y))]
    sizes = [len(x) // parts for parts in _FRACTIONS]
    distances = [_mean_distance(x, y, size) for size in sizes]
    slope, value = np.polyfit([1 / size for size in sizes], distances, 1)
    return Extrapolation(value=float(value), slope=float(slope))


def check_features(x: np.ndarray, y: np.ndarray) -> None:
    """Refuses sets that are not two finite (N, d) arrays of one d, N >= 2.

    Raises:
        ValueError: If they are not.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "Features must be (N, d) and (M, d) of one extractor, "
            f"got {x.shape} and {y.shape}: extract both in the same way."
        )
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"A set needs at least 2 clips for a covariance, got {len(x)} and "
            f"{len(y)}: add clips."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(
            "Features must be finite, got nan or inf: look for broken clips."
        )


def _covariance_factor(x: np.ndarray) -> np.ndarray:
    """R (min(N, d), d) with R^T R = covariance of x (N, d)."""
    centred = x.astype(np.float64) - x.mean(0, dtype=np.float64)
    return np.asarray(np.linalg.qr(centred / np.sqrt(len(x) - 1), mode="r"))


def _mean_distance(x: np.ndarray, y: np.ndarray, size: int) -> float:
    starts = range(0, len(x) - size + 1, size)
    return float(
        np.mean([frechet_distance(x[i : i + size], y[i : i + size]) for i in starts])
    )
