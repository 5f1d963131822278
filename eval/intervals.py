"""Point estimates with 95 % intervals: none of our numbers stands alone.

Proportions get the Wilson score interval (Wilson 1927, "Probable inference, the
law of succession, and statistical inference", JASA 22), differences of proportions
over the same episodes Newcombe's, means the percentile
bootstrap (Efron and Tibshirani 1993, chapter 13). Episodes of one scene resemble
each other, so the bootstrap draws whole scenes ("clusters"), not episodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

_TAIL = 0.025
"""What lies beyond either bound."""
_RESAMPLES = 4000
_BLOCK = 500
"""Resamples drawn at once; bounds memory to _BLOCK x clusters."""


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; the bounds are None where none can be given."""

    value: float
    low: float | None
    high: float | None

    def text(self, form: str, scale: float = 1) -> str:
        """As people read it.

        >>> Estimate(0.5, 0.25, None).text("{:.0f}", 100)
        '50'
        """
        text = form.format(scale * self.value)
        if self.low is None or self.high is None:
            return text
        bounds = (form.format(scale * x) for x in (self.low, self.high))
        return f"{text} [{', '.join(bounds)}]"

    def columns(self, name: str, digits: int | None = None) -> dict[str, float | None]:
        """As cells of a table: `name`, `name_low` and `name_high`.

        Args:
            name: Of the column.
            digits: To round to; None leaves the numbers as they are.
        """
        cells = {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}
        if digits is None:
            return cells
        return {k: None if v is None else round(v, digits) for k, v in cells.items()}


def cell_text(
    line: Mapping[str, Any], name: str, form: str = "{:.2f}", scale: float = 1
) -> str:
    """A number of a table's line as people read it, with its bounds if there are any.

    Args:
        line: Cells as `Estimate.columns` names them; None or NaN where missing.
        name: Of the column.
        form: How a number is written.
        scale: What it is multiplied by, e.g. 100 for percent.

    >>> cell_text({"x": 0.5, "x_low": 0.25, "x_high": 0.75}, "x", "{:.0f}", 100)
    '50 [25, 75]'
    >>> cell_text({"x": 0.5}, "x"), cell_text({"x": None}, "x")
    ('0.50', '')
    """
    cells = (line.get(name + end) for end in ("", "_low", "_high"))
    value, low, high = (None if x is None or math.isnan(x) else x for x in cells)
    return "" if value is None else Estimate(value, low, high).text(form, scale)


def wilson_interval(successes: int, num_trials: int) -> Estimate:
    """A proportion with the Wilson score interval.

    Raises:
        ValueError: If the counts do not fit together.
    """
    if num_trials < 1 or not 0 <= successes <= num_trials:
        raise ValueError(
            "`successes` must lie in 0 ... `num_trials` and `num_trials` be at "
            f"least 1, got {successes} of {num_trials}."
        )
    z = NormalDist().inv_cdf(1 - _TAIL)
    p, n = successes / num_trials, num_trials
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At 0 and n the bound is exact; rounding would leave 1e-17 beside it.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == num_trials else centre + half
    return Estimate(p, low, high)


def paired_proportion_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray
) -> Estimate:
    """The share of ones in `a` minus that in `b`, over paired episodes.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial
    proportions based on paired data", Statistics in Medicine 17, method 10: the Wilson
    bounds of both shares, squared and added, less what their correlation phi explains:

        low = d - sqrt((p - l)^2 - 2 phi (p - l) (u' - q) + (u' - q)^2)

    with p in [l, u], q in [l', u'] and d = p - q; `high` alike with l', u. Unlike the
    bootstrap it has a width where all episodes agree.

    Args:
        a: 0 or 1 per episode.
        b: The other row's for the same episodes, in the same order.

    Raises:
        ValueError: If the rows have different lengths or other values.
    """
    first, second = _paired(a, b)
    both = np.concatenate([first, second])
    if not len(both) or not np.isin(both, (0, 1)).all():
        raise ValueError(
            "Paired proportions need 0 or 1 of every episode, got "
            f"{np.unique(both).tolist()}: compare means instead."
        )
    p, q = (wilson_interval(int(x.sum()), len(x)) for x in (first, second))
    phi = _phi(first, second)
    difference = p.value - q.value
    below = _added(_widths(p)[0], _widths(q)[1], phi)
    above = _added(_widths(p)[1], _widths(q)[0], phi)
    return Estimate(difference, difference - below, difference + above)


def _widths(share: Estimate) -> tuple[float, float]:
    """From a share down and up to its bounds."""
    assert share.low is not None
    assert share.high is not None
    return share.value - share.low, share.high - share.value


def _added(one: float, other: float, phi: float) -> float:
    """Two half widths of correlated shares as one."""
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def _phi(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of paired zeros and ones, with Newcombe's continuity correction."""
    n, wins, theirs = len(first), first.sum(), second.sum()
    margins = wins * (n - wins) * theirs * (n - theirs)
    if margins == 0:
        return 0.0
    agree = (first * second).sum() * ((1 - first) * (1 - second)).sum()
    differ = (first * (1 - second)).sum() * ((1 - first) * second).sum()
    excess = agree - differ
    corrected = max(excess - n / 2, 0.0) if excess > 0 else excess
    return float(corrected / math.sqrt(margins))


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
    clusters: Sequence[object] | np.ndarray | None = None,
) -> Estimate:
    """The mean of `values` with a percentile bootstrap interval.

    Args:
        values: One number per episode.
        rng: Source of the resamples.
        clusters: The scene of each episode; each its own if None.

    Returns:
        The mean and its bounds; no bounds with fewer than two clusters, because
        then nothing is known about how scenes differ.
    """
    return bootstrap_ratio(values, np.ones(len(values)), rng=rng, clusters=clusters)


def paired_bootstrap_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
    clusters: Sequence[object] | np.ndarray | None = None,
) -> Estimate:
    """The mean of `a - b` over paired episodes, with its interval.

    Args:
        a: One number per episode.
        b: The other row's number for the same episodes, in the same order.
        rng: Source of the resamples.
        clusters: The scene of each pair; each its own if None.

    Raises:
        ValueError: If the rows have different lengths.
    """
    first, second = _paired(a, b)
    return bootstrap_interval(first - second, rng=rng, clusters=clusters)


def _paired(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(
            "Paired rows must hold the same episodes, got "
            f"{len(first)} and {len(second)}: join them on `seed` first."
        )
    return first, second


def bootstrap_ratio(
    numerators: Sequence[float] | np.ndarray,
    denominators: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
    clusters: Sequence[object] | np.ndarray | None = None,
) -> Estimate:
    """The ratio of two means over the same episodes, with its interval.

    Args:
        numerators: One number per episode.
        denominators: One number per episode, in the same order. If their sum over a
            resample is 0 or of the other sign, there are no bounds.
        rng: Source of the resamples.
        clusters: The scene of each episode; each its own if None.

    Raises:
        ValueError: If the lists have different lengths.
    """
    if len(numerators) != len(denominators):
        raise ValueError(
            "A ratio needs both numbers of every episode, got "
            f"{len(numerators)} and {len(denominators)}: join them on `seed` first."
        )
    top = _per_cluster(np.asarray(numerators, dtype=float), clusters)
    bottom = _per_cluster(np.asarray(denominators, dtype=float), clusters)
    ratio = float(top.sum() / bottom.sum())
    if len(top) < 2:
        return Estimate(ratio, None, None)
    # A ratio of sums: each cluster weighs as much as its denominator.
    tops, bottoms = _resampled_sums(top, bottom, rng)
    if (bottoms * bottom.sum() <= 0).any():
        return Estimate(ratio, None, None)  # the denominator may well be 0
    low, high = np.quantile(tops / bottoms, [_TAIL, 1 - _TAIL])
    return Estimate(ratio, float(low), float(high))


def _per_cluster(
    values: np.ndarray, clusters: Sequence[object] | np.ndarray | None
) -> np.ndarray:
    """Sum of the values of each cluster."""
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            "`values` must be a non-empty list of finite numbers, got "
            f"{values.tolist()}: leave out what is missing."
        )
    if clusters is None:
        return values
    if len(clusters) != len(values):
        raise ValueError(
            f"`clusters` must name a scene for each of the {len(values)} values, "
            f"got {len(clusters)}."
        )
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(index, weights=values)


def _resampled_sums(
    top: np.ndarray, bottom: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Both sums (2, _RESAMPLES) over clusters drawn with replacement."""
    sums = []
    for _ in range(0, _RESAMPLES, _BLOCK):
        drawn = rng.integers(len(top), size=(_BLOCK, len(top)))
        sums.append([top[drawn].sum(axis=1), bottom[drawn].sum(axis=1)])
    return np.concatenate(sums, axis=1)
