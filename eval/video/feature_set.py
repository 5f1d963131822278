"""The features of a set of clips, with what made them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from eval.video.checks import check_images
from eval.video.features import VideoFeatures


@dataclass(frozen=True)
class FeatureSet:
    """Features of N clips; extract once, compare often.

    Attributes:
        values: (N, d).
        extractor: The extractor's name.
        fingerprint: How it preprocessed the clips.
        weights_sha256: Its weights, or None without weights.
        clip_digests: N hashes of the clips' pixels.
        num_frames: T, frames per clip.
        frame_stride: Environment frames from one clip frame to the next.
        resolution: Native (H, W) [px], before the extractor's own resizing.
    """

    values: np.ndarray
    extractor: str
    fingerprint: str
    weights_sha256: str | None
    clip_digests: tuple[str, ...]
    num_frames: int
    frame_stride: int
    resolution: tuple[int, int]

    @property
    def protocol(self) -> dict[str, object]:
        """What must be equal for two sets to be comparable."""
        return {
            "extractor": self.extractor,
            "fingerprint": self.fingerprint,
            "weights_sha256": self.weights_sha256,
            "num_frames": self.num_frames,
            "frame_stride": self.frame_stride,
            "resolution": self.resolution,
        }


def extract(
    clips: Tensor, features: VideoFeatures, *, frame_stride: int = 1
) -> FeatureSet:
    """Extracts the features of a set of clips, one clip per video.

    Args:
        clips: (N, T, 3, H, W), float32 in [-1, 1].
        features: The extractor.
        frame_stride: Environment frames from one clip frame to the next.

    Raises:
        ValueError: If clips are too short, repeated or not images.
    """
    check_images("clips", clips, "(N, T, C, H, W)")
    if clips.shape[1] < features.min_frames:
        raise ValueError(
            f"`{features.name}` needs clips of at least {features.min_frames} frames, "
            f"got {clips.shape[1]}: use longer clips."
        )
    digests = tuple(_digest(clip) for clip in clips)
    check_distinct(digests)
    return FeatureSet(
        values=features(clips),
        extractor=features.name,
        fingerprint=features.fingerprint,
        weights_sha256=features.sha256,
        clip_digests=digests,
        num_frames=clips.shape[1],
        frame_stride=frame_stride,
        resolution=(clips.shape[-2], clips.shape[-1]),
    )


def check_distinct(clip_digests: tuple[str, ...]) -> None:
    """Refuses repeated clips, which make a set look narrower than it is.

    Raises:
        ValueError: If any digest occurs twice.
    """
    num_repeats = len(clip_digests) - len(Counter(clip_digests))
    if num_repeats:
        raise ValueError(
            f"Clips must differ, got {num_repeats} repeated among "
            f"{len(clip_digests)}: take one clip per video and never resample."
        )


def _digest(clip: Tensor) -> str:
    data = np.ascontiguousarray(clip.detach().cpu().numpy())
    return hashlib.sha256(data.tobytes()).hexdigest()
