"""Collects training episodes: `python -m envs.collect domain=rooms episodes=2000`.

Episodes are purposeful walks: the robot heads for random poses of the layout by
the shortest path and now and then does something else. On the table it runs errands
with cubes and cups instead, some of which fail. One process per core, one
shard per job, shards that exist are kept: a killed run continues where it stopped.

With `beside=true` every view is also taken a little beside the robot's pose, by one
shift an episode: from these a model learns what two views of one place may differ in.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from omegaconf import DictConfig

from envs.domains import (
    any_domain_class,
    domain_class,
    goal_domain_class,
    has_vectors,
)
from envs.formats.plan import MIN_ACTIONS
from envs.recording import record_both, record_episode, record_vectors
from envs.splits import check_split, episode_rng
from world_model.errors import at_least, told_in_one_line, true_or_false
from world_model.names import check_group_names
from world_model.plugins import register_configs
from world_model.shards import (
    ShardMeta,
    read_meta,
    shard_path,
    write_meta,
    write_shard,
)


@hydra.main(config_path="../configs", config_name="collect", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Collects `episodes` episodes of `actions` actions into `output`."""
    logging.getLogger("OpenGL").setLevel(logging.WARNING)  # it reports its plug-ins
    from joblib import cpu_count

    with told_in_one_line():
        at_least(MIN_ACTIONS, actions=cfg.actions)  # slow learning needs them
        collect(
            cfg.domain.name,
            Path(cfg.output),
            episodes=cfg.episodes,
            actions=cfg.actions,
            shard_size=cfg.shard_size,
            workers=cpu_count() if cfg.workers is None else cfg.workers,
            split=cfg.split,
            beside=cfg.beside,
        )


def collect(
    domain: str,
    output: Path,
    *,
    episodes: int,
    actions: int,
    shard_size: int,
    workers: int,
    split: str = "train",
    beside: bool = False,
) -> None:
    """Writes shards of recorded episodes.

    Args:
        domain: Name of the domain.
        output: Folder of the data set.
        episodes: Number of episodes, each in a layout of its own; rounded up to
            whole shards.
        actions: T, actions per episode.
        shard_size: Episodes per shard.
        workers: Processes.
        split: Which seeds to use.
        beside: Also take every view from a little beside, see `record_both`.

    Raises:
        ValueError: If a number is not positive, the domain or the split is unknown,
            the domain's views cannot be shifted though `beside` asks for it, or
            `output` holds a data set made with other settings.
    """
    at_least(1, episodes=episodes, actions=actions)
    true_or_false(beside=beside)
    at_least(1, shard_size=shard_size, workers=workers)
    check_split(split)
    if beside and getattr(any_domain_class(domain), "look_offset", None) is None:
        raise ValueError(
            f"`beside=true` needs a domain whose views can be shifted, got {domain}: "
            "leave it away."
        )
    _open_data_set(output, _meta(domain, split, actions, shard_size, beside))
    jobs = range(-(-episodes // shard_size))
    missing = [j for j in jobs if not shard_path(output, j).exists()]
    if not missing:
        print(f"All {len(jobs)} shards are there, nothing to do: {output}")
        return
    from joblib import Parallel, delayed
    from rich.progress import track

    start = time.monotonic()
    runs = Parallel(n_jobs=workers, return_as="generator_unordered")(
        delayed(collect_shard)(domain, output, j, shard_size, actions, split, beside)
        for j in missing
    )
    frames = sum(track(runs, total=len(missing), description=f"collecting {domain}"))
    seconds = time.monotonic() - start
    print(f"{frames} frames in {seconds:.0f} s ({frames / seconds:.0f}/s): {output}")


def collect_shard(
    domain: str,
    output: Path,
    index: int,
    size: int,
    actions: int,
    split: str,
    beside: bool = False,
) -> int:
    """Records one shard and returns its number of frames."""
    simulator: Any = any_domain_class(domain)()
    seeds = range(index * size, (index + 1) * size)
    record = _recorder(domain, beside)
    try:
        rows = [record(simulator, episode_rng(split, s), actions) for s in seeds]
    finally:
        simulator.close()
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    write_shard(output, index, arrays)
    return int(np.prod(arrays["frames"].shape[:2]))


def _recorder(domain: str, beside: bool) -> Callable[..., dict[str, np.ndarray]]:
    if has_vectors(domain):
        return record_vectors
    return record_both if beside else record_episode


def _open_data_set(output: Path, meta: ShardMeta) -> None:
    """Makes the folder, or checks that what it holds was made in the same way.

    Raises:
        ValueError: If it was not: mixed shards could not be read together.
    """
    if not (output / "meta.json").exists():
        output.mkdir(parents=True, exist_ok=True)
        write_meta(output, meta)
        return
    old, new = _settings(read_meta(output)), _settings(meta)
    for name, value in new.items():
        if old[name] != value:
            raise ValueError(
                f"`output` {output} holds a data set with {name}={old[name]}, got "
                f"{value}: collect into another folder, or delete this one."
            )


def _settings(meta: ShardMeta) -> dict[str, object]:
    """What all shards of a data set must share."""
    named = ("split", "actions", "shard_size", "beside")
    stored = {x: meta.provenance.get(x) for x in named}
    shared = "domain chunk_length phrases inverses motions objects bounds".split()
    return {name: getattr(meta, name) for name in shared} | stored


def _meta(
    domain: str, split: str, actions: int, shard_size: int, beside: bool
) -> ShardMeta:
    from world_model.provenance import provenance

    settings = {"split": split, "actions": str(actions), "shard_size": str(shard_size)}
    if beside:  # data sets of old do not name it
        settings["beside"] = "true"
    kind = any_domain_class(domain)
    return ShardMeta(
        domain=domain,
        chunk_length=kind.chunk_length,
        provenance=provenance() | settings,
        **(_vectors(domain) if has_vectors(domain) else _phrases(domain)),
    )


def _phrases(domain: str) -> dict[str, Any]:
    """What `ShardMeta` says of actions that are phrases."""
    space = domain_class(domain).action_space
    return {
        "phrases": space.phrases,
        "inverses": space.inverses,
        "objects": domain_class(domain).vocabulary,
        "motions": space.motions,
    }


def _vectors(domain: str) -> dict[str, Any]:
    """What `ShardMeta` says of actions that are vectors."""
    space = goal_domain_class(domain).action_space
    bounds = zip(space.low.tolist(), space.high.tolist(), strict=True)
    nothing: dict[str, Any] = dict.fromkeys(("phrases", "inverses", "objects"), ())
    return nothing | {"labels": (), "bounds": tuple(bounds)}


if __name__ == "__main__":
    with told_in_one_line():
        check_group_names(sys.argv[1:])
    register_configs()
    main()
