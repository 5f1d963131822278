"""Installed plug-ins: found by their entry points, never imported to be found.

A plug-in package declares `my_planner = "my_package"` in the entry-point group of its
kind and ships `my_package/configs/planner/my_planner.yaml`. Hydra sees those folders
once `register_configs` was called, so that `planner=my_planner` works by itself. A
plug-in that cannot even be imported is still only a line in a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

GROUPS = {
    "planner": "slowfast_bench.planners",
    "memory": "slowfast_bench.memories",
    "world_model": "slowfast_bench.world_models",
    "task": "slowfast_bench.tasks",
    "objective": "slowfast_bench.objectives",
    "metric": "slowfast_bench.metrics",
}
"""Kind, which is also the config group -> entry-point group."""


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed distribution.

    Attributes:
        kind: One of `GROUPS`.
        name: As in `planner=<name>`.
        package: What is imported, e.g. "my_package".
        distribution: What was installed, e.g. "my-package 0.1.0".
    """

    kind: str
    name: str
    package: str
    distribution: str

    @property
    def config_folder(self) -> Path | None:
        """The package's folder of configurations, None if it has none."""
        return config_folder(self.package)


def find_plugins() -> list[Plugin]:
    """All installed plug-ins, in the order of kinds and names."""
    installed = entry_points()
    found = [
        Plugin(kind, entry.name, entry.module, _distribution(entry))
        for kind, group in GROUPS.items()
        for entry in installed.select(group=group)
    ]
    return sorted(found, key=lambda p: ([*GROUPS].index(p.kind), p.name))


def config_folder(package: str) -> Path | None:
    """The folder `configs` inside a package, which is not imported; None if missing."""
    top, *inner = package.split(".")
    with suppress(ImportError, ValueError):
        spec = find_spec(top)
        for root in (spec and spec.submodule_search_locations) or ():
            folder = Path(root, *inner, "configs")
            if folder.is_dir():
                return folder
    return None


def config_folders(plugins: Iterable[Plugin]) -> list[Path]:
    """The folders of all plug-ins that have one, each once."""
    folders = (plugin.config_folder for plugin in plugins)
    return list(dict.fromkeys(folder for folder in folders if folder is not None))


class PluginConfigs(SearchPathPlugin):
    """Lets hydra find the configurations of installed plug-ins, after ours."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """See `SearchPathPlugin`."""
        for folder in config_folders(find_plugins()):
            search_path.append("slowfast-bench plug-in", f"file://{folder}")


def register_configs() -> None:
    """Tells hydra of `PluginConfigs`; before `hydra.main` or `hydra.initialize`."""
    Plugins.instance().register(PluginConfigs)


def _distribution(entry: object) -> str:
    dist = getattr(entry, "dist", None)
    return "an unknown distribution" if dist is None else f"{dist.name} {dist.version}"
