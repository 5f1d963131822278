"""`HDF5Format`: one HDF5 file laid out as robomimic's data sets.

    data                    attrs: total, env_args (JSON), slowfast (JSON, ours)
    data/demo_0             attrs: num_samples, ep_meta (JSON with "lang")
    data/demo_0/obs/<key>   (N, H, W, C) uint8, the view before each frame's action
    data/demo_0/actions     (N, P) float32, one-hot over P phrases
    data/demo_0/language    (N,) text, the phrase of each sample; ours
    data/demo_0/final_obs   the view after the last sample, (1, H, W, C); ours
    data/demo_0/labels      what the simulator knew, see `world_model.shards`; ours

One sample is one frame: N = T*F. Files of others are read where they say what is done:
`language` per sample, `lang` in `ep_meta` (robomimic 0.4), or `language_instruction` in
`problem_info` (LIBERO), which then is the text of every frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from envs.formats.api import EpisodeFormat, ReadOptions, pick_camera, stored_meta
from envs.formats.episode import Episode
from envs.formats.image_size import fit
from envs.formats.optional import require
from envs.formats.spans import Span, spans_of
from world_model.shards import ShardMeta

CAMERA = "agentview_image"
SUFFIXES = (".hdf5", ".h5")


class HDF5Format(EpisodeFormat):
    """Lossless, labels included."""

    name = "hdf5"
    streams = True

    def recognises(self, path: Path) -> bool:
        """See `EpisodeFormat`."""
        return path.suffix in SUFFIXES

    def meta(self, path: Path) -> ShardMeta | None:
        """See `EpisodeFormat`."""
        with _opened(path) as file:
            text = file["data"].attrs.get("slowfast")
        return None if text is None else stored_meta(text, path)

    def phrases(self, path: Path, options: ReadOptions) -> list[tuple[str, ...]]:
        """See `EpisodeFormat`."""
        size = options.frames_per_action(self.meta(path))
        with _opened(path) as file:
            return [
                span.phrases
                for demo in _demos(file)
                for span in _spans(demo, path, options, size)
            ]

    def read(self, path: Path, options: ReadOptions) -> Iterator[Episode]:
        """See `EpisodeFormat`."""
        size = options.frames_per_action(self.meta(path))
        with _opened(path) as file:
            for demo in _demos(file):
                for span in _spans(demo, path, options, size):
                    yield _episode(demo, span, path, options)

    def write(
        self, path: Path, episodes: Iterable[Episode], meta: ShardMeta, fps: int
    ) -> None:
        """See `EpisodeFormat`."""
        h5py = require("h5py", self.name)
        with h5py.File(path, "w") as file:
            data = file.create_group("data")
            total = 0
            for number, episode in enumerate(episodes):
                demo = data.create_group(f"demo_{number}")
                total += _store(demo, episode, meta.phrases)
            data.attrs["total"] = total
            data.attrs["slowfast"] = json.dumps(asdict(meta))
            name = {"env_name": meta.domain, "type": 2, "env_kwargs": {}}
            data.attrs["env_args"] = json.dumps(name)


def _opened(path: Path) -> Any:
    """The file, opened for reading.

    Raises:
        ValueError: If it is no HDF5 file, or has no demonstrations in it.
    """
    h5py = require("h5py", HDF5Format.name)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} must be an HDF5 file, got one that cannot be opened ({error}): "
            "copy it again."
        ) from error
    if "data" not in file:
        file.close()
        raise ValueError(
            f"{path} must hold the group data/demo_0 ... as robomimic's files, got "
            "none: write it with `python -m envs.convert` or robomimic."
        )
    return file


def _demos(file: Any) -> list[Any]:
    """The demonstrations in the order of their numbers."""
    groups = [x for x in file["data"].values() if "actions" in x]
    return sorted(groups, key=lambda x: (len(x.name), x.name))


def _spans(demo: Any, path: Path, options: ReadOptions, size: int) -> list[Span]:
    texts = _texts(demo, path)
    if texts and ("final_obs" in demo or "next_obs" in demo):
        texts.append(texts[-1])
    return spans_of(texts, size, options.stride)


def _texts(demo: Any, path: Path) -> list[str]:
    """What is done at every sample."""
    count = len(demo["actions"])
    if "language" in demo:
        return [" ".join(x.split()) for x in demo["language"].asstr()]
    said = json.loads(demo.attrs.get("ep_meta", "{}")).get("lang")
    problem = json.loads(demo.parent.attrs.get("problem_info", "{}"))
    text = said or problem.get("language_instruction")
    if not text:
        raise ValueError(
            f"{path} must say what is done, as `language` per sample or `lang` in the "
            f"attribute ep_meta, got neither in {demo.name}: add one of them."
        )
    return [" ".join("".join(text).split())] * count


def _episode(demo: Any, span: Span, path: Path, options: ReadOptions) -> Episode:
    cameras = [key for key, x in demo.get("obs", {}).items() if _is_video(x)]
    camera = pick_camera(cameras, options, path)
    views = demo["obs"][camera]
    picks = np.array(span.picks)
    frames = [fit(x, options.size) for x in views[picks[picks < len(views)]]]
    if picks[-1] == len(views):
        last = _after(demo, path)[camera]
        frames.append(fit(last[-1], options.size))
    labels = {name: rows[:] for name, rows in demo.get("labels", {}).items()}
    name = demo.name.rpartition("/")[2]
    if span.start:
        name = f"{name}@{span.start}"
    return Episode(name, np.stack(frames), span.phrases, labels)


def _after(demo: Any, path: Path) -> Any:
    """The observations after the last action."""
    for name in ("final_obs", "next_obs"):
        if name in demo:
            return demo[name]
    raise ValueError(
        f"{path} must show what followed the last action, in final_obs or next_obs, "
        f"got neither in {demo.name}: render next observations, too."
    )


def _is_video(data: Any) -> bool:
    shape: tuple[int, ...] = getattr(data, "shape", ())  # groups have none
    return len(shape) == 4 and data.dtype == np.uint8 and shape[-1] == 3


def _store(demo: Any, episode: Episode, phrases: tuple[str, ...]) -> int:
    """Writes one demonstration and returns its number of samples."""
    length = episode.chunk_length
    texts = [x for x in episode.phrases for _ in range(length)]
    index = [phrases.index(x) for x in texts]
    packed = {"compression": "gzip", "compression_opts": 4}
    demo.create_dataset(f"obs/{CAMERA}", data=episode.frames[:-1], **packed)
    demo.create_dataset(f"final_obs/{CAMERA}", data=episode.frames[-1:])
    demo.create_dataset("actions", data=np.eye(len(phrases), dtype=np.float32)[index])
    demo.create_dataset("language", data=texts)
    for name, rows in episode.labels.items():
        demo.create_dataset(f"labels/{name}", data=rows)
    demo.attrs["num_samples"] = len(texts)
    demo.attrs["ep_meta"] = json.dumps({"lang": ", ".join(episode.phrases)})
    return len(texts)
