"""The default image features for scene revisits."""

from __future__ import annotations

import torch
from torch import Tensor

from eval.video import weights
from eval.video.checks import check_images
from eval.video.conv_stack import ConvStack

_SIZE = 64


class Vgg16Conv5:
    """Last ReLU of VGG16's convolutions, all 4 x 4 x 512 numbers of it.

    Images keep their native 64 px: enlarged to 224 px, sensor-like noise of
    generated frames turns into texture and drowns the place. The paper
    (SlowFast-VGen) uses ResNet-18, whose weights no carrier package holds.

    Args:
        device: Where the network runs.
        batch_size: Images per forward pass.
    """

    name = f"vgg16_c5_{_SIZE}"

    def __init__(
        self, *, device: str | torch.device = "cpu", batch_size: int = 32
    ) -> None:
        self.device = torch.device(device)
        self.batch_size = batch_size
        stack = ConvStack("vgg", weights.load_arrays(weights.VGG16))
        self.stack = stack.eval().to(self.device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, 3, 64, 64) in [-1, 1] -> features (N, 8192) on the CPU, >= 0."""
        check_images("images", images, "(N, C, H, W)")
        if images.shape[-2:] != (_SIZE, _SIZE):
            raise ValueError(
                f"`{self.name}` reads {_SIZE} x {_SIZE} px, got "
                f"{tuple(images.shape[-2:])}: resize with antialiasing first."
            )
        batches = torch.split(images.to(self.device), self.batch_size)
        return torch.cat([self.stack(batch)[-1].flatten(1).cpu() for batch in batches])
