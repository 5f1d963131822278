"""Kernel distance (unbiased polynomial MMD) between two sets of features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.video.frechet import check_features

KERNEL = "(x.y/d + 1)^3"
_NUM_RESAMPLES = 1000
_LEVEL = 0.95


@dataclass(frozen=True)
class KernelDistance:
    """Squared maximum mean discrepancy with a bootstrap interval.

    Attributes:
        value: Unbiased estimate; scatters around 0, also below, for equal
            distributions.
        low: Lower end of the 95 % interval.
        high: Upper end.
        kernel: The kernel's formula.
    """

    value: float
    low: float
    high: float
    kernel: str = KERNEL


def kernel_distance(
    x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator
) -> KernelDistance:
    """Unbiased squared MMD with KID's kernel, (x.y/d + 1)^3.

    The kernel is that of KID (Binkowski et al. 2018), the one "KVD" usually names;
    its third degree also compares skewness, which the Frechet distance cannot.
    JEDi's (x.y/d)^2 gives other numbers: compare only equal kernels.

    The interval resamples clips with replacement. Pairs of a clip with its own
    copy are left out, as the unbiased estimate leaves out a clip with itself; the
    ordinary bootstrap counts them and drifts upwards.

    Args:
        x: Features (N, d), N >= 2.
        y: Features (M, d), M >= 2.
        rng: Draws the resamples.
    """
    check_features(x, y)
    kernels = _without_diagonal(x), _without_diagonal(y), _kernel(x, y)
    value = _mmd(np.ones((1, len(x))), np.ones((1, len(y))), *kernels)
    counts = [
        rng.multinomial(len(z), np.full(len(z), 1 / len(z)), _NUM_RESAMPLES)
        for z in (x, y)
    ]
    resampled = _mmd(
        counts[0].astype(np.float64), counts[1].astype(np.float64), *kernels
    )
    # With two clips a resample may hold one clip twice and no pair at all.
    low, high = np.nanquantile(resampled, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return KernelDistance(value=float(value[0]), low=float(low), high=float(high))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    product = x.astype(np.float64) @ y.astype(np.float64).T
    return np.asarray((product / x.shape[1] + 1.0) ** 3)


def _without_diagonal(x: np.ndarray) -> np.ndarray:
    kernel = _kernel(x, x)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _mmd(
    weights_x: np.ndarray,
    weights_y: np.ndarray,
    kernel_xx: np.ndarray,
    kernel_yy: np.ndarray,
    kernel_xy: np.ndarray,
) -> np.ndarray:
    """Squared MMD (R,) for R resamples given as counts (R, N) and (R, M)."""
    total_x, total_y = weights_x.sum(1), weights_y.sum(1)
    cross = ((weights_x @ kernel_xy) * weights_y).sum(1) / (total_x * total_y)
    within = _mean_pair(weights_x, kernel_xx) + _mean_pair(weights_y, kernel_yy)
    return np.asarray(within - 2 * cross)


def _mean_pair(weights: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Mean kernel (R,) over pairs of different clips; nan where there are none."""
    pairs = weights.sum(1) ** 2 - (weights**2).sum(1)
    total = ((weights @ kernel) * weights).sum(1)
    missing = np.full(len(pairs), np.nan)
    return np.asarray(np.divide(total, pairs, out=missing, where=pairs > 0))
