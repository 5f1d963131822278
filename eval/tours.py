"""What a memory holds after a tour: written once, reused by every run that asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from envs.task_env import TaskEnv
from eval.build_world_model import weights
from eval.evaluate import Episode, watch_tours
from eval.plugin_code import packages_of_others, plugin_code
from eval.run_spec import canonical_json
from planners.mpc import MPCPolicy
from world_model.plain import plain
from world_model.policy_api import Policy
from world_model.provenance import code_state, weights_digests
from world_model.torch_file import load_kept
from world_model.whole_file import write_whole


@dataclass(frozen=True)
class TourCache:
    """Memory snapshots on disk, one file per batch of tours.

    Tasks share tours, and so do planners and suites: the write, which costs most of
    a run, is paid once. A file's name is a digest of everything that decides its
    content, the tours' frames included; seconds are those of the one real write.

    Attributes:
        folder: Where the files are; may be deleted at any time.
        identity: Memory, weights and code, as plain JSON values.
    """

    folder: Path
    identity: Mapping[str, Any]

    @classmethod
    def of(cls, cfg: DictConfig, device: str | None) -> TourCache:
        """The snapshots of a configuration's memory, in its outputs/.tours.

        Another revision of the code, other weights or another number of threads
        write their own; so do several workers, whose seconds nobody else shall read.
        """
        # The policy shows the tour to its memory; the search in it knows no tours.
        policy = {k: v for k, v in plain(cfg.planner).items() if k != "planner"}
        parts = {
            "policy": policy if packages_of_others(policy) else {},
            "memory": plain(cfg.memory),
            "world_model": plain(cfg.world_model),
        }
        identity = {
            **parts,
            "weights": weights_digests(weights(cfg, cfg.task.domain)),
            "code": code_state(),
            "plugins": plugin_code(parts),
            "threads": torch.get_num_threads(),
            "alone": cfg.workers == 1,  # else its seconds are not those of a machine
            "device": device,
        }
        return cls(Path(cfg.outputs) / ".tours", identity)

    def watch(
        self,
        policy: Policy,
        envs: Sequence[TaskEnv],
        episodes: list[Episode],
        on_step: Callable[[], None],
    ) -> None:
        """Like `watch_tours`, or the snapshot of having done so.

        Raises:
            ValueError: If a file is damaged.
        """
        if not isinstance(policy, MPCPolicy) or not _resumes(policy):
            watch_tours(policy, envs, episodes, on_step)
            return
        path = self.folder / f"{self._digest(envs, episodes)}.pt"
        if path.exists():
            state, seconds = _load(path)
            policy.resume(state, [len(env.tour) for env in envs])
            for episode, value in zip(episodes, seconds, strict=True):
                episode.write_seconds = value
            return
        watch_tours(policy, envs, episodes, on_step)
        if policy.memory.num_bytes:
            kept = policy.memory.snapshot(), [e.write_seconds for e in episodes]
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda file: torch.save(kept, file))

    def _digest(self, envs: Sequence[TaskEnv], episodes: list[Episode]) -> str:
        digest = hashlib.sha256(canonical_json(dict(self.identity)).encode())
        for env, episode in zip(envs, episodes, strict=True):
            digest.update(str(episode.seed).encode())
            for step in env.tour:
                digest.update(repr(step.action).encode())
                digest.update(step.frames.tobytes())
        return digest.hexdigest()[:16]


def _resumes(policy: MPCPolicy) -> bool:
    """Whether the class that observes also says how to stand where that led."""
    makers = [
        next(kind for kind in type(policy).__mro__ if name in vars(kind))
        for name in ("observe", "resume")
    ]
    return makers[0] is makers[1]


def _load(path: Path) -> tuple[Any, list[float]]:
    kept: tuple[Any, list[float]] = load_kept(
        path, what="a snapshot", remedy="delete it", weights_only=False
    )
    return kept
