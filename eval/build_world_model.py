"""Configuration -> the world model of a run, checked against its task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig
from rich.console import Console

from eval.make_part import make_part
from eval.run_spec import WEIGHTS
from world_model.api import WorldModel
from world_model.device import default_device, require_device
from world_model.precision import computes_in_bfloat16

if TYPE_CHECKING:
    from world_model.diffusion.model import VideoDiffusionWorldModel


def build_world_model(cfg: DictConfig) -> WorldModel:
    """The world model of `cfg.world_model`: a class of one's own, or a built-in one.

    Raises:
        ValueError: If it does not speak the actions of the task's domain.
    """
    if "_target_" in cfg.world_model:
        model = make_part("world_model", cfg.world_model, WorldModel)
        _check_actions(model, cfg)
        return model
    return _simulator(cfg) if cfg.world_model.name == "simulator" else _shipped(cfg)


def _simulator(cfg: DictConfig) -> WorldModel:
    from envs.simulator_model import SimulatorModel
    from world_model.diffusion.model import VideoDiffusionWorldModel

    domain = cfg.task.domain
    codec = VideoDiffusionWorldModel.from_pretrained(weights(cfg, domain))
    _check_domain(codec, cfg)
    return SimulatorModel(domain, codec=codec)


def _shipped(cfg: DictConfig) -> WorldModel:
    from world_model.diffusion.model import VideoDiffusionWorldModel

    options = cfg.world_model
    if options.device:
        require_device(options.device)
    model = VideoDiffusionWorldModel.from_pretrained(
        weights(cfg, cfg.task.domain),
        device=options.device or str(default_device()),
        num_context_frames=cfg.memory.get("context_frames", options.num_context_frames),
        num_sampling_steps=options.num_sampling_steps,
        precision=options.precision,
        recall_strength=options.recall_strength,
    )
    _check_domain(model, cfg)
    _warn_of_emulation(options.precision, model.device.type)
    return model


def _warn_of_emulation(precision: str, device: str) -> None:
    """Says so, where a precision that was asked for is slow and not fast."""
    if precision == "bfloat16" and not computes_in_bfloat16(device):
        Console(stderr=True).print(
            f"`world_model.precision=bfloat16` is emulated on this {device}, many "
            "times slower than float32: leave it out.",
            soft_wrap=True,
        )


def weights(cfg: DictConfig, domain: str) -> Path:
    """The folder with a domain's weights."""
    return Path(cfg.world_model.get("weights") or WEIGHTS / domain)


def _check_domain(model: VideoDiffusionWorldModel, cfg: DictConfig) -> None:
    """Refuses weights that were trained on another domain than the task's."""
    if model.config.domain != cfg.task.domain:
        raise ValueError(
            f"`world_model.weights` must be trained on {cfg.task.domain}, got "
            f"{weights(cfg, cfg.task.domain)} of {model.config.domain}: name other "
            "weights or another task."
        )


def _check_actions(model: WorldModel, cfg: DictConfig) -> None:
    """Refuses a model of one's own that was made for another domain."""
    from envs.domains import any_domain_class

    domain = any_domain_class(cfg.task.domain)
    theirs = (domain.action_space, domain.chunk_length)
    if (model.action_space, model.chunk_length) != theirs:
        raise ValueError(
            f"`world_model={cfg.world_model.name}` must have the actions of "
            f"{domain.id}, {domain.action_space}, and {domain.chunk_length} frames per "
            f"action, got {model.action_space} and {model.chunk_length}: choose "
            "another task or correct the model."
        )


def encoder_of(model: WorldModel) -> str:
    """The fingerprint of the model's autoencoder; empty if it has none."""
    from world_model.fingerprint import encoder_fingerprint

    # The simulator's latents are those of its codec.
    codec = getattr(model, "codec", None) or model
    autoencoder = getattr(codec, "autoencoder", None)
    return "" if autoencoder is None else encoder_fingerprint(autoencoder)
