"""Latents that a trained denoiser imagines, beside what was really there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from world_model.diffusion.denoiser import Clip, VideoDenoiser
from world_model.diffusion.sampler import sample_future
from world_model.training.action_codes import ActionCodes
from world_model.training.episodes import LatentEpisodes

_BATCH = 128


@dataclass(frozen=True)
class Imagined:
    """Chunk ends imagined open loop from two real ones, without memory.

    Attributes:
        latents: (M, c, h, w).
        episodes: (M,) which episode was imagined.
        ends: (M,) which of its chunk ends, counted from 0.
    """

    latents: Tensor
    episodes: np.ndarray
    ends: np.ndarray


def imagine(
    denoiser: VideoDenoiser,
    data: LatentEpisodes,
    codes: ActionCodes,
    *,
    count: int,
    depth: int,
    num_steps: int,
    rng: np.random.Generator,
) -> Imagined:
    """Imagines `count` chunk ends, at depths 1 ... `depth` in equal parts.

    Args:
        denoiser: Trained slow weights.
        data: Real episodes.
        codes: Of all actions; the first wording is used.
        count: Rounded up to whole rollouts.
        depth: Chunks imagined in a row.
        num_steps: Euler steps per chunk.
        rng: Draws starts and noise.
    """
    num_episodes, num_actions = data.actions.shape
    if depth >= num_actions:
        raise ValueError(
            f"Chunks imagined in a row must be fewer than the {num_actions} of an "
            f"episode, got {depth}: set a smaller depth or collect longer episodes."
        )
    size = max(1, -(-count // depth))
    episodes = rng.integers(num_episodes, size=size)
    starts = rng.integers(1, num_actions - depth + 1, size=size)
    vectors = codes.table[torch.from_numpy(codes.first)]
    parts = []
    batches = np.array_split(np.arange(size), max(1, -(-size // _BATCH)))
    for rows in track(batches, "imagining"):
        first = episodes[rows], starts[rows]
        parts.append(_rollout(denoiser, data, vectors, *first, depth, num_steps, rng))
    ends = starts[:, None] + 1 + np.arange(depth)
    return Imagined(
        torch.cat(parts).flatten(0, 1), episodes.repeat(depth), ends.reshape(-1)
    )


@torch.no_grad()
def _rollout(
    denoiser: VideoDenoiser,
    data: LatentEpisodes,
    vectors: Tensor,
    episodes: np.ndarray,
    starts: np.ndarray,
    depth: int,
    num_steps: int,
    rng: np.random.Generator,
) -> Tensor:
    """Latents (M, depth, c, h, w) after the chunk ends `starts`."""
    ends = data.ends
    frames = [ends[episodes, starts - 1].float(), ends[episodes, starts].float()]
    for t in range(depth):
        done = data.actions[episodes[:, None], starts[:, None] + [t - 1, t]]
        actions = torch.cat(
            [torch.zeros(len(done), 1, vectors.shape[1]), vectors[done]], dim=1
        )
        noise = rng.standard_normal(frames[0].shape, dtype=np.float32)
        last = torch.tensor([0.0, 0.0, 1.0]).expand(len(done), -1)
        latents = torch.stack([*frames[-2:], torch.from_numpy(noise)], dim=1)
        clip = Clip(latents, last, actions, last, num_extra=0, num_past=2)
        predicted = sample_future(denoiser.flow, clip, num_steps=num_steps)
        frames.append(predicted[:, 0])
    return torch.stack(frames[2:], dim=1)
