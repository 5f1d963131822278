"""Tables of `suite=generate`: means with intervals, and what memory costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from eval.generation.scores import SCORES
from eval.intervals import bootstrap_interval, cell_text

REAL = "real"
_COSTS = ("seconds", "write_seconds", "memory_bytes", "model_bytes")
_MEASURES = (
    ("PSNR", "psnr", "{:.1f}"),
    ("LPIPS", "lpips", "{:.3f}"),
    ("SRC", "src", "{:.3f}"),
    ("cuts", "cuts_per_100", "{:.1f}"),
    ("motion", "motion", "{:.1f}"),
    ("chunk, s", "seconds", "{:.3f}"),
    ("write, s", "write_seconds", "{:.3f}"),
    ("more time", "extra_time", "{:+.1%}"),
    ("bytes", "memory_bytes", "{:,.0f}"),
    ("of model", "extra_memory", "{:+.1%}"),
)
_FEW = 3
"""Rows whose intervals fit beside each other in a terminal."""
_LEFT_OUT = ("motion", "chunk, s", "bytes")
"""What does not fit where many rows stand; generate_summary.csv holds all."""


def summarise(lines: pd.DataFrame) -> pd.DataFrame:
    """A line per row: means with 95 % intervals (bootstrap over videos), and costs.

    Columns besides `SCORES` with `_low` and `_high`: `n`; `seconds` and `write_seconds`
    per chunk; `extra_time`, what the row takes more than `none` as a share of it;
    `memory_bytes`; `extra_memory`, these as a share of the model's weights.

    Args:
        lines: One per row and video, as `suite` records them.
    """
    table = pd.DataFrame(
        _line(str(row), part) for row, part in lines.groupby("row", sort=False)
    )
    total = table["seconds"] + table["write_seconds"]
    base = total[table["row"] == "none"]
    table["extra_time"] = np.nan if base.empty else total / base.iloc[0] - 1
    table["extra_memory"] = table["memory_bytes"] / table["model_bytes"]
    return table.drop(columns="model_bytes")


def _line(row: str, part: pd.DataFrame) -> dict[str, object]:
    line: dict[str, object] = {"row": row, "n": len(part)}
    for name in SCORES:
        values = part[name].dropna().to_numpy(float)
        if not len(values):
            line |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
            continue
        found = bootstrap_interval(values, rng=np.random.default_rng(0))
        line |= found.columns(name)
    return line | part[list(_COSTS)].astype(float).mean().to_dict()


def print_generation(table: pd.DataFrame, console: Console | None = None) -> None:
    """Prints the summary; the real video is the floor of cuts and the ceiling of SRC.

    Few rows stand side by side, with intervals; many below each other, without.
    """
    few = len(table) <= _FEW
    title = f"long videos, n={table['n'].max()}{' [95 %]' if few else ''}"
    shown = Table(
        title=title, title_justify="left", box=SIMPLE, padding=(0, 1 if few else 0)
    )
    lines = list(table.iterrows())
    cells = {
        heading: [cell_text(x if few else x[[name]], name, form) for _, x in lines]
        for heading, name, form in _MEASURES
        if few or heading not in _LEFT_OUT
    }
    measured = {heading: texts for heading, texts in cells.items() if any(texts)}
    shown.add_column("")
    if few:
        for row in table["row"]:
            shown.add_column(row, justify="right")
        for heading, texts in measured.items():
            shown.add_row(heading, *texts)
    else:
        for heading in measured:
            shown.add_column(heading, justify="right")
        for row, *texts in zip(table["row"], *measured.values(), strict=True):
            shown.add_row(row, *texts)
    (console or Console()).print(shown)
