"""The figures of a quality report: value, interval, target, passed or not."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from eval.intervals import bootstrap_interval

COLUMNS = (
    "name",
    "group",
    "unit",
    "value",
    "low",
    "high",
    "n",
    "target",
    "at_least",
    "passed",
)
_SIGNS = {True: ">=", False: "<="}


@dataclass(frozen=True)
class Figure:
    """One number of the report.

    Attributes:
        name: What was measured.
        group: Of what: "all", an action, a wording, chunks.
        unit: "dB", "share", "" for none.
        value: The number; None if there was nothing to measure.
        low: Lower end of its 95 % interval, or None.
        high: Upper end.
        n: Cases it rests on.
        target: What it must reach, or None where it is only reported.
        at_least: True if it must not lie below the target, False if not above.
    """

    name: str
    group: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    target: float | None = None
    at_least: bool = True

    @property
    def passed(self) -> bool | None:
        """Whether the value reaches the target; None without one of them."""
        if self.target is None or self.value is None:
            return None
        if self.at_least:
            return self.value >= self.target
        return self.value <= self.target

    def row(self) -> dict[str, Any]:
        """The figure as plain JSON values."""
        return {**asdict(self), "passed": self.passed}


def mean_figure(
    name: str,
    group: str,
    unit: str,
    values: np.ndarray,
    episodes: np.ndarray,
    *,
    target: float | None = None,
    at_least: bool = True,
) -> Figure:
    """The mean of one value per case; the interval resamples whole episodes.

    Args:
        name: See `Figure`.
        group: See `Figure`.
        unit: See `Figure`.
        values: (M,); not a number where there was nothing to measure.
        episodes: The episode of each case, (M,).
        target: See `Figure`.
        at_least: See `Figure`.
    """
    values = np.asarray(values, dtype=float)
    kept = np.isfinite(values)
    count = int(kept.sum())
    if not count:
        return Figure(name, group, unit, None, None, None, 0, target, at_least)
    estimate = bootstrap_interval(
        values[kept], rng=np.random.default_rng(0), clusters=episodes[kept]
    )
    bounds = estimate.value, estimate.low, estimate.high
    return Figure(name, group, unit, *bounds, count, target, at_least)


def verdict(figures: Sequence[Figure]) -> bool | None:
    """True if every target is reached, False if one is missed, else None."""
    verdicts = [figure.passed for figure in figures if figure.target is not None]
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def to_csv(figures: Sequence[Figure]) -> str:
    """One line per figure; what is missing is empty."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(figure.row() for figure in figures)
    return file.getvalue()


def to_table(figures: Sequence[Figure], title: str) -> Table:
    """The report for the terminal."""
    table = Table(title=title, title_justify="left")
    for heading in ("figure", "group"):
        table.add_column(heading)
    for heading in ("value (95 %)", "n", "target", ""):
        table.add_column(heading, justify="right")
    for figure in figures:
        table.add_row(*_cells(figure), style=None if figure.target else "dim")
    return table


def _cells(figure: Figure) -> list[str]:
    target = "" if figure.target is None else f"{figure.target:g}"
    marks = {True: "passed", False: "missed", None: "not measured" if target else ""}
    return [
        f"{figure.name} {f'({figure.unit})' if figure.unit == 'dB' else ''}".strip(),
        figure.group,
        _interval(figure),
        str(figure.n),
        f"{_SIGNS[figure.at_least]} {target}" if target else "",
        marks[figure.passed],
    ]


def _interval(figure: Figure) -> str:
    if figure.value is None:
        return ""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3g}"
    # Round brackets: the terminal reads square ones as markup.
    return f"{figure.value:.3g} ({figure.low:.3g}, {figure.high:.3g})"
