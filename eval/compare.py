"""Which run solves more? `python -m eval.compare BASE RUN [RUN ...]`.

    python -m eval.compare results/runs/rooms_find_seen/{none,window,anchor}-mpc-tiny

Runs are compared on the very same episodes. Every run is set against the first one:
the difference in success with its interval, how many episodes only one of the two
solved, and the exact McNemar test of these (McNemar 1947, Psychometrika 12), whose
p-values are corrected for the number of comparisons by Holm's method (Holm 1979,
Scandinavian Journal of Statistics 6). With `--ceiling` also the share of the way from
the first run to the ceiling.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from eval.intervals import bootstrap_ratio, paired_bootstrap_difference
from eval.leaderboard import other_question, row_name
from eval.record import RunRecord, write_atomically


def compare(
    base: RunRecord, others: Sequence[RunRecord], ceiling: RunRecord | None = None
) -> pd.DataFrame:
    """A line per run, in the order given.

    Args:
        base: What the others are set against.
        others: Finished runs of the same task and episodes.
        ceiling: A run that solves more than `base`, to say how much of the way each
            run goes; None to leave that out.

    Returns:
        `row`, `n`, `success` and `base_success` (shares), `gain` with bounds,
        `only_row` and `only_base` (episodes that only one solved), `p` and `p_holm`,
        and with a ceiling `gap_closed` with bounds.

    Raises:
        ValueError: If a run is unfinished or of other episodes, or the ceiling
            solves no more than `base`.
    """
    extra = [] if ceiling is None else [ceiling]
    check_paired(base, [*others, *extra])
    top = None if ceiling is None else _solved(ceiling)
    floor = _solved(base)
    if top is not None and top.sum() <= floor.sum():
        raise ValueError(
            f"`--ceiling` must solve more than the first run, got {top.mean():.3g} and "
            f"{floor.mean():.3g}: name the oracle or the simulator."
        )
    names = _names([base, *others])[1:]
    lines = [
        {"row": name, **_line(record, floor, top)}
        for name, record in zip(names, others, strict=True)
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
    """The rows' names, with those of their folders where they are equal."""
    names = [row_name(record.run()) for record in records]
    return [
        f"{name} ({record.directory.name})" if names.count(name) > 1 else name
        for name, record in zip(names, records, strict=True)
    ]


def _solved(record: RunRecord) -> np.ndarray:
    """Success (n,) as 0 or 1, by ascending seed."""
    rows = pd.DataFrame(record.rows()).sort_values("seed")
    return rows["success"].to_numpy(float)


def _line(
    record: RunRecord, floor: np.ndarray, top: np.ndarray | None
) -> dict[str, Any]:
    solved = _solved(record)
    wins, losses = int((solved > floor).sum()), int((solved < floor).sum())
    gain = paired_bootstrap_difference(solved, floor, rng=np.random.default_rng(0))
    line: dict[str, Any] = {"n": len(solved)}
    line |= {"success": solved.mean(), "base_success": floor.mean()}
    line |= gain.columns("gain") | {"only_row": wins, "only_base": losses}
    if top is not None:
        closed = bootstrap_ratio(
            solved - floor, top - floor, rng=np.random.default_rng(0)
        )
        line |= closed.columns("gap_closed")
    return line | {"p": mcnemar(wins, losses)}


def print_comparison(table: pd.DataFrame, base: str, task: str) -> None:
    """Prints the lines; shares in percent, p-values corrected."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    has_gap = "gap_closed" in table
    shown = Table(
        title=f"{task}, n={table['n'].iloc[0]}, against {base} "
        f"({100 * table['base_success'].iloc[0]:.1f} %)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0),
    )
    headings = ["row", "success", "gain [95 %]", "won/lost"]
    headings += ["gap closed [95 %]"] * has_gap + ["p (Holm)"]
    shown.add_column(headings[0], no_wrap=True)
    for heading in headings[1:]:
        shown.add_column(heading, justify="right", no_wrap=True)
    for line in table.to_dict("records"):
        cells = [line["row"], f"{100 * line['success']:.1f}", _interval(line, "gain")]
        cells.append(f"{line['only_row']}/{line['only_base']}")
        if has_gap:
            cells.append(_interval(line, "gap_closed"))
        shown.add_row(*cells, f"{line['p_holm']:.2g}")
    Console().print(shown)


def _interval(line: dict[str, float], name: str) -> str:
    value, low, high = (line[name + x] for x in ("", "_low", "_high"))
    bounds = "" if pd.isna(low) else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * value:.1f}{bounds}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.compare", description="Paired comparison of runs."
    )
    parser.add_argument("base", type=Path, help="folder of the run to compare with")
    parser.add_argument("runs", nargs="+", type=Path, metavar="run")
    parser.add_argument("--ceiling", type=Path, help="run to measure the gap up to")
    parser.add_argument("--csv", type=Path, help="also write the table there")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 after one line if the runs do not fit together."""
    arguments = _parser().parse_args(argv)
    try:
        base = RunRecord(arguments.base)
        ceiling = RunRecord(arguments.ceiling) if arguments.ceiling else None
        table = compare(base, [RunRecord(path) for path in arguments.runs], ceiling)
        if arguments.csv:
            write_atomically(arguments.csv, table.to_csv(index=False))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print_comparison(table, row_name(base.run()), base.run()["task"])
    if arguments.csv:
        print(f"results: {arguments.csv}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
