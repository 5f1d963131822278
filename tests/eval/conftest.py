"""Random tiny weights of the scroll domain, as a folder of shipped weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from envs.scroll.domain import ScrollDomain
from world_model.classifier import GoalClassifier
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel


def make_scroll_model(**options) -> VideoDiffusionWorldModel:
    """One layer of width 32, untrained, the same every time."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        denoiser = VideoDenoiser(latent_channels=3, width=32, num_layers=1)
    space = ScrollDomain.action_space
    config = ModelConfig(
        space.phrases, space.inverses, ScrollDomain.chunk_length, ScrollDomain.id
    )
    autoencoder = FrameAutoencoder(kind="identity", latent_channels=3)
    return VideoDiffusionWorldModel(autoencoder, denoiser, config, **options)


@pytest.fixture(scope="session")
def scroll_weights(tmp_path_factory) -> Path:
    """A folder that `world_model.weights` may name."""
    folder = tmp_path_factory.mktemp("scroll-weights")
    make_scroll_model().save_pretrained(folder)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        classifier = GoalClassifier(
            objects=list(ScrollDomain.vocabulary), latent_channels=3, latent_size=8
        )
    classifier.save_pretrained(folder / "classifier")
    return folder


@pytest.fixture(name="make_scroll_model")
def _make_scroll_model():
    return make_scroll_model
