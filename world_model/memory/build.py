"""Configuration -> a memory of a world model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from world_model.api import Memory, WorldModel, device_of
from world_model.phrase_space import motions_of, phrase_space_of
from world_model.place_matcher import PlaceMatcher, load_matcher
from world_model.predictive_state import PredictiveStateNet, load_predictive_state

_NOT_OPTIONS = ("name", "context_frames")
_OURS = "world_model.memory."
_MEMBERS = ("first", "second")
NETS = ("matcher", "predictive_state")
"""What memories find in the folder of a world model's weights."""


def build_memory(
    config: Mapping[str, Any], model: WorldModel, weights: Path, encoder: str
) -> Memory:
    """The memory that a `configs/memory` file describes.

    Args:
        config: Plain values: `name`, `_target_` and options.
        model: What it remembers for.
        weights: Folder of the world model; memories with nets of their own find these
            there.
        encoder: Fingerprint of the model's autoencoder, which such nets must fit.
    """
    options = {k: v for k, v in config.items() if k not in _NOT_OPTIONS}
    target = options["_target_"]
    # A memory of others is made from the model, whatever it is called.
    kind = target.rpartition(".")[2] if target.startswith(_OURS) else ""
    if kind == "NoMemory":
        return instantiate(options)
    if kind == "ComposedMemory":
        _check_members_only(options)
        return instantiate(
            {"_target_": target},
            *(_member(config, part, model, weights, encoder) for part in _MEMBERS),
        )
    if kind == "TempLoraMemory":
        rule = instantiate(options.pop("rule"), model)
        return instantiate(options, model, rule)
    if kind in ("PoseMapMemory", "PoseWeightsMemory"):
        return instantiate(options, model, _matcher(config, model, weights, encoder))
    if kind == "PredictiveStateMemory":
        net = _predictive_state(config, model, weights, encoder)
        return instantiate(options, model, net)
    return instantiate(options, model)


def _check_members_only(options: Mapping[str, Any]) -> None:
    """Refuses options that belong to one of the members.

    Raises:
        ValueError: If there are any.
    """
    others = sorted(options.keys() - {"_target_", *_MEMBERS})
    if others:
        raise ValueError(
            f"A composed memory has {' and '.join(_MEMBERS)} only, got "
            f"memory.{others[0]}: say whose it is, e.g. memory.first.{others[0]}=..."
        )


def _member(
    config: Mapping[str, Any],
    part: str,
    model: WorldModel,
    weights: Path,
    encoder: str,
) -> Memory:
    """One of the memories that a composed one is made of."""
    node = config[part]
    if "context_frames" in node:
        raise ValueError(
            f"`memory.{part}` must leave the model its context, got "
            f"{node['name']}, which sets `context_frames`: compose another memory."
        )
    return build_memory(node, model, weights, encoder)


def _matcher(
    config: Mapping[str, Any], model: WorldModel, weights: Path, encoder: str
) -> PlaceMatcher:
    motions = motions_of(
        model.action_space, config["name"], instead="use memory=temp_lora_paper"
    )
    return load_matcher(
        weights / "matcher", motions=motions, encoder=encoder, device=device_of(model)
    )


def _predictive_state(
    config: Mapping[str, Any], model: WorldModel, weights: Path, encoder: str
) -> PredictiveStateNet:
    space = phrase_space_of(
        model.action_space, config["name"], instead="use memory=anchor"
    )
    return load_predictive_state(
        weights / "predictive_state",
        phrases=space.phrases,
        encoder=encoder,
        device=device_of(model),
    )
