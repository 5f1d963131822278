"""Validation episodes: walks recorded in the simulator, with depth and camera poses.

Where the robot stays, a walk is a series of errands, without depth: the camera stays
too. Such walks say where objects are instead.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from rich.progress import track

from envs.action_cache import fingerprint
from envs.domains import domain_class, make_domain
from envs.recording import record_episode
from envs.splits import episode_rng
from eval.plugin_code import plugin_code
from eval.quality.geometry import View
from world_model.whole_file import write_whole

_CAMERA = ("depth", "camera_pose", "focal_length_px")


@dataclass(frozen=True)
class WalkSpec:
    """What determines a set of walks.

    Attributes:
        domain: Name of the domain.
        split: Where the seeds come from: "val" or "test".
        first_seed: Walk i has the seed first_seed + i and a layout of its own.
        episodes: E, number of walks.
        actions: T, actions per walk.
    """

    domain: str
    split: str
    first_seed: int
    episodes: int
    actions: int

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per walk."""
        return tuple(range(self.first_seed, self.first_seed + self.episodes))


@dataclass(frozen=True)
class Walks:
    """E recorded walks of T actions.

    Attributes:
        frames: (E, 1 + T*F, H, W, C) uint8.
        actions: (E, T) int16.
        moved: (E, T) bool; False where an action was blocked.
        found: Goals that hold at rest, before the first and after every action,
            (E, T + 1, O) bool.
        depth: At rest, before the first and after every action, (E, T + 1, H, W) [m].
        position: Of the camera then, (E, T + 1, 3) [m].
        rotation: Of the camera then, (E, T + 1, 3, 3).
        focal_length: () [px]. These four are None where the camera stays.
        places: Of the objects then, (E, T + 1, O, 3) [m]; None where nothing moves.
        seen: Which of them can be seen then, (E, T + 1, O) bool.
    """

    frames: np.ndarray
    actions: np.ndarray
    moved: np.ndarray
    found: np.ndarray
    depth: np.ndarray | None = None
    position: np.ndarray | None = None
    rotation: np.ndarray | None = None
    focal_length: np.ndarray | None = None
    places: np.ndarray | None = None
    seen: np.ndarray | None = None

    @property
    def chunk_length(self) -> int:
        """F, frames per action."""
        return (self.frames.shape[1] - 1) // self.actions.shape[1]

    @property
    def key_frames(self) -> np.ndarray:
        """The frames at rest, (E, T + 1, H, W, C) uint8."""
        return self.frames[:, :: self.chunk_length]

    def view(self, episode: int, index: int) -> View:
        """Depth and pose of key frame `index` of a walk that has them."""
        arrays = (
            x for x in (self.depth, self.position, self.rotation) if x is not None
        )
        return View(*(array[episode, index] for array in arrays))


def check_domain(name: str) -> None:
    """Refuses domains whose camera moves and cannot say what it sees where.

    Raises:
        ValueError: If the domain has no depth camera or is unknown.
    """
    domain = domain_class(name)
    missing = [x for x in _CAMERA if not hasattr(domain, x)]
    if missing and domain.travels:
        raise ValueError(
            "`suite=quality` needs a domain with a depth camera, got "
            f"{name!r} without {', '.join(missing)}: choose task=rooms_find_seen."
        )


def load_walks(spec: WalkSpec, cache: Path) -> Walks:
    """The walks of `spec`, recorded once per version of the simulator.

    Args:
        spec: Which walks.
        cache: Folder of recorded walks; made if missing.
    """
    path = cache / f"walks-{_digest(spec)}.npz"
    walks = _read(path)
    if walks is None:
        walks = record_walks(spec)
        cache.mkdir(parents=True, exist_ok=True)
        write_whole(path, partial(_save, walks))
    return walks


def record_walks(spec: WalkSpec) -> Walks:
    """Records the walks of `spec`."""
    domain: Any = make_domain(spec.domain)
    try:
        rows = [
            _record(domain, episode_rng(spec.split, seed), spec.actions)
            for seed in track(spec.seeds, description="recording walks")
        ]
    finally:
        domain.close()
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    if domain.travels:
        stacked["focal_length"] = np.array(domain.focal_length_px)
    return Walks(**stacked)


def _record(
    domain: Any, rng: np.random.Generator, num_actions: int
) -> dict[str, np.ndarray]:
    views: list[View] = []

    def look() -> None:
        if domain.travels:
            views.append(View(domain.depth(), *domain.camera_pose()))

    row = record_episode(domain, rng, num_actions, watch=look)
    kept = {name: row[name] for name in ("frames", "actions", "moved", "found")}
    if "positions" in row:
        kept["seen"] = row["visible"] > 0
        kept["places"] = row["positions"][:, : kept["seen"].shape[1]]
    names = [field.name for field in fields(View)] if views else []
    return kept | {n: np.stack([getattr(v, n) for v in views]) for n in names}


def _save(walks: Walks, file: BinaryIO) -> None:
    known = {name: x for name, x in vars(walks).items() if x is not None}
    np.savez_compressed(file, **known)


def _read(path: Path) -> Walks | None:
    """The walks of a file; None if there is none or it is damaged."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return Walks(**arrays)
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile):
        return None  # it is only a cache: what cannot be read is recorded again


def _digest(spec: WalkSpec) -> str:
    """Changes with `spec` and with all that decides what its walks show."""
    digest = hashlib.sha256(json.dumps(asdict(spec)).encode())
    digest.update(fingerprint().encode())
    digest.update(json.dumps(plugin_code({"domain": spec.domain})).encode())
    return digest.hexdigest()[:12]
