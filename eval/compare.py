"""Which run solves more? `python -m eval.compare BASE RUN [RUN ...]`.

    python -m eval.compare results/runs/rooms_find_seen/{none,window,anchor}-mpc-tiny

Runs are compared on the very same episodes. Every run is set against the first one:
the difference in success with Newcombe's interval (of other columns: a bootstrap), how
many episodes only one of the two solved, and the exact McNemar test of these (McNemar
1947, Psychometrika 12), whose p-values are corrected for the number of comparisons by
Holm's method (Holm 1979, Scandinavian Journal of Statistics 6). With `--ceiling` also
the share of the way from the first run to the ceiling. `--metric recall_lpips`
compares another column of the records, a plug-in's too: the same test is then the sign
test of the episodes in which the two differ. Episodes in lockstep share what a
decision costs: of such columns batches are drawn and counted, not episodes.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from eval.intervals import (
    Estimate,
    bootstrap_ratio,
    cell_text,
    paired_bootstrap_difference,
    paired_proportion_difference,
)
from eval.leaderboard import other_question
from eval.metric import METRICS, Metric
from eval.record import RunRecord
from eval.row_name import row_name
from world_model.errors import unknown_name
from world_model.whole_file import write_text

SUCCESS = "success"


def compare(
    base: RunRecord,
    others: Sequence[RunRecord],
    ceiling: RunRecord | None = None,
    metric: str = SUCCESS,
) -> pd.DataFrame:
    """A line per run, in the order given.

    Args:
        base: What the others are set against.
        others: Finished runs of the same task and episodes.
        ceiling: A run that is better than `base`, to say how much of the way each
            run goes; None to leave that out.
        metric: The column that is compared.

    Returns:
        `row`, `n` (episodes in which all runs have a value), `<metric>` and
        `base_<metric>` (means), `gain` with bounds, `higher` and `lower` (episodes, or
        batches that share a cost, in which the row is above and below the base), `p`
        and `p_holm`, and with a ceiling `gap_closed` with bounds.

    Raises:
        ValueError: If a run is unfinished or of other episodes or lacks the column, or
            the ceiling is no better than `base`.
    """
    records = [base, *others, *([] if ceiling is None else [ceiling])]
    check_paired(base, records[1:])
    # Of a column that is not ours nothing is known but its numbers.
    column = METRICS.get(metric, Metric(metric, "", None, ""))
    values, draws = _lined_up(records, column)
    floor, top = values[0], None if ceiling is None else values[-1]
    if top is not None:
        _check_ceiling(column, floor, top)
    names = _names([base, *others])[1:]
    lines = [
        {"row": name, **_line(column, found, floor, top, draws)}
        for name, found in zip(names, values[1 : len(names) + 1], strict=True)
    ]
    for line, p in zip(lines, holm([line["p"] for line in lines]), strict=True):
        line["p_holm"] = p
    return pd.DataFrame(lines)


def check_paired(base: RunRecord, others: Sequence[RunRecord]) -> None:
    """Refuses runs that are unfinished or not over the episodes of `base`.

    Raises:
        ValueError: With every reason.
    """
    run, problems = base.run(), []
    for record in (base, *others):
        name, other = record.directory.name, record.run()
        if missing := len(record.remaining_seeds()):
            problems.append(f"{name}: {missing} episodes are missing")
        problems += [f"{name}: {reason}" for reason in other_question(other, run)]
    if problems:
        raise ValueError(
            f"A paired comparison needs the same episodes, got {'; '.join(problems)}. "
            "Run what is missing with the same task, split, episodes and first_seed."
        )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * factors)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected.tolist()


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value that either is as likely to win where they differ.

    >>> round(mcnemar(9, 1), 4)
    0.0215
    """
    total = only_first + only_second
    return float(binomtest(only_first, total).pvalue) if total else 1.0


def _names(records: Sequence[RunRecord]) -> list[str]:
    """The rows' names; where they are equal, with where their folders part."""
    names = [row_name(record.run()) for record in records]
    folders = [record.directory.resolve() for record in records]
    told = []
    for name, folder in zip(names, folders, strict=True):
        alike = [f for n, f in zip(names, folders, strict=True) if n == name]
        part = folder.relative_to(os.path.commonpath(alike))
        told.append(f"{name} ({part})" if len(alike) > 1 else name)
    return told


def _lined_up(
    records: Sequence[RunRecord], column: Metric
) -> tuple[np.ndarray, np.ndarray]:
    """Values (runs, n) of the episodes that all have one, and which draw each is of."""
    values = np.stack([_values(x, column.name) for x in records])
    known = ~np.isnan(values).any(axis=0)
    if not known.any():
        raise ValueError(
            "`--metric` must have a value in an episode of every run, got "
            f"{column.name}, which has none: compare another."
        )
    draws = np.arange(values.shape[1])
    if column.shared:
        batches = [record.batches() for record in records]
        if any(x != batches[0] for x in batches):
            raise ValueError(
                f"`--metric {column.name}` is shared by episodes in lockstep, and must "
                "be compared at the same `num_envs`: run one of them again."
            )
        draws = np.array(batches[0])
    return values[:, known], draws[known]


def _check_ceiling(column: Metric, floor: np.ndarray, top: np.ndarray) -> None:
    ahead = top.sum() - floor.sum()
    if column.higher_is_better is not None:
        ahead = ahead if column.higher_is_better else -ahead
    else:
        ahead = abs(ahead)
    if not ahead > 0:
        raise ValueError(
            f"`--ceiling` must be better than the first run in {column.name}, got "
            f"{top.mean():.3g} and {floor.mean():.3g}: name oracle or simulator."
        )


def _values(record: RunRecord, metric: str) -> np.ndarray:
    """A column (n,) by ascending seed, NaN where an episode has no value."""
    rows = pd.DataFrame(record.rows()).sort_values("seed")
    if metric not in rows:
        raise unknown_name("metric", metric, [x for x in rows if x != "seed"])
    return rows[metric].to_numpy(float)


def _line(
    column: Metric,
    found: np.ndarray,
    floor: np.ndarray,
    top: np.ndarray | None,
    draws: np.ndarray,
) -> dict[str, Any]:
    ahead = np.bincount(draws, weights=found - floor)
    higher, lower = int((ahead > 0).sum()), int((ahead < 0).sum())
    gain = _gain(column, found, floor, draws)
    line: dict[str, Any] = {"n": len(found), column.name: found.mean()}
    line |= {f"base_{column.name}": floor.mean()} | gain.columns("gain")
    line |= {"higher": higher, "lower": lower}
    if top is not None:
        rng = np.random.default_rng(0)
        closed = bootstrap_ratio(found - floor, top - floor, rng=rng, clusters=draws)
        line |= closed.columns("gap_closed")
    return line | {"p": mcnemar(higher, lower)}


def _gain(
    column: Metric, found: np.ndarray, floor: np.ndarray, draws: np.ndarray
) -> Estimate:
    """How much higher a row is than the base."""
    if column.aggregation == "proportion":
        return paired_proportion_difference(found, floor)
    rng = np.random.default_rng(0)
    return paired_bootstrap_difference(found, floor, rng=rng, clusters=draws)


def print_comparison(
    table: pd.DataFrame, base: str, task: str, metric: str = SUCCESS
) -> None:
    """Prints the lines; shares in percent, p-values corrected."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_share = metric == SUCCESS
    share = partial(cell_text, form="{:.1f}", scale=100)
    number = share if is_share else partial(cell_text, form="{:.3g}")
    against = number(table.iloc[0], f"base_{metric}")
    unit = " %" * is_share
    what = "" if is_share else f"{metric}, "
    title = f"{task}, {what}n={table['n'].iloc[0]}, against {base} ({against}{unit})"
    shown = Table(
        title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0)
    )
    has_gap = "gap_closed" in table
    headings = ["row", SUCCESS if is_share else "value", "gain [95 %]"]
    headings.append("won/lost" if is_share else "up/down")
    headings += ["gap closed [95 %]"] * has_gap + ["p (Holm)"]
    shown.add_column(headings[0], overflow="fold")  # figures are never cut off
    for heading in headings[1:]:
        shown.add_column(heading, justify="right", no_wrap=True)
    for line in table.to_dict("records"):
        cells = [line["row"], number(line, metric), number(line, "gain")]
        cells.append(f"{line['higher']}/{line['lower']}")
        if has_gap:
            cells.append(share(line, "gap_closed"))
        shown.add_row(*map(Text, cells), f"{line['p_holm']:.2g}")
    Console().print(shown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.compare", description="Paired comparison of runs."
    )
    parser.add_argument("base", type=Path, help="folder of the run to compare with")
    parser.add_argument("runs", nargs="+", type=Path, metavar="run")
    parser.add_argument("--ceiling", type=Path, help="run to measure the gap up to")
    parser.add_argument("--metric", default=SUCCESS, help="column; default: success")
    parser.add_argument("--csv", type=Path, help="also write the table there")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 after one line if the runs do not fit together."""
    arguments = _parser().parse_args(argv)
    try:
        base = RunRecord(arguments.base)
        ceiling = RunRecord(arguments.ceiling) if arguments.ceiling else None
        runs = [RunRecord(path) for path in arguments.runs]
        table = compare(base, runs, ceiling, arguments.metric)
        if arguments.csv:
            write_text(arguments.csv, table.to_csv(index=False))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    run = base.run()
    print_comparison(table, row_name(run), run["task"], arguments.metric)
    if arguments.csv:
        print(f"results: {arguments.csv}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
