"""The small convolutional net on latents that classifier, matcher and probe share."""

from __future__ import annotations

from torch import nn


def conv_net(channels: int, size: int, width: int, num_outputs: int) -> nn.Sequential:
    """Latents (M, channels, size, size) -> (M, num_outputs).

    Args:
        channels: Of the input.
        size: Height and width of the input, a multiple of 2.
        width: Channels inside.
        num_outputs: Numbers that come out.
    """
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(width * (size // 2) ** 2, 2 * width),
        nn.SiLU(),
        nn.Linear(2 * width, num_outputs),
    )
