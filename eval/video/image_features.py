"""The contract of image feature extractors."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class ImageFeatures(Protocol):
    """Maps images to vectors whose cosine says "same place".

    Attributes:
        name: Part of the metric's name, e.g. "vgg16_c5_64".
    """

    name: str

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) float32 in [-1, 1] -> features (N, d)."""
        ...
