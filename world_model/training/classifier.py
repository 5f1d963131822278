"""Trains the goal classifier on encoded real frames, with noise on the latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from world_model.classifier import GoalClassifier
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.shards import read_meta, read_shards
from world_model.training.latents import encode_dataset
from world_model.training.progress import Log


@dataclass(frozen=True)
class ClassifierConfig:
    """Hyper-parameters.

    Attributes:
        num_steps: Optimiser steps.
        batch_size: Latents per step.
        learning_rate: Rate of AdamW.
        latent_noise: Largest standard deviation of noise on the latents: imagined
            latents are never exact.
        full_size: Share of the image's pixels at which a target counts as fully
            visible.
        held_out: Share of episodes kept for validation.
        seed: Seeds weights and batches.
    """

    num_steps: int = 3000
    batch_size: int = 256
    learning_rate: float = 1e-3
    latent_noise: float = 0.5
    full_size: float = 0.06
    held_out: float = 0.05
    seed: int = 0


def train_classifier(
    autoencoder: FrameAutoencoder, data: Path, output: Path, config: ClassifierConfig
) -> GoalClassifier:
    """Trains on chunk ends of `data` and saves to output/classifier."""
    latents, visible, found = _labelled(autoencoder, data, config)
    count = int(len(latents) * (1 - config.held_out))
    torch.random.fork_rng()
    model = GoalClassifier(
        objects=read_meta(data).objects,
        latent_channels=latents.shape[1],
        latent_size=latents.shape[-1],
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    rng = np.random.default_rng([config.seed, 4])
    positive = torch.nonzero(found[:count].any(dim=1))[:, 0]
    log = Log(output / "classifier.csv")
    for step in track(range(config.num_steps), description="classifier"):
        # Half of every batch shows a goal: they are rare among random views.
        half = config.batch_size // 2
        rows = torch.cat(
            [
                torch.from_numpy(rng.integers(count, size=half)),
                positive[torch.from_numpy(rng.integers(len(positive), size=half))],
            ]
        )
        x = latents[rows].float()
        noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
        scale = torch.from_numpy(rng.uniform(0, config.latent_noise, (len(x), 1, 1, 1)))
        out = model(x + noise * scale.float())
        loss = functional.binary_cross_entropy_with_logits(
            out[:, 0], found[rows].float()
        ) + functional.binary_cross_entropy_with_logits(out[:, 1], visible[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 500 == 0 or step == config.num_steps - 1:
            log.write(
                step=step,
                loss=loss.item(),
                auroc=auroc(model, latents[count:], found[count:]),
            )
    model.eval().save_pretrained(output / "classifier")
    return model


@torch.no_grad()
def auroc(model: GoalClassifier, latents: Tensor, found: Tensor) -> float:
    """Area under the ROC curve of "found" over all (view, object) pairs.

    The probability that a view that shows a goal reached scores above one that does
    not (Mann-Whitney).
    """
    scores, labels = model(latents.float())[:, 0].numpy(), found.numpy()
    return float(placements(scores[labels], scores[~labels]).mean())


def placements(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """For each positive the share of negatives that score lower, ties counted half.

    Their mean is the area under the ROC curve (Mann-Whitney), so that its interval
    can resample whole episodes.
    """
    if not len(negatives):
        return np.full(len(positives), np.nan)
    ordered = np.sort(negatives)
    lower = np.searchsorted(ordered, positives, side="left")
    not_higher = np.searchsorted(ordered, positives, side="right")
    return (lower + not_higher) / (2 * len(negatives))


def _labelled(
    autoencoder: FrameAutoencoder, data: Path, config: ClassifierConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents (M, c, h, w), visibility (M, O) in [0, 1] and found (M, O) bool."""
    episodes = encode_dataset(data, autoencoder, torch.device("cpu"))
    latents = episodes.latents[:, :: episodes.chunk_length].flatten(0, 1)
    shards = list(read_shards(data))
    pixels = np.concatenate([s["visible"] for s in shards])
    found = np.concatenate([s["found"] for s in shards])
    height, width = shards[0]["frames"].shape[2:4]
    share = pixels / (height * width * config.full_size)
    visible = torch.from_numpy(np.minimum(share, 1.0).astype(np.float32))
    return latents, visible.flatten(0, 1), torch.from_numpy(found).flatten(0, 1)
