"""`LeRobotFormat`: a folder in LeRobot's data set format, version 3.0.

    meta/info.json                                features, frames per second, paths
    meta/tasks.parquet                            what is done: text -> task_index
    meta/episodes/chunk-000/file-000.parquet      where the frames of an episode are
    meta/stats.json                               mean, std, min, max of every feature
    meta/slowfast.json                            ours, ignored by others
    data/chunk-000/file-000.parquet               one row per frame
    videos/<camera>/chunk-000/file-000.mp4        many episodes in one file

The task of a frame is the phrase of the action that follows it; `action` is the same,
one-hot. Data sets of others often have one task per episode: then every action of an
episode is called by it. Written with pyarrow and PyAV, without LeRobot or torchvision.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.formats.api import EpisodeFormat, ReadOptions, pick_camera, stored_meta
from envs.formats.episode import Episode
from envs.formats.image_size import fit
from envs.formats.lerobot_writer import write_lerobot
from envs.formats.mp4 import read_frames
from envs.formats.optional import require
from envs.formats.spans import Span, spans_of
from world_model.shards import ShardMeta

INFO = Path("meta/info.json")
META = Path("meta/slowfast.json")


class LeRobotFormat(EpisodeFormat):
    """Version 3.0; lossy like all its videos, without labels."""

    name = "lerobot"
    streams = True

    def recognises(self, path: Path) -> bool:
        """See `EpisodeFormat`."""
        return (path / INFO).is_file()

    def meta(self, path: Path) -> ShardMeta | None:
        """See `EpisodeFormat`."""
        file = path / META
        return stored_meta(file.read_text(), path) if file.exists() else None

    def phrases(self, path: Path, options: ReadOptions) -> list[tuple[str, ...]]:
        """See `EpisodeFormat`."""
        size = options.frames_per_action(self.meta(path))
        return [
            span.phrases
            for _, texts in _episodes(path)
            for span in spans_of(texts, size, options.stride)
        ]

    def read(self, path: Path, options: ReadOptions) -> Iterator[Episode]:
        """See `EpisodeFormat`."""
        size = options.frames_per_action(self.meta(path))
        info = _info(path)
        features = info["features"]
        cameras = [k for k, x in features.items() if x["dtype"] in ("video", "image")]
        camera = pick_camera(cameras, options, path)
        for row, texts in _episodes(path):
            for span in spans_of(texts, size, options.stride):
                if features[camera]["dtype"] == "video":
                    frames = _video(path, info, row, camera, span, options)
                else:
                    frames = _images(path, info, row, camera, span, options)
                name = f"episode_{row['episode_index']:06d}"
                name += f"@{span.start}" if span.start else ""
                yield Episode(name, frames, span.phrases)

    def write(
        self, path: Path, episodes: Iterable[Episode], meta: ShardMeta, fps: int
    ) -> None:
        """See `EpisodeFormat`."""
        require("pyarrow", self.name)
        write_lerobot(path, episodes, meta, fps)


def _info(path: Path) -> dict[str, Any]:
    """The contents of meta/info.json.

    Raises:
        ValueError: If it is of another version.
    """
    info = json.loads((path / INFO).read_text())
    version = info.get("codebase_version", "none")
    if not version.startswith("v3."):
        raise ValueError(
            f"{path} must be of LeRobot's format v3.0, got {version}: convert it with "
            "`python -m lerobot.datasets.v30.convert_dataset_v21_to_v30`."
        )
    return info


def _episodes(path: Path) -> list[tuple[dict[str, Any], list[str]]]:
    """Where each episode is, and what is done at its frames."""
    _info(path)
    tasks = _table(path / "meta", "tasks.parquet")
    name = dict(zip(tasks["task_index"], tasks.index, strict=True))
    if "task" in tasks:  # some writers store the texts as a column
        name = dict(zip(tasks["task_index"], tasks["task"], strict=True))
    places = _table(path / "meta/episodes", "*/*.parquet")
    rows = _table(path / "data", "*/*.parquet", ["episode_index", "task_index"])
    texts = {
        episode: [" ".join(str(name[t]).split()) for t in group]
        for episode, group in rows.groupby("episode_index")["task_index"]
    }
    columns = [c for c in places if not c.startswith("stats/") and c != "tasks"]
    records = places[columns].sort_values("episode_index").to_dict("records")
    missing = {row["episode_index"] for row in records} - texts.keys()
    if missing:
        raise ValueError(
            f"{path} must hold the data of all its episodes, got none of "
            f"{', '.join(map(str, sorted(missing)[:8]))}: download the missing files."
        )
    return [(row, texts[row["episode_index"]]) for row in records]


def _table(folder: Path, pattern: str, columns: Sequence[str] | None = None) -> Any:
    """All rows of some parquet files, as one pandas table.

    Raises:
        ValueError: If there is none.
    """
    require("pyarrow", LeRobotFormat.name)
    import pandas as pd

    files = sorted(folder.glob(pattern))
    if not files:
        raise ValueError(
            f"{folder}/{pattern} must be part of a LeRobot data set, got no such file: "
            "copy the whole folder."
        )
    wanted = None if columns is None else list(columns)
    return pd.concat([pd.read_parquet(file, columns=wanted) for file in files])


def _video(
    path: Path,
    info: dict[str, Any],
    row: dict[str, Any],
    camera: str,
    span: Span,
    options: ReadOptions,
) -> np.ndarray:
    file = path / info["video_path"].format(
        video_key=camera,
        chunk_index=row[f"videos/{camera}/chunk_index"],
        file_index=row[f"videos/{camera}/file_index"],
    )
    first = round(row[f"videos/{camera}/from_timestamp"] * info["fps"])
    return read_frames(file, [first + i for i in span.picks], options.size)


def _images(
    path: Path,
    info: dict[str, Any],
    row: dict[str, Any],
    camera: str,
    span: Span,
    options: ReadOptions,
) -> np.ndarray:
    import imageio.v3 as iio
    import pandas as pd

    file = path / info["data_path"].format(
        chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
    )
    chosen = [("episode_index", "==", row["episode_index"])]
    cells = pd.read_parquet(file, columns=[camera], filters=chosen)[camera]
    images = [iio.imread(cells.iloc[i]["bytes"]) for i in span.picks]
    return np.stack([fit(x, options.size) for x in images])
