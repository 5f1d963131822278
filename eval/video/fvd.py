"""Frechet video distance (Unterthiner et al. 2018), reported with its context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from eval.video.feature_set import FeatureSet, check_distinct, extract
from eval.video.features import VideoFeatures
from eval.video.frechet import (
    MIN_EXTRAPOLATED,
    Extrapolation,
    extrapolated_fvd,
    frechet_distance,
)
from eval.video.i3d_features import I3dFeatures
from eval.video.kernel import KernelDistance, kernel_distance


@dataclass(frozen=True)
class VideoDistance:
    """Distance of generated from real clips; lower is better.

    Attributes:
        name: "fvd" for I3D logits, "fd_<extractor>" for anything else.
        value: Frechet distance, biased upwards by about 1/N: compare equal N only.
        num_clips: N, clips in each set.
        floor: Distance of real clips from other real clips at the same N; None if
            no other real clips were given.
        extrapolated: The distance for endless sets; None for fewer than 8 clips.
        kernel: Kernel distance (KVD) of the same features, unbiased: rank on it
            below about 500 clips.
        num_frames: T, frames per clip.
        frame_stride: Environment frames from one clip frame to the next.
        resolution: Native (H, W) [px].
        fingerprint: The extractor's preprocessing.
        weights_sha256: The extractor's weights, or None.
    """

    name: str
    value: float
    num_clips: int
    floor: float | None
    extrapolated: Extrapolation | None
    kernel: KernelDistance
    num_frames: int
    frame_stride: int
    resolution: tuple[int, int]
    fingerprint: str
    weights_sha256: str | None


def fvd(
    real_clips: Tensor,
    fake_clips: Tensor,
    features: VideoFeatures,
    *,
    rng: np.random.Generator,
    other_real_clips: Tensor | None = None,
    frame_stride: int = 1,
) -> VideoDistance:
    """Compares generated with real clips.

    To compare several models with the same real clips, `extract` those once and
    call `compare`.

    Args:
        real_clips: (N, T, 3, H, W), float32 in [-1, 1], one clip per video.
        fake_clips: Same shape.
        features: The extractor.
        rng: Shuffles subsets and draws the bootstrap.
        other_real_clips: Same shape, none of `real_clips`, for the floor.
        frame_stride: Environment frames from one clip frame to the next.

    Raises:
        ValueError: If the sets are not comparable, or clips are short or repeated.
    """
    real = extract(real_clips, features, frame_stride=frame_stride)
    fake = extract(fake_clips, features, frame_stride=frame_stride)
    other = None
    if other_real_clips is not None:
        other = extract(other_real_clips, features, frame_stride=frame_stride)
    return compare(real, fake, rng=rng, other_real=other)


def compare(
    real: FeatureSet,
    fake: FeatureSet,
    *,
    rng: np.random.Generator,
    other_real: FeatureSet | None = None,
) -> VideoDistance:
    """Compares extracted sets; see `fvd`."""
    _check_comparable(real, fake)
    x, y = real.values, fake.values
    enough = len(x) >= MIN_EXTRAPOLATED
    return VideoDistance(
        name=metric_name(real.extractor),
        value=frechet_distance(x, y),
        num_clips=len(x),
        floor=None if other_real is None else _floor(real, other_real),
        extrapolated=extrapolated_fvd(x, y, rng=rng) if enough else None,
        kernel=kernel_distance(x, y, rng=rng),
        num_frames=real.num_frames,
        frame_stride=real.frame_stride,
        resolution=real.resolution,
        fingerprint=real.fingerprint,
        weights_sha256=real.weights_sha256,
    )


def metric_name(extractor: str) -> str:
    """Only distances of I3D logits may be called FVD."""
    return "fvd" if extractor == I3dFeatures.name else f"fd_{extractor}"


def _floor(real: FeatureSet, other_real: FeatureSet) -> float:
    _check_comparable(real, other_real)
    # A clip on both sides would lower the floor.
    check_distinct(real.clip_digests + other_real.clip_digests)
    return frechet_distance(real.values, other_real.values)


def _check_comparable(left: FeatureSet, right: FeatureSet) -> None:
    for name, value in left.protocol.items():
        if right.protocol[name] != value:
            raise ValueError(
                f"Clip sets must have equal {name}, got {value} and "
                f"{right.protocol[name]}: extract both under one protocol."
            )
    if len(left.values) != len(right.values):
        raise ValueError(
            f"Clip sets must have equal N, got {len(left.values)} and "
            f"{len(right.values)}: the bias depends on N, cut the larger set."
        )
