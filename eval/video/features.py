"""The contract of video feature extractors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor


class VideoFeatures(Protocol):
    """Maps clips to vectors whose distributions are compared.

    Attributes:
        name: Part of the metric's name; distances of different names never mix.
        dim: d, the length of a feature vector.
        min_frames: Shortest clip the extractor takes.
        fingerprint: How clips are preprocessed, in words.
        sha256: Hex digest of the weight file, or None without weights.
    """

    name: str
    dim: int
    min_frames: int
    fingerprint: str
    sha256: str | None

    def __call__(self, clips: Tensor) -> np.ndarray:
        """Clips (N, T, C, H, W) float32 in [-1, 1] -> features (N, d) float32."""
        ...
