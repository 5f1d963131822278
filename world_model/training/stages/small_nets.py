"""Stages of the small nets that read latents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.shards import require_labels
from world_model.training.classifier import ClassifierConfig, train_classifier
from world_model.training.latents import check_mirror
from world_model.training.matcher import MatcherConfig, check_motions, train_matcher
from world_model.training.position_probe import (
    PositionProbeConfig,
    check_positions,
    train_position_probe,
)
from world_model.training.predictive_state import (
    PredictiveStateConfig,
    check_phrases,
    train_predictive_state,
)
from world_model.training.probe import ProbeConfig, train_probe
from world_model.training.stages.training import Config, Job, Training


def classifier(training: Training) -> Job:
    """The objective: what can be seen, and what is found."""
    config = training.options(ClassifierConfig, "classifier")
    labels = ["visible", "found"]
    require_labels(training.data, training.meta, "stage=classifier", labels)
    training.needs("autoencoder", "fit")
    if config.imagined:
        training.needs("denoiser", "slow")

    def job() -> object:
        denoiser = training.denoiser() if config.imagined else None
        autoencoder, output = training.autoencoder(), training.output
        return train_classifier(autoencoder, training.data, output, config, denoiser)

    return job


def matcher(training: Training) -> Job:
    """Which views show one place."""
    config = training.options(MatcherConfig, "matcher")
    check_motions(training.data, training.meta)
    if config.mirror:
        check_mirror(training.meta)
    return _on_latents(training, train_matcher, config)


def predictive_state(training: Training) -> Job:
    """What actions uncover and move."""
    config = training.options(PredictiveStateConfig, "predictive_state")
    check_phrases(training.data, training.meta)
    return _on_latents(training, train_predictive_state, config)


def probe(training: Training) -> Job:
    """Reads actions from views."""
    config = training.options(ProbeConfig, "probe")
    require_labels(training.data, training.meta, "stage=probe", ["moved"])
    return _on_latents(training, train_probe, config)


def position_probe(training: Training) -> Job:
    """Reads where objects are."""
    config = training.options(PositionProbeConfig, "position_probe")
    check_positions(training.data, training.meta)
    training.needs("autoencoder", "fit")
    training.needs("denoiser", "slow")
    return lambda: train_position_probe(
        training.autoencoder(),
        training.denoiser(),
        training.data,
        training.output,
        config,
    )


def _on_latents(
    training: Training,
    train: Callable[[FrameAutoencoder, Path, Path, Config], object],
    config: Config,
) -> Job:
    """A stage that needs nothing but the autoencoder."""
    training.needs("autoencoder", "fit")
    return lambda: train(training.autoencoder(), training.data, training.output, config)
