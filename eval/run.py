"""Runs one combination: `python -m eval.run planner=mpc memory=temp_lora`.

Prints a table, writes outputs/<run-id>/ (run.json, episodes.csv, videos) and says
where. A killed run continues where it stopped.
"""

from __future__ import annotations

from eval.shadowing import check_packages

check_packages()

import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import hydra  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402

if TYPE_CHECKING:
    from eval.build import Parts
    from eval.evaluate import Episode
    from eval.record import RunRecord


@hydra.main(config_path="../configs", config_name="eval", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Runs the episodes that the record does not hold yet."""
    from eval.build import build, check

    try:
        check(cfg)
        _set_threads(cfg)
        parts = build(cfg)
        record = open_record(cfg, parts)
        run(cfg, parts, record)
        report(cfg, record)
    except (ValueError, FileNotFoundError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")


def open_record(cfg: DictConfig, parts: Parts) -> RunRecord:
    """The record of this run, new or continued."""
    from eval.record import RunRecord
    from eval.run_spec import RunSpec, provenance

    spec = RunSpec(
        config=OmegaConf.to_container(cfg, resolve=True),
        task=cfg.task.name,
        planner=cfg.planner.name,
        memory=cfg.memory.name if parts.memory is not None else "none",
        world_model=cfg.world_model.name if parts.world_model is not None else "none",
        split=cfg.split,
        seeds=tuple(range(cfg.first_seed, cfg.first_seed + cfg.episodes)),
    )
    made_by = provenance(device="cpu", overrides=HydraConfig.get().overrides.task)
    revision = f"{(made_by['revision'] or 'wheel')[:7]}{made_by['changes'] or ''}"
    record = RunRecord(Path(cfg.outputs) / f"{spec.run_id}-{revision}")
    stores = parts.memory is not None and parts.memory.stores_frames
    record.start(spec, made_by, stores_frames=stores)
    return record


def run(cfg: DictConfig, parts: Parts, record: RunRecord) -> None:
    """Runs the remaining seeds in batches of `num_envs` and records them."""
    from rich.progress import Progress

    remaining = list(record.remaining_seeds())
    envs = [parts.make_env() for _ in range(min(cfg.num_envs, len(remaining)))]
    try:
        with Progress() as progress:
            bar = progress.add_task(
                f"{cfg.task.name} {cfg.planner.name} {cfg.memory.name}",
                total=len(remaining),
            )
            for first in range(0, len(remaining), max(1, len(envs))):
                seeds = remaining[first : first + len(envs)]
                episodes = _run_batch(parts, envs[: len(seeds)], seeds)
                for episode in episodes:
                    record.append(episode.row())
                progress.advance(bar, len(seeds))
                if cfg.video and first == 0:
                    _write_video(parts, episodes[0], record.directory)
    finally:
        for env in envs:
            env.close()


def report(cfg: DictConfig, record: RunRecord) -> None:
    """Prints the run's row and where its files are."""
    import pandas as pd

    from eval.leaderboard import summarise
    from eval.table import print_tables

    print_tables(pd.DataFrame([summarise(record)]), note=f"n={cfg.episodes}")
    print(f"results: {record.directory}")


def _run_batch(parts: Parts, envs: list, seeds: list[int]) -> list[Episode]:  # type: ignore[type-arg]
    from eval.evaluate import run_episodes

    model, memory = parts.world_model, parts.memory
    return run_episodes(
        parts.policy,
        envs,
        seeds,
        num_calls=(lambda: 0) if model is None else (lambda: model.num_calls),
        memory_bytes=(lambda: 0) if memory is None else (lambda: memory.num_bytes),
    )


def _write_video(parts: Parts, episode: Episode, folder: Path) -> None:
    import numpy as np

    from eval.video_file import write_mp4

    write_mp4(np.stack(episode.frames), folder / f"episode-{episode.seed}.mp4", fps=2)


def _set_threads(cfg: DictConfig) -> None:
    if cfg.threads:
        import torch

        torch.set_num_threads(cfg.threads)


if __name__ == "__main__":
    main()
