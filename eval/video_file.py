"""Side-by-side previews for people (lossy; never measured)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SCALE = 3


def side_by_side(columns: Sequence[np.ndarray], gap: int = 2) -> np.ndarray:
    """Joins videos (T, H, W, C) uint8 with equal T and H into one, left to right."""
    bar = np.full((*columns[0].shape[:2], gap, 3), 255, np.uint8)
    parts = [x for column in columns for x in (column, bar)][:-1]
    return np.concatenate(parts, axis=2)


def write_mp4(frames: np.ndarray, path: Path, *, fps: int = 6) -> None:
    """Writes frames (T, H, W, C) uint8, enlarged, as H.264."""
    import av

    big = frames.repeat(SCALE, 1).repeat(SCALE, 2)
    big = big[:, : big.shape[1] // 2 * 2, : big.shape[2] // 2 * 2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = big.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for image in big:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_gif(frames: np.ndarray, path: Path, *, fps: int = 6) -> None:
    """Writes frames (T, H, W, C) uint8, enlarged, as an endless GIF."""
    from PIL import Image

    images = [Image.fromarray(f.repeat(SCALE, 0).repeat(SCALE, 1)) for f in frames]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=int(1000 / fps),
        loop=0,
    )
