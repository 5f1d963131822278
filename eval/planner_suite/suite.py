"""`suite=planners`: the same budget for every search, one row for each.

    python -m eval.run suite=planners episodes=100

Rows are optimizer x world model x budget, all over the same seeds. A search is made as
large as its budget allows (`sizes`), is metered around the world model, and is stopped
when the budget is spent. A planner that breaks or hangs is reported by name, and the
others get their rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import Progress

from envs.task_env import TaskEnv
from eval.build import Parts, build
from eval.build_planner import build_planner
from eval.decision_limit import decision_limit
from eval.errors import PluginError
from eval.evaluate import Episode, run_episodes
from eval.planner_suite import decisions
from eval.planner_suite.budget import CALLS, SECONDS, Budget, NoPlanError
from eval.planner_suite.grid import Grid, Row
from eval.planner_suite.sizes import SIZES
from eval.planner_suite.summary import plot_curves, print_rows, summarise
from eval.suite_run import batches, open_folder
from eval.tours import TourCache
from world_model.errors import one_line
from world_model.whole_file import write_text

TABLE = "planners.csv"
Failures = dict[Row, str]


def run_planners(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """Runs the suite, prints its table and returns the folder with its files.

    Writes planners.csv (a line per row), decisions/ (a file per row, a line per
    decision), planners.png (success over calls and over seconds) and run.json. A killed
    run continues after its last whole batch of episodes.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        overrides: The command line that made it.

    Raises:
        ValueError: If a value is impossible, before any work.
        RuntimeError: At the end, if planners failed; names each with its reason.
    """
    suite = PlannerSuite(cfg, overrides)
    failures = suite.run()
    suite.report(failures)
    if failures:
        reasons = "; ".join(f"{row}: {reason}" for row, reason in failures.items())
        raise RuntimeError(
            f"{len(failures)} of {len(suite.rows)} rows failed, the others are in "
            f"{suite.folder}. {reasons}"
        )
    return suite.folder


class PlannerSuite:
    """The rows of one comparison, checked when made.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        overrides: The command line that made it.

    Raises:
        ValueError: If a value is impossible or parts do not fit.
    """

    def __init__(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        self._cfg = cfg
        self._grid = Grid(cfg, overrides)
        self.rows = self._grid.rows
        # What the standard planner cannot be made with, no row can.
        parts = {name: build(cfg) for name, cfg in self._grid.standards.items()}
        self._check_searches(parts)
        # Now: the code may be edited while this runs.
        self._tours = {
            name: TourCache.of(self._grid.standards[name], made.device)
            for name, made in parts.items()
        }
        device = next(iter(parts.values())).device or "cpu"
        self.folder = self._open_folder(device, overrides)

    def run(self) -> Failures:
        """Runs what the files do not hold yet; returns why rows have failed."""
        failures: Failures = {}
        with Progress() as progress:
            task = progress.add_task("planners", total=len(self.rows))
            for row in self.rows:
                progress.update(task, description=str(row))
                try:
                    self._run_row(row)
                except (PluginError, NoPlanError, TimeoutError) as error:
                    failures[row] = one_line(error)
                progress.advance(task)
        return failures

    def report(self, failures: Failures) -> None:
        """Writes and prints the table, and draws the curves."""
        lines = {row: decisions.read(self._path(row)) for row in self.rows}
        whole = {row: x for row, x in lines.items() if row not in failures}
        table = summarise(self.rows, whole, failures)
        write_text(self.folder / TABLE, table.to_csv(index=False))
        if whole:
            plot_curves(whole, self.folder / "planners.png")
        print_rows(table)

    def _check_searches(self, parts: Mapping[str, Parts]) -> None:
        """Refuses those of ours that do not fit the task's actions."""
        for row in {row.optimizer: row for row in self.rows}.values():
            made = parts[row.world_model]
            if row.optimizer in SIZES:
                assert made.world_model is not None
                assert made.objective is not None
                config = self._grid.config_of(row)
                build_planner(config, made.world_model, made.objective)

    def _run_row(self, row: Row) -> None:
        path = self._path(row)
        groups = self._remaining(path)
        if not groups:
            return
        row = self._with_speed(row)
        cfg = self._grid.config_of(row)
        parts = build(cfg, row.budget)
        tours = self._tours[row.world_model]
        envs = [parts.make_env() for _ in range(max(map(len, groups)))]
        try:
            for seeds in groups:
                episodes = _run_batch(cfg, parts, tours, envs[: len(seeds)], seeds)
                decisions.write(path, decisions.read(path), episodes)
        finally:
            for env in envs:
                env.close()

    def _with_speed(self, row: Row) -> Row:
        """The row with what a second is worth, as its largest budget of calls says.

        Raises:
            PluginError: If that row has failed.
        """
        if row.budget.kind != SECONDS:
            return row
        calls = Budget(CALLS, max(self._cfg.planners.calls))
        lines = decisions.read(self._path(Row(row.optimizer, row.world_model, calls)))
        if lines.empty:
            raise PluginError(f"its speed is not known: it has no row with {calls}")
        speed = lines["calls"].sum() / lines["seconds"].sum()
        budget = Budget(SECONDS, row.budget.amount, float(speed))
        return Row(row.optimizer, row.world_model, budget)

    def _remaining(self, path: Path) -> list[list[int]]:
        """Batches of seeds without lines, always cut at the same places."""
        cfg, done = self._cfg, set(decisions.read(path)["seed"])
        groups = batches(cfg.first_seed, cfg.episodes, cfg.num_envs)
        return [batch for batch in groups if not done.issuperset(batch)]

    def _path(self, row: Row) -> Path:
        return self.folder / "decisions" / row.file_name

    def _open_folder(self, device: str, overrides: Sequence[str]) -> Path:
        """The run's folder: another configuration or revision is another folder."""
        cfg, rows = self._cfg, self._grid.foreign_configs()
        names = ("planners", cfg.task.name, cfg.split)
        return open_folder(cfg, overrides, rows, device, *names)


def _run_batch(
    cfg: DictConfig,
    parts: Parts,
    tours: TourCache,
    envs: list[TaskEnv],
    seeds: list[int],
) -> list[Episode]:
    model, memory = parts.world_model, parts.memory
    assert model is not None
    assert memory is not None
    return run_episodes(
        parts.policy,
        envs,
        seeds,
        num_calls=lambda: model.num_calls,
        memory_bytes=lambda: memory.num_bytes,
        watch=tours.watch,
        limit=partial(decision_limit, cfg),
    )
