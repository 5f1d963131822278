"""Stage `export`: what ships."""

from __future__ import annotations

from pathlib import Path

import torch

from world_model.training.export import check_target
from world_model.training.export import export as export_weights
from world_model.training.latents import encode_dataset
from world_model.training.stages.training import Job, Training


def export(training: Training) -> Job:
    """What ships."""
    if not training.cfg.weights:
        raise ValueError(
            f"`weights` must be a folder to write, got {training.cfg.weights}."
        )
    weights = Path(training.cfg.weights)
    check_target(weights)
    training.needs("autoencoder", "fit")
    training.needs("denoiser", "slow")
    placed = "position_probe" in training.earlier
    placed = placed or (training.output / "position_probe").exists()
    if "found" in training.meta.labels and not placed:
        training.needs("classifier", "classifier")

    def job() -> Path:
        cpu = torch.device("cpu")
        episodes = encode_dataset(training.data, training.autoencoder(), cpu)
        export_weights(training.output, weights, training.meta, episodes.min_change)
        return weights

    return job
