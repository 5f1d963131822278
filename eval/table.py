"""Rows of the leaderboard as tables in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from eval.intervals import cell_text

HEADINGS = (
    ("row", "left"),
    ("stores frames", "left"),
    ("success % [95 %]", "right"),
    ("SPL [95 %]", "right"),
    ("distance m", "right"),
    ("optimism gap", "right"),
    ("s/decision p50", "right"),
    ("p95", "right"),
    ("calls/decision", "right"),
    ("memory bytes", "right"),
    ("recall LPIPS", "right"),
    ("cuts/100 frames (real)", "right"),
    ("KVD [95 %]", "right"),
    ("FVD (N)", "right"),
)
"""Columns of the tables and on which side their cells are aligned."""


def read_leaderboard(path: Path) -> pd.DataFrame:
    """Reads a leaderboard written by `python -m eval.leaderboard build`.

    Raises:
        ValueError: If there is none.
    """
    try:
        # Without this, the memory named "none" would be read as a missing value.
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (FileNotFoundError, pd.errors.EmptyDataError):
        raise ValueError(
            f"{path} must hold promoted rows, got none: run "
            "`python -m eval.leaderboard promote` and `build` first."
        ) from None


_MAX_COLUMNS = 3
_WIDE = 140
_FIRST = (0, 2, 1, 10, 6, 9, 8, 3, 11, 12, 4, 5, 7, 13)
"""Columns of `HEADINGS`, the ones to show first where not all fit."""
_BORDER = 3
"""Characters that the border and the padding of a column take."""


def print_tables(
    rows: pd.DataFrame, *, note: str = "", console: Console | None = None
) -> None:
    """Prints one table per task and split, rows in the order given.

    Args:
        rows: As computed by `eval.leaderboard.build`.
        note: A mark in the title, e.g. "demo".
        console: Where to print; the terminal if None.
    """
    console = console or Console()
    for _, group in rows.groupby(["task", "split"], sort=False):
        console.print(_table(group, note, console.width))
        # Not as its caption, which is cut into lines: it is there to be copied.
        command = Text(f"Last row: {group.iloc[-1]['command']}")
        console.print(command, soft_wrap=True)


def _table(rows: pd.DataFrame, note: str, width: int) -> Table:
    table = Table(
        title=Text(title(rows, note)),  # no markup: commands have brackets
        title_justify="left",
    )
    columns = [cells(row) for _, row in rows.iterrows()]
    shown: list[int] = []
    if (
        width < _WIDE and len(rows) <= _MAX_COLUMNS
    ):  # few rows stand side by side, a line per measure
        table.add_column(HEADINGS[0][0])
        for column in columns:
            # Names may break anywhere, figures never.
            size = max(map(len, column[1:]))
            table.add_column(
                column[0], justify="right", overflow="fold", min_width=size
            )
        for i, (heading, _) in enumerate(HEADINGS[1:], start=1):
            table.add_row(heading, *(column[i] for column in columns))
        return table
    for i, size in _fitting(columns, width):
        heading, justify = HEADINGS[i]
        side: JustifyMethod = "left" if justify == "left" else "right"
        # Headings may break at spaces, cells never.
        table.add_column(heading, justify=side, width=size)
        shown.append(i)
    for column in columns:
        table.add_row(*(column[i] for i in shown))
    return table


def _fitting(rows: list[list[str]], width: int) -> list[tuple[int, int]]:
    """Columns that stand side by side in a terminal, and the width each needs."""
    left, fitting = width - 1, []
    for i in _FIRST:
        words = [*HEADINGS[i][0].split(), *(row[i] for row in rows)]
        size = max(map(len, words))
        left -= size + _BORDER
        if left < 0:
            break
        fitting.append((i, size))
    return sorted(fitting)


def title(rows: pd.DataFrame, note: str = "") -> str:
    """What all rows of one task have in common, and where they differ."""
    parts = [rows.iloc[0]["task"], note, f"n={_distinct(rows, 'n')}"]
    parts += [f"seeds {_distinct(rows, 'seeds')}", f"split {_distinct(rows, 'split')}"]
    parts += [f"revision {_distinct(rows, 'revision', 10)}"]
    return ", ".join(part for part in parts if part)


def cells(row: pd.Series) -> list[str]:
    """One row's text under each of `HEADINGS`; empty where nothing was measured."""
    calls, decisions = row["denoiser_calls"], row["decisions"]
    ratio = None if pd.isna(calls) or not decisions else calls / decisions
    return [
        str(row["row"]),
        str(row["stores_frames"]),
        cell_text(row, "success", "{:.1f}", 100),
        cell_text(row, "spl"),
        _number(row["distance"], digits=3),
        _number(row["optimism_gap"]),
        _number(row["plan_seconds_p50"]),
        _number(row["plan_seconds_p95"]),
        _number(ratio, digits=0),
        _number(row["memory_bytes"], digits=0),
        _number(row["recall_lpips"], digits=3),
        _cuts(row),
        cell_text(row, "kvd", "{:,.2f}"),
        _number(row["fvd"], digits=0) and f"{row['fvd']:,.0f} ({row['video_n']:.0f})",
    ]


def _cuts(row: pd.Series) -> str:
    """Cuts of the imagined paths, those of the real ones beside."""
    if pd.isna(row["cuts_per_100"]):
        return ""
    return f"{row['cuts_per_100']:.1f} ({row['real_cuts_per_100']:.1f})"


def _number(value: Any, digits: int = 2) -> str:
    return "" if value is None or pd.isna(value) else f"{value:,.{digits}f}"


def _distinct(rows: pd.DataFrame, column: str, width: int | None = None) -> str:
    """The column's values, each once, in order."""
    return "/".join(dict.fromkeys(str(value)[:width] for value in rows[column]))
