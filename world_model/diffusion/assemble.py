"""Puts the denoiser's clips together: parts of a batch, and what a memory adds."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from world_model.core import Reading
from world_model.diffusion.denoiser import Clip


def columns(
    clip: Clip, num_episodes: int, num_candidates: int, first: int, width: int
) -> Clip:
    """Candidates first .. first+width of every episode."""

    def cut(x: Tensor) -> Tensor:
        grid = x.reshape(num_episodes, num_candidates, *x.shape[1:])
        return grid[:, first : first + width].flatten(0, 1)

    return replace(
        clip,
        latents=cut(clip.latents),
        noise_levels=cut(clip.noise_levels),
        actions=cut(clip.actions),
        times=cut(clip.times),
    )


def with_extra(clip: Clip, reading: Reading, noise: Tensor, strength: float) -> Clip:
    """The clip with the reading's frames in front.

    Those that say nothing are marked as in training: pure noise, level 1. The noise
    is the future's, flipped, so that the two do not look like one frame. The last
    future frame of those that are recalled starts from the recalled frame, noised to
    `strength` (SDEdit, Meng et al. 2022), not from pure noise.
    """
    assert reading.frames is not None
    frames = reading.frames.flatten(0, 1)
    valid = torch.ones(len(frames), dtype=torch.bool)
    if reading.frames_valid is not None:
        valid = reading.frames_valid.flatten()
    valid = valid.to(frames.device)[:, None]
    size = frames.shape[:2]
    if reading.frames_recalled:
        start = 1 - (1 - strength) * valid.float()
        clip = _starting_from(clip, frames[:, -1], start[:, 0])
    filler = noise[:, :, -1:].flip(-1).flatten(0, 1)
    frames = torch.where(valid[..., None, None, None], frames, filler)
    actions = clip.actions.new_zeros(*size, clip.actions.shape[-1])
    return replace(
        clip,
        latents=torch.cat([frames, clip.latents], dim=1),
        noise_levels=torch.cat(
            [(~valid).float().expand(size), clip.noise_levels], dim=1
        ),
        actions=torch.cat([actions, clip.actions], dim=1),
        times=torch.cat(
            [clip.times.new_full(size, float(reading.frames_recalled)), clip.times],
            dim=1,
        ),
        num_extra=size[1],
    )


def _starting_from(clip: Clip, frames: Tensor, levels: Tensor) -> Clip:
    """The clip with its last future frame made of `frames` (M, c, h, w) and noise."""
    level = levels[:, None, None, None]
    # At level 1 this is the noise itself, whatever the frame holds.
    mixed = torch.where(
        level < 1,
        (1 - level) * frames + level * clip.latents[:, -1],
        clip.latents[:, -1],
    )
    noise_levels = torch.cat([clip.noise_levels[:, :-1], levels[:, None]], dim=1)
    latents = torch.cat([clip.latents[:, :-1], mixed[:, None]], dim=1)
    return replace(clip, latents=latents, noise_levels=noise_levels)
