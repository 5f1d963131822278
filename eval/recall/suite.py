"""`suite=recall`: what memory brings back, against the simulator's truth.

For every row (memory), every path and every query the model imagines the next chunks
from one real frame: open loop, as planners do, and teacher-forced (every chunk from the
true frame before it). Controls: `wrong_episode` reads the memory of another episode,
`frozen` repeats the start image, `ceiling` is the autoencoder of the truth. Views never
seen measure harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor

from envs.memory_task_env import MemoryTaskEnv
from eval.build import Parts, build, require_tour, tour_env
from eval.evaluate import Episode
from eval.image_scores import ImageScores, require_networks
from eval.recall.pairs import NONE, pairs
from eval.recall.paths import lengthen
from eval.recall.queries import MOST_QUERIES, Query, draw_queries
from eval.recall.summary import (
    OPEN_LOOP,
    PAIRS,
    TABLE,
    TEACHER_FORCED,
    WRONG,
    costs,
    plot_costs,
    plot_delays,
    summarise,
)
from eval.recall.table import print_recall
from eval.suite_run import (
    batches,
    check_rows_say,
    open_folder,
    recorded,
    row_config,
)
from eval.tours import TourCache
from eval.video.weights import VGG16
from planners.mpc import MPCPolicy
from world_model.api import generators
from world_model.core import Context
from world_model.errors import at_least, list_of, unknown_name
from world_model.frames import to_model
from world_model.whole_file import write_text

TOGETHER = 8
"""Questions of an episode that are imagined in one batch."""


def run_recall(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """Runs the suite and returns its output directory.

    Writes recall.csv (a line per row, mode, query and horizon), recall_summary.csv,
    recall_pairs.csv, recall_costs.csv, two plots and run.json. A killed run continues
    after its last whole batch of episodes.
    """
    require_tour(cfg)
    check_rows_say(overrides, "recall.memories", chosen=False)
    _check(cfg)
    require_networks(cfg.task.domain, VGG16)
    if cfg.recall.against not in (None, *cfg.recall.memories):
        raise unknown_name("row", cfg.recall.against, cfg.recall.memories)
    configs = {row: row_config(overrides, row) for row in cfg.recall.memories}
    runs = {name: build(config) for name, config in configs.items()}
    if not all(isinstance(parts.policy, MPCPolicy) for parts in runs.values()):
        raise ValueError(
            "`suite=recall` needs a planner that imagines, got "
            f"planner={cfg.planner.name}: use planner=mpc."
        )
    caches = {
        name: TourCache.of(config, runs[name].device)
        for name, config in configs.items()
    }
    device = next(iter(runs.values())).device or "cpu"
    rows = list(configs.values())
    folder = open_folder(
        cfg, overrides, rows, device, "recall", cfg.task.domain, cfg.split
    )
    lines = recorded(folder / TABLE)
    asked = batches(cfg.first_seed, cfg.recall.paths, cfg.num_envs)
    for batch in track(asked, description="recall"):
        if batch[0] in lines["seed"].values:
            continue
        new = pd.DataFrame(_run_batch(cfg, runs, caches, batch))
        lines = new if lines.empty else pd.concat([lines, new])
        write_text(folder / TABLE, lines.to_csv(index=False))
    _report(folder, lines, cfg.recall.against)
    return folder


def _check(cfg: DictConfig) -> None:
    """Refuses what could not be reported, before any work."""
    options = cfg.recall
    at_least(1, **{f"recall.{name}": options[name] for name in ("paths", "queries")})
    if options.queries > MOST_QUERIES:
        raise ValueError(
            f"`recall.queries` must be at most {MOST_QUERIES}, got {options.queries}."
        )
    list_of(str, "recall.memories", options.memories)
    for leg in list_of(int, "recall.legs", options.legs):
        at_least(0, **{"recall.legs": leg})
    horizons = list_of(int, "recall.horizons", options.horizons)
    if not horizons or min(horizons) < 1 or len(set(horizons)) < len(horizons):
        raise ValueError(
            "`recall.horizons` must hold numbers of chunks, each once and at least 1, "
            f"got {horizons}: correct it."
        )
    if 1 < cfg.num_envs < options.paths and options.paths % cfg.num_envs == 1:
        raise ValueError(
            "`recall.paths` must leave no path alone in the last batch of `num_envs`, "
            "for another path's memory is the control, got "
            f"{options.paths} and {cfg.num_envs}: change one of them."
        )
    if NONE not in options.memories or len(options.memories) < 2:
        raise ValueError(
            f"`recall.memories` must hold {NONE}, to which the others are compared, "
            f"and one more, got {list(options.memories)}: add it."
        )


def _report(folder: Path, lines: pd.DataFrame, against: str | None) -> None:
    summary, spent = summarise(lines), costs(lines)
    write_text(folder / "recall_summary.csv", summary.to_csv(index=False))
    write_text(folder / "recall_costs.csv", spent.to_csv(index=False))
    plot_delays(lines, folder / "recall_by_delay.png")
    plot_costs(spent, folder / "recall_by_cost.png")
    found = pairs(lines, against)
    write_text(folder / PAIRS, found.to_csv(index=False))
    print_recall(found, spent)


def _run_batch(
    cfg: DictConfig,
    runs: dict[str, Parts],
    caches: dict[str, TourCache],
    seeds: list[int],
) -> list[dict[str, Any]]:
    first = next(iter(runs.values()))
    envs = [tour_env(cfg) for _ in seeds]
    lines = []
    try:
        queries = [_ask(env, seed, cfg) for env, seed in zip(envs, seeds, strict=True)]
        scores = [_scores_of(asked, cfg.recall.horizons) for asked in queries]
        ask = partial(_score, queries, scores, seeds, cfg.recall.horizons)
        for name, images in _controls(first, queries).items():
            lines += ask(name, OPEN_LOOP, images)
        for name, parts in runs.items():
            spent = _watch(parts, caches[name], envs, seeds)
            for (row, mode), images in _imagine(name, parts, queries, seeds).items():
                new = ask(row, mode, images)
                lines += [{**line, **spent[line["seed"]]} for line in new]
    finally:
        for env in envs:
            env.close()
    return lines


def _ask(env: MemoryTaskEnv, seed: int, cfg: DictConfig) -> list[Query]:
    """Drives the whole path of an episode and draws its queries."""
    env.reset(seed=seed)
    rng = np.random.default_rng([7, seed])
    lengthen(env, cfg.recall.legs, rng)
    return draw_queries(env, cfg.recall.queries, max(cfg.recall.horizons), rng)


def _watch(
    parts: Parts, cache: TourCache, envs: list[MemoryTaskEnv], seeds: list[int]
) -> dict[int, dict[str, float]]:
    """Shows the paths to a memory; what that cost, by seed."""
    policy = parts.policy
    assert isinstance(policy, MPCPolicy)
    episodes = [Episode(seed, "") for seed in seeds]
    policy.reset(np.stack([e.tour_summary.first_image for e in envs]), seeds)
    cache.watch(policy, envs, episodes, lambda: None)
    first = to_model(envs[0].tour_summary.first_image[None])
    view_bytes = 2 * policy.world_model.encode(first).numel()  # half precision
    return {
        episode.seed: {
            "write_seconds": episode.write_seconds / len(env.tour),
            "bytes": policy.memory.num_bytes,
            "episode_bytes": view_bytes * (1 + len(env.tour)),
        }
        for episode, env in zip(episodes, envs, strict=True)
    }


def _imagine(
    name: str, parts: Parts, queries: list[list[Query]], seeds: list[int]
) -> dict[tuple[str, str], Tensor]:
    """Predictions (B, Q, T, C, H, W) with this memory, and with another episode's."""
    policy = parts.policy
    assert isinstance(policy, MPCPolicy)
    out = {
        (name, OPEN_LOOP): _open_loop(policy, queries, seeds),
        (name, TEACHER_FORCED): _teacher_forced(policy, queries, seeds),
    }
    is_personal = name.split()[0] not in ("none", "anchor") and not policy.privileged
    if is_personal and len(seeds) > 1:
        # Slot b answers the queries of episode b + 1, under that episode's noise.
        others = queries[1:] + queries[:1], seeds[1:] + seeds[:1]
        shifted = _open_loop(policy, *others)
        out[name + WRONG, OPEN_LOOP] = shifted.roll(1, dims=0)
    return out


def _open_loop(
    policy: MPCPolicy, queries: list[list[Query]], seeds: list[int]
) -> Tensor:
    """Each chunk after the imagined one before, (B, Q, T, C, H, W)."""
    return _rollout(
        policy,
        np.stack([[q.start_image for q in asked] for asked in queries]),
        _actions(queries),
        [[q.states[0] for q in asked] for asked in queries],
        seeds,
    )


def _teacher_forced(
    policy: MPCPolicy, queries: list[list[Query]], seeds: list[int]
) -> Tensor:
    """Each chunk after the true one before, (B, Q, T, C, H, W)."""
    actions = _actions(queries)
    steps = []
    for t in range(actions.shape[2]):
        views = [[[q.start_image, *q.images][t] for q in asked] for asked in queries]
        states = [[q.states[t] for q in asked] for asked in queries]
        now = actions[:, :, t : t + 1]
        steps.append(_rollout(policy, np.stack(views), now, states, seeds))
    return torch.cat(steps, dim=2)


def _actions(queries: list[list[Query]]) -> Tensor:
    return torch.tensor([[q.actions for q in asked] for asked in queries])


def _rollout(
    policy: MPCPolicy,
    images: np.ndarray,
    actions: Tensor,
    states: list[list[object]],
    seeds: list[int],
) -> Tensor:
    """Last frames of the chunks that follow one real image each.

    Args:
        policy: Its model imagines, its memory is read.
        images: (B, Q, H, W, C).
        actions: (B, Q, T).
        states: Simulator states, Q per episode.
        seeds: Of the episodes; all questions of one meet the same noise.

    Returns:
        (B, Q, T, C, H, W).
    """
    frames, parts = to_model(images), []
    num_episodes, num_queries = actions.shape[:2]
    for first in range(0, num_queries, TOGETHER):
        asked = range(first, min(first + TOGETHER, num_queries))
        rows = [(b, q) for b in range(num_episodes) for q in asked]
        b, q = (list(x) for x in zip(*rows, strict=True))
        rollout = policy.world_model.rollout(
            Context(
                actions=actions[b, q, :0],
                frames=frames[b, q][:, None],
                state=tuple(states[i][k] for i, k in rows)
                if policy.privileged
                else None,
                slots=tuple(b),
            ),
            actions[b, q][:, None],
            memory=policy.memory,
            generator=generators(seeds[i] for i in b),
        )
        ends = rollout.frames[:, 0, :, -1].cpu()
        parts.append(ends.unflatten(0, (num_episodes, len(asked))))
    return torch.cat(parts, dim=1)


def _controls(parts: Parts, queries: list[list[Query]]) -> dict[str, Tensor]:
    model = parts.world_model
    assert model is not None
    truth = torch.stack(
        [torch.stack([to_model(q.images) for q in qs]) for qs in queries]
    )
    starts = torch.stack(
        [torch.stack([to_model(q.start_image) for q in qs]) for qs in queries]
    )
    return {
        "ceiling": model.decode(model.encode(truth)).cpu(),
        "frozen": starts[:, :, None].expand_as(truth),
    }


def _scores_of(asked: list[Query], horizons: Sequence[int]) -> ImageScores:
    """What judges an episode's answers, query by query and horizon by horizon."""
    steps = [h - 1 for h in horizons]
    return ImageScores(torch.cat([to_model(query.images)[steps] for query in asked]))


def _score(
    queries: list[list[Query]],
    scores: list[ImageScores],
    seeds: list[int],
    horizons: Sequence[int],
    row: str,
    mode: str,
    images: Tensor,
) -> list[dict[str, Any]]:
    """A line per episode, query and horizon of a row's images (B, Q, T, C, H, W)."""
    steps = [h - 1 for h in horizons]
    lines = []
    for seed, predicted, asked, score in zip(
        seeds, images, queries, scores, strict=True
    ):
        found = score(predicted[:, steps].flatten(0, 1))
        columns = {name: values.tolist() for name, values in found.items()}
        places = [(i, step) for i in range(len(asked)) for step in steps]
        for n, (i, step) in enumerate(places):
            line = {
                "row": row,
                "mode": mode,
                "seed": seed,
                "query": i,
                "horizon": step + 1,
                "poses": asked[i].poses,
                "kind": asked[i].kinds[step],
                "delay": asked[i].delays[step],
            }
            lines.append(line | {name: values[n] for name, values in columns.items()})
    return lines
