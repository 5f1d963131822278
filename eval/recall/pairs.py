"""What a memory adds: its recall paired with no memory's and a wrong episode's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from eval.intervals import (
    Estimate,
    bootstrap_ratio,
    paired_bootstrap_difference,
)
from eval.recall.summary import WRONG, distance_of, groups

NONE, CEILING, FROZEN = "none", "ceiling", "frozen"
_QUESTION = ["seed", "query"]


def pairs(table: pd.DataFrame, against: str | None = None) -> pd.DataFrame:
    """Differences on the same questions, intervals bootstrapped over episodes.

    Columns: `row`, `against` (`none`; `wrong_episode`: the same memory of another
    episode; or the row that was asked for), `lpips_gain` and `psnr_gain` [dB] with
    bounds, positive where the row is better, and `gap_closed` of the way from `none`
    to the ceiling (in LPIPS; in mean squared error where images are too small for it).
    On views never seen a negative gain is harm.

    Args:
        table: The suite's lines.
        against: One more row that all others are compared with.
    """
    distance = distance_of(table)
    return pd.DataFrame(
        line
        for key, group in groups(table)
        for line in _lines(key, group, distance, against)
    )


def _lines(
    key: dict[str, Any], group: pd.DataFrame, distance: str, against: str | None
) -> Iterator[dict[str, Any]]:
    by_row = {row: part.set_index(_QUESTION) for row, part in group.groupby("row")}
    for row, part in by_row.items():
        if row in (NONE, CEILING, FROZEN) or str(row).endswith(WRONG):
            continue
        line = {**key, "row": row, "n": len(part)}
        if NONE in by_row and CEILING in by_row:
            closed = _closed(part, by_row[NONE], by_row[CEILING], distance)
            gains = _gains(part, by_row[NONE]) | closed.columns("gap_closed", 4)
            yield line | {"against": NONE} | gains
        if f"{row}{WRONG}" in by_row:
            gains = _gains(part, by_row[f"{row}{WRONG}"])
            yield line | {"against": "wrong_episode"} | gains
        if against in by_row and against != row:
            yield line | {"against": against} | _gains(part, by_row[against])


def _gains(part: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, sign in (("lpips", -1), ("psnr", 1)):
        a, b = (sign * x[name] for x in (part, other.loc[part.index]))
        if a.notna().all():
            found = paired_bootstrap_difference(
                a.to_numpy(), b.to_numpy(), rng=_rng(), clusters=_seeds(part)
            )
            columns |= found.columns(f"{name}_gain", 4)
    return columns


def _closed(
    part: pd.DataFrame, none: pd.DataFrame, ceiling: pd.DataFrame, distance: str
) -> Estimate:
    floor, top = (x.loc[part.index, distance] for x in (none, ceiling))
    return bootstrap_ratio(
        (floor - part[distance]).to_numpy(),
        (floor - top).to_numpy(),
        rng=_rng(),
        clusters=_seeds(part),
    )


def _seeds(part: pd.DataFrame) -> np.ndarray:
    return part.index.get_level_values("seed").to_numpy()


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
