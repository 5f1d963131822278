"""Tables of the pages from the committed leaderboard: `python -m eval.readme`.

The README shows how often each row succeeds, docs/results.md all rows of every task.
`--check` writes nothing and fails if a page differs.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from eval.row_name import standing
from eval.run_spec import PROJECT_ROOT
from eval.table import HEADINGS, cells, read_leaderboard, title
from world_model.whole_file import write_text

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"
LEADERBOARD = PROJECT_ROOT / "results" / "leaderboard.csv"
NO_ROWS = "No row is committed yet: `results/leaderboard.csv` does not exist."
_DAGGER = " \N{DAGGER}"
CEILING = "oracle"
"""A task with rows of this memory compares memories: the README shows it."""
# The terminal has room for more.
_COLUMNS = (
    "row",
    "stores frames",
    "success % [95 %]",
    "distance m",
    "recall LPIPS",
    "KVD [95 %]",
    "FVD (N)",
    "s/decision p50",
    "calls/decision",
    "memory bytes",
)


def render(rows: pd.DataFrame) -> str:
    """Markdown: per task and split a line that says how it was made, and a table.

    Args:
        rows: The leaderboard; none if nothing is promoted.
    """
    if rows.empty:
        return NO_ROWS
    groups = rows.groupby(["task", "split"], sort=False)
    return "\n\n".join(_block(group) for _, group in groups)


def summary(rows: pd.DataFrame) -> str:
    """Markdown: success of every row, a column per task and split.

    A dagger marks rows that store frames, or their cells where only some do.

    Args:
        rows: The leaderboard; none if nothing is promoted.
    """
    if rows.empty:
        return NO_ROWS
    groups = rows.reset_index(drop=True).groupby(["task", "split"], sort=False)
    compared = groups.filter(lambda group: (group["memory"] == CEILING).any())
    storing = compared["stores_frames"] == "yes"
    always = storing.groupby(compared["row"]).all()
    marked = storing & ~compared["row"].map(always)
    columns = {
        task if split == "val" else f"{task}, {split}": {
            row["row"]: _percent(row) + _DAGGER * bool(marked[i])
            for i, row in group.iterrows()
        }
        for (task, split), group in compared.groupby(["task", "split"], sort=False)
    }
    lines = [["success %", *columns], ["---"] + ["---:"] * len(columns)]
    for name in sorted(set(compared["row"]), key=standing):
        found = (column.get(name, "") for column in columns.values())
        lines.append([name + _DAGGER * bool(always[name]), *found])
    return _markdown(lines)


def replace_table(text: str, table: str) -> str:
    """`text` with `table` between the two markers.

    Raises:
        ValueError: If the markers are not there once each, in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(
            f"A page must hold {BEGIN} and then {END}, once each, got something else: "
            "put them where the table belongs."
        )
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the table, or checks it; returns 1 after printing what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.readme", description="Puts the leaderboard in the pages."
    )
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--readme", type=Path, default=PROJECT_ROOT / "README.md")
    parser.add_argument(
        "--tables", type=Path, default=PROJECT_ROOT / "docs" / "results.md"
    )
    parser.add_argument("--leaderboard", type=Path, default=LEADERBOARD)
    arguments = parser.parse_args(argv)
    try:
        _update(arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _update(arguments: argparse.Namespace) -> None:
    path = arguments.leaderboard
    is_ours = path == LEADERBOARD  # which may have no rows yet
    rows = pd.DataFrame() if is_ours and not path.exists() else read_leaderboard(path)
    tables = {arguments.readme: summary(rows), arguments.tables: render(rows)}
    pages = {page: replace_table(page.read_text(), x) for page, x in tables.items()}
    for page, wanted in pages.items():
        if arguments.check and wanted != page.read_text():
            raise ValueError(
                f"The table of {page} must be that of {path}, got another one: run "
                "`python -m eval.readme` and commit the result."
            )
        if not arguments.check:
            write_text(page, wanted)


def _block(rows: pd.DataFrame) -> str:
    """One task's line and table."""
    headings = [heading for heading, _ in HEADINGS]
    kept = [headings.index(column) for column in _COLUMNS]
    lines = [list(_COLUMNS), [_rule(column) for column in _COLUMNS]]
    for _, row in rows.iterrows():
        texts = cells(row)
        lines.append([texts[i] for i in kept])
    command = f"Last row: `{rows.iloc[-1]['command']}`"
    return f"**{title(rows)}**\n\n{_markdown(lines)}\n\n{command}"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(row: pd.Series) -> str:
    """Success and its interval in whole percent."""
    value, low, high = (100 * row[f"success{end}"] for end in ("", "_low", "_high"))
    return f"{value:.0f} [{low:.0f}, {high:.0f}]"


def _rule(column: str) -> str:
    return "---" if dict(HEADINGS)[column] == "left" else "---:"


if __name__ == "__main__":
    sys.exit(main())
