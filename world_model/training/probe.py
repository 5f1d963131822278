"""Trains the action probe on pairs of encoded real frames, a little noise on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.fingerprint import encoder_fingerprint
from world_model.probe import ActionProbe
from world_model.shards import read_meta, require_labels
from world_model.training.episodes import LatentEpisodes, split
from world_model.training.latents import encode_dataset, with_noise
from world_model.training.progress import Log


@dataclass(frozen=True)
class ProbeConfig:
    """Hyper-parameters.

    Attributes:
        num_steps: Optimiser steps.
        batch_size: Pairs per step.
        learning_rate: Rate of AdamW.
        latent_noise: Largest standard deviation of noise on the latents: imagined
            ones are never exact. Never imagined ones themselves, whose faults the
            probe would learn to forgive.
        width: Channels.
        held_out: Share of episodes kept for validation.
        evaluate_every: Steps between validations.
        seed: Seeds weights and batches.
    """

    num_steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 1e-3
    latent_noise: float = 0.3
    width: int = 64
    held_out: float = 0.05
    evaluate_every: int = 500
    seed: int = 0


def train_probe(
    autoencoder: FrameAutoencoder, data: Path, output: Path, config: ProbeConfig
) -> ActionProbe:
    """Trains on `data` and saves to output/probe; prints held-out accuracy.

    Raises:
        ValueError: If the data set does not say which actions were blocked.
    """
    meta = read_meta(data)
    require_labels(data, meta, "stage=probe", ["moved"])
    episodes = encode_dataset(data, autoencoder, torch.device("cpu"))
    train, held_out = split(episodes, config.held_out)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        probe = ActionProbe(
            phrases=meta.phrases,
            encoder=encoder_fingerprint(autoencoder),
            latent_channels=episodes.latents.shape[-3],
            latent_size=episodes.latents.shape[-1],
            width=config.width,
        )
    log = Log(output / "probe.csv")
    fit_probe(probe, action_pairs(train), action_pairs(held_out), config, log)
    probe.eval().save_pretrained(output / "probe")
    return probe


def action_pairs(episodes: LatentEpisodes) -> tuple[Tensor, Tensor]:
    """Latents around every action that was not blocked, and the actions.

    Returns:
        Pairs (M, 2, c, h, w) and actions (M,) int64.
    """
    ends = episodes.ends
    assert episodes.moved is not None
    moved = torch.from_numpy(episodes.moved)
    pairs = torch.stack([ends[:, :-1][moved], ends[:, 1:][moved]], dim=1)
    return pairs, torch.from_numpy(episodes.actions)[moved]


def fit_probe(
    probe: ActionProbe,
    train: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    config: ProbeConfig,
    log: Log,
) -> None:
    """Minimises cross-entropy; writes loss and held-out accuracy to `log`."""
    pairs, actions = train
    optimizer = torch.optim.AdamW(probe.parameters(), lr=config.learning_rate)
    rng = np.random.default_rng([config.seed, 5])
    for step in track(range(config.num_steps), description="action probe"):
        rows = torch.from_numpy(rng.integers(len(pairs), size=config.batch_size))
        x = with_noise(pairs[rows].float(), config.latent_noise, rng)
        loss = functional.cross_entropy(probe(x), actions[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        done = step + 1
        if done % config.evaluate_every == 0 or done == config.num_steps:
            log.write(step=done, loss=loss.item(), accuracy=accuracy(probe, *held_out))


def accuracy(probe: ActionProbe, pairs: Tensor, actions: Tensor) -> float:
    """Share of pairs (M, 2, c, h, w) whose action the probe reads."""
    parts = zip(pairs.split(1024), actions.split(1024), strict=True)
    hits = [(probe.read(p[:, 0], p[:, 1]) == a).sum() for p, a in parts]
    return float(sum(hits) / len(actions))
