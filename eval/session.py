"""One run: its parts, its record, and the loop over remaining episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.progress import Progress

from eval.build_world_model import weights
from eval.episode_runner import EpisodeRunner
from eval.record import Row, RunRecord
from eval.run_spec import RunSpec, code_name, provenance
from eval.suite_run import batches
from eval.workers import run_in_workers
from world_model.plain import plain

# Keys that say where results go or belong to other suites.
_BESIDE = (
    "suite",
    "outputs",
    "workers",
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
        self._runner = EpisodeRunner(cfg)
        self.parts = self._runner.parts
        self.record = self._open_record(overrides)

    def run(self) -> None:
        """Runs the remaining seeds in batches of `num_envs`."""
        remaining = self._remaining_batches()
        if not remaining:
            return
        with Progress() as progress:
            run = self._run_here if self.cfg.workers == 1 else self._run_together
            for rows in run(remaining, progress):
                self._append(rows)

    def _remaining_batches(self) -> list[list[int]]:
        """Batches with unrecorded seeds, always cut at the same places.

        A batch that was killed between two of its lines runs again as a whole, so
        that its episodes come out as in an unbroken run.
        """
        cfg, missing = self.cfg, set(self.record.remaining_seeds())
        cut = batches(cfg.first_seed, cfg.episodes, cfg.num_envs)
        return [batch for batch in cut if missing & set(batch)]

    def _run_here(
        self, remaining: list[list[int]], progress: Progress
    ) -> Iterator[list[Row]]:
        """One batch after the other; the bar moves with every step."""
        runner, folder = self._runner, self.record.directory
        try:
            for seeds in remaining:
                name = f"{self._name}, seeds {seeds[0]}-{seeds[-1]}"
                task = progress.add_task(name, total=None)
                yield runner.run(seeds, folder, partial(progress.advance, task))
                progress.update(task, total=1, completed=1)
        finally:
            runner.close()

    def _run_together(
        self, remaining: list[list[int]], progress: Progress
    ) -> Iterator[list[Row]]:
        """Batches of several processes; the bar moves with each that is done."""
        name = f"{self._name}, {self.cfg.workers} workers"
        task = progress.add_task(name, total=sum(map(len, remaining)))
        for rows in run_in_workers(self._runner, remaining, self.record.directory):
            yield rows
            progress.advance(task, len(rows))

    @property
    def _name(self) -> str:
        cfg = self.cfg
        return f"{cfg.task.name} {cfg.planner.name} {cfg.memory.name}"

    def _append(self, rows: list[Row]) -> None:
        missing = set(self.record.remaining_seeds())
        for row in rows:
            if row["seed"] in missing:
                self.record.append(row)

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
