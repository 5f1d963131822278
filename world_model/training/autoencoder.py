"""Stages `fit` and `autoencoder`: the projection, and the decoder's correction.

Latents depend on the projection alone, so the correction may be trained before,
after or long after the stages that work on latents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.optimization import get_cosine_schedule_with_warmup
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.errors import at_least, positive, within
from world_model.fingerprint import encoder_fingerprint
from world_model.frames import to_env, to_model
from world_model.precision import mixed_precision
from world_model.shards import read_shards
from world_model.training.episodes import too_few
from world_model.training.fit import seeded
from world_model.training.latents import load_images, with_noise
from world_model.training.origin import check_checkpoints
from world_model.training.progress import Log, save_grid

_BATCH = 256
"""Images that are judged at once."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Hyper-parameters of stage one.

    Attributes:
        num_steps: Optimiser steps of the correction.
        batch_size: Images per step.
        learning_rate: Peak rate of AdamW.
        latent_noise: Largest standard deviation of the noise added to the latents:
            what the diffusion model gets wrong must still decode.
        edge_weight: Weight of the L1 error of image differences (sharp edges).
        seed: Seeds batches and noise.
        mixed_precision: "no", "bf16", or None: bf16 where the hardware has it.
        num_held_out: Images kept for validation, in whole episodes: the last ones.
        num_fit: Images the projection is fitted on.
    """

    num_steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 1e-3
    latent_noise: float = 0.2
    edge_weight: float = 1.0
    seed: int = 0
    mixed_precision: str | None = None
    num_held_out: int = 1024
    num_fit: int = 4096

    def __post_init__(self) -> None:
        at_least(1, num_steps=self.num_steps, batch_size=self.batch_size)
        at_least(1, num_held_out=self.num_held_out, num_fit=self.num_fit)
        positive(learning_rate=self.learning_rate)
        within(0, math.inf, latent_noise=self.latent_noise)
        within(0, math.inf, edge_weight=self.edge_weight)
        mixed_precision(self.mixed_precision)


def fit_autoencoder(
    model: FrameAutoencoder, data: Path, output: Path, config: AutoencoderConfig
) -> FrameAutoencoder:
    """Fits the projection of `model` and saves it to output/autoencoder.

    Raises:
        ValueError: If checkpoints in `output` were trained on other latents.
    """
    images = load_images(data, stride=5)
    rng = np.random.default_rng([config.seed, 0])
    picked = rng.permutation(len(images))[: config.num_fit]
    model.fit(to_model(images[picked]))
    check_checkpoints(output, {"encoder": encoder_fingerprint(model)})
    model.save_pretrained(output / "autoencoder")
    return model


def train_correction(
    model: FrameAutoencoder, data: Path, output: Path, config: AutoencoderConfig
) -> FrameAutoencoder:
    """Trains the decoder's correction and saves to output/autoencoder.

    Raises:
        ValueError: If images are their own latents.
    """
    check_correctable(model)
    model = _uncorrected(model, config.seed)
    images = load_images(data, stride=1)
    count = _num_held_out(data, len(images), config)
    train, held_out = len(images) - count, images[-count:]
    accelerator = Accelerator(mixed_precision=mixed_precision(config.mixed_precision))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    schedule = get_cosine_schedule_with_warmup(optimizer, 100, config.num_steps)
    model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
    log = Log(output / "autoencoder.csv")
    for step in track(range(config.num_steps), description="autoencoder"):
        rng = np.random.default_rng([config.seed, 2, step])
        batch = to_model(images[rng.choice(train, config.batch_size)])
        with accelerator.autocast():
            loss = _loss(model, batch.to(accelerator.device), config, rng)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        done = step + 1
        if done % 250 == 0 or done == config.num_steps:
            psnr = evaluate(model, held_out, accelerator.device)
            log.write(step=done, loss=loss.item(), psnr=psnr)
    shown = held_out[:: max(1, count // 16)][:16]
    held = to_model(shown).to(accelerator.device)
    with torch.no_grad():
        pairs = torch.cat([held, model.decode(model.encode(held))])
    save_grid(to_env(pairs), output / "autoencoder.png", columns=len(held))
    model.eval().save_pretrained(output / "autoencoder")
    return model


def check_correctable(model: FrameAutoencoder) -> None:
    """Refuses images that are their own latents.

    Raises:
        ValueError: If there is no decoder.
    """
    if model.identity:
        raise ValueError(
            "`stage=autoencoder` corrects a decoder, got autoencoder.kind=identity, "
            "which has none to correct: leave the stage out."
        )


def _uncorrected(model: FrameAutoencoder, seed: int) -> FrameAutoencoder:
    """The same projection with a correction that has learned nothing yet."""
    with seeded(seed):
        fresh: FrameAutoencoder = FrameAutoencoder.from_config(model.config)
    fresh.load_state_dict(dict(model.named_buffers()), strict=False)
    return fresh


def _num_held_out(data: Path, num_images: int, config: AutoencoderConfig) -> int:
    """How many images are judged: whole episodes, for neighbours tell of a frame.

    Raises:
        ValueError: If none would be left to train on.
    """
    episodes = sum(len(s["actions"]) for s in read_shards(data, only=("actions",)))
    each = num_images // episodes
    wanted = min(config.num_held_out, num_images // 4)  # of small sets, a quarter
    held_out = math.ceil(wanted / each)
    if held_out >= episodes:
        raise too_few(episodes)
    return held_out * each


@torch.no_grad()
def evaluate(
    model: FrameAutoencoder, images: np.ndarray, device: torch.device
) -> float:
    """PSNR [dB] of reconstructions of `images` (M, H, W, C) uint8."""
    total = 0.0
    for start in range(0, len(images), _BATCH):
        batch = to_model(images[start : start + _BATCH]).to(device)
        error = (model.decode(model.encode(batch)) - batch).square()
        total += float(error.mean()) * len(batch)
    return 10 * math.log10(4 * len(images) / total)


def _loss(
    model: FrameAutoencoder,
    images: Tensor,
    config: AutoencoderConfig,
    rng: np.random.Generator,
) -> Tensor:
    latents = model.encode(images)
    noisy = with_noise(latents, config.latent_noise, rng)
    decoded = model.raw_decode(noisy).float()
    loss = functional.l1_loss(decoded, images) + functional.mse_loss(decoded, images)
    return loss + config.edge_weight * _edge_error(decoded, images)


def _edge_error(a: Tensor, b: Tensor) -> Tensor:
    """L1 error of horizontal and vertical differences."""
    return sum(
        (functional.l1_loss(a.diff(dim=d), b.diff(dim=d)) for d in (-1, -2)),
        start=a.new_zeros(()),
    )
