"""Tables and plots of the recall suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eval.intervals import bootstrap_interval
from eval.recall.queries import NEW_VIEW, nearest_delay

TABLE = "recall.csv"
"""An answer per line, which all else is made from."""
PAIRS = "recall_pairs.csv"
"""A line per pair of rows, written last: a run that has it is finished."""
METRICS = ("lpips", "psnr", "ssim", "src", "mse")
REVISIT = "revisit"
OPEN_LOOP, TEACHER_FORCED = "open_loop", "teacher_forced"
WRONG = ", wrong_episode"
"""What the names of control rows end with."""
_KEYS = ["mode", "poses", "kind", "delay", "horizon"]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Means with 95 % intervals (bootstrap over episodes), and the gap closed.

    gap_closed = (none - row) / (none - ceiling), on the same queries, in the distance
    of `distance_of`.
    """
    distance = distance_of(table)
    return pd.DataFrame(
        line for key, group in groups(table) for line in _lines(key, group, distance)
    )


def distance_of(table: pd.DataFrame) -> str:
    """The column in which gaps are measured: LPIPS, or MSE of toy images."""
    return "lpips" if table["lpips"].notna().all() else "mse"


def groups(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """All sets of answers that are averaged, and what they have in common.

    Kinds stand alone over all delays; `revisit` joins known ways and new directions
    and stands at each delay, too. Controls do not imagine: they stand in both modes.
    """
    table = _with_controls(table)
    revisits = table[table["kind"] != NEW_VIEW]
    near = [nearest_delay(int(d)) for d in revisits["delay"]]
    parts = [
        table.assign(delay="all"),
        revisits.assign(delay="all", kind=REVISIT),
        revisits.assign(delay=near, kind=REVISIT),
    ]
    for part in parts:
        for key, group in part.groupby(_KEYS, sort=True):
            assert isinstance(key, tuple)
            yield dict(zip(_KEYS, key, strict=True)), group


def _with_controls(table: pd.DataFrame) -> pd.DataFrame:
    """The controls' lines repeated in every mode."""
    controls = table[table["row"].isin(["ceiling", "frozen"])]
    modes = set(table["mode"]) - set(controls["mode"])
    return pd.concat([table, *(controls.assign(mode=mode) for mode in modes)])


def _lines(
    key: dict[str, Any], group: pd.DataFrame, distance: str
) -> Iterator[dict[str, Any]]:
    means = group.groupby("row")[distance].mean()
    none, ceiling = means.get("none", np.nan), means.get("ceiling", np.nan)
    for row, part in group.groupby("row", sort=False):
        line = {**key, "row": row, "n": len(part)}
        for name in (m for m in METRICS if part[m].notna().all()):
            estimate = bootstrap_interval(
                part[name].to_numpy(),
                clusters=part["seed"].to_numpy(),
                rng=np.random.default_rng(0),
            )
            line |= estimate.columns(name, 4)
        closed = (none - means[row]) / (none - ceiling)
        yield {**line, "gap_closed": round(float(closed), 3)}


def costs(table: pd.DataFrame) -> pd.DataFrame:
    """Per memory: what it takes and, at the last horizon, gives.

    Columns: `write_seconds` per chunk, `bytes`, `share` of what the latents of all
    chunk ends take in half precision (a memory above 1 is none), and the distance on
    revisits and on new views.
    """
    distance = distance_of(table)
    last = table[(table["horizon"] == table["horizon"].max())]
    last = last[(last["mode"] == OPEN_LOOP) & last["bytes"].notna()]
    last = last[~last["row"].str.endswith(WRONG)]
    kinds = last["kind"].where(last["kind"] == NEW_VIEW, REVISIT)
    found = last.pivot_table(distance, "row", kinds, sort=False)
    names = ["write_seconds", "bytes", "episode_bytes"]
    spent = last.groupby("row", sort=False)[names].mean()
    spent["share"] = spent["bytes"] / spent["episode_bytes"]
    spent = spent.drop(columns="episode_bytes")
    return spent.join(found.add_prefix(f"{distance}_")).round(5).reset_index()


def plot_delays(table: pd.DataFrame, path: Path) -> None:
    """Distance of exact open-loop revisits over the delay, a panel per horizon."""
    import seaborn as sns

    shown = table[(table["mode"] == OPEN_LOOP) & (table["poses"] == "exact")]
    shown = shown[(shown["kind"] != NEW_VIEW) & (shown["row"] != "frozen")]
    shown = shown[~shown["row"].str.endswith(WRONG)]
    near = [nearest_delay(int(d)) for d in shown["delay"]]
    grid = sns.relplot(
        shown.assign(delay=near).reset_index(drop=True),
        x="delay",
        y=distance_of(table),
        hue="row",
        col="horizon",
        kind="line",
        marker="o",
        errorbar=("ci", 95),
        seed=0,
        height=3.5,
    )
    grid.set(xscale="log", xlabel="delay [actions]")
    _save(grid, path)


def plot_costs(spent: pd.DataFrame, path: Path) -> None:
    """Distance of revisits over write time and over memory."""
    import seaborn as sns

    names = {"write_seconds": "write [s / chunk]", "share": "memory / latents"}
    distance = next(c for c in spent if c.endswith(f"_{REVISIT}"))
    long = spent.rename(columns=names).melt(
        ["row", distance], list(names.values()), var_name="cost", value_name="spent"
    )
    grid = sns.relplot(
        long,
        x="spent",
        y=distance,
        hue="row",
        col="cost",
        s=90,
        height=3.5,
        facet_kws={"sharex": False},
    )
    grid.set_titles("{col_name}")
    grid.set(xscale="symlog", xlabel="")
    # What lies beyond could as well have kept the episode itself.
    grid.axes.flat[-1].axvline(1, color="grey", linestyle="--")
    _save(grid, path)


def _save(grid: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    grid.savefig(path, dpi=120)
    plt.close(grid.figure)
