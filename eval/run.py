"""Runs one combination: `python -m eval.run planner=mpc memory=temp_lora`.

With `paired=none` (the default) the same episodes also run without memory, so that
every number stands beside its floor; `paired=[none,anchor]` adds two rows. Prints a
table, writes outputs/<run-id>/ (run.json, episodes.csv, videos) and says where. A
killed run continues where it stopped.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import sys
from typing import TYPE_CHECKING, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from eval.errors import USER_ERRORS
from world_model.errors import list_of, one_line, unknown_name
from world_model.names import check_group_names
from world_model.plugins import register_configs

if TYPE_CHECKING:
    from eval.session import Session


_INSTEAD = {
    "recall": {"episodes": "recall.paths", "paired": "recall.memories"},
    "generate": {"paired": "generate.memories"},
    "planners": {"paired": "planners.world_models"},
    "quality": {
        "episodes": "quality.episodes",
        "first_seed": "quality.first_seed",
        "paired": "several runs",
    },
}
"""What other suites read instead of an option of `suite=tasks`."""


@hydra.main(config_path="../configs", config_name="eval", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Runs the episodes that the records do not hold yet, then reports."""
    from eval.build import check
    from world_model.device import use_threads

    overrides = list(HydraConfig.get().overrides.task)
    suites = {
        "tasks": _tasks,
        "recall": _recall,
        "planners": _planners,
        "generate": _generate,
        "quality": _quality,
    }
    try:
        if cfg.suite not in suites:
            raise unknown_name("suite", cfg.suite, suites)
        _check_heeded(cfg.suite, overrides)
        check(cfg)
        use_threads(cfg.threads, cfg.workers)
        suites[cfg.suite](cfg, overrides)
    except USER_ERRORS as error:
        _stop(f"error: {one_line(error)}")


def _check_heeded(suite: str, overrides: list[str]) -> None:
    """Refuses options of `suite=tasks` that another suite would pass over.

    Raises:
        ValueError: With the option that it reads instead.
    """
    for override in overrides:
        name = override.lstrip("+~").split("=")[0]
        if name in _INSTEAD.get(suite, {}):
            raise ValueError(
                f"`{name}` is not read by suite={suite}, got {override}: use "
                f"{_INSTEAD[suite][name]} instead."
            )


def _stop(message: str) -> NoReturn:
    """Ends the process; of a sweep, only this run: the others still get their turn."""
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        sys.exit(message)
    print(message, file=sys.stderr, flush=True)
    raise CompactHydraException("error: a run of the sweep failed, see above")


def _tasks(cfg: DictConfig, overrides: list[str]) -> None:
    from eval.session import Session

    # The run asked for comes first: if it is refused, no record is begun.
    sessions = [Session(c, o) for c, o in _paired(cfg, overrides)[::-1]][::-1]
    for session in sessions:
        session.run()
    _report(sessions)


def _recall(cfg: DictConfig, overrides: list[str]) -> None:
    from eval.recall.suite import run_recall

    print(f"results: {run_recall(cfg, overrides)}")


def _planners(cfg: DictConfig, overrides: list[str]) -> None:
    from eval.planner_suite.suite import run_planners

    print(f"results: {run_planners(cfg, overrides)}")


def _generate(cfg: DictConfig, overrides: list[str]) -> None:
    from eval.generation.suite import run_generate

    folder = run_generate(cfg, overrides)
    print(f"video:   {folder / 'video.mp4'}\nresults: {folder}")


def _quality(cfg: DictConfig, overrides: list[str]) -> None:
    from eval.quality.suite import run_quality

    print(f"results: {run_quality(cfg, overrides)}")


def _paired(
    cfg: DictConfig, overrides: list[str]
) -> list[tuple[DictConfig, list[str]]]:
    """The run itself, and before it the same run with every memory of `paired`."""
    from eval.build import other_memory

    paired = [] if cfg.paired is None else cfg.paired
    names = [paired] if isinstance(paired, str) else list_of(str, "paired", paired)
    if "planner" not in cfg.planner or cfg.world_model.name == "simulator":
        names = []
    others = [other_memory(overrides, name) for name in names]
    # The run's own memory with the same options would be the same run.
    kept = [(other, words) for other, words in others if other.memory != cfg.memory]
    return [*kept, (cfg, overrides)]


def _report(sessions: list[Session]) -> None:
    import pandas as pd

    from eval.leaderboard import MIN_EPISODES, summarise
    from eval.report import print_committed, write_side_by_side
    from eval.table import print_tables
    from eval.video_distance import video_distance

    cfg = sessions[0].cfg
    if cfg.video:
        for session in sessions:
            video_distance(session.record)
    rows = pd.DataFrame([summarise(s.record) for s in sessions])
    note = "demo" if cfg.episodes < MIN_EPISODES else ""
    print_tables(rows, note=note)
    for session in sessions:
        _print_own_metrics(session)
    print_committed(cfg.task.name)
    if cfg.video and len(sessions) > 1:
        video = write_side_by_side([s.record.directory for s in sessions])
        print(f"video:   {video or 'none, one of the runs was made with video=false'}")
    for session in sessions:
        print(f"results: {session.record.directory}")


def _print_own_metrics(session: Session) -> None:
    """A line per column of one's own: value, 95 % interval if any, and unit."""
    from eval.row_name import row_name

    record = session.record
    row, batches = row_name(record.run()), record.batches()
    episodes = sorted(record.rows(), key=lambda episode: int(episode["seed"] or 0))
    for metric in session.parts.metrics:
        values = [episode[metric.name] for episode in episodes]
        found = metric.aggregate(values, batches)
        text = "no value" if found is None else f"{found.value:.3g} {metric.unit}"
        if found is not None and found.low is not None:
            text = f"{text.strip()} [{found.low:.3g}, {found.high:.3g}]"
        print(f"{metric.name} of {row}: {text.strip()}")


if __name__ == "__main__":
    try:
        check_group_names(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"error: {error}")
    register_configs()
    main()
