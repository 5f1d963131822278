"""The laws of memories, tried with a tiny video diffusion model of random weights.

The dots of the toy world ignore what a memory says; this model does not.
"""

from __future__ import annotations

import torch
from omegaconf import DictConfig

from eval.build import make_memory
from eval.laws.example import Example
from eval.laws.toy import dot_space
from eval.meter import MeteredWorldModel
from world_model.api import Memory
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel
from world_model.testing import MEMORY_LAWS, random_chunks

LAWS = MEMORY_LAWS


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
