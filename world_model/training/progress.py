"""What a training shows of itself: a CSV log and sample grids."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from world_model.whole_file import write_text


class Log:
    """Writes rows to a CSV file and prints them.

    Args:
        path: The file; its header comes from the first row.
        after: The step from which an earlier run is continued: its rows up to there
            stay, later ones will be written again. 0 begins a new file.
    """

    def __init__(self, path: Path, *, after: int = 0) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._start = time.monotonic()
        self._columns = _cut(path, after) if after and path.exists() else []

    def write(self, **values: float) -> None:
        """Adds one row, with the seconds since the log was opened.

        Raises:
            ValueError: If the file has other columns.
        """
        row = {**values, "seconds": round(time.monotonic() - self._start, 1)}
        if self._columns and self._columns != list(row):
            raise ValueError(
                f"{self.path} must have the columns {','.join(row)}, got "
                f"{','.join(self._columns)}: move it away."
            )
        with self.path.open("a" if self._columns else "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if not self._columns:
                writer.writeheader()
            writer.writerow(row)
        self._columns = list(row)
        print(" ".join(f"{k}={v:.4g}" for k, v in row.items()), flush=True)


def _cut(path: Path, after: int) -> list[str]:
    """Drops the rows after a step and what a kill has torn; returns the columns."""
    with path.open(newline="") as file:
        columns, *rows = list(csv.reader(file)) or [[]]
    whole = [row for row in rows if len(row) == len(columns)]
    kept = [row for row in whole if int(row[columns.index("step")]) <= after]
    if len(kept) < len(rows):
        text = io.StringIO(newline="")
        csv.writer(text).writerows([columns, *kept])
        write_text(path, text.getvalue())
    return columns


def save_grid(images: np.ndarray, path: Path, *, columns: int) -> None:
    """Writes images (M, H, W, C) uint8 as one PNG, row by row."""
    rows = [
        np.concatenate(list(images[i : i + columns]), axis=1)
        for i in range(0, len(images) - columns + 1, columns)
    ]
    grid = np.concatenate(rows, axis=0)
    iio.imwrite(path, grid.repeat(2, 0).repeat(2, 1))
