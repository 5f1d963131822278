"""The contract of a format."""

from __future__ import annotations

import abc
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from envs.formats.episode import Episode
from envs.formats.image_size import Size
from world_model.shards import ShardMeta, meta_of

DEFAULT_CHUNK_LENGTH = 4


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read.

    Attributes:
        size: Of the frames; None keeps them as they are.
        chunk_length: F; None means what the source says, else 4.
        stride: Keeps every `stride`-th frame, where a source has texts per frame.
        camera: Which of several; None where there is one.
    """

    size: Size | None = None
    chunk_length: int | None = None
    stride: int = 1
    camera: str | None = None

    def frames_per_action(self, meta: ShardMeta | None) -> int:
        """F, given what the source says of itself."""
        said = DEFAULT_CHUNK_LENGTH if meta is None else meta.chunk_length
        return self.chunk_length or said


class EpisodeFormat(abc.ABC):
    """A way to store episodes, in one file or one folder.

    What we know of a data set beyond its episodes (`ShardMeta`) is stored with it and
    ignored by others.

    Attributes:
        name: As in `--to NAME`.
        streams: Whether it holds frames that are cut into actions when it is read, from
            one of several cameras; else frames belong to actions already.
    """

    name: ClassVar[str]
    streams: ClassVar[bool] = False

    @abc.abstractmethod
    def recognises(self, path: Path) -> bool:
        """True if `path` looks like this format."""

    @abc.abstractmethod
    def meta(self, path: Path) -> ShardMeta | None:
        """What we stored with the data set; None if it is not ours."""

    @abc.abstractmethod
    def phrases(self, path: Path, options: ReadOptions) -> list[tuple[str, ...]]:
        """What is done in every episode that `read` yields; reads no frames.

        Raises:
            ValueError: If the source is damaged or does not say what is done.
        """

    @abc.abstractmethod
    def read(self, path: Path, options: ReadOptions) -> Iterator[Episode]:
        """Yields the episodes, one at a time."""

    @abc.abstractmethod
    def write(
        self, path: Path, episodes: Iterable[Episode], meta: ShardMeta, fps: int
    ) -> None:
        """Stores episodes under a new path.

        Args:
            path: File or folder; not there yet, its parent is.
            episodes: Consumed once, one at a time.
            meta: Of the data set; names all phrases and labels of the episodes.
            fps: Frames per second, where a format has time.
        """


def stored_meta(text: str, path: Path) -> ShardMeta:
    """What we stored with a data set, from its JSON text.

    Raises:
        ValueError: If it is damaged or of another version.
    """
    try:
        return meta_of(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} must describe itself as this version does, got another text "
            f"({error!r}): write it anew with `python -m envs.convert`, or remove what "
            "is called slowfast."
        ) from error


def pick_camera(names: list[str], options: ReadOptions, path: Path) -> str:
    """The camera to read.

    Raises:
        ValueError: If there is none, or several and none was chosen.
    """
    if options.camera in names:
        return str(options.camera)
    if options.camera is None and len(names) == 1:
        return names[0]
    if not names:
        raise ValueError(
            f"{path} must hold images, got an episode without any: render its "
            "observations first."
        )
    raise ValueError(
        f"`--camera` must name one of the image streams of {path} "
        f"({', '.join(names)}), got {options.camera}: name one."
    )
