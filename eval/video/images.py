"""PSNR and SSIM of image pairs."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from eval.video.checks import check_images, check_same_shape

_DATA_RANGE = 2.0  # images lie in [-1, 1]


def psnr(images: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio [dB], higher is better, inf for equal images.

    Args:
        images: (N, 3, H, W), float32 in [-1, 1].
        targets: Same shape.
        mask: (N, H, W) bool; only its true pixels count (co-visible PSNR).

    Returns:
        (N,); nan, the missing value, where a mask is empty.
    """
    _check_pair(images, targets)
    squares = ((images - targets) ** 2).mean(1)
    if mask is None:
        error = squares.mean((1, 2))
    else:
        _check_mask(mask, squares)
        error = (squares * mask).sum((1, 2)) / mask.sum((1, 2))
    return 10 * torch.log10(_DATA_RANGE**2 / error)


def ssim(images: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), at most 1, higher is better.

    Gaussian window of 11 px, sigma 1.5, on [0, 1]: the luminance term compares
    means and has no sense around zero.

    Args:
        images: (N, 3, H, W), float32 in [-1, 1].
        targets: Same shape.

    Returns:
        (N,).
    """
    _check_pair(images, targets)
    values = structural_similarity_index_measure(
        (images + 1) / 2, (targets + 1) / 2, data_range=1.0, reduction="none"
    )
    assert isinstance(values, Tensor)
    return values.reshape(len(images))  # torchmetrics drops the axis of N = 1


def _check_pair(images: Tensor, targets: Tensor) -> None:
    check_images("images", images, "(N, C, H, W)")
    check_images("targets", targets, "(N, C, H, W)")
    check_same_shape("images", images, "targets", targets)


def _check_mask(mask: Tensor, squares: Tensor) -> None:
    if mask.dtype != torch.bool or mask.shape != squares.shape:
        raise ValueError(
            f"`mask` must be bool {tuple(squares.shape)}, got {mask.dtype} "
            f"{tuple(mask.shape)}: one flag per pixel."
        )
