"""Video files: frames by their times, decoded in one pass, and H.264 out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from envs.formats.image_size import Size, fit

CRF = 12
"""Constant rate factor of what is written: nearly invisible loss."""


def frame_times(path: Path) -> np.ndarray:
    """Presentation times of all frames [s], from 0 on; decodes nothing.

    Raises:
        ValueError: If it is no video, or does not say its times.
    """
    ticks, seconds = _ticks(path)
    return (ticks - ticks[0]) * seconds


def _ticks(path: Path) -> tuple[np.ndarray, float]:
    """Presentation times of all frames in the video's own unit, and this unit [s]."""
    found = path.stat() if path.exists() else None
    return _read_ticks(path, found and (found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=8)
def _read_ticks(path: Path, state: object) -> tuple[np.ndarray, float]:
    """`_ticks`, once for every state of the file."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        # What an edit list cuts away is in the file, but is not shown.
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        if not packets or any(p.pts is None for p in packets):
            raise ValueError(
                f"{path} must say when each frame is shown, got a file that does not: "
                "write it anew as mp4, e.g. with ffmpeg."
            )
        return np.sort([p.pts for p in packets]), float(stream.time_base)


def read_frames(path: Path, picks: Sequence[int], size: Size | None) -> np.ndarray:
    """Frames `picks` of a video, (len(picks), H, W, C) uint8, upright.

    Args:
        path: The video.
        picks: Indices in the order of time, ascending; one may stand several times.
        size: See `fit`.

    Raises:
        ValueError: If it has not as many frames as it says.
    """
    ticks, _ = _ticks(path)
    if picks[-1] >= len(ticks):
        raise ValueError(
            f"{path} must have at least {picks[-1] + 1} frames, got {len(ticks)}: it "
            "does not belong to this data set, or a part is missing."
        )
    wanted = {int(ticks[index]) for index in picks}
    found: dict[int, np.ndarray] = {}
    with _opened(path) as container:
        stream = container.streams.video[0]
        if picks[0]:  # long files hold many episodes
            container.seek(int(ticks[picks[0]]), stream=stream)
        for frame in container.decode(stream):
            if frame.pts in wanted:
                found[frame.pts] = fit(_upright(frame), size)
            if frame.pts >= ticks[picks[-1]]:
                break
    missing = wanted - found.keys()
    if missing:
        raise ValueError(
            f"{path} must be decodable, got {len(missing)} frames that are not: copy "
            "or encode it again."
        )
    return np.stack([found[int(ticks[index])] for index in picks])


def _upright(frame: Any) -> np.ndarray:
    """The image as it is shown: telephones only note how they were held."""
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise ValueError(
            f"{path} must be a video, got a file that cannot be opened "
            f"({type(error).__name__}): remove or replace it."
        ) from error
    with container:
        if not container.streams.video:
            raise ValueError(f"{path} must hold a video, got none: remove it.")
        try:
            yield container
        except av.FFmpegError as error:
            raise ValueError(
                f"{path} must be a whole video, got a damaged one "
                f"({type(error).__name__}): copy it again."
            ) from error


def write_video(path: Path, frames: Iterable[np.ndarray], fps: int) -> int:
    """Writes frames (H, W, C) uint8 as H.264 that every player knows.

    Args:
        path: The new file.
        frames: Of one size, consumed one at a time.
        fps: Frames per second.

    Returns:
        The number of frames.

    Raises:
        ValueError: If width or height is odd.
    """
    import av

    count = 0
    # A key frame every other frame: training reads frames in any order.
    options = {"crf": str(CRF), "g": "2"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.pix_fmt = "yuv420p"
        for image in frames:
            if not count:
                _check_even(image)
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode())
    return count


def _check_even(image: np.ndarray) -> None:
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(
            f"Width and height of a video must be even, got {width}x{height}: give a "
            "size, e.g. --size 64x64."
        )
