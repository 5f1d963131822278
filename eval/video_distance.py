"""FVD and KVD of the paths that a run imagined, beside its rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval.record import VIDEO_FILE, RunRecord
from eval.video.cached import CachedFeatures
from eval.video.feature_set import extract
from eval.video.features import VideoFeatures
from eval.video.fvd import VideoDistance, compare
from eval.video.lpips import MIN_SIZE
from world_model.frames import to_model
from world_model.whole_file import write_text

NUM_FRAMES = 16
"""Frames of a clip: four chunks of four, which the shortest path of `rooms` has."""


def video_distance(
    record: RunRecord, features: VideoFeatures | None = None
) -> dict[str, Any] | None:
    """Compares a run's imagined paths with the real ones, all frames of them.

    Both sets show the same ways, so that equal videos are at FVD 0 and at a KVD
    slightly below. The result is kept in the record's video.json and read from there
    if nothing was added.

    Args:
        record: A run whose paths were kept (`video=true`).
        features: The extractor; None for I3D, cached beside the record.

    Returns:
        `VIDEO_COLUMNS` and how they were made, or None if fewer than two paths were
        kept, one has fewer than `NUM_FRAMES` frames, images are smaller than 32 px, or
        two clips are equal: the paths of a model that imagines one image for all.
    """
    paths = [
        record.directory / f"imagined-{s}.npz" for s in sorted(record.done_seeds())
    ]
    paths = [path for path in paths if path.exists()]
    kept = record.video()
    if kept.get("video_n") == len(paths):
        return kept
    shapes = [np.load(path)["real"].shape for path in paths]
    if len(paths) < 2 or shapes[0][2] < MIN_SIZE:
        return None
    if min(length for length, *_ in shapes) < NUM_FRAMES:
        return None
    real, imagined = (_clips(paths, name) for name in ("real", "imagined"))
    if not all(_differ(clips) for clips in (real, imagined)):
        return None  # a set with repeated clips looks narrower than it is
    if features is None:
        from eval.video.i3d_features import I3dFeatures

        features = CachedFeatures(I3dFeatures(), record.directory.parent / ".features")
    rng = np.random.default_rng(0)
    found = compare(extract(real, features), extract(imagined, features), rng=rng)
    row = _row(found, features.name)
    text = json.dumps(row, indent=2) + "\n"
    write_text(record.directory / VIDEO_FILE, text)
    return row


def _row(found: VideoDistance, extractor: str) -> dict[str, Any]:
    return {
        "video_n": found.num_clips,
        found.name: round(found.value, 4),
        "kvd": round(found.kernel.value, 6),
        "kvd_low": round(found.kernel.low, 6),
        "kvd_high": round(found.kernel.high, 6),
        "num_frames": found.num_frames,
        "kernel": found.kernel.kernel,
        "extractor": extractor,
        "weights_sha256": found.weights_sha256,
    }


def _differ(clips: Tensor) -> bool:
    return len({clip.numpy().tobytes() for clip in clips}) == len(clips)


def _clips(paths: list[Path], name: str) -> Tensor:
    """The first frames of every path, (N, T, C, H, W) in [-1, 1]."""
    return torch.stack([to_model(np.load(path)[name][:NUM_FRAMES]) for path in paths])
