"""Stage two, slow learning: trains the denoiser on encoded episodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.sampler import sample_future
from world_model.errors import at_least, within
from world_model.training.action_codes import ActionCodes
from world_model.training.clips import ClipMix, TrainingBatch, sample_batch
from world_model.training.episodes import LatentEpisodes, joined, split
from world_model.training.loop import Batch, LoopConfig, TrainingLoop


@dataclass(frozen=True, kw_only=True)
class SlowConfig(LoopConfig):
    """Hyper-parameters of slow learning, beside those of the loop.

    Attributes:
        batch_size: Clips per step.
        seed: Seeds batches and noise; with it a resumed run repeats an unbroken one.
        held_out: Share of episodes kept for validation.
        text_noise: Standard deviation of noise on phrase embeddings.
        mirror: Also train on what a mirror shows of every episode.
        compile: Compile the transformer's blocks; pays after some hundred steps.
        mix: Kinds of clips.
    """

    num_steps: int = 8000
    learning_rate: float = 1e-3
    warmup: int = 300
    ema_decay: float = 0.999
    evaluate_every: int = 500
    batch_size: int = 64
    seed: int = 0
    held_out: float = 0.03
    text_noise: float = 0.2
    mirror: bool = False
    compile: bool = False
    mix: ClipMix = field(default_factory=ClipMix)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, batch_size=self.batch_size)
        within(0, 1, held_out=self.held_out)
        within(0, math.inf, text_noise=self.text_noise)


def train_slow(
    denoiser: VideoDenoiser,
    data: LatentEpisodes,
    codes: ActionCodes,
    output: Path,
    config: SlowConfig,
    *,
    mirrored: LatentEpisodes | None = None,
) -> VideoDenoiser:
    """Trains the denoiser and returns its moving average.

    Args:
        denoiser: The network, freshly made or warm.
        data: Encoded episodes.
        codes: What it reads of every action.
        output: Folder for checkpoints, log and the final weights.
        config: Hyper-parameters.
        mirrored: The same episodes seen in a mirror, or None.

    Raises:
        ValueError: If the denoiser reads codes of another size.
    """
    check_codes(denoiser, codes)
    train, held_out = split(data, config.held_out)
    if mirrored is not None:
        train = joined(train, split(mirrored, config.held_out)[0])
    # Goals that are not rehearsed are forgotten.
    denoiser.register_to_config(told_goals=bool(config.mix.goal))
    if config.compile:
        denoiser.backbone.compile_repeated_blocks()
    return TrainingLoop(denoiser, output, config).run(
        lambda step: _batch(train, codes, config, step),
        lambda network: evaluate(network, held_out, codes),
        log="slow.csv",
        label="slow learning",
    )


def check_codes(denoiser: VideoDenoiser, codes: ActionCodes) -> None:
    """Refuses a denoiser that reads codes of another size.

    Raises:
        ValueError: With both sizes.
    """
    size = codes.table.shape[1]
    if denoiser.config["text_dim"] != size:
        raise ValueError(
            f"`denoiser.text_dim` must be {size}, the size of what is read of these "
            f"data's actions, got {denoiser.config['text_dim']}."
        )


def _batch(
    train: LatentEpisodes, codes: ActionCodes, config: SlowConfig, step: int
) -> Batch:
    """The batch of one step, which follows from the seed and the step alone."""
    rng = np.random.default_rng([config.seed, 3, step])
    batch = sample_batch(train, config.mix, config.batch_size, rng)
    return with_actions(batch, codes, rng, config.text_noise), {}


def with_actions(
    batch: TrainingBatch,
    codes: ActionCodes,
    rng: np.random.Generator,
    text_noise: float = 0.0,
) -> TrainingBatch:
    """Fills in the codes of actions, noised by `text_noise` where they are phrases."""
    ids = batch.action_ids.numpy()
    picked = codes.pick(ids, rng)
    if text_noise and codes.named:
        noise = rng.standard_normal(picked.shape, dtype=np.float32)
        present = torch.from_numpy(ids >= 0)[..., None]
        picked = picked + present * text_noise * torch.from_numpy(noise)
    return replace(batch, clip=replace(batch.clip, actions=picked))


@torch.compiler.set_stance("force_eager")
@torch.no_grad()
def evaluate(
    network: VideoDenoiser, held_out: LatentEpisodes, codes: ActionCodes
) -> dict[str, float]:
    """Latent-space error of two-step predictions, per action.

    Returns:
        For each phrase, `skill_<action>`: 10 log10 of (error of repeating the last
        frame / error of the prediction) [dB], on fixed held-out clips of actions that
        were not blocked; nan without any. For vectors one number, `skill`.
    """
    mix = ClipMix(
        balanced=1.0,
        short=1.0,
        extra=0.0,
        conditional=1.0,
        independent=0.0,
        reverse=0.0,
        num_past={2: 1.0},
    )
    rng = np.random.default_rng(0)
    batch = with_actions(sample_batch(held_out, mix, 512, rng), codes.first_only, rng)
    past = batch.clean[:, :-1]
    noise = torch.from_numpy(rng.standard_normal(past[:, :1].shape, dtype=np.float32))
    clip = replace(
        batch.clip,
        latents=torch.cat([past, noise], dim=1),
        noise_levels=torch.tensor([0.0, 0.0, 1.0]).expand(len(past), -1),
    )
    device = next(network.parameters()).device
    predicted = sample_future(network.flow, clip.to(device), num_steps=2).cpu()
    error = (predicted - batch.clean[:, -1:]).square().mean(dim=(1, 2, 3, 4))
    repeat = (past[:, -1:] - batch.clean[:, -1:]).square().mean(dim=(1, 2, 3, 4))
    ids = batch.action_ids[:, -1]
    groups = {"skill": ids >= 0}
    if codes.named:
        groups = {f"skill_{a}": ids == a for a in range(len(held_out.inverses))}
    # Not `math.log10`, which refuses clips in which nothing moves at all.
    return {
        name: 10 * float((repeat[rows].mean() / error[rows].mean()).log10())
        for name, rows in groups.items()
    }
