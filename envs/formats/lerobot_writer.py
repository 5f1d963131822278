"""Writes LeRobot's data set format, version 3.0; see `envs.formats.lerobot`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from envs.formats.episode import Episode
from envs.formats.mp4 import write_video
from world_model.shards import ShardMeta

CAMERA = "observation.images.front"
EPISODES_PER_FILE = 50
FILES_PER_CHUNK = 1000
_PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_DATA = f"data/{_PLACE}.parquet"
_VIDEO = f"videos/{{video_key}}/{_PLACE}.mp4"


def write_lerobot(
    path: Path, episodes: Iterable[Episode], meta: ShardMeta, fps: int
) -> None:
    """Writes a data set to the new folder `path`."""
    pixels = _Pixels()
    places: list[dict[str, Any]] = []
    columns: list[dict[str, np.ndarray]] = []
    source = iter(episodes)
    for number in count():
        group = islice(source, EPISODES_PER_FILE)
        first = len(places)
        rows = _write_file(path, number, group, meta, fps, places, pixels)
        if len(places) == first:
            break
        columns.append(rows)
    data = {name: np.concatenate([x[name] for x in columns]) for name in columns[0]}
    _write_tasks(path, meta.phrases)
    _write_table(path / f"meta/episodes/{_place(0)}.parquet", places)
    _write_json(path / "meta/info.json", _info(places, pixels, meta, fps))
    stats = {name: _stats(x) for name, x in data.items()} | {CAMERA: pixels.stats()}
    _write_json(path / "meta/stats.json", stats)
    _write_json(path / "meta/slowfast.json", asdict(replace(meta, labels=())))


def _write_file(
    path: Path,
    number: int,
    episodes: Iterable[Episode],
    meta: ShardMeta,
    fps: int,
    places: list[dict[str, Any]],
    pixels: _Pixels,
) -> dict[str, np.ndarray]:
    """One video and its rows; adds to `places` where its episodes are."""
    parts: list[dict[str, np.ndarray]] = []
    place = {"chunk_index": number // FILES_PER_CHUNK}
    place["file_index"] = number % FILES_PER_CHUNK

    def frames() -> Iterator[np.ndarray]:
        done = 0
        for episode in episodes:
            start = places[-1]["dataset_to_index"] if places else 0
            parts.append(_rows(episode, len(places), start, meta.phrases, fps))
            places.append(_episode_row(episode, len(places), start, done, place, fps))
            pixels.add(episode.frames)
            done += len(episode.frames)
            yield from episode.frames

    video = path / _VIDEO.format(video_key=CAMERA, **place)
    video.parent.mkdir(parents=True, exist_ok=True)
    source = frames()
    first = next(source, None)
    if first is None:
        return {}
    write_video(video, _chain(first, source), fps)
    columns = {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}
    _write_columns(path / _DATA.format(**place), columns)
    return columns


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _rows(
    episode: Episode, number: int, start: int, phrases: Sequence[str], fps: int
) -> dict[str, np.ndarray]:
    """One row per frame; the last frame repeats the last action."""
    size = len(episode.frames)
    steps = np.minimum(
        np.arange(size) // episode.chunk_length, len(episode.phrases) - 1
    )
    tasks = np.array([phrases.index(x) for x in episode.phrases])[steps]
    index = np.arange(size)
    return {
        "action": np.eye(len(phrases), dtype=np.float32)[tasks],
        "timestamp": (index / fps).astype(np.float32),
        "frame_index": index,
        "episode_index": np.full(size, number),
        "index": start + index,
        "task_index": tasks,
    }


def _episode_row(
    episode: Episode,
    number: int,
    start: int,
    done: int,
    place: dict[str, int],
    fps: int,
) -> dict[str, Any]:
    """Where an episode is, as meta/episodes says it."""
    size = len(episode.frames)
    return {
        "episode_index": number,
        "tasks": list(dict.fromkeys(episode.phrases)),
        "length": size,
        "dataset_from_index": start,
        "dataset_to_index": start + size,
        **{f"data/{name}": value for name, value in place.items()},
        **{f"videos/{CAMERA}/{name}": value for name, value in place.items()},
        f"videos/{CAMERA}/from_timestamp": done / fps,
        f"videos/{CAMERA}/to_timestamp": (done + size) / fps,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def _info(
    places: list[dict[str, Any]], pixels: _Pixels, meta: ShardMeta, fps: int
) -> dict[str, Any]:
    """The contents of meta/info.json."""
    height, width = pixels.shape
    video = {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }
    image = {"shape": [height, width, 3], "names": ["height", "width", "channels"]}
    numbers = {"dtype": "int64", "shape": [1], "names": None}
    indices = ("frame_index", "episode_index", "index", "task_index")
    action = {"dtype": "float32", "shape": [len(meta.phrases)]}
    return {
        "codebase_version": "v3.0",
        "robot_type": meta.domain,
        "total_episodes": len(places),
        "total_frames": places[-1]["dataset_to_index"],
        "total_tasks": len(meta.phrases),
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(places)}"},
        "data_path": _DATA,
        "video_path": _VIDEO,
        "features": {
            CAMERA: {"dtype": "video", **image, "info": video},
            "action": {**action, "names": list(meta.phrases)},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{name: numbers for name in indices},
        },
    }


class _Pixels:
    """Statistics of all frames per channel, in [0, 1]."""

    def __init__(self) -> None:
        self.shape = (0, 0)
        self._count = self._num_frames = 0
        self._sum = self._squares = np.zeros(3)
        self._min, self._max = np.full(3, 1.0), np.zeros(3)

    def add(self, frames: np.ndarray) -> None:
        """Counts frames (N, H, W, 3) uint8."""
        x = frames.reshape(-1, 3) / 255
        self.shape = frames.shape[1:3]
        self._count += len(x)
        self._num_frames += len(frames)
        self._sum = self._sum + x.sum(axis=0)
        self._squares = self._squares + np.square(x).sum(axis=0)
        self._min = np.minimum(self._min, x.min(axis=0))
        self._max = np.maximum(self._max, x.max(axis=0))

    def stats(self) -> dict[str, Any]:
        """As LeRobot stores them, shape (3, 1, 1)."""
        mean = self._sum / self._count
        std = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0))
        found = {"min": self._min, "max": self._max, "mean": mean, "std": std}
        shaped = {k: v.reshape(3, 1, 1).tolist() for k, v in found.items()}
        return {**shaped, "count": [self._num_frames]}


def _stats(x: np.ndarray) -> dict[str, list[float]]:
    """Of a numeric feature, over all frames."""
    rows = x.reshape(len(x), -1)
    return {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": rows.mean(axis=0).tolist(),
        "std": rows.std(axis=0).tolist(),
        "count": [len(rows)],
    }


def _place(number: int) -> str:
    return _PLACE.format(
        chunk_index=number // FILES_PER_CHUNK, file_index=number % FILES_PER_CHUNK
    )


def _write_columns(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Arrays (N,) as numbers and (N, D) as lists of one size; (N, 1) as numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def array(x: np.ndarray) -> Any:
        if x.ndim == 1 or x.shape[1] == 1:
            return pa.array(x.reshape(-1))
        return pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), x.shape[1])

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: array(x) for name, x in columns.items()}), path)


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def _write_tasks(path: Path, phrases: Sequence[str]) -> None:
    """Texts are the index of this table, in the order of `task_index`."""
    import pandas as pd

    (path / "meta").mkdir(parents=True, exist_ok=True)
    index = pd.Index(phrases, name="task")
    tasks = pd.DataFrame({"task_index": np.arange(len(phrases))}, index=index)
    tasks.to_parquet(path / "meta/tasks.parquet")


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields, indent=4, ensure_ascii=False))
