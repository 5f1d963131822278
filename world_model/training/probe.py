"""Trains the action probe on pairs of encoded real frames, a little noise on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.fingerprint import encoder_fingerprint
from world_model.probe import ActionProbe
from world_model.shards import read_meta, require_labels
from world_model.training.episodes import LatentEpisodes, split
from world_model.training.fit import FitConfig, fit, seeded
from world_model.training.latents import encode_dataset, with_noise
from world_model.training.progress import Log


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(FitConfig):
    """Hyper-parameters, beside those of every small net.

    It never learns from imagined latents, whose faults it would learn to forgive.

    Attributes:
        width: Channels.
    """

    num_steps: int = 2000
    width: int = 64


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
    with seeded(config.seed):
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
    rng = np.random.default_rng([config.seed, 5])

    def loss() -> Tensor:
        rows = torch.from_numpy(rng.integers(len(pairs), size=config.batch_size))
        x = with_noise(pairs[rows].float(), config.latent_noise, rng)
        return functional.cross_entropy(probe(x), actions[rows])

    def judge() -> dict[str, float]:
        return {"accuracy": accuracy(probe, *held_out)}

    fit(probe, loss, judge, config, log, label="action probe")


def accuracy(probe: ActionProbe, pairs: Tensor, actions: Tensor) -> float:
    """Share of pairs (M, 2, c, h, w) whose action the probe reads."""
    parts = zip(pairs.split(1024), actions.split(1024), strict=True)
    hits = [(probe.read(p[:, 0], p[:, 1]) == a).sum() for p, a in parts]
    return float(sum(hits) / len(actions))
