"""Few-step sampling along the straight path, with diffusers' Euler scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from world_model.diffusion.denoiser import Clip


def sample_future(
    flow: Callable[[Clip], Tensor], clip: Clip, *, num_steps: int
) -> Tensor:
    """Denoises the future frames of a clip.

    Args:
        flow: Predicted flow of every frame, e.g. `VideoDenoiser.flow`.
        clip: Future frames hold pure noise at level 1; the others stay as they are.
        num_steps: Euler steps from noise level 1 to 0.

    Returns:
        The future frames (M, L - num_extra - num_past, c, h, w).
    """
    first = clip.num_extra + clip.num_past
    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
    sigmas = [1 - i / num_steps for i in range(num_steps)]
    scheduler.set_timesteps(sigmas=sigmas, device=clip.latents.device)
    future = clip.latents[:, first:]
    for timestep in scheduler.timesteps:
        levels = clip.noise_levels.clone()
        levels[:, first:] = timestep / scheduler.config.num_train_timesteps
        noisy = torch.cat([clip.latents[:, :first], future], dim=1)
        velocity = flow(replace(clip, latents=noisy, noise_levels=levels))[:, first:]
        future = scheduler.step(velocity, timestep, future, return_dict=False)[0]
    return future
