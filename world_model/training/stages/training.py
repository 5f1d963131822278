"""`Training`: what every stage is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from omegaconf import DictConfig

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.options import make_options
from world_model.plain import plain
from world_model.pretrained import load_trained, require_trained
from world_model.shards import ShardMeta, read_meta, read_shards

Job = Callable[[], object]
"""The work of a stage, to be called in its turn; a path it returns holds weights."""
Config = TypeVar("Config")


@dataclass(frozen=True)
class Training:
    """What a stage is told.

    Attributes:
        cfg: The configuration of `python -m world_model.train`.
        earlier: Stages that the same command runs before.
    """

    cfg: DictConfig
    earlier: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """Folder of the data set."""
        return Path(self.cfg.data)

    @property
    def output(self) -> Path:
        """Folder of checkpoints."""
        return Path(self.cfg.output)

    @cached_property
    def meta(self) -> ShardMeta:
        """What the data set says of itself."""
        return read_meta(self.data)

    @cached_property
    def num_actions(self) -> int:
        """Of each episode."""
        return int(next(read_shards(self.data, only=("actions",)))["actions"].shape[1])

    @cached_property
    def num_episodes(self) -> int:
        """Of the data set."""
        shards = read_shards(self.data, only=("actions",))
        return sum(len(shard["actions"]) for shard in shards)

    def options(self, kind: type[Config], name: str) -> Config:
        """The options of a group on the command line."""
        return make_options(kind, name, plain(self.cfg[name]))

    def needs(self, name: str, stage: str) -> None:
        """Refuses to start without what a stage makes.

        Raises:
            FileNotFoundError: If it is not there and not made before.
        """
        if stage not in self.earlier:
            require_trained(self.output / name, name=name, stage=stage)

    def autoencoder(self) -> FrameAutoencoder:
        """The trained one."""
        folder = self.output / "autoencoder"
        return load_trained(FrameAutoencoder, folder, name="autoencoder", stage="fit")

    def planned_autoencoder(self) -> FrameAutoencoder:
        """One of the kind that will be there when this stage begins."""
        if "fit" in self.earlier:
            return FrameAutoencoder(**plain(self.cfg.autoencoder))
        return self.autoencoder()

    def denoiser(self) -> VideoDenoiser:
        """The trained one."""
        return trained_denoiser(self.output / "denoiser")


def trained_denoiser(folder: Path) -> VideoDenoiser:
    """The denoiser in a folder."""
    return load_trained(VideoDenoiser, folder, name="denoiser", stage="slow")
