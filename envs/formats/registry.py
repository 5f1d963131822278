"""The formats, by name, and which one a path is of."""

from __future__ import annotations

from pathlib import Path

from envs.formats import hdf5
from envs.formats.api import EpisodeFormat
from envs.formats.hdf5 import HDF5Format
from envs.formats.lerobot import LeRobotFormat
from envs.formats.shards import ShardsFormat
from envs.formats.video import VideoFormat
from world_model.errors import unknown_name

FORMATS: dict[str, EpisodeFormat] = {
    x.name: x for x in (ShardsFormat(), HDF5Format(), VideoFormat(), LeRobotFormat())
}


def format_named(name: str) -> EpisodeFormat:
    """The format of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    return FORMATS[name]


def format_of_source(path: Path) -> EpisodeFormat:
    """The format that an existing path looks like.

    Raises:
        FileNotFoundError: If there is no such path.
        ValueError: If it looks like none.
    """
    if not path.exists():
        raise FileNotFoundError(f"The source must exist, got {path}: correct the path.")
    for found in FORMATS.values():
        if found.recognises(path):
            return found
    raise ValueError(
        "The source must be a folder of clips, a LeRobot data set, an HDF5 file or a "
        f"data set of ours, got {path}, which looks like none: see docs/interop.md."
    )


def format_of_target(path: Path, source: EpisodeFormat) -> EpisodeFormat:
    """The format that a new path asks for: our own, unless its name says HDF5.

    Raises:
        ValueError: If that would be the format it has already.
    """
    if path.suffix in hdf5.SUFFIXES:
        return FORMATS[HDF5Format.name]
    if isinstance(source, ShardsFormat):
        raise ValueError(
            f"`--to` must name the format of {path}, got none: one of "
            f"{', '.join(FORMATS)}."
        )
    return FORMATS[ShardsFormat.name]
