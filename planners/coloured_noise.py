"""Random sequences whose neighbouring values resemble each other."""

from __future__ import annotations

import torch
from torch import Tensor


def coloured_noise(
    count: int, num_steps: int, size: int, *, exponent: float, source: torch.Generator
) -> Tensor:
    """Gaussian noise with a power spectrum of 1 / f^exponent along the steps.

    Timmer and Koenig 1995, "On generating power law noise": white noise, filtered by
    f^(-exponent / 2). The slowest frequency 1 / T also bounds the power of the mean.
    Differs: filtered in time, which is the same and cheap for the few steps of a plan.
    Exactly white for exponent 0.

    Args:
        count: Number of sequences, N.
        num_steps: T.
        size: Independent values per step, A.
        exponent: 0 white, 1 pink, 2 red.
        source: Of the noise.

    Returns:
        (N, T, A), every value of mean 0 and variance 1.
    """
    white = torch.randn(count, num_steps, size, generator=source)
    frequencies = torch.fft.fftfreq(num_steps).abs()
    frequencies[0] = 1 / num_steps
    scale = frequencies ** (-exponent / 2)
    filtered = torch.fft.ifft(scale / scale.square().mean().sqrt()).real
    steps = torch.arange(num_steps)
    return filtered[(steps[:, None] - steps) % num_steps] @ white  # a convolution
