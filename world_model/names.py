"""Checks the names on a command line before hydra composes the configuration.

hydra reports an unknown choice in several lines and without the nearest name. Here
an error is one line. Nothing heavy is imported: `--help` stays fast. Plug-ins are
found by their files; none is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from world_model.errors import unknown_name
from world_model.plugins import GROUPS, Plugin, config_folders, find_plugins

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
_SAME_CHOICES = {"paired": "memory"}
"""Options whose values are the choices of a group, or null."""
_SWEEP_SYNTAX = frozenset("()[]{}*$")
"""Characters of hydra's own language: such a choice is left to hydra."""


def check_group_names(arguments: Sequence[str]) -> None:
    """Refuses overrides such as `planner=mpcc` that name no file of their group.

    Folders of `--config-dir` and of installed plug-ins count too; with
    `hydra.searchpath` all is left to hydra.

    Args:
        arguments: The command line without the program, e.g. ["planner=mpc,random"].

    Raises:
        ValueError: With the nearest known name, or what is wrong with a plug-in.
    """
    if any("hydra.searchpath" in argument for argument in arguments):
        return
    plugins = find_plugins()
    own = [CONFIGS, *_config_dirs(arguments)]
    folders = [*own, *config_folders(plugins)]
    for argument in arguments:
        key, equals, value = argument.lstrip("+").partition("=")
        group = _SAME_CHOICES.get(key, key)
        if not equals or group not in {*GROUPS, *_groups(folders)}:
            continue
        known = {name for folder in folders for name in choices(group, folder)}
        ours = {name for folder in own for name in choices(group, folder)}
        for name in _names(value):
            if name in ours or (key in _SAME_CHOICES and name == "null"):
                continue
            _check_plugins(group, name, plugins)
            if name not in known:
                raise unknown_name(key, name, known)


def choices(group: str, configs: Path = CONFIGS) -> list[str]:
    """What can be chosen in a config group, e.g. `choices("memory")`."""
    return sorted(path.stem for path in (configs / group).glob("*.yaml"))


def _names(value: str) -> list[str]:
    """The choices a value names; none where it speaks hydra's own language."""
    if value.startswith("[") and value.endswith("]"):  # metric=[a,b]
        value = value[1:-1]
        if not value:
            return []
    return [] if _SWEEP_SYNTAX & set(value) else value.split(",")


def _check_plugins(group: str, name: str, plugins: Sequence[Plugin]) -> None:
    """Refuses a name that two packages claim, or that has no configuration."""
    folders = config_folders(plugins)
    files = [str(f / group / f"{name}.yaml") for f in folders]
    files = [file for file in files if Path(file).is_file()]
    if len(files) > 1:
        raise ValueError(
            f"`{group}={name}` must name one plug-in, got {' and '.join(files)}: "
            "uninstall one of them."
        )
    for plugin in plugins:
        if (plugin.kind, plugin.name) == (group, name) and not files:
            raise ValueError(
                f"The plug-in {group} '{name}' of {plugin.distribution} must ship "
                f"{plugin.package.replace('.', '/')}/configs/{group}/{name}.yaml, got "
                "no such file: add it to the package's data."
            )


def _groups(folders: Sequence[Path]) -> set[str]:
    there = (folder for folder in folders if folder.is_dir())
    return {
        path.relative_to(folder).as_posix()  # e.g. "planner" and "planner/optimizer"
        for folder in there
        for path in folder.rglob("*")
        if path.is_dir()
    }


def _config_dirs(arguments: Sequence[str]) -> list[Path]:
    """Values of hydra's option `--config-dir` (`-cd`)."""
    found = [a.partition("=")[2] for a in arguments if a.startswith("--config-dir=")]
    pairs = zip(arguments, arguments[1:], strict=False)
    found += [value for name, value in pairs if name in ("--config-dir", "-cd")]
    return [Path(folder) for folder in found]
