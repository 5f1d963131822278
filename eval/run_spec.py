"""What determines a run (`RunSpec`) and what it was made with (`provenance`)."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.plugin_code import plugin_code
from world_model.provenance import provenance as surroundings
from world_model.provenance import weights_digests

PROTOCOL_VERSION = "1"
"""Raised whenever a change makes old rows incomparable with new ones."""

PROJECT_ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = Path(__file__).parents[1] / "world_model" / "weights"
"""A folder per domain: what ships."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines a run's episodes.

    Attributes:
        config: The resolved configuration, plain JSON values.
        task: Name of the task, as in `task=...`.
        planner: Name of the planner or policy, as in `planner=...`.
        memory: Name of the memory, as in `memory=...`.
        world_model: Name of the world model, as in `world_model=...`.
        split: Where the seeds come from: "val" or "test".
        seeds: One per episode, in order.
        protocol_version: How episodes are run and measured.
    """

    config: Mapping[str, Any]
    task: str
    planner: str
    memory: str
    world_model: str
    split: str
    seeds: tuple[int, ...]
    protocol_version: str = PROTOCOL_VERSION

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                "`seeds` must name each episode once and at least one, got "
                f"{list(self.seeds)}: remove the repeated ones."
            )
        # A private copy: later changes to the caller's config cannot reach us.
        object.__setattr__(self, "config", json.loads(canonical_json(self.config)))

    @property
    def run_id(self) -> str:
        """A readable name, unique to this specification."""
        names = (self.task, self.memory, self.planner, self.world_model, self.split)
        digest = hashlib.sha256(canonical_json(self.to_dict()).encode()).hexdigest()
        return f"{'-'.join(slug(name) for name in names)}-{digest[:8]}"

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain JSON values."""
        return {**asdict(self), "seeds": list(self.seeds)}


def slug(name: str) -> str:
    """`name` with everything that is awkward in a file name replaced by "_".

    >>> slug("SlowFast/FindSeen-v0")
    'SlowFast_FindSeen-v0'
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).lstrip(".")[:60] or "_"


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: equal values give equal texts.

    Raises:
        ValueError: If `value` holds something JSON has no word for.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A configuration must hold only JSON values, got one that does not "
            f"({error}): resolve it with `OmegaConf.to_container` first."
        ) from error


def code_name(made_by: Mapping[str, Any]) -> str:
    """Few characters that differ between revisions, changes, plug-ins and weights."""
    plugins = made_by.get("plugins")
    others = config_digest(plugins)[:7] if plugins else ""
    weights = made_by.get("weights")
    learned = config_digest(weights)[:7] if weights else ""
    changes = (made_by["changes"] or "")[:7]
    return (made_by["revision"] or "wheel")[:7] + changes + others + learned


def config_digest(config: Mapping[str, Any]) -> str:
    """Eight hex digits of a resolved configuration."""
    return hashlib.sha256(canonical_json(dict(config)).encode()).hexdigest()[:8]


def provenance(
    *,
    device: str,
    overrides: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    weights: Collection[Path] = (),
) -> dict[str, Any]:
    """What a run is made with: code, libraries, machine, command, plug-ins, weights.

    Args:
        device: The torch device the models run on, e.g. "cpu" or "cuda:0".
        overrides: The command line's configuration, e.g. ["planner=mpc"].
        config: The resolved configuration; code of others that it names is recorded.
        weights: Folders of weights.
    """
    command = shlex.join(["python", "-m", "eval.run", *overrides])
    made = {**surroundings(device=device), "command": command}
    if config:
        made["plugins"] = plugin_code(config)
    if weights:
        made["weights"] = {
            f"{_name_of(folder)}/{part}": digest
            for folder in sorted(weights)
            for part, digest in weights_digests(folder).items()
        }
    return made


def _name_of(folder: Path) -> str:
    """What ships by its domain, wherever the checkout is; other weights as named."""
    return folder.name if folder.parent == WEIGHTS else str(folder)
