"""Scene cuts: moments at which most pixels change at once.

PySceneDetect's ContentDetector on the frames themselves, with settings chosen for
small rendered scenes: luma only, because hue is undefined on grey floors and fires
on noise; every cut counts, because the default minimum scene of 15 frames can hide
all cuts of a short clip; the threshold comes from real videos.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scenedetect import ContentDetector, FrameTimecode, StatsManager

THRESHOLDS = Path(__file__).parent / "cut_thresholds.json"
"""Written by `python -m eval.calibrate`."""
_FPS = 30.0  # time codes need one; lengths are counted in frames


@dataclass(frozen=True)
class SceneCuts:
    """Cuts of one video; lower is better, real videos give the floor.

    Attributes:
        cuts_per_100_frames: Cuts per 100 frames.
        cut_frames: Index of the first frame after each cut.
        motion: Mean change of colour between neighbours, grey levels [0, 255]; 0
            unmasks a frozen video, which has no cuts by construction.
    """

    cuts_per_100_frames: float
    cut_frames: tuple[int, ...]
    motion: float


def scene_cuts(frames: np.ndarray, *, threshold: float) -> SceneCuts:
    """Finds the cuts of one video.

    Args:
        frames: RGB uint8 (T, H, W, 3), T >= 2.
        threshold: From `calibrate_threshold`, in grey levels, > 0.

    Raises:
        ValueError: If `frames` or `threshold` break these rules.
    """
    if not threshold > 0:
        raise ValueError(
            f"`threshold` must be > 0, got {threshold}: with 0 a frozen video is all "
            "cuts. Take it from `calibrate_threshold`."
        )
    cuts, _ = _detect(frames, threshold)
    return SceneCuts(
        cuts_per_100_frames=100.0 * len(cuts) / len(frames),
        cut_frames=cuts,
        motion=_motion(frames),
    )


@cache
def cut_threshold(domain: str) -> float | None:
    """The stored threshold of a domain [grey levels], None if it has none."""
    if not THRESHOLDS.exists():
        return None
    stored = json.loads(THRESHOLDS.read_text()).get(domain)
    return None if stored is None else float(stored["threshold"])


def calibrate_threshold(
    real_videos: Sequence[np.ndarray], *, margin: float = 1.25, quantile: float = 0.95
) -> float:
    """The threshold above which ordinary motion in an environment does not go.

    A quantile below 1 leaves room for what truly is a cut in reality, such as
    driving through a curtain; those make the floor that stands beside.

    Args:
        real_videos: Videos, each RGB uint8 (T, H, W, 3).
        margin: Factor on the quantile of all changes of luma.
        quantile: Share of changes that are ordinary motion.

    Returns:
        Threshold in grey levels; store it with the environment.

    Raises:
        ValueError: If there are no videos, or nothing ever moves in them.
    """
    if not real_videos:
        raise ValueError("Calibration needs real videos, got none: collect some.")
    contents = np.concatenate([content_values(video) for video in real_videos])
    threshold = margin * float(np.quantile(contents, quantile))
    if not threshold > 0:
        raise ValueError(
            f"A threshold must be > 0, got {threshold:g} from {len(real_videos)} real "
            "videos: use videos that move and a positive `margin`."
        )
    return threshold


def content_values(frames: np.ndarray) -> np.ndarray:
    """Mean change of luma between neighbours of (T, H, W, 3): (T - 1,), [0, 255]."""
    return _detect(frames, threshold=256.0)[1]


def _detect(frames: np.ndarray, threshold: float) -> tuple[tuple[int, ...], np.ndarray]:
    """Cut frames and changes of luma (T - 1,)."""
    _check_frames(frames)
    detector = ContentDetector(threshold, min_scene_len=1, luma_only=True)
    detector.stats_manager = StatsManager()
    times = [FrameTimecode(i, _FPS) for i in range(len(frames))]
    cuts = []
    for time, frame in zip(times, frames, strict=True):
        # The detector reads BGR.
        bgr = np.ascontiguousarray(frame[..., ::-1])
        cuts += detector.process_frame(time, bgr)
    cuts += detector.post_process(times[-1])
    key = ContentDetector.FRAME_SCORE_KEY
    contents = [detector.stats_manager.get_metrics(t, [key])[0] for t in times[1:]]
    return tuple(cut.frame_num for cut in cuts), np.array(contents, dtype=np.float64)


def _motion(frames: np.ndarray) -> float:
    return float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())


def _check_frames(frames: np.ndarray) -> None:
    if frames.dtype != np.uint8:
        raise ValueError(
            f"`frames` must be uint8 in [0, 255], got {frames.dtype}: floats would "
            "score near 0. Convert with `world_model.frames.to_env`."
        )
    if frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) < 2:
        raise ValueError(
            "`frames` must be an RGB video (T >= 2, H, W, 3), "
            f"got shape {frames.shape}: pass one video at a time."
        )
