"""What a run shows at its end: committed rows and the side-by-side video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.record import RunRecord
from eval.run_spec import PROJECT_ROOT
from eval.video_file import side_by_side, write_gif, write_mp4

LEADERBOARD = PROJECT_ROOT / "results" / "leaderboard.csv"


def print_committed(task: str) -> None:
    """Prints the committed rows of a task, if there are any."""
    from eval.table import print_tables, read_leaderboard

    if not LEADERBOARD.exists():
        print("committed rows: none yet (`make results`)")
        return
    rows = read_leaderboard(LEADERBOARD)
    rows = rows[rows["task"] == task]
    if rows.empty:
        print(f"committed rows of {task}: none yet")
    else:
        print_tables(rows, note="committed")


def write_side_by_side(runs: Sequence[Path]) -> Path | None:
    """Writes what is real beside what each run imagined, and returns the file.

    One image per action, in the form in which planning imagines. The episode is the
    one of median recall PSNR of the last run: neither the best nor the worst. Episodes
    whose paths one of the runs did not keep (`video=false`) are left out; None if
    that leaves none.
    """
    seed = median_seed(runs)
    if seed is None:
        return None
    kept = [np.load(run / f"imagined-{seed}.npz") for run in runs]
    columns = kept[0]["real_chunk_ends"], *(path["key_frames"] for path in kept)
    video = side_by_side(columns)
    path = runs[-1] / f"side-by-side-{seed}.mp4"
    write_mp4(video, path, fps=1)
    write_gif(video, path.with_suffix(".gif"), fps=1)
    return path


def median_seed(runs: Sequence[Path]) -> int | None:
    """Seed with the (lower) median recall PSNR of the last run; None if there is none.

    Only of episodes whose imagined paths all runs have kept.
    """
    kept = [
        (row["recall_psnr"], int(row["seed"] or 0))
        for row in RunRecord(runs[-1]).rows()
        if row["recall_psnr"] is not None
        and all(
            (run / f"imagined-{int(row['seed'] or 0)}.npz").exists() for run in runs
        )
    ]
    return sorted(kept)[(len(kept) - 1) // 2][1] if kept else None
