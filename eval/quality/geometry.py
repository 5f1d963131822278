"""Co-visibility: which pixels of a frame were in view in an earlier one?

Every pixel is lifted into the world by its depth and projected into the earlier
camera; it was in view if it falls inside that image and the depth there agrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKY = 10.0
"""Depths beyond belong to no surface [m]: the sky has no place to be seen again."""


@dataclass(frozen=True)
class View:
    """A depth image and where it was taken.

    Attributes:
        depth: Distance along the optical axis, (H, W) [m].
        position: The camera's centre in the world, (3,) [m].
        rotation: (3, 3); its columns are right, up and backward in the world.
    """

    depth: np.ndarray
    position: np.ndarray
    rotation: np.ndarray


def co_visible(
    view: View, earlier: View, focal_length: float, *, tolerance: float
) -> np.ndarray:
    """Pixels of `view` that show what `earlier` showed, bool (H, W).

    Args:
        view: The later frame, whose pixels are judged.
        earlier: The frame that was seen before, of the same size.
        focal_length: Of both cameras [px].
        tolerance: Largest disagreement of depth [m].
    """
    points = _to_world(view, focal_length)
    columns, rows, depth = _project(points, earlier, focal_length)
    height, width = view.depth.shape
    inside = (0 <= columns) & (columns <= width) & (0 <= rows) & (rows <= height)
    nearest, farthest = _depth_around(earlier.depth, columns, rows)
    agrees = (nearest - tolerance <= depth) & (depth <= farthest + tolerance)
    return inside & agrees & (depth > 0) & (view.depth < SKY)


def _to_world(view: View, focal_length: float) -> np.ndarray:
    """The surface point of every pixel, (H, W, 3) [m]."""
    height, width = view.depth.shape
    right = (np.arange(width) + 0.5 - width / 2) / focal_length
    up = (height / 2 - np.arange(height) - 0.5) / focal_length
    rays = np.stack([*np.meshgrid(right, up), np.full((height, width), -1.0)], axis=-1)
    camera = rays * view.depth[..., None].astype(np.float64)
    return np.asarray(camera @ view.rotation.T + view.position)


def _project(
    points: np.ndarray, view: View, focal_length: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where points (H, W, 3) appear: column and row [px], depth [m], (H, W) each.

    Pixel i covers [i, i + 1]. What lies behind the camera has a negative depth and
    a place without meaning.
    """
    height, width = view.depth.shape
    camera = (points - view.position) @ view.rotation
    depth = -camera[..., 2]
    scale = focal_length / np.where(depth > 1e-6, depth, 1e-6)
    columns = width / 2 + camera[..., 0] * scale
    return columns, height / 2 - camera[..., 1] * scale, depth


def _depth_around(
    depth: np.ndarray, columns: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest depth of the four pixels around each place.

    Over a plane the depth between pixel centres lies between theirs, however
    slanted the plane; a single nearest pixel would reject distant floors.
    """
    # Clipped first: places behind the camera overflow integers.
    left = np.clip(np.floor(columns - 0.5), -1, depth.shape[1] - 1).astype(int)
    top = np.clip(np.floor(rows - 0.5), -1, depth.shape[0] - 1).astype(int)
    padded = np.pad(depth, 1, mode="edge")
    corners = [padded[top + 1 + i, left + 1 + j] for i in (0, 1) for j in (0, 1)]
    return np.min(corners, axis=0), np.max(corners, axis=0)
