"""Checks the names on a command line before hydra composes the configuration.

hydra reports an unknown choice in several lines and without the nearest name. Here
an error is one line. Nothing heavy is imported: `--help` stays fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from world_model.errors import unknown_name

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
_SAME_CHOICES = {"paired": "memory"}
"""Options whose values are the choices of a group, or null."""
_SWEEP_SYNTAX = frozenset("()[]{}*$")
"""Characters of hydra's own language: such a choice is left to hydra."""


def check_group_names(arguments: Sequence[str], configs: Path = CONFIGS) -> None:
    """Refuses overrides such as `planner=mpcc` that name no file of their group.

    Args:
        arguments: The command line without the program, e.g. ["planner=mpc,random"].
        configs: A folder with one folder of YAML files per group.

    Raises:
        ValueError: With the nearest known name.
    """
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        group = _SAME_CHOICES.get(key, key)
        if not (configs / group).is_dir() or _SWEEP_SYNTAX & set(value):
            continue
        known = choices(group, configs)
        for name in value.split(","):  # several with --multirun
            if name not in known and not (key in _SAME_CHOICES and name == "null"):
                raise unknown_name(key, name, known)


def choices(group: str, configs: Path = CONFIGS) -> list[str]:
    """What can be chosen in a config group, e.g. `choices("memory")`."""
    return sorted(path.stem for path in (configs / group).glob("*.yaml"))
