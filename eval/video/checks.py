"""Input checks shared by the video metrics."""

from __future__ import annotations

import torch
from torch import Tensor

_ROUNDING = 1e-4  # decoders and resizers may leave [-1, 1] by rounding, no more


def check_images(name: str, images: Tensor, axes: str) -> None:
    """Refuses anything but float32 images in [-1, 1].

    Args:
        name: What the caller calls them, for the error.
        images: The tensor to check.
        axes: Expected axes, e.g. "(N, C, H, W)"; C must be 3.

    Raises:
        ValueError: If dtype, number of axes, channels or range are wrong.
    """
    num_axes = axes.count(",") + 1
    if images.dtype != torch.float32:
        raise ValueError(
            f"`{name}` must be float32 in [-1, 1], got {images.dtype}: convert uint8 "
            "images with `world_model.frames.to_model`."
        )
    if images.ndim != num_axes or images.shape[-3] != 3 or images.numel() == 0:
        raise ValueError(
            f"`{name}` must be RGB images {axes} with C = 3, "
            f"got shape {tuple(images.shape)}: permute or add axes."
        )
    _check_range(name, images)


def check_same_shape(name: str, images: Tensor, other: str, others: Tensor) -> None:
    """Refuses image pairs whose shapes differ.

    Raises:
        ValueError: If the shapes differ.
    """
    if images.shape != others.shape:
        raise ValueError(
            f"`{name}` and `{other}` must have equal shapes, got "
            f"{tuple(images.shape)} and {tuple(others.shape)}: pair them first."
        )


def _check_range(name: str, images: Tensor) -> None:
    low, high = (float(x) for x in torch.aminmax(images.detach()))
    # Written so that nan fails as well.
    if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):
        raise ValueError(
            f"`{name}` must lie in [-1, 1], got [{low:g}, {high:g}]: rescale "
            "(uint8 images through `world_model.frames.to_model`)."
        )
