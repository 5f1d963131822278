"""What a training shows of itself: a CSV log and sample grids."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np


class Log:
    """Appends rows to a CSV file and prints them.

    Args:
        path: The file; its header comes from the first row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._start = time.monotonic()

    def write(self, **values: float) -> None:
        """Adds one row, with the seconds since the log was opened."""
        row = {**values, "seconds": round(time.monotonic() - self._start, 1)}
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{k}={v:.4g}" for k, v in row.items()), flush=True)


def save_grid(images: np.ndarray, path: Path, *, columns: int) -> None:
    """Writes images (M, H, W, C) uint8 as one PNG, row by row."""
    rows = [
        np.concatenate(list(images[i : i + columns]), axis=1)
        for i in range(0, len(images) - columns + 1, columns)
    ]
    grid = np.concatenate(rows, axis=0)
    iio.imwrite(path, grid.repeat(2, 0).repeat(2, 1))
