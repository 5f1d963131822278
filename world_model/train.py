"""Trains a world model: `python -m world_model.train stage=slow domain=rooms`.

Stages in their order: fit (the autoencoder's projection), slow (the denoiser),
autoencoder (its correction), classifier (the objective), matcher (which views show
one place, for memories by pose), predictive_state (what actions uncover and move, for
the memory of that name), probe (the judge of `eval.run suite=quality`),
position_probe (how far imagined objects are from where they should be), slow_fast (the
denoiser learns to use a memory), export (what ships).

Every stage reads the data sets that `python -m envs.collect` or `python -m
envs.convert` wrote. An interrupted slow or slow_fast continues from its newest
checkpoint, the others begin again. Several stages run one after the other:
`'stage=[fit,slow,autoencoder,export]'`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from world_model.errors import told_in_one_line, unknown_name
from world_model.names import check_group_names
from world_model.plain import plain
from world_model.plugins import register_configs
from world_model.shards import read_meta

if TYPE_CHECKING:  # importing them takes time: `--help` answers at once
    from world_model.diffusion.autoencoder import FrameAutoencoder
    from world_model.diffusion.denoiser import VideoDenoiser
    from world_model.shards import ShardMeta


@hydra.main(config_path="../configs", config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Runs one stage, or several."""
    with told_in_one_line():
        _run(cfg)


def _run(cfg: DictConfig) -> None:
    stages = {
        "fit": _fit,
        "autoencoder": _autoencoder,
        "slow": _slow,
        "slow_fast": _slow_fast,
        "classifier": _classifier,
        "matcher": _matcher,
        "predictive_state": _predictive_state,
        "probe": _probe,
        "position_probe": _position_probe,
        "export": _export,
    }
    chosen = [cfg.stage] if isinstance(cfg.stage, str) else list(cfg.stage)
    for stage in chosen:
        if stage not in stages:
            raise unknown_name("stage", stage, stages)
    if cfg.threads:
        import torch

        torch.set_num_threads(cfg.threads)
    _check_split(read_meta(Path(cfg.data)), cfg.data)
    output = Path(cfg.output)
    output.mkdir(parents=True, exist_ok=True)
    for stage in chosen:
        stages[stage](cfg, Path(cfg.data), output)
    print(f"results: {output}")


def _check_split(meta: ShardMeta, data: str) -> None:
    """Refuses episodes that are there to be judged on.

    Raises:
        ValueError: If they are of validation or test seeds.
    """
    split = meta.provenance.get("split", "train")
    if split != "train":
        raise ValueError(
            f"`data` must hold training episodes, got {data} of split={split}: "
            "collect with split=train, or train on other data."
        )


def _trained_autoencoder(folder: Path) -> FrameAutoencoder:
    from world_model.diffusion.autoencoder import FrameAutoencoder
    from world_model.pretrained import load_trained

    path = folder / "autoencoder"
    return load_trained(FrameAutoencoder, path, name="autoencoder", stage="fit")


def _trained_denoiser(folder: Path) -> VideoDenoiser:
    from world_model.diffusion.denoiser import VideoDenoiser
    from world_model.pretrained import load_trained

    return load_trained(VideoDenoiser, folder, name="denoiser", stage="slow")


def _fit(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.diffusion.autoencoder import FrameAutoencoder
    from world_model.training.autoencoder import AutoencoderConfig, fit_autoencoder

    model = FrameAutoencoder(**plain(cfg.autoencoder))
    config = AutoencoderConfig(**plain(cfg.autoencoder_training))
    fit_autoencoder(model, data, output, config)


def _autoencoder(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.training.autoencoder import AutoencoderConfig, train_correction

    model = _trained_autoencoder(output)
    config = AutoencoderConfig(**plain(cfg.autoencoder_training))
    train_correction(model, data, output, config)


def _slow(cfg: DictConfig, data: Path, output: Path) -> None:
    from accelerate.utils import set_seed

    from world_model.device import default_device
    from world_model.diffusion.denoiser import VideoDenoiser, with_coordinates
    from world_model.training.action_codes import ActionCodes
    from world_model.training.clips import ClipMix
    from world_model.training.latents import encode_dataset, has_mirror
    from world_model.training.slow import SlowConfig, train_slow

    meta = read_meta(data)
    fields = plain(cfg.slow)
    if fields["mirror"] is None:
        fields["mirror"] = has_mirror(meta.phrases)
    mix = ClipMix(**fields.pop("mix", {}))
    config = SlowConfig(**fields, mix=mix)
    autoencoder = _trained_autoencoder(output)
    init = _trained_denoiser(Path(cfg.init)) if cfg.init else None
    device = default_device()
    episodes = encode_dataset(data, autoencoder.to(device), device)
    set_seed(config.seed)
    denoiser = VideoDenoiser(**plain(cfg.denoiser))
    if init is not None:
        denoiser = init
        if cfg.denoiser.get("coordinates") and not denoiser.config["coordinates"]:
            denoiser = with_coordinates(denoiser)
    mirrored = None
    if config.mirror:
        mirrored = encode_dataset(data, autoencoder, device, mirrored=True)
    codes = ActionCodes.of(meta, episodes, goals=mix.goal > 0)
    train_slow(denoiser, episodes, codes, output, config, mirrored=mirrored)


def _slow_fast(cfg: DictConfig, data: Path, output: Path) -> None:
    from accelerate.utils import set_seed

    from world_model.api import Memory
    from world_model.device import default_device
    from world_model.fingerprint import encoder_fingerprint
    from world_model.memory.build import build_memory
    from world_model.training.action_codes import ActionCodes
    from world_model.training.clips import ClipMix
    from world_model.training.export import with_denoiser
    from world_model.training.latents import encode_dataset
    from world_model.training.queries import latent_model
    from world_model.training.question_batch import SlowFastConfig
    from world_model.training.slow_fast import train_slow_fast

    meta = read_meta(data)
    _check_slow_fast(cfg, meta)
    fields = plain(cfg.slow_fast)
    mix = plain(cfg.slow.mix) | fields.get("mix", {})
    config = SlowFastConfig(**fields | {"mix": ClipMix(**mix)})
    weights = Path(cfg.init or cfg.weights)
    autoencoder = _trained_autoencoder(weights)
    denoiser = _trained_denoiser(weights / "denoiser")
    device = default_device()
    episodes = encode_dataset(data, autoencoder.to(device), device, beside=True)
    encoder = encoder_fingerprint(autoencoder)

    def make_memory(network: VideoDenoiser) -> Memory:
        model = latent_model(network, meta, episodes.min_change)
        return build_memory(plain(cfg.memory), model, weights, encoder)

    set_seed(config.seed)
    codes = ActionCodes.of(meta, episodes, goals=config.mix.goal > 0)
    origin = _origin(cfg, weights, meta) | {
        "encoder": encoder,
        "episodes": len(episodes.actions),
    }
    trained = train_slow_fast(
        denoiser, make_memory, episodes, codes, output, config, origin=origin
    )
    with_denoiser(weights, trained, output / "slow_fast.csv", output / "weights")
    print(f"weights: {output / 'weights'}")


def _check_slow_fast(cfg: DictConfig, meta: ShardMeta) -> None:
    """Refuses what the slow-fast loop cannot train on or with.

    Raises:
        ValueError: If actions are vectors or the memory sets the model's context.
    """
    if meta.bounds is not None:
        raise ValueError(
            f"`stage=slow_fast` needs actions that are phrases, got {cfg.data} of "
            "vectors: leave the stage out."
        )
    if "context_frames" in cfg.memory:
        raise ValueError(
            f"`memory` must leave the model its context, got {cfg.memory.name}, which "
            "sets `context_frames`: choose another memory."
        )


def _origin(cfg: DictConfig, weights: Path, meta: ShardMeta) -> dict[str, Any]:
    """Names the memory and the data that snapshots are made with."""
    from world_model.memory.build import NETS
    from world_model.provenance import weights_digests

    digests = weights_digests(weights)
    return {
        "memory": plain(cfg.memory),
        "nets": {part: x for part, x in digests.items() if part in NETS},
        "data": meta.provenance,
    }


def _classifier(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.training.classifier import ClassifierConfig, train_classifier

    autoencoder = _trained_autoencoder(output)
    config = ClassifierConfig(**plain(cfg.classifier))
    denoiser = None
    if config.imagined:
        denoiser = _trained_denoiser(output / "denoiser")
    train_classifier(autoencoder, data, output, config, denoiser)


def _matcher(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.training.matcher import MatcherConfig, train_matcher

    autoencoder = _trained_autoencoder(output)
    train_matcher(autoencoder, data, output, MatcherConfig(**plain(cfg.matcher)))


def _predictive_state(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.training.predictive_state import (
        PredictiveStateConfig,
        train_predictive_state,
    )

    autoencoder = _trained_autoencoder(output)
    config = PredictiveStateConfig(**plain(cfg.predictive_state))
    train_predictive_state(autoencoder, data, output, config)


def _export(cfg: DictConfig, data: Path, output: Path) -> None:
    import torch

    from world_model.training.export import export
    from world_model.training.latents import encode_dataset

    autoencoder = _trained_autoencoder(output)
    episodes = encode_dataset(data, autoencoder, torch.device("cpu"))
    export(output, Path(cfg.weights), read_meta(data), episodes.min_change)
    print(f"weights: {cfg.weights}")


def _probe(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.training.probe import ProbeConfig, train_probe

    autoencoder = _trained_autoencoder(output)
    config = ProbeConfig(**plain(cfg.probe))
    train_probe(autoencoder, data, output, config)


def _position_probe(cfg: DictConfig, data: Path, output: Path) -> None:
    from world_model.training.position_probe import (
        PositionProbeConfig,
        train_position_probe,
    )

    autoencoder = _trained_autoencoder(output)
    denoiser = _trained_denoiser(output / "denoiser")
    config = PositionProbeConfig(**plain(cfg.position_probe))
    train_position_probe(autoencoder, denoiser, data, output, config)


if __name__ == "__main__":
    with told_in_one_line():
        check_group_names(sys.argv[1:])
    register_configs()
    main()
