"""What the recall suite found, in a table that fits a terminal."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table

from eval.intervals import cell_text
from eval.recall.queries import EXACT, JITTERED, NEW_VIEW
from eval.recall.summary import OPEN_LOOP, REVISIT


def print_recall(
    found: pd.DataFrame, spent: pd.DataFrame, console: Console | None = None
) -> None:
    """Prints a line per memory: open loop, as many chunks deep as was asked.

    Args:
        found: From `eval.recall.pairs.pairs`.
        spent: From `eval.recall.summary.costs`.
        console: Where to print; the terminal if None.
    """
    horizon = found["horizon"].max()
    kept = found[(found["mode"] == OPEN_LOOP) & (found["horizon"] == horizon)]
    kept = kept[(kept["delay"] == "all") & (kept["against"] == "none")]
    table = Table(
        title=f"recall, open loop, {horizon} imagined [95 %]", title_justify="left"
    )
    table.add_column("memory")
    for heading in (
        "gap closed",
        "jittered",
        "new views dB",
        "s/chunk",
        "kB",
        "of raw",
    ):
        table.add_column(heading, justify="right")
    for _, cost in spent.iterrows():
        lines = kept[kept["row"] == cost["row"]]
        table.add_row(
            cost["row"],
            _cell(lines, EXACT, REVISIT, "gap_closed"),
            _cell(lines, JITTERED, REVISIT, "gap_closed"),
            _cell(lines, EXACT, NEW_VIEW, "psnr_gain"),
            f"{cost['write_seconds']:.3f}",
            f"{cost['bytes'] / 1000:,.0f}",
            f"{cost['share']:.2g}",
        )
    (console or Console()).print(table)


def _cell(lines: pd.DataFrame, poses: str, kind: str, column: str) -> str:
    """Value and interval; empty where nothing was asked."""
    lines = lines[(lines["poses"] == poses) & (lines["kind"] == kind)]
    return "" if lines.empty else cell_text(lines.iloc[0], column)
