"""Collects training episodes: `python -m envs.collect domain=rooms episodes=2000`.

Episodes are purposeful walks: the robot heads for random poses of the layout by
the shortest path and now and then does something else. On the table it runs errands
with cubes and cups instead, some of which fail. One process per core, one
shard per job, shards that exist are kept: a killed run continues where it stopped.

With `beside=true` every view is also taken a little beside the robot's pose, by one
shift an episode: from these a model learns what two views of one place may differ in.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
import numpy as np
from omegaconf import DictConfig

from envs.domains import domain_class, make_domain
from envs.lattice import path_to, reachable
from envs.splits import SPLITS, episode_rng
from world_model.errors import unknown_name
from world_model.shards import (
    ShardMeta,
    read_meta,
    shard_path,
    write_meta,
    write_shard,
)

if TYPE_CHECKING:  # importing it loads torch: `--help` would take seconds
    from envs.api import Domain, Node
    from world_model.phrase_space import Motion

EXPLORATION = 0.15  # share of actions that ignore the purpose
BESIDE_DISTANCE, BESIDE_TURN = 0.12, 5.0
"""The largest shifts of views beside the path [m, degrees]."""


@hydra.main(config_path="../configs", config_name="collect", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Collects `episodes` episodes of `actions` actions into `output`."""
    logging.getLogger("OpenGL").setLevel(logging.WARNING)  # it reports its plug-ins
    collect(
        cfg.domain.name,
        Path(cfg.output),
        episodes=cfg.episodes,
        actions=cfg.actions,
        shard_size=cfg.shard_size,
        workers=cfg.workers or os.cpu_count() or 1,
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
        beside: Also take every view from a little beside, see `views_beside`.

    Raises:
        ValueError: If a number is not positive, the domain or the split is unknown,
            the domain's views cannot be shifted though `beside` asks for it, or
            `output` holds a data set made with other settings.
    """
    _check_positive(
        episodes=episodes, actions=actions, shard_size=shard_size, workers=workers
    )
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if beside and domain_class(domain).look_offset is None:
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
    simulator = make_domain(domain)
    seeds = range(index * size, (index + 1) * size)
    record = record_both if beside else record_episode
    try:
        rows = [record(simulator, episode_rng(split, s), actions) for s in seeds]
    finally:
        simulator.close()
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    write_shard(output, index, arrays)
    return int(np.prod(arrays["frames"].shape[:2]))


def record_episode(
    domain: Domain,
    rng: np.random.Generator,
    num_actions: int,
    *,
    watch: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """One episode in a new layout; the arrays of `world_model.shards`.

    Args:
        domain: The simulator.
        rng: Draws layout, start and actions.
        num_actions: T.
        watch: Called at rest, before the first and after every action.
    """
    domain.reset(rng)
    nodes = reachable(domain, domain.node) if domain.travels else []
    if nodes:
        domain.place(nodes[rng.integers(len(nodes))])
    frames = [domain.render()[None]]
    labels = [_labels(domain)]
    positions = [domain.positions()]
    watch()
    actions, moved = [], []
    plan: list[int] = []
    for _ in range(num_actions):
        action, plan = _next_action(domain, nodes, plan, rng)
        before = domain.node
        frames.append(domain.execute(action))
        actions.append(action)
        moved.append(domain.node != before)
        labels.append(_labels(domain))
        positions.append(domain.positions())
        watch()
    visible, found = (np.stack(x) for x in zip(*labels, strict=True))
    row = {
        "frames": np.concatenate(frames),
        "actions": np.array(actions, np.int16),
        "moved": np.array(moved),
        "visible": visible,
        "found": found,
    }
    known = [p for p in positions if p is not None]
    return row | ({"positions": np.stack(known)} if known else {})


def record_both(
    domain: Domain, rng: np.random.Generator, num_actions: int
) -> dict[str, np.ndarray]:
    """The same episode with the views at rest also taken from beside the path.

    The shift is one for the whole episode, as if the robot had walked there: uniform
    in a disc of `BESIDE_DISTANCE`, turned by up to `BESIDE_TURN`.
    """
    shift = _shift(rng.spawn(1)[0])  # a source of its own: the episode stays the same
    views: list[np.ndarray] = []

    def look() -> None:
        with domain.looking_from_beside(shift):
            views.append(domain.render())

    return record_episode(domain, rng, num_actions, watch=look) | {
        "beside": np.stack(views)
    }


def _shift(rng: np.random.Generator) -> Motion:
    distance = BESIDE_DISTANCE * math.sqrt(rng.random())
    angle = rng.uniform(0, 2 * math.pi)
    turn = rng.uniform(-BESIDE_TURN, BESIDE_TURN)
    return distance * math.cos(angle), distance * math.sin(angle), turn


def _next_action(
    domain: Domain, nodes: list[Node], plan: list[int], rng: np.random.Generator
) -> tuple[int, list[int]]:
    if rng.random() < EXPLORATION:
        return int(rng.integers(domain.action_space.n)), []
    while not plan and not domain.travels:
        plan = domain.errand(rng)
    while not plan:
        goal = nodes[rng.integers(len(nodes))]
        plan = path_to(domain, domain.node, [goal]) or []
    return plan[0], plan[1:]


def _labels(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    names = domain.vocabulary
    present = set(domain.objects)
    segmented = domain.segment_objects()
    pixels = [segmented.get(n, 0) for n in names]
    found = [n in present and domain.found(n) for n in names]
    return np.array(pixels, np.int32), np.array(found)


def _check_positive(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")


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
    shared = ("domain", "chunk_length", "phrases", "objects")
    return {name: getattr(meta, name) for name in shared} | stored


def _meta(
    domain: str, split: str, actions: int, shard_size: int, beside: bool
) -> ShardMeta:
    from world_model.provenance import provenance

    cls = domain_class(domain)
    settings = {"split": split, "actions": str(actions), "shard_size": str(shard_size)}
    if beside:  # data sets of old do not name it
        settings["beside"] = "true"
    return ShardMeta(
        domain=domain,
        chunk_length=cls.chunk_length,
        phrases=cls.action_space.phrases,
        inverses=cls.action_space.inverses,
        objects=cls.vocabulary,
        provenance=provenance() | settings,
        motions=cls.action_space.motions,
    )


if __name__ == "__main__":
    main()
