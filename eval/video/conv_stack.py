"""The ImageNet convolution stacks (AlexNet, VGG16) that LPIPS reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

NetName = Literal["alex", "vgg"]

# Per stage: kernel of the max pooling (stride 2) before it, or 0; convolutions in
# it. LPIPS taps the last ReLU of every stage (Zhang et al. 2018, section 4.1).
_STAGES: dict[str, tuple[tuple[int, int], ...]] = {
    "alex": ((0, 1), (3, 1), (3, 1), (0, 1), (0, 1)),
    "vgg": ((0, 2), (2, 2), (2, 3), (2, 3), (2, 3)),
}
_PREFIX = {"alex": "AlexNet_0", "vgg": "VGG16_0"}
_STRIDE_AND_PADDING = {11: (4, 2), 5: (1, 2), 3: (1, 1)}  # by kernel size

# LPIPS' own input scaling, for images in [-1, 1] (richzhang/PerceptualSimilarity).
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class ConvStack(nn.Module):
    """AlexNet or VGG16 up to the last convolution, with frozen weights.

    Args:
        net: "alex" or "vgg".
        arrays: The weight file's arrays; kernels are (H, W, in, out).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: NetName, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.stages = _STAGES[net]
        num_convs = sum(convs for _, convs in self.stages)
        names = [f"{_PREFIX[net]}/Conv_{i}" for i in range(num_convs)]
        self.convs = nn.ModuleList(_conv(arrays, name) for name in names)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None])
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, 3, H, W) in [-1, 1] -> five maps (N, C_i, H_i, W_i), all >= 0."""
        x = (images - self.shift) / self.scale
        convs = iter(self.convs)
        taps = []
        for pool, num_convs in self.stages:
            x = F.max_pool2d(x, pool, stride=2) if pool else x
            for _ in range(num_convs):
                x = F.relu(next(convs)(x))
            taps.append(x)
        return taps


def _conv(arrays: Mapping[str, np.ndarray], name: str) -> nn.Conv2d:
    kernel = torch.from_numpy(arrays[f"{name}/kernel"].transpose(3, 2, 0, 1).copy())
    outputs, inputs, size, _ = kernel.shape
    stride, padding = _STRIDE_AND_PADDING[size]
    conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding)
    bias = torch.from_numpy(arrays[f"{name}/bias"].copy())
    conv.load_state_dict({"weight": kernel, "bias": bias})
    return conv
