"""Stage `slow`: the denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelerate.utils import set_seed
from omegaconf import DictConfig

from world_model.device import default_device, require_compiler
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser, with_coordinates
from world_model.fingerprint import encoder_fingerprint
from world_model.options import make_options
from world_model.plain import plain
from world_model.training.action_codes import ActionCodes, check_goals
from world_model.training.latents import (
    check_mirror,
    data_digest,
    encode_dataset,
    has_mirror,
)
from world_model.training.origin import check_checkpoints, claim_checkpoints
from world_model.training.slow import SlowConfig, check_codes, train_slow
from world_model.training.stages.training import Job, Training, trained_denoiser

_FIXED = tuple("batch_size warmup ema_decay seed held_out text_noise mirror".split())
"""Hyper-parameters that must not change on the way, beside those of the clips."""


def slow(training: Training) -> Job:
    """The denoiser."""
    cfg, meta = training.cfg, training.meta
    fields = plain(cfg.slow)
    if fields["mirror"] is None:
        fields["mirror"] = has_mirror(meta.phrases)
    config = make_options(SlowConfig, "slow", fields)
    if config.mirror:
        check_mirror(meta)
    if config.compile:
        require_compiler()
    check_goals(meta, config.mix.goal > 0)
    _check_length(training, max(config.mix.num_past))
    set_seed(config.seed)
    denoiser = _first_denoiser(cfg)
    _check_channels(denoiser, training.planned_autoencoder())
    if meta.bounds is None:
        check_codes(denoiser, ActionCodes.of(meta, None, goals=config.mix.goal > 0))
    origin = _origin(training, denoiser, config)
    check_checkpoints(training.output, origin)  # before `fit` writes over their codec
    return lambda: _train_slow(training, denoiser, config, origin)


def _first_denoiser(cfg: DictConfig) -> VideoDenoiser:
    """Fresh weights, or those of `init`.

    Raises:
        ValueError: If those of `init` are of another network than is asked for.
    """
    asked = plain(cfg.denoiser)
    if not cfg.init:
        return VideoDenoiser(**asked)
    init = trained_denoiser(Path(cfg.init))
    other = [
        f"{name}={value}, there {init.config[name]}"
        for name, value in asked.items()
        if name != "coordinates" and value != init.config[name]
    ]
    if other:
        raise ValueError(
            f"`denoiser` must be the network of init={cfg.init}, got "
            f"{'; '.join(other)}: ask for what is there, or leave init= out."
        )
    if cfg.denoiser.get("coordinates") and not init.config["coordinates"]:
        return with_coordinates(init)
    return init


def _train_slow(
    training: Training,
    denoiser: VideoDenoiser,
    config: SlowConfig,
    origin: Mapping[str, object],
) -> VideoDenoiser:
    autoencoder, device = training.autoencoder(), default_device()
    encoder = encoder_fingerprint(autoencoder)
    claim_checkpoints(training.output, {**origin, "encoder": encoder})
    episodes = encode_dataset(training.data, autoencoder.to(device), device)
    mirrored = None
    if config.mirror:
        mirrored = encode_dataset(training.data, autoencoder, device, mirrored=True)
    goals = config.mix.goal > 0
    codes = ActionCodes.of(training.meta, episodes.vectors, goals=goals)
    output = training.output
    return train_slow(denoiser, episodes, codes, output, config, mirrored=mirrored)


def _origin(
    training: Training, denoiser: VideoDenoiser, config: SlowConfig
) -> dict[str, object]:
    """What a training is begun with, but for the latents."""
    return {
        "stage": "slow",
        "data": data_digest(training.data),
        "init": training.cfg.init and str(training.cfg.init),
        "denoiser": {k: v for k, v in denoiser.config.items() if k[0] != "_"},
        **{name: getattr(config, name) for name in _FIXED},
        "mix": vars(config.mix),
    }


def _check_length(training: Training, num_past: int) -> None:
    """Refuses episodes that are shorter than the past of a clip.

    Raises:
        ValueError: With the length and the remedy.
    """
    length = training.num_actions
    if length < num_past:
        raise ValueError(
            f"`slow.mix.num_past` must be at most {length}, the actions of an episode "
            f"of {training.data}, got {num_past}: collect longer episodes."
        )


def _check_channels(denoiser: VideoDenoiser, autoencoder: FrameAutoencoder) -> None:
    """Refuses a denoiser of other latents.

    Raises:
        ValueError: With both numbers of channels.
    """
    asked = denoiser.config["latent_channels"]
    made = autoencoder.config["latent_channels"]
    if asked != made:
        raise ValueError(
            f"`denoiser.latent_channels` must be the autoencoder's {made}, got {asked}."
        )
