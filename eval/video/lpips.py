"""LPIPS v0.1: learned perceptual distance of two images (Zhang et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eval.video import weights
from eval.video.checks import check_images, check_same_shape
from eval.video.conv_stack import ConvStack, NetName

_FILES = {"alex": weights.ALEXNET, "vgg": weights.VGG16}
MIN_SIZE = 32  # [px] AlexNet's poolings leave nothing of smaller images
_EPSILON = 1e-10  # as in the reference implementation


class Lpips(nn.Module):
    """LPIPS distance, >= 0, lower is better.

    Args:
        net: "alex" (the variant papers report) or "vgg".
    """

    def __init__(self, net: NetName = "alex") -> None:
        super().__init__()
        if net not in _FILES:
            raise ValueError(
                f"`net` must be one of {sorted(_FILES)}, got {net!r}: pick one."
            )
        arrays = weights.load_arrays(_FILES[net])
        self.stack = ConvStack(net, arrays)
        for i in range(len(self.stack.stages)):
            head = torch.from_numpy(arrays[f"NetLinLayer_{i}/Conv_0/kernel"].copy())
            self.register_buffer(f"head_{i}", head.reshape(-1, 1, 1))

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            images: (N, 3, H, W), float32 in [-1, 1], at least 32 px a side.
            targets: Same shape.

        Returns:
            (N,) float32.
        """
        self._check(images, targets)
        return self.distance(self.stack(images), self.stack(targets))

    def distance(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """Distance (N,) of images whose features `stack` has computed."""
        total = first[0].new_zeros(len(first[0]))
        for i, (left, right) in enumerate(zip(first, second, strict=True)):
            difference = (_normalise(left) - _normalise(right)) ** 2
            head = self.get_buffer(f"head_{i}")
            total = total + (difference * head).sum(1).mean((1, 2))
        return total

    def _check(self, images: Tensor, targets: Tensor) -> None:
        check_images("images", images, "(N, C, H, W)")
        check_images("targets", targets, "(N, C, H, W)")
        check_same_shape("images", images, "targets", targets)
        if min(images.shape[-2:]) < MIN_SIZE:
            raise ValueError(
                f"LPIPS needs images of at least {MIN_SIZE} px a side, "
                f"got {tuple(images.shape[-2:])}: compare larger images."
            )


def _normalise(x: Tensor) -> Tensor:
    """Unit length along the channels."""
    length = x.square().sum(1, keepdim=True).sqrt()
    return x / (length + _EPSILON)
