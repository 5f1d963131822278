"""What a training shows of itself: a CSV log and sample grids."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TextIO

import imageio.v3 as iio
import numpy as np


class Log:
    """Writes rows to a CSV file and prints them.

    Args:
        path: The file; its header comes from the first row.
        continues: Whether to go on with a file of an earlier run instead of a new one.
    """

    def __init__(self, path: Path, *, continues: bool = False) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._start = time.monotonic()
        self._is_new = not (continues and path.exists())

    def write(self, **values: float) -> None:
        """Adds one row, with the seconds since the log was opened.

        Raises:
            ValueError: If the file has other columns.
        """
        row = {**values, "seconds": round(time.monotonic() - self._start, 1)}
        with self.path.open("w" if self._is_new else "a+", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if self._is_new:
                writer.writeheader()
            else:
                self._check_columns(file, row)
            writer.writerow(row)
        self._is_new = False
        print(" ".join(f"{k}={v:.4g}" for k, v in row.items()), flush=True)

    def _check_columns(self, file: TextIO, row: dict[str, float]) -> None:
        file.seek(0)
        columns = next(csv.reader(file))
        if columns != list(row):
            raise ValueError(
                f"{self.path} must have the columns {','.join(row)}, got "
                f"{','.join(columns)}: move it away."
            )


def save_grid(images: np.ndarray, path: Path, *, columns: int) -> None:
    """Writes images (M, H, W, C) uint8 as one PNG, row by row."""
    rows = [
        np.concatenate(list(images[i : i + columns]), axis=1)
        for i in range(0, len(images) - columns + 1, columns)
    ]
    grid = np.concatenate(rows, axis=0)
    iio.imwrite(path, grid.repeat(2, 0).repeat(2, 1))
