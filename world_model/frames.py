"""The only conversion between environment images and model images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_model(images: np.ndarray) -> Tensor:
    """uint8 images (..., H, W, C) in [0, 255] -> float32 (..., C, H, W) in [-1, 1].

    Raises:
        ValueError: If `images` is not uint8 (floats would be scaled wrongly).
    """
    if images.dtype != np.uint8:
        raise ValueError(
            f"`images` must be uint8 in [0, 255], got {images.dtype}: convert first."
        )
    channels_first = torch.from_numpy(np.moveaxis(images, -1, -3).copy())
    return channels_first.float() / 127.5 - 1.0


def to_env(frames: Tensor) -> np.ndarray:
    """Float frames (..., C, H, W) in [-1, 1] -> uint8 (..., H, W, C), clipped."""
    scaled = ((frames.detach().float() + 1.0) * 127.5).round().clamp(0, 255)
    return np.moveaxis(scaled.to(torch.uint8).cpu().numpy(), -3, -1).copy()
