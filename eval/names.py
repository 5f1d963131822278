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

    Folders of `--config-dir` count too; with `hydra.searchpath` all is left to hydra.

    Args:
        arguments: The command line without the program, e.g. ["planner=mpc,random"].
        configs: A folder with one folder of YAML files per group.

    Raises:
        ValueError: With the nearest known name.
    """
    if any("hydra.searchpath" in argument for argument in arguments):
        return
    folders = [configs, *_config_dirs(arguments)]
    for argument in arguments:
        key, equals, value = argument.lstrip("+").partition("=")
        group = _SAME_CHOICES.get(key, key)
        is_choice = equals and group in _groups(configs)
        if not is_choice or _SWEEP_SYNTAX & set(value):
            continue
        known = [name for folder in folders for name in choices(group, folder)]
        for name in value.split(","):  # several with --multirun
            if name not in known and not (key in _SAME_CHOICES and name == "null"):
                raise unknown_name(key, name, known)


def choices(group: str, configs: Path = CONFIGS) -> list[str]:
    """What can be chosen in a config group, e.g. `choices("memory")`."""
    return sorted(path.stem for path in (configs / group).glob("*.yaml"))


def _groups(configs: Path) -> set[str]:
    return {path.name for path in configs.iterdir() if path.is_dir()}


def _config_dirs(arguments: Sequence[str]) -> list[Path]:
    """Values of hydra's option `--config-dir` (`-cd`)."""
    found = [a.partition("=")[2] for a in arguments if a.startswith("--config-dir=")]
    pairs = zip(arguments, arguments[1:], strict=False)
    found += [value for name, value in pairs if name in ("--config-dir", "-cd")]
    return [Path(folder) for folder in found]
