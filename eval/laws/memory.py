"""The laws of memories, tried with a tiny video diffusion model of random weights.

The dots of the toy world ignore what a memory says; this model does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from omegaconf import DictConfig

from eval.build import make_memory
from eval.checked_memory import CheckedMemory
from eval.laws.example import Example
from eval.laws.toy import dot_space
from eval.meter import MeteredWorldModel
from world_model.api import Memory, WorldModel
from world_model.core import Chunk
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel
from world_model.testing import MEMORY_LAWS, random_chunks, require


def readings_are_whole(
    make: Callable[[], Memory], model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """`read` returns None or a `Reading` of the right shapes, finite."""
    memory = CheckedMemory(make(), nullcontext)
    memory.reset(len(chunks[0].active), seeds=range(len(chunks[0].active)))
    for chunk in chunks:
        memory.write(chunk)
        start = model.start(chunk.context)
        noise = [torch.Generator().manual_seed(0) for _ in chunk.actions]
        model.extend(start, chunk.actions[:, None], memory=memory, generator=noise)
    require(memory.num_bytes >= 0, "`num_bytes` is a whole number")


# First: what it finds explains what the others would find.
LAWS = (readings_are_whole, *MEMORY_LAWS)


def examples(cfg: DictConfig) -> list[Example]:
    """Episodes of noise for the memory of `cfg.memory`.

    Raises:
        ValueError: If the memory reads simulator states, which noise has none of.
    """
    model = tiny_model()
    meter = MeteredWorldModel(model)

    def make() -> Memory:
        return make_memory(cfg, meter)

    if make().privileged:
        raise ValueError(
            f"`memory={cfg.memory.name}` must not read simulator states to be checked, "
            "got privileged = True: test it in an environment."
        )
    return [
        Example(
            f"{b} episodes of 3 chunks of noise, tiny random video model",
            (make, model, random_chunks(model, num_episodes=b)),
        )
        for b in (2, 4)
    ]


def tiny_model() -> VideoDiffusionWorldModel:
    """One layer of width 32 on images (3, 8, 8), the same every time."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1)
    space = dot_space()
    config = ModelConfig(
        space.phrases, space.inverses, 2, domain="toy", motions=space.motions
    )
    autoencoder = FrameAutoencoder(kind="identity", latent_channels=3)
    return VideoDiffusionWorldModel(autoencoder, denoiser, config)
