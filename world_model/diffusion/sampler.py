"""Few-step sampling along the straight path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from world_model.diffusion.denoiser import Clip


def sample_future(
    flow: Callable[[Clip], Tensor], clip: Clip, *, num_steps: int
) -> Tensor:
    """Denoises the future frames of a clip by Euler's method.

    diffusers' schedulers take one noise level for a whole batch; here every frame
    has its own, because some futures start from a recalled frame and not from noise.

    Args:
        flow: Predicted flow (noise - clean) of every frame, e.g. `VideoDenoiser.flow`.
        clip: Future frames are at the level at which denoising begins, usually pure
            noise at level 1; the others stay as they are.
        num_steps: Equal steps from there to level 0.

    Returns:
        The future frames (M, L - num_extra - num_past, c, h, w).
    """
    first = clip.num_extra + clip.num_past
    start = clip.noise_levels[:, first:]
    future = clip.latents[:, first:]
    for step in range(num_steps):
        levels = clip.noise_levels.clone()
        levels[:, first:] = start * (1 - step / num_steps)
        noisy = torch.cat([clip.latents[:, :first], future], dim=1)
        velocity = flow(replace(clip, latents=noisy, noise_levels=levels))[:, first:]
        future = future - (start / num_steps)[..., None, None, None] * velocity
    return future
