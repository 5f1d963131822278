"""Pictures of what a world model predicts, for people; never measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from eval.quality.cases import Cases
from eval.quality.open_loop import Films
from world_model.frames import to_env
from world_model.whole_file import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

_SCALE = 2
_GAP = 4
_MARGIN = 80
"""Room for the label of a row [px]."""
_HEADER = 14

Labelled = tuple[str, np.ndarray]
"""A name and its images (M, H, W, C) uint8."""


def write_grid(
    cases: Cases, predicted: Tensor, phrases: Sequence[str], path: Path, examples: int
) -> None:
    """Writes context | truth | prediction, a row per action, as PNG.

    Args:
        cases: What was to be predicted.
        predicted: Predicted key frames (M, C, H, W).
        phrases: Canonical phrase of each action.
        path: The file.
        examples: Cases per action: evenly spaced, never chosen by quality.
    """
    triples = np.stack(
        [to_env(x) for x in (cases.last, cases.truth, predicted)], axis=1
    )
    rows = []
    for action, phrase in enumerate(phrases):
        found = np.flatnonzero(cases.actions.numpy() == action)
        if len(found):
            images = triples[spaced(found, examples)]
            rows.append((phrase, images.reshape(-1, *images.shape[2:])))
    _save(sheet(rows, ["context", "truth", "prediction"] * examples), path)


def write_filmstrip(films: Films, path: Path, count: int) -> None:
    """Writes the last real frame and the end of every chunk, real above imagined.

    Args:
        films: Walks continued by the simulator and by the model.
        path: The file.
        count: Walks: evenly spaced, never chosen by quality.
    """
    last = slice(films.chunk_length - 1, None, films.chunk_length)
    rows: list[Labelled] = []
    for index in spaced(np.arange(len(films.real)), count):
        start = to_env(films.start[index : index + 1])
        for name, frames in (("real", films.real), ("imagined", films.imagined)):
            ends = to_env(frames[index, last])
            rows.append((f"{name} {index}", np.concatenate([start, ends])))
    numbers = [f"chunk {t + 1}" for t in range(films.actions.shape[1])]
    _save(sheet(rows, ["context", *numbers]), path)


def spaced(values: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the values, evenly spaced."""
    index = np.linspace(0, len(values) - 1, min(count, len(values)))
    return np.asarray(values[index.round().astype(int)])


def sheet(rows: Sequence[Labelled], headings: Sequence[str]) -> Image:
    """Rows of images with a label on the left and headings above."""
    from PIL import Image, ImageDraw

    height, width = (_SCALE * x + _GAP for x in rows[0][1].shape[1:3])
    columns = max(len(images) for _, images in rows)
    size = (_MARGIN + columns * width, _HEADER + len(rows) * height)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for column, heading in enumerate(headings[:columns]):
        draw.text((_MARGIN + column * width, 1), heading, fill="black")
    for row, (label, images) in enumerate(rows):
        top = _HEADER + row * height
        draw.text((2, top + height // 2 - 6), label, fill="black")
        for column, image in enumerate(images):
            big = image.repeat(_SCALE, 0).repeat(_SCALE, 1)
            picture.paste(Image.fromarray(big), (_MARGIN + column * width, top))
    return picture


def _save(picture: Image, path: Path) -> None:
    write_whole(path, lambda file: picture.save(file, format="PNG"))
