"""One run: its parts, its record, and the loop over remaining episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from envs.task_env import TaskEnv
from eval.build import Parts, build
from eval.build_world_model import weights
from eval.decision_limit import decision_limit
from eval.evaluate import Episode, run_episodes
from eval.image_scores import recall_scores
from eval.imagine import Imagined, imagine_paths
from eval.make_part import naming
from eval.record import RunRecord
from eval.run_spec import RunSpec, code_name, provenance
from eval.suite_run import batches
from eval.tours import TourCache
from planners.mpc import MPCPolicy
from world_model.plain import plain

# Keys that say where results go or belong to other suites.
_BESIDE = (
    "suite",
    "outputs",
    "video",
    "paired",
    "frames",
    "decision_seconds",
    "generate",
    "recall",
    "planners",
    "quality",
)


class Session:
    """A run that can be killed and continued.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        overrides: The command line that made it.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        self.cfg = cfg
        self.parts: Parts = build(cfg)
        self.record = self._open_record(overrides)
        # Now: the code may be edited while this runs.
        self._tours = TourCache.of(cfg, self.parts.device)

    def run(self) -> None:
        """Runs the remaining seeds in batches of `num_envs`."""
        from rich.progress import Progress, TaskID

        batches = self._remaining_batches()
        if not batches:
            return
        envs = [self.parts.make_env() for _ in range(max(map(len, batches)))]
        name = f"{self.cfg.task.name} {self.cfg.planner.name} {self.cfg.memory.name}"
        try:
            with Progress() as progress:
                for seeds in batches:
                    task = progress.add_task(
                        f"{name}, seeds {seeds[0]}-{seeds[-1]}", total=None
                    )

                    def advance(task: TaskID = task) -> None:
                        progress.advance(task)

                    episodes = self._run_batch(envs[: len(seeds)], seeds, advance)
                    progress.update(task, total=1, completed=1)
                    self._append(episodes)
        finally:
            for env in envs:
                env.close()

    def _remaining_batches(self) -> list[list[int]]:
        """Batches with unrecorded seeds, always cut at the same places.

        A batch that was killed between two of its lines runs again as a whole, so
        that its episodes come out as in an unbroken run.
        """
        cfg, missing = self.cfg, set(self.record.remaining_seeds())
        cut = batches(cfg.first_seed, cfg.episodes, cfg.num_envs)
        return [batch for batch in cut if missing & set(batch)]

    def _append(self, episodes: list[Episode]) -> None:
        missing = set(self.record.remaining_seeds())
        for episode in episodes:
            if episode.seed in missing:
                self.record.append(episode.row() | self._measure(episode))

    def _measure(self, episode: Episode) -> dict[str, float | None]:
        """The columns of the run's own metrics."""
        values = {}
        for metric in self.parts.metrics:
            with naming("metric", self.cfg.metric[metric.name], name=metric.name):
                values[metric.name] = metric.measure(episode)
                metric.check(values[metric.name])
        return values

    def _run_batch(
        self,
        envs: list[TaskEnv],
        seeds: list[int],
        on_step: Callable[[], None],
    ) -> list[Episode]:
        parts = self.parts
        model, memory = parts.world_model, parts.memory

        def on_test(episodes: list[Episode]) -> None:
            if isinstance(parts.policy, MPCPolicy):
                self._imagine(parts.policy, envs, episodes)

        return run_episodes(
            parts.policy,
            envs,
            seeds,
            num_calls=lambda: model.num_calls if model else 0,
            memory_bytes=lambda: memory.num_bytes if memory else 0,
            on_step=on_step,
            on_test=on_test,
            watch=self._tours.watch,
            limit=partial(decision_limit, self.cfg),
        )

    def _imagine(
        self, policy: MPCPolicy, envs: list[TaskEnv], episodes: list[Episode]
    ) -> None:
        """Scores the shortest path imagined open loop, and keeps it for videos."""
        paths = imagine_paths(policy, envs, [e.seed for e in episodes])
        for episode, path in zip(episodes, paths, strict=True):
            episode.recall = recall_scores(path, self.cfg.task.domain)
            if self.cfg.video:
                save_imagined(self.record.directory, episode, path)

    def _open_record(self, overrides: Sequence[str]) -> RunRecord:
        """The record of this run, new or continued."""
        cfg, parts = self.cfg, self.parts
        spec = RunSpec(
            config=deciding(cfg),
            task=cfg.task.name,
            planner=cfg.planner.name,
            memory=cfg.memory.name if parts.memory is not None else "none",
            world_model=cfg.world_model.name if parts.world_model else "none",
            split=cfg.split,
            seeds=tuple(range(cfg.first_seed, cfg.first_seed + cfg.episodes)),
        )
        device = "cpu" if parts.device is None else parts.device
        made_by = provenance(
            device=device,
            overrides=overrides,
            config=spec.config,
            weights=[weights(cfg, cfg.task.domain)] if parts.world_model else (),
        )
        # Another revision is another record: the directory says so.
        code = code_name(made_by)
        record = RunRecord(Path(cfg.outputs) / f"{spec.run_id}-{code}")
        stores = parts.memory is not None and parts.memory.stores_frames
        record.start(spec, made_by, stores_frames=stores)
        return record


def deciding(cfg: DictConfig) -> dict[str, Any]:
    """The part of a configuration that decides how episodes of tasks come out."""
    return {k: v for k, v in plain(cfg).items() if k not in _BESIDE}


def save_imagined(folder: Path, episode: Episode, path: Imagined) -> None:
    """Keeps an imagined path, losslessly, as imagined-<seed>.npz."""
    np.savez_compressed(
        folder / f"imagined-{episode.seed}.npz",
        real=path.real,
        imagined=path.imagined,
        real_chunk_ends=path.real_chunk_ends,
        key_frames=path.key_frames,
        actions=path.actions,
        instruction=episode.instruction,
    )
