"""Stages `fit` and `autoencoder`."""

from __future__ import annotations

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.plain import plain
from world_model.training.autoencoder import (
    AutoencoderConfig,
    check_correctable,
    fit_autoencoder,
    train_correction,
)
from world_model.training.stages.training import Job, Training


def fit(training: Training) -> Job:
    """The autoencoder's projection."""
    config = training.options(AutoencoderConfig, "autoencoder_training")
    model = FrameAutoencoder(**plain(training.cfg.autoencoder))
    return lambda: fit_autoencoder(model, training.data, training.output, config)


def autoencoder(training: Training) -> Job:
    """The correction of the autoencoder's decoder."""
    config = training.options(AutoencoderConfig, "autoencoder_training")
    check_correctable(training.planned_autoencoder())
    return lambda: train_correction(
        training.autoencoder(), training.data, training.output, config
    )
