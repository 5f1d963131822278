"""I3D (Carreira and Zisserman 2017), RGB, Kinetics-400: the network of FVD.

A port of the TF-Hub module deepmind/i3d-kinetics-400/1 to torch. The weight file
names every unit, so the architecture's widths are read from it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval.video import weights

NUM_CLASSES = 400
SIZE = 224  # [px] the final pooling is 7 x 7 at stride 32
MIN_FRAMES = 9  # fewer leave less than the final pooling's two time steps

_Size3 = tuple[int, int, int]

# Max pooling (kernel, stride), then the inception blocks that follow it.
_STAGES: tuple[tuple[_Size3, _Size3, str], ...] = (
    ((3, 3, 3), (2, 2, 2), "4b 4c 4d 4e 4f"),
    ((2, 2, 2), (2, 2, 2), "5b 5c"),
)
_BRANCHES = (
    ("Branch_0/Conv3d_0a_1x1",),
    ("Branch_1/Conv3d_0a_1x1", "Branch_1/Conv3d_0b_3x3"),
    ("Branch_2/Conv3d_0a_1x1", "Branch_2/Conv3d_0b_3x3"),
    ("Branch_3/Conv3d_0b_1x1",),  # behind a 3 x 3 x 3 max pooling
)
_BATCH_NORM_EPSILON = 1e-3  # Sonnet's default, which TF-Hub used


class I3d(nn.Module):
    """I3D with frozen weights; batch norm is folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        arrays = weights.load_arrays(weights.I3D)
        suffix = "/Conv_0/kernel"
        names = [
            key.removeprefix("params/").removesuffix(suffix)
            for key in arrays
            if key.endswith(suffix)
        ]
        self.units = nn.ModuleDict({name: _conv(arrays, name) for name in names})
        self.requires_grad_(False)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (N, 3, T, 224, 224) in [-1, 1], T >= 9 -> logits (N, 400)."""
        _check_shape(clips)
        x = self._unit("Conv3d_1a_7x7", clips)
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self._unit("Conv3d_2c_3x3", self._unit("Conv3d_2b_1x1", x))
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self._inception("3c", self._inception("3b", x))
        for kernel, stride, blocks in _STAGES:
            x = _max_pool(x, kernel, stride)
            for block in blocks.split():
                x = self._inception(block, x)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        logits: Tensor = self.units["Logits/Conv3d_0c_1x1"](x)
        return logits.mean((2, 3, 4))

    def _unit(self, name: str, x: Tensor) -> Tensor:
        conv = self.units[name]
        assert isinstance(conv, nn.Conv3d)
        return F.relu(conv(_pad_same(x, conv.kernel_size, conv.stride, 0.0)))

    def _inception(self, block: str, x: Tensor) -> Tensor:
        outputs = []
        for branch in _BRANCHES:
            y = x
            if branch[0].startswith("Branch_3"):
                y = _max_pool(x, (3, 3, 3), (1, 1, 1))
            for name in branch:
                y = self._unit(f"Mixed_{block}/{name}", y)
            outputs.append(y)
        return torch.cat(outputs, dim=1)


def _check_shape(clips: Tensor) -> None:
    shape = tuple(clips.shape)
    fits = len(shape) == 5 and shape[1] == 3 and shape[3:] == (SIZE, SIZE)
    if not fits or shape[2] < MIN_FRAMES:
        raise ValueError(
            f"I3D needs clips (N, 3, T >= {MIN_FRAMES}, {SIZE}, {SIZE}), got {shape}: "
            "use `I3dFeatures`, which resizes."
        )


def _pad_same(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], value: float
) -> Tensor:
    """TensorFlow's SAME padding: the odd element goes to the end."""
    pads: list[int] = []
    for size, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        # torch lists the last axis first.
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads, value=value)


def _max_pool(x: Tensor, kernel: _Size3, stride: _Size3) -> Tensor:
    # -inf, because TensorFlow ignores the padding in a maximum.
    return F.max_pool3d(_pad_same(x, kernel, stride, -torch.inf), kernel, stride)


def _conv(arrays: Mapping[str, np.ndarray], name: str) -> nn.Conv3d:
    kernel = arrays[f"params/{name}/Conv_0/kernel"].transpose(4, 3, 0, 1, 2)
    bias = arrays.get(f"params/{name}/Conv_0/bias")
    if bias is None:
        kernel, bias = _fold_batch_norm(kernel, arrays, name)
    outputs, inputs, *size = kernel.shape
    stride = 2 if name == "Conv3d_1a_7x7" else 1
    conv = nn.Conv3d(inputs, outputs, tuple(size), stride=stride)
    tensors = {"weight": kernel, "bias": bias}
    conv.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in tensors.items()})
    return conv


def _fold_batch_norm(
    kernel: np.ndarray, arrays: Mapping[str, np.ndarray], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (O, I, T, H, W) and bias (O,) of convolution plus batch norm."""
    mean = arrays[f"batch_stats/{name}/BatchNorm_0/mean"].reshape(-1)
    var = arrays[f"batch_stats/{name}/BatchNorm_0/var"].reshape(-1)
    gain = 1.0 / np.sqrt(var.astype(np.float64) + _BATCH_NORM_EPSILON)
    bias = arrays[f"params/{name}/BatchNorm_0/bias"] - mean * gain
    folded = kernel * gain[:, None, None, None, None]
    return folded.astype(np.float32), bias.astype(np.float32)
