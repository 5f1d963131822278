"""`ShardsFormat`: our own, which training reads; see `world_model.shards`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np

from envs.formats.api import EpisodeFormat, ReadOptions
from envs.formats.episode import Episode
from envs.formats.image_size import fit
from world_model.shards import (
    ShardMeta,
    read_meta,
    read_shards,
    write_meta,
    write_shard,
)

SHARD_SIZE = 25


class ShardsFormat(EpisodeFormat):
    """Rectangular arrays: all episodes written have equally many actions."""

    name = "shards"

    def recognises(self, path: Path) -> bool:
        """See `EpisodeFormat`."""
        return (path / "meta.json").is_file()

    def meta(self, path: Path) -> ShardMeta:
        """See `EpisodeFormat`.

        Raises:
            ValueError: If the actions are vectors, which other formats do not hold.
        """
        meta = read_meta(path)
        if meta.bounds is not None:
            raise ValueError(
                f"Episodes to convert must have actions that are phrases, got {path} "
                "with vectors: train on it as it is."
            )
        return meta

    def phrases(self, path: Path, options: ReadOptions) -> list[tuple[str, ...]]:
        """See `EpisodeFormat`."""
        names = read_meta(path).phrases
        shards = read_shards(path, only=("actions",))
        rows = [row for shard in shards for row in shard["actions"]]
        return [tuple(names[a] for a in row) for row in rows]

    def read(self, path: Path, options: ReadOptions) -> Iterator[Episode]:
        """See `EpisodeFormat`."""
        meta = read_meta(path)
        for number, shard in enumerate(read_shards(path)):
            for row, actions in enumerate(shard["actions"]):
                yield Episode(
                    f"episode_{number:05d}_{row:03d}",
                    np.stack([fit(x, options.size) for x in shard["frames"][row]]),
                    tuple(meta.phrases[a] for a in actions),
                    {name: shard[name][row] for name in meta.labels},
                )

    def write(
        self, path: Path, episodes: Iterable[Episode], meta: ShardMeta, fps: int
    ) -> None:
        """See `EpisodeFormat`."""
        path.mkdir()
        source = iter(episodes)
        for index in count():
            rows = [_arrays(e, meta) for e in islice(source, SHARD_SIZE)]
            if not rows:
                break
            arrays = {name: np.stack([r[name] for r in rows]) for name in rows[0]}
            write_shard(path, index, arrays)
        write_meta(path, meta)


def _arrays(episode: Episode, meta: ShardMeta) -> dict[str, np.ndarray]:
    actions = [meta.phrases.index(x) for x in episode.phrases]
    return {
        "frames": episode.frames,
        "actions": np.array(actions, np.int16),
        **{name: episode.labels[name] for name in meta.labels},
    }
