"""Training arms against each other, over training seeds: `python -m eval.compare_arms`.

Reads a finished `suite=recall` whose rows differ by the weights they were asked with,
say those of the slow-fast loop and of its controls, each trained with several seeds.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from string import Formatter

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from eval.errors import USER_ERRORS
from eval.intervals import Estimate
from eval.recall.queries import NEW_VIEW
from eval.recall.summary import OPEN_LOOP, PAIRS, REVISIT, TABLE
from world_model.errors import one_line, unknown_name

_QUESTION = ["seed", "query"]
_RESAMPLES = 4000
_GAINS = {"psnr": 1, "lpips": -1}


def compare_arms(
    table: pd.DataFrame, pattern: str, arms: Sequence[str], seeds: Sequence[int]
) -> pd.DataFrame:
    """What the first arm gains over each other one, on the same questions.

    Columns: `poses`, `kind` (revisit or new view), `horizon`, `against`, then per score
    its gain (PSNR [dB], LPIPS; positive where the first arm is better) with bounds and
    `psnr_seeds`, the gain of every training seed.

    Args:
        table: The lines of the recall run; open loop is what counts.
        pattern: Names a row, with {arm} and {seed} in it.
        arms: The first is compared with all others.
        seeds: Training seeds; an interval needs two or more.

    Raises:
        ValueError: If a row is missing, or the pattern names none.
    """
    named = {part[1] for part in Formatter().parse(pattern)} - {None}
    if "arm" not in named or not named <= {"arm", "seed"}:
        raise ValueError(
            "`pattern` must hold {arm}, may hold {seed} and nothing else in braces, "
            f"got {pattern!r}."
        )
    if "seed" not in named and len(seeds) > 1:
        raise ValueError(
            f"`pattern` must hold {{seed}} for several training seeds, got {pattern!r} "
            f"and {list(seeds)}: it would be one row taken for several."
        )
    if len(set(arms)) < 2:
        raise ValueError(
            f"`--arms` must name two or more, got {' '.join(arms)}: the first is "
            "compared with the others."
        )
    if len({*arms}) < len(arms) or len({*seeds}) < len(seeds):
        raise ValueError(
            "`--arms` and `--seeds` must name each once, got "
            f"{' '.join(arms)} and {list(seeds)}: one row would be taken for several."
        )
    trained = list(product(arms, seeds))
    rows = {(arm, seed): pattern.format(arm=arm, seed=seed) for arm, seed in trained}
    known = table["row"].unique()
    for row in rows.values():
        if row not in known:
            raise unknown_name("row", row, list(known))
    asked = table[(table["mode"] == OPEN_LOOP) & table["row"].isin(rows.values())]
    asked = asked.assign(kind=asked["kind"].where(asked["kind"] == NEW_VIEW, REVISIT))
    lines = []
    for (poses, kind, horizon), group in asked.groupby(["poses", "kind", "horizon"]):
        by_row = {row: x.set_index(_QUESTION) for row, x in group.groupby("row")}
        for other in arms[1:]:
            pairs = [(by_row[rows[arms[0], s]], by_row[rows[other, s]]) for s in seeds]
            line = {"poses": poses, "kind": kind, "horizon": horizon}
            lines.append(line | {"against": other} | _gains(pairs))
    return pd.DataFrame(lines)


def _gains(pairs: list[tuple[pd.DataFrame, pd.DataFrame]]) -> dict[str, object]:
    columns: dict[str, object] = {"n": len(pairs[0][0])}
    for name, sign in _GAINS.items():
        if any(x[name].isna().any() for pair in pairs for x in pair):
            continue
        gains = [sign * (a[name] - b[name]) for a, b in pairs]
        found = crossed_bootstrap(gains)
        columns |= found.columns(f"{name}_gain")
        columns[f"{name}_seeds"] = " ".join(f"{x.mean():+.3f}" for x in gains)
    return columns


def crossed_bootstrap(gains: Sequence[pd.Series]) -> Estimate:
    """Mean gain; the interval draws training seeds and paths, both with replacement.

    Three seeds tell little of how seeds scatter: read the single ones beside it.

    Args:
        gains: Per training seed, a gain per question, indexed by ("seed", "query")
            of the path.
    """
    sums = np.array([x.groupby(level="seed").sum() for x in gains])
    counts = np.array([x.groupby(level="seed").count() for x in gains])
    value = float(sums.sum() / counts.sum())
    if min(sums.shape) < 2:
        return Estimate(value, None, None)
    rng = np.random.default_rng(0)
    num_seeds, num_paths = sums.shape
    means = np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        drawn = np.ix_(
            rng.integers(num_seeds, size=num_seeds),
            rng.integers(num_paths, size=num_paths),
        )
        means[i] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def print_arms(table: pd.DataFrame, first: str, console: Console | None = None) -> None:
    """Prints the gains in PSNR."""
    shown = Table(title=f"{first}, gain in dB [95 %]", title_justify="left")
    for heading in ("poses", "kind", "chunks", "against", "n", "gain", "seeds"):
        shown.add_column(heading)
    for _, line in table.iterrows():
        low, high = line["psnr_gain_low"], line["psnr_gain_high"]
        bounds = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
        cells = [line["poses"], line["kind"], str(line["horizon"]), line["against"]]
        gain = f"{line['psnr_gain']:.2f}{bounds}"
        shown.add_row(*cells, str(line["n"]), gain, line["psnr_seeds"])
    (console or Console()).print(shown)


def _lines(folder: Path) -> pd.DataFrame:
    """The answers that a finished recall run keeps.

    Raises:
        ValueError: If there are none.
    """
    path = folder / TABLE
    # Written last: lines of a run that goes on are there before.
    if not path.exists() or not (folder / PAIRS).exists():
        raise ValueError(
            f"{folder} must hold {TABLE} of a finished suite=recall, got none: name "
            "the folder below outputs/ that it printed (results/ keeps summaries only)."
        )
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison; returns 1 after printing why there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of a finished suite=recall")
    parser.add_argument("pattern", help='e.g. "temp_lora world_model.weights=..."')
    parser.add_argument("--arms", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    asked = parser.parse_args(argv)
    try:
        lines = _lines(asked.folder)
        table = compare_arms(lines, asked.pattern, asked.arms, asked.seeds)
    except USER_ERRORS as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    print_arms(table, asked.arms[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
