"""Tiny models: random weights, 8x8 images that are their own latents."""

from __future__ import annotations

import pytest
import torch

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel

PHRASES = ("up", "down", "left", "right")


def make_tiny(**options) -> VideoDiffusionWorldModel:
    """A one-layer video diffusion model on (3, 8, 8), the same every time."""
    target = options.pop("target", "flow")
    bounds = options.pop("bounds", None)
    told_goals = options.pop("told_goals", False)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(
            latent_channels=3,
            width=32,
            num_layers=1,
            target=target,
            told_goals=told_goals,
        )
    autoencoder = FrameAutoencoder(kind="identity", latent_channels=3)
    config = ModelConfig(PHRASES, (1, 0, 3, 2), chunk_length=2, domain="toy")
    if bounds is not None:
        config = ModelConfig((), (), chunk_length=2, domain="toy", bounds=bounds)
    return VideoDiffusionWorldModel(autoencoder, denoiser, config, **options)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Threads cost more than such small models take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny():
    return make_tiny()


@pytest.fixture(name="make_tiny")
def _make_tiny():
    return make_tiny
