"""Several processes share the episodes of one run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig

from eval.build import use_threads
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
    """
    from joblib import Parallel, delayed

    config = canonical_json(plain(runner.cfg))
    jobs = (delayed(_run)(config, seeds, folder) for seeds in batches)
    pool = Parallel(n_jobs=runner.cfg.workers, return_as="generator_unordered")
    yield from pool(jobs)


def _run(config: str, seeds: list[int], folder: Path) -> list[Row]:
    rows = _runner(config).run(seeds, folder, lambda: None)
    return [row | dict.fromkeys(_SECONDS) for row in rows]


@lru_cache(maxsize=1)
def _runner(config: str) -> EpisodeRunner:
    """What a process runs all its batches with."""
    cfg = DictConfig(json.loads(config))
    use_threads(cfg.threads, cfg.workers)
    return EpisodeRunner(cfg)
