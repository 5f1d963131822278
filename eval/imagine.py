"""Open-loop recall: imagines the shortest way to the goal and compares with truth.

At the start of a test the memory has seen the tour and the model sees one real
frame. The shortest path to the goal is imagined, chunk after chunk, and executed in
the simulator, which is then put back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from envs.task_env import TaskEnv
from planners.mpc import MPCPolicy
from world_model.api import generators
from world_model.frames import to_env


@dataclass(frozen=True)
class Imagined:
    """One imagined path beside the truth.

    Attributes:
        actions: (T,) or (T, A).
        real: (T * F, H, W, C) uint8, from the simulator.
        imagined: Like `real`, decoded from open-loop latents; for videos and cuts.
        key_frames: (T, H, W, C), the same path imagined in the key-frame form that
            planning uses; for recall.
        chunk_length: F.
    """

    actions: np.ndarray
    real: np.ndarray
    imagined: np.ndarray
    key_frames: np.ndarray
    chunk_length: int

    @property
    def real_chunk_ends(self) -> np.ndarray:
        """True last frames of each chunk, (T, H, W, C)."""
        return self.real[self.chunk_length - 1 :: self.chunk_length]


def imagine_paths(
    policy: MPCPolicy, envs: list[TaskEnv], seeds: list[int]
) -> list[Imagined]:
    """Imagines each episode's shortest path with the policy's memory.

    Memory is only read. Paths of different lengths are padded for the batch and cut
    afterwards.
    """
    paths = [env.path() for env in envs]
    longest = max(map(len, paths))
    padded = torch.from_numpy(
        np.array([p + [p[-1]] * (longest - len(p)) for p in paths])
    )
    videos = _rollout(policy, envs, padded, seeds, all_frames=True)
    key_frames = _rollout(policy, envs, padded, seeds, all_frames=False)
    results = []
    for env, path, video, keys in zip(envs, paths, videos, key_frames, strict=True):
        length = env.domain.chunk_length
        real = _execute(env, path)
        imagined = video[: len(path) * length]
        results.append(
            Imagined(np.array(path), real, imagined, keys[: len(path)], length)
        )
    return results


def _rollout(
    policy: MPCPolicy,
    envs: list[TaskEnv],
    actions: torch.Tensor,
    seeds: list[int],
    *,
    all_frames: bool,
) -> np.ndarray:
    """Images (B, T * F, H, W, C) of one open-loop rollout per episode."""
    rollout = policy.world_model.rollout(
        policy.context_for([env.domain.get_state() for env in envs]),
        actions[:, None],
        memory=policy.memory,
        generator=generators(seeds),
        all_frames=all_frames,
    )
    return to_env(rollout.frames[:, 0].flatten(1, 2))


def _execute(env: TaskEnv, path: list[Any]) -> np.ndarray:
    """Frames of a path in the simulator, which is put back afterwards."""
    state = env.domain.get_state()
    frames = np.concatenate([env.execute(action) for action in path])
    env.domain.set_state(state)
    return frames
