"""Configuration nodes -> plain dictionaries."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf


def plain(node: DictConfig) -> dict[str, Any]:
    """The node with all its references resolved, keys as strings."""
    found = OmegaConf.to_container(node, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
