"""Several processes share the episodes of one run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from omegaconf import DictConfig

from eval.episode_runner import EpisodeRunner
from eval.record import Row
from eval.run_spec import canonical_json
from world_model.plain import plain

_SECONDS = ("plan_seconds_p50", "plan_seconds_p95", "write_seconds")


def run_in_workers(
    runner: EpisodeRunner, batches: Sequence[list[int]], folder: Path
) -> Iterator[list[Row]]:
    """The lines of batches of episodes as `cfg.workers` processes finish them.

    Seconds are left out: processes that share a machine slow each other.

    Args:
        runner: Says what is run; each process makes its own of it.
        batches: Seeds of each.
        folder: Gets what they imagine.

    Raises:
        ValueError: If code or weights change on disk while they start.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    config = canonical_json(plain(runner.cfg))
    made_with = canonical_json(dict(runner.tours.identity))
    threads = torch.get_num_threads()
    jobs = (delayed(_run)(config, made_with, threads, x, folder) for x in batches)
    # Named: inside a sweep's process, joblib would take threads by itself.
    pool = Parallel(
        min(runner.cfg.workers, len(batches)),
        backend="loky",
        return_as="generator_unordered",
    )
    # Processes that another part of this program has left know older plug-ins.
    get_reusable_executor().shutdown(wait=True)
    try:
        yield from pool(jobs)
    finally:
        # Idle ones would keep their models for minutes.
        get_reusable_executor().shutdown(wait=True)


def _run(
    config: str, made_with: str, threads: int, seeds: list[int], folder: Path
) -> list[Row]:
    rows = _runner(config, made_with, threads).run(seeds, folder, lambda: None)
    return [row | dict.fromkeys(_SECONDS) for row in rows]


@lru_cache(maxsize=1)
def _runner(config: str, made_with: str, threads: int) -> EpisodeRunner:
    """What a process runs all its batches with.

    Raises:
        ValueError: If it is not what the run was started with.
    """
    torch.set_num_threads(threads)
    runner = EpisodeRunner(DictConfig(json.loads(config)))
    if canonical_json(dict(runner.tours.identity)) != made_with:
        raise ValueError(
            "`workers` above 1 need code and weights to stay as they are until the run "
            "ends, got others on disk than it began with: run the same command again, "
            "which begins a record of its own, or work in another checkout meanwhile."
        )
    return runner
