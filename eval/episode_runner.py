"""`EpisodeRunner`: the parts of one run at work, in this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from envs.task_env import TaskEnv
from eval.build import Parts, build
from eval.decision_limit import decision_limit
from eval.evaluate import Episode, run_episodes
from eval.image_scores import recall_scores, require_networks
from eval.imagine import Imagined, imagine_paths
from eval.make_part import naming
from eval.record import Row
from eval.tours import TourCache
from eval.video.weights import I3D, VGG16
from planners.mpc import MPCPolicy
from world_model.whole_file import write_whole


class EpisodeRunner:
    """Runs batches of episodes in lockstep and measures them.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.

    Attributes:
        parts: What the run is made of.
        tours: Memories as tours left them, and what decides about them.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.parts: Parts = build(cfg)
        if isinstance(self.parts.policy, MPCPolicy):
            require_networks(cfg.task.domain, VGG16, *[I3D] * bool(cfg.video))
        # Now: the code may be edited while this runs.
        self.tours = TourCache.of(cfg, self.parts.device)
        self._envs: list[TaskEnv] = []

    def run(
        self, seeds: list[int], folder: Path, on_step: Callable[[], None]
    ) -> list[Row]:
        """Runs one batch.

        Args:
            seeds: Of the episodes.
            folder: Gets what they imagine, if there shall be videos.
            on_step: Called after each step of all episodes.

        Returns:
            Their lines of the record.
        """
        envs = self._first_envs(len(seeds))
        parts = self.parts
        model, memory = parts.world_model, parts.memory

        def on_test(episodes: list[Episode]) -> None:
            if isinstance(parts.policy, MPCPolicy):
                self._imagine(parts.policy, envs, episodes, folder)

        episodes = run_episodes(
            parts.policy,
            envs,
            seeds,
            num_calls=lambda: model.num_calls if model else 0,
            memory_bytes=lambda: memory.num_bytes if memory else 0,
            on_step=on_step,
            on_test=on_test,
            watch=self.tours.watch,
            limit=partial(decision_limit, self.cfg),
        )
        return [episode.row() | self._measure(episode) for episode in episodes]

    def close(self) -> None:
        """Closes the environments; the next batch makes new ones."""
        while self._envs:
            self._envs.pop().close()

    def _first_envs(self, count: int) -> list[TaskEnv]:
        while len(self._envs) < count:
            self._envs.append(self.parts.make_env())
        return self._envs[:count]

    def _measure(self, episode: Episode) -> dict[str, float | None]:
        """The columns of the run's own metrics."""
        values = {}
        for metric in self.parts.metrics:
            with naming("metric", self.cfg.metric[metric.name], name=metric.name):
                values[metric.name] = metric.measure(episode)
                metric.check(values[metric.name])
        return values

    def _imagine(
        self,
        policy: MPCPolicy,
        envs: list[TaskEnv],
        episodes: list[Episode],
        folder: Path,
    ) -> None:
        """Scores the shortest path imagined open loop, and keeps it for videos."""
        paths = imagine_paths(policy, envs, [e.seed for e in episodes])
        for episode, path in zip(episodes, paths, strict=True):
            episode.recall = recall_scores(path, self.cfg.task.domain)
            if self.cfg.video:
                save_imagined(folder, episode, path)


def save_imagined(folder: Path, episode: Episode, path: Imagined) -> None:
    """Keeps an imagined path, losslessly, as imagined-<seed>.npz."""
    content: dict[str, Any] = {
        "real": path.real,
        "imagined": path.imagined,
        "real_chunk_ends": path.real_chunk_ends,
        "key_frames": path.key_frames,
        "actions": path.actions,
        "instruction": episode.instruction,
    }
    write_whole(
        folder / f"imagined-{episode.seed}.npz",
        lambda file: np.savez_compressed(file, **content),
    )
