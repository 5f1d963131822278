"""The rows of `suite=planners` as a table, and success over what it cost as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from eval.intervals import (
    bootstrap_interval,
    cell_text,
    paired_proportion_difference,
    wilson_interval,
)
from eval.leaderboard import format_seeds
from eval.planner_suite.budget import CALLS, SECONDS
from eval.planner_suite.grid import Row

COLUMNS = (
    "world_model",
    "budget_kind",
    "budget",
    "optimizer",
    "calls_p50",
    "calls_p95",
    "seconds_p50",
    "seconds_p95",
    "success",
    "success_low",
    "success_high",
    "behind",
    "behind_low",
    "behind_high",
    "optimism_gap",
    "optimism_gap_low",
    "optimism_gap_high",
    "n",
    "seeds",
    "error",
)
"""Of planners.csv; `behind`: success of the first optimizer minus the row's, paired."""
_AXES = {CALLS: "denoiser calls per decision", SECONDS: "seconds per decision"}
_BORDER = 3


def summarise(
    rows: Sequence[Row],
    lines: Mapping[Row, pd.DataFrame],
    failures: Mapping[Row, str],
) -> pd.DataFrame:
    """One line per row, see `COLUMNS`; of a failed one only what it was and why.

    Args:
        rows: In order; the others are compared to the first one's optimizer.
        lines: Decisions of the finished rows, see `eval.planner_suite.decisions`.
        failures: Why the others failed.
    """
    first = rows[0].optimizer
    found = []
    for row in rows:
        if row in failures:
            found.append(_name(row) | {"error": failures[row]})
        else:
            theirs = lines.get(replace(row, optimizer=first))
            found.append(_name(row) | _measure(lines[row], theirs))
    return pd.DataFrame(found, columns=list(COLUMNS))


def plot_curves(lines: Mapping[Row, pd.DataFrame], path: Path) -> None:
    """Success over measured calls, and over measured seconds, per world model.

    A point is a row, at its median cost; bands are 95 % bootstrap intervals over
    episodes. Where there are budgets of seconds, they make the curves over seconds.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    grid = sns.relplot(
        pd.concat(_points(lines), ignore_index=True),
        x="cost",
        y="success",
        hue="optimizer",
        style="optimizer",
        row="axis",
        col="world_model",
        kind="line",
        markers=True,
        dashes=False,
        errorbar=("ci", 95),
        seed=0,
        height=3.5,
        facet_kws={"sharex": "row"},
    )
    grid.set(ylim=(-0.02, 1.02))
    grid.set_titles("{col_name}")
    for axis, name in zip(grid.axes, grid.row_names, strict=True):
        for panel in axis:
            panel.set_xlabel(name)
            # Doublings: budgets seldom span two powers of ten.
            panel.set_xscale("log", base=2)
            panel.xaxis.set_major_formatter("{x:g}")
    grid.figure.subplots_adjust(hspace=0.35)  # the upper labels, the lower titles
    grid.savefig(path, dpi=120)
    plt.close(grid.figure)


def print_rows(table: pd.DataFrame, console: Console | None = None) -> None:
    """Prints a table per world model and kind of budget, as wide as the terminal."""
    console = console or Console()
    first = table.iloc[0]["optimizer"]
    for (world_model, kind), group in table.groupby(
        ["world_model", "budget_kind"], sort=False
    ):
        n = "/".join(f"{n:g}" for n in group["n"].dropna().unique())
        seeds = "/".join(group["seeds"].dropna().unique())
        title = f"{world_model}, budget in {kind}, n={n}, seeds {seeds}"
        console.print(_rich(group, first, title, console.width))


def _name(row: Row) -> dict[str, Any]:
    budget = row.budget
    return {
        "world_model": row.world_model,
        "budget_kind": budget.kind,
        "budget": budget.amount,
        "optimizer": row.optimizer,
    }


def _measure(own: pd.DataFrame, first: pd.DataFrame | None) -> dict[str, Any]:
    solved = _by_seed(own, "success")
    found: dict[str, Any] = {
        f"{name}_p{q}": round(float(np.quantile(own[name], q / 100)), 6)
        for name in ("calls", "seconds")
        for q in (50, 95)
    }
    estimates = {"success": wilson_interval(int(solved.sum()), len(solved))}
    gaps = _by_seed(own, "predicted").dropna()
    if len(gaps):
        gaps -= solved[gaps.index]
        rng = np.random.default_rng(0)
        estimates["optimism_gap"] = bootstrap_interval(gaps.to_numpy(), rng=rng)
    if first is not None and first is not own:
        theirs = _by_seed(first, "success")
        estimates["behind"] = paired_proportion_difference(
            theirs[solved.index].to_numpy(), solved.to_numpy()
        )
    for name, estimate in estimates.items():
        found |= estimate.columns(name, 6)
    seeds = [int(seed) for seed in solved.index]
    return {**found, "n": len(seeds), "seeds": format_seeds(seeds)}


def _by_seed(lines: pd.DataFrame, column: str) -> pd.Series:
    """Mean over the decisions of each episode."""
    return lines.groupby("seed")[column].mean()


def _points(lines: Mapping[Row, pd.DataFrame]) -> list[pd.DataFrame]:
    """A line per episode, row and axis: what the row cost and whether it succeeded."""
    kinds = {row.budget.kind for row in lines}
    points = []
    for row, own in lines.items():
        axes = [CALLS, SECONDS] if kinds == {CALLS} else [row.budget.kind]
        solved = _by_seed(own, "success").reset_index(drop=True)
        points += [
            pd.DataFrame(
                {
                    "success": solved,
                    "cost": own[axis].median(),
                    "axis": _AXES[axis],
                    "optimizer": row.optimizer,
                    "world_model": row.world_model,
                }
            )
            for axis in axes
        ]
    return points


def _rich(group: pd.DataFrame, first: str, title: str, width: int) -> Table:
    """The columns that fit, the first ones first."""
    table = Table(title=title, title_justify="left")
    rows = [_cells(row) for _, row in group.iterrows()]
    left = width - 1
    for i, heading in enumerate(_headings(first)):
        words = [*heading.split(), *(row[i] for row in rows)]
        size = max(map(len, words))
        left -= size + _BORDER
        if left < 0:
            break
        table.add_column(heading, justify="left" if i == 1 else "right", width=size)
    for i, row in enumerate(rows):
        is_last = i + 1 == len(rows) or rows[i + 1][0] != row[0]
        table.add_row(*row[: len(table.columns)], end_section=is_last)
    return table


def _headings(first: str) -> tuple[str, ...]:
    return (
        "budget",
        "optimizer",
        "success % [95 %]",
        "calls p50",
        "s p50",
        f"behind {first} [95 %]",
        "optimism gap",
        "calls p95",
        "s p95",
    )


def _cells(row: pd.Series) -> tuple[str, ...]:
    failed = isinstance(row["error"], str)
    return (
        f"{row['budget']:g}",
        str(row["optimizer"]),
        "failed" if failed else cell_text(row, "success", "{:.0f}", 100),
        _number(row["calls_p50"]),
        _number(row["seconds_p50"], 3),
        cell_text(row, "behind", "{:.0f}", 100),
        _number(row["optimism_gap"], 2),
        _number(row["calls_p95"]),
        _number(row["seconds_p95"], 3),
    )


def _number(value: float, digits: int = 0) -> str:
    return "" if pd.isna(value) else f"{value:,.{digits}f}"
