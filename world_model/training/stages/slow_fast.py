"""Stage `slow_fast`: the denoiser learns to use a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed
from omegaconf import DictConfig

from world_model.api import Memory
from world_model.device import default_device
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.fingerprint import encoder_fingerprint
from world_model.memory.build import NETS, build_memory
from world_model.options import make_options
from world_model.plain import plain
from world_model.pretrained import load_trained
from world_model.provenance import weights_digests
from world_model.shards import ShardMeta
from world_model.training.action_codes import ActionCodes, check_goals
from world_model.training.episodes import num_trained_on
from world_model.training.export import is_exported, with_denoiser
from world_model.training.latents import encode_dataset
from world_model.training.origin import claim_checkpoints
from world_model.training.queries import check_memory, latent_model
from world_model.training.question_batch import SlowFastConfig
from world_model.training.slow_fast import (
    check_snapshots,
    check_wrong_episodes,
    train_slow_fast,
)
from world_model.training.stages.training import Job, Training, trained_denoiser


def slow_fast(training: Training) -> Job:
    """The denoiser learns to use a memory."""
    cfg, meta = training.cfg, training.meta
    _check_slow_fast(training)
    fields = plain(cfg.slow_fast)
    fields["mix"] = plain(cfg.slow.mix) | fields.get("mix", {})
    config = make_options(SlowFastConfig, "slow_fast", fields)
    check_snapshots(config, training.num_actions)
    num_trained = num_trained_on(training.num_episodes, config.held_out)
    check_wrong_episodes(config, num_trained)
    check_goals(meta, config.mix.goal > 0)
    weights = _first_weights(cfg)
    folder = weights / "autoencoder"
    encode = load_trained(FrameAutoencoder, folder, name="autoencoder", stage="fit")
    denoiser = trained_denoiser(weights / "denoiser")
    encoder = encoder_fingerprint(encode)

    def make_memory(network: VideoDenoiser, min_change: float) -> Memory:
        model = latent_model(network, meta, min_change)
        return build_memory(plain(cfg.memory), model, weights, encoder)

    copy = VideoDenoiser.from_config(denoiser.config)  # a memory may attach adapters
    check_memory(make_memory(copy, 0.0))
    origin = _origin(cfg, weights, meta) | {"encoder": encoder}

    def job() -> Path:
        trained = _train(training, encode, denoiser, make_memory, config, origin)
        log, target = training.output / "slow_fast.csv", training.output / "weights"
        with_denoiser(weights, trained, log, target)
        return target

    return job


def _first_weights(cfg: DictConfig) -> Path:
    """Exported weights, which are written once more with another denoiser.

    Raises:
        ValueError: If the folder holds none.
    """
    weights = cfg.init or cfg.weights
    if not weights or not is_exported(Path(weights)):
        raise ValueError(
            f"`stage=slow_fast` starts from exported weights, got {weights}: run "
            "stage=export first, or set init= to the folder of some."
        )
    return Path(weights)


def _train(
    training: Training,
    autoencoder: FrameAutoencoder,
    denoiser: VideoDenoiser,
    make_memory: Callable[[VideoDenoiser, float], Memory],
    config: SlowFastConfig,
    origin: Mapping[str, object],
) -> VideoDenoiser:
    output, device = training.output, default_device()
    # What they were begun with, the snapshots beside them say.
    claim_checkpoints(output, {"stage": "slow_fast", **config.fixed()})
    autoencoder.to(device)
    episodes = encode_dataset(training.data, autoencoder, device, beside=True)
    set_seed(config.seed)
    return train_slow_fast(
        denoiser,
        lambda network: make_memory(network, episodes.min_change),
        episodes,
        ActionCodes.of(training.meta, None, goals=config.mix.goal > 0),
        output,
        config,
        origin={**origin, "episodes": len(episodes.actions)},
    )


def _origin(cfg: DictConfig, weights: Path, meta: ShardMeta) -> dict[str, Any]:
    """Names the memory and the data that snapshots are made with."""
    digests = weights_digests(weights)
    return {
        "memory": plain(cfg.memory),
        "nets": {part: x for part, x in digests.items() if part in NETS},
        "data": meta.provenance,
    }


def _check_slow_fast(training: Training) -> None:
    """Refuses what the slow-fast loop cannot train on or with.

    Raises:
        ValueError: If actions are vectors, the memory sets the model's context, or
            slow learning is to run in the same output.
    """
    if training.meta.bounds is not None:
        raise ValueError(
            f"`stage=slow_fast` needs actions that are phrases, got {training.data} of "
            "vectors: leave the stage out."
        )
    memory = training.cfg.memory
    if "context_frames" in memory:
        raise ValueError(
            f"`memory` must leave the model its context, got {memory.name}, which "
            "sets `context_frames`: choose another memory."
        )
    if "slow" in training.earlier:
        raise ValueError(
            "`stage=slow_fast` starts from exported weights and needs an output of its "
            f"own, got stage=[{','.join(training.earlier)},slow_fast]: run it by a "
            "command of its own."
        )
