"""Generates long videos open loop, the memory written along the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from rich.progress import track
from torch import nn

from eval.build import Parts
from eval.clock import now
from eval.generation.long_walk import LongWalk
from planners.mpc import MPCPolicy
from world_model.api import WorldModel, generators
from world_model.core import Chunk, Context
from world_model.frames import to_env, to_model


@dataclass(frozen=True)
class Generated:
    """Videos of several walks, made in lockstep; costs are NaN where nothing was made.

    Attributes:
        frames: (B, T * F, H, W, C) uint8.
        seconds: Imagining one chunk of one video took [s].
        write_seconds: Writing it took [s].
        memory_bytes: Of the memory of one video at the end.
        model_bytes: Of the world model's weights; 0 if it has none.
    """

    frames: np.ndarray
    seconds: float
    write_seconds: float
    memory_bytes: float
    model_bytes: float


def generate(parts: Parts, walks: Sequence[LongWalk], name: str) -> Generated:
    """Each chunk after the imagined one before, then written (paper, Algorithm 1a).

    Args:
        parts: A learned world model and a memory.
        walks: Equally long ones.
        name: Of the row, for the progress bar.

    Raises:
        ValueError: If the parts cannot generate.
    """
    model, memory = generating_model(parts), parts.memory
    assert memory is not None
    assert parts.world_model is not None
    seeds = [walk.seed for walk in walks]
    memory.reset(len(walks), seeds=seeds)
    noise = generators(seeds)
    active = torch.ones(len(walks), dtype=torch.bool)
    context, chunks, spent = _start(model, walks), [], np.zeros(2)
    steps = torch.tensor([walk.actions for walk in walks]).T
    for step in track(steps, description=f"generating, {name}"):
        began = now()
        rollout = model.rollout(
            context,
            step[:, None, None],
            memory=memory,
            generator=noise,
            all_frames=True,
        )
        frames = rollout.frames[:, 0, 0].cpu()
        imagined = now()
        memory.write(Chunk(context, step, frames, active=active))
        spent += imagined - began, now() - imagined
        chunks.append(to_env(frames))
        latents = rollout.latents[:, 0, 0, -1:]
        longer = _longer(context, step, frames[:, -1:], latents)
        context = longer.last(model.num_context_frames)
    seconds, write_seconds = (spent / steps.numel()).tolist()
    video = np.concatenate(chunks, axis=1)
    weights = _num_bytes(parts.world_model)
    return Generated(video, seconds, write_seconds, memory.num_bytes, weights)


def generating_model(parts: Parts) -> WorldModel:
    """The world model of parts that generate from images alone.

    Raises:
        ValueError: If there is none, or it or the memory reads simulator states.
    """
    policy = parts.policy
    if not isinstance(policy, MPCPolicy) or policy.privileged:
        raise ValueError(
            "`suite=generate` needs a world model and a memory that read images only, "
            "got a policy without, or one that reads simulator states: choose "
            "planner=mpc, a learned world_model= and another memory than oracle."
        )
    return policy.world_model


def _start(model: WorldModel, walks: Sequence[LongWalk]) -> Context:
    frames = to_model(np.stack([walk.first_image for walk in walks]))[:, None]
    return Context(
        actions=torch.zeros((len(walks), 0), dtype=torch.int64),
        frames=frames,
        latents=model.encode(frames),
    )


def _longer(
    context: Context, action: torch.Tensor, frame: torch.Tensor, latent: torch.Tensor
) -> Context:
    assert context.frames is not None
    assert context.latents is not None
    return replace(
        context,
        actions=torch.cat([context.actions, action[:, None]], dim=1),
        frames=torch.cat([context.frames, frame], dim=1),
        latents=torch.cat([context.latents, latent], dim=1),
    )


def _num_bytes(model: object) -> int:
    parts = vars(model).values()
    inner = sum(_num_bytes(part) for part in parts if isinstance(part, WorldModel))
    nets = [part for part in parts if isinstance(part, nn.Module)]
    tensors = [x for net in nets for x in (*net.parameters(), *net.buffers())]
    return inner + sum(tensor.nbytes for tensor in tensors)
