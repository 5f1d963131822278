"""Data sets -> tensors in memory: frames for the autoencoder, latents for the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.fingerprint import fingerprint
from world_model.frames import to_model
from world_model.shards import ShardMeta, read_meta, read_shards
from world_model.text.phrases import goals_of, vocabulary_of
from world_model.torch_file import load_kept
from world_model.training.episodes import LatentEpisodes
from world_model.whole_file import write_whole


def load_images(folder: Path, stride: int) -> np.ndarray:
    """Every `stride`-th frame of every episode, (M, H, W, C) uint8."""
    return np.concatenate(
        [
            s["frames"][:, ::stride].reshape(-1, *s["frames"].shape[2:])
            for s in read_shards(folder, only=("frames",))
        ]
    )


def encode_dataset(
    folder: Path,
    autoencoder: FrameAutoencoder,
    device: torch.device,
    *,
    mirrored: bool = False,
    beside: bool = False,
) -> LatentEpisodes:
    """Encodes a whole data set once; the result is cached beside it.

    The cache is keyed by the autoencoder's weights and the data set, so that a new
    autoencoder or new data never meet old latents.

    Args:
        folder: Written by `python -m envs.collect`.
        autoencoder: Frames -> latents.
        device: Where to encode.
        mirrored: Every frame seen in a mirror, every action as the mirror shows it:
            the same number of new episodes for nothing.
        beside: Also the views from beside the path, where the data set holds them.
    """
    meta = read_meta(folder)
    labels = list(read_shards(folder, only=("actions", "moved", "found")))
    numbers, vectors, inverses = _numbered(labels, meta, mirrored)
    latents = _LatentCache(folder, autoencoder, device, mirrored)
    return LatentEpisodes(
        latents=latents.of("frames"),
        actions=numbers,
        moved=_labels(labels, meta, "moved"),
        chunk_length=meta.chunk_length,
        inverses=inverses,
        beside=latents.of("beside") if beside and latents.has("beside") else None,
        vectors=vectors,
        found=_goals_reached(numbers, labels, meta),
    )


class _LatentCache:
    """Latents of a data set's frames, encoded once and kept beside it."""

    def __init__(
        self,
        folder: Path,
        autoencoder: FrameAutoencoder,
        device: torch.device,
        mirrored: bool,
    ) -> None:
        self._folder = folder
        self._autoencoder = autoencoder
        self._device = device
        self._mirrored = mirrored

    def has(self, array: str) -> bool:
        """Whether the data set holds such frames."""
        return any(array in shard for shard in read_shards(self._folder, (array,)))

    @torch.no_grad()
    def of(self, array: str) -> Tensor:
        """Latents of all frames in an array, "frames" or "beside"."""
        path = self._path(array)
        if path.exists():
            remedy = "delete it, they are encoded again"
            latents: Tensor = load_kept(path, what="latents", remedy=remedy)
            return latents
        number = len(list(self._folder.glob("shard-*.npz")))
        # One by one: the frames of all would fill the memory of large data sets.
        shards = read_shards(self._folder, (array,))
        latents = torch.cat(
            [
                _encode(
                    _seen(s[array], self._mirrored), self._autoencoder, self._device
                )
                for s in track(shards, f"encoding {array}", total=number)
            ]
        )
        write_whole(path, lambda file: torch.save(latents, file))
        return latents

    def _path(self, array: str) -> Path:
        parts = [fingerprint(self._autoencoder), data_digest(self._folder)]
        parts += ["mirrored"] * self._mirrored + [array] * (array != "frames")
        return self._folder / f"latents-{'-'.join(parts)}.pt"


def data_digest(folder: Path) -> str:
    """Tells data sets apart without reading them."""
    digest = hashlib.sha256((folder / "meta.json").read_bytes())
    for path in sorted(folder.glob("shard-*.npz")):
        digest.update(f"{path.name} {path.stat().st_size} ".encode())
    return digest.hexdigest()[:8]


def _numbered(
    shards: Sequence[dict[str, np.ndarray]], meta: ShardMeta, mirrored: bool
) -> tuple[np.ndarray, Tensor | None, np.ndarray]:
    """Numbers of the actions, what vectors these are, and which undoes which."""
    actions = np.concatenate([s["actions"] for s in shards])
    if mirrored:
        check_mirror(meta)
    if meta.bounds is not None:  # every action has a number of its own
        vectors = torch.from_numpy(actions).flatten(0, 1)
        numbers = np.arange(len(vectors)).reshape(actions.shape[:2])
        return numbers, vectors, np.full(len(vectors), -1)
    if mirrored:
        actions = mirrored_actions(meta.phrases)[actions]
    inverses = [-1 if i is None else i for i in meta.inverses]
    return actions.astype(np.int64), None, np.array(inverses)


def has_mirror(phrases: Sequence[str]) -> bool:
    """True if it is known how every action looks in a mirror."""
    words = vocabulary_of(phrases)
    known = (
        p in words.paraphrases and words.mirror.get(p, p) in phrases for p in phrases
    )
    return bool(phrases) and all(known)


def check_mirror(meta: ShardMeta) -> None:
    """Refuses mirror images of actions of which nobody knows how they look there.

    Raises:
        ValueError: If actions are vectors, or phrases without mirror images.
    """
    if meta.bounds is not None:
        raise ValueError(
            "`slow.mirror=true` needs actions that are phrases, got vectors, of which "
            "nobody knows how a mirror shows them: use slow.mirror=false."
        )
    mirrored_actions(meta.phrases)


def mirrored_actions(phrases: Sequence[str]) -> np.ndarray:
    """For each action, the index of what a mirror shows of it.

    Raises:
        ValueError: If that is not known.
    """
    if not has_mirror(phrases):
        raise ValueError(
            "`mirror=true` needs actions whose mirror images are known, got "
            f"{', '.join(phrases)}: use `mirror=false` of that stage."
        )
    mirror = vocabulary_of(phrases).mirror
    return np.array([list(phrases).index(mirror.get(p, p)) for p in phrases])


def _goals_reached(
    actions: np.ndarray, labels: Sequence[dict[str, np.ndarray]], meta: ShardMeta
) -> np.ndarray | None:
    """Which goals hold at chunk ends, (E, T + 1, G); None if nobody knows.

    Those of the vocabulary are reached where their phrases have just been executed and
    none of them was blocked; without any, they are the objects that are found.
    """
    goals, moved = goals_of(meta.phrases), _labels(labels, meta, "moved")
    if not goals or moved is None:
        return _labels(labels, meta, "found")
    reached = np.zeros((len(actions), actions.shape[1] + 1, len(goals)), bool)
    for i, phrases in enumerate(goals):
        ways = [(actions == meta.phrases.index(p)) & moved for p in phrases]
        last = actions.shape[1] - len(ways) + 1
        done = [way[:, k : last + k] for k, way in enumerate(ways)]
        reached[:, len(ways) :, i] = np.logical_and.reduce(done)
    return reached


def _labels(
    shards: Sequence[dict[str, np.ndarray]], meta: ShardMeta, name: str
) -> np.ndarray | None:
    """A label of all episodes, or None if the data set does not hold it."""
    if name not in meta.labels:
        return None
    return np.concatenate([s[name] for s in shards])


def _seen(frames: np.ndarray, mirrored: bool) -> np.ndarray:
    """Frames (E, N, H, W, C), or what a mirror shows of them."""
    return np.ascontiguousarray(frames[:, :, :, ::-1]) if mirrored else frames


def with_noise(x: Tensor, largest: float, rng: np.random.Generator) -> Tensor:
    """Latents (M, ...) with noise of a random strength per row.

    Args:
        x: One or more views a row.
        largest: Largest standard deviation.
        rng: Draws noise and strengths.
    """
    noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
    scale = torch.from_numpy(rng.uniform(0, largest, (len(x), *[1] * (x.ndim - 1))))
    return x + (noise * scale.float()).to(x.device)


def _encode(
    frames: np.ndarray, autoencoder: FrameAutoencoder, device: torch.device
) -> Tensor:
    flat = frames.reshape(-1, *frames.shape[2:])
    out = [
        autoencoder.encode(to_model(flat[i : i + 256]).to(device)).half().cpu()
        for i in range(0, len(flat), 256)
    ]
    latents = torch.cat(out)
    return latents.reshape(*frames.shape[:2], *latents.shape[1:])
