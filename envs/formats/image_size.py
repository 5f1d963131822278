"""Frames of any size -> frames of one size; the only place that resizes."""

from __future__ import annotations

import numpy as np

MAX_SIDE = 256
GRID = 16
"""Sides are multiples of it [px]: the autoencoder's patch times the denoiser's."""
Size = tuple[int, int]
"""Width and height [px]."""


def parse_size(text: str) -> Size:
    """Width and height of a text, e.g. (64, 48) of "64x48".

    Raises:
        ValueError: If it is something else.
    """
    try:
        width, height = (int(x) for x in text.lower().split("x"))
    except ValueError:
        width = height = 0
    sides = (width, height)
    if not all(GRID <= x <= MAX_SIDE and x % GRID == 0 for x in sides):
        raise ValueError(
            f"`--size` must be WIDTHxHEIGHT in multiples of {GRID} px, at most "
            f"{MAX_SIDE}, got {text!r}: e.g. --size 64x64."
        )
    return sides


def fit(image: np.ndarray, size: Size | None) -> np.ndarray:
    """The middle of an image, as large as its shape allows, at the size asked for.

    Args:
        image: (H, W, C) uint8.
        size: Width and height; None keeps the image as it is.

    Returns:
        (height, width, C) uint8. Smaller by averaging areas, larger by cubic splines.

    Raises:
        ValueError: If it is too large to be kept as it is.
    """
    height, width = image.shape[:2]
    if size is None:
        if max(height, width) > MAX_SIDE:
            raise ValueError(
                f"Frames must be at most {MAX_SIDE} px wide and high, got "
                f"{width}x{height}: give a size, e.g. --size 64x64."
            )
        return image
    if (width, height) == size:
        return image
    return _resized(_cropped(image, size), size)


def _cropped(image: np.ndarray, size: Size) -> np.ndarray:
    """The largest middle part with the proportions of `size`."""
    height, width = image.shape[:2]
    wide = min(width, round(height * size[0] / size[1]))
    high = min(height, round(width * size[1] / size[0]))
    left, top = (width - wide) // 2, (height - high) // 2
    return image[top : top + high, left : left + wide]


def _resized(image: np.ndarray, size: Size) -> np.ndarray:
    import cv2

    is_smaller = size[0] <= image.shape[1]
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=how)
