"""`suite=recall`: what memory brings back, against the simulator's truth.

For every row (memory), every toured episode and every query the model imagines
`horizon` chunks open loop from one real frame. Controls: `wrong_episode` reads the
memory of another episode, `frozen` repeats the start image, `ceiling` is the
autoencoder of the truth. Views never seen measure harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor

from envs.memory_task_env import MemoryTaskEnv
from eval.build import Parts, build, other_memory
from eval.evaluate import Episode
from eval.intervals import bootstrap_interval
from eval.recall_queries import Query, draw_queries
from eval.recall_scores import MAX_PSNR, lpips_vgg
from eval.record import write_atomically
from eval.run_spec import canonical_json, code_name, config_digest, provenance
from eval.tours import TourCache
from eval.video.images import psnr
from planners.mpc import MPCPolicy
from world_model.core import Context
from world_model.frames import to_model
from world_model.plain import plain

TABLE = "recall.csv"


def run_recall(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """Runs the suite and returns its output directory.

    Writes recall.csv (a line per row, query and horizon), recall_summary.csv and
    run.json. A killed run continues after its last whole batch of episodes.
    """
    configs = {name: other_memory(overrides, name)[0] for name in cfg.recall.memories}
    runs = {name: build(config) for name, config in configs.items()}
    caches = {
        name: TourCache.of(config, runs[name].device)
        for name, config in configs.items()
    }
    device = next(iter(runs.values())).device or "cpu"
    made_by = provenance(device=device, overrides=overrides)
    folder = _open_folder(cfg, made_by)
    lines = _recorded(folder)
    for batch in track(_batches(cfg), description="recall"):
        if batch[0] in lines["seed"].values:
            continue
        new = pd.DataFrame(_run_batch(cfg, runs, caches, batch))
        lines = new if lines.empty else pd.concat([lines, new])
        write_atomically(folder / TABLE, lines.to_csv(index=False))
    summary = summarise(lines)
    write_atomically(folder / "recall_summary.csv", summary.to_csv(index=False))
    print(summary.to_string(index=False))
    return folder


def _open_folder(cfg: DictConfig, made_by: dict[str, Any]) -> Path:
    """The run's folder: another configuration or revision is another folder."""
    config = plain(cfg)
    digest = config_digest(config)
    code = code_name(made_by)
    name = f"recall-{cfg.task.domain}-{cfg.split}-{digest}-{code}"
    folder = Path(cfg.outputs) / name
    folder.mkdir(parents=True, exist_ok=True)
    run = {"config": config, "provenance": made_by}
    write_atomically(folder / "run.json", canonical_json(run))
    return folder


def _recorded(folder: Path) -> pd.DataFrame:
    """The lines of a killed run, or none."""
    path = folder / TABLE
    if not path.exists():
        return pd.DataFrame(columns=["seed"])
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def _batches(cfg: DictConfig) -> list[list[int]]:
    seeds = list(range(cfg.first_seed, cfg.first_seed + cfg.recall.paths))
    size = cfg.num_envs
    return [seeds[i : i + size] for i in range(0, len(seeds), size)]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Means with 95 % intervals (bootstrap over episodes), and the LPIPS gap closed.

    gap_closed = (none - row) / (none - ceiling), on the same queries.
    """
    rows = []
    for (kind, horizon), group in table.groupby(["kind", "horizon"], sort=True):
        means = group.groupby("row")["lpips"].mean()
        for row, part in group.groupby("row", sort=False):
            line = {"kind": kind, "horizon": horizon, "row": row, "n": len(part)}
            for name in ("lpips", "psnr"):
                estimate = bootstrap_interval(
                    part[name].to_numpy(),
                    clusters=part["seed"].to_numpy(),
                    rng=np.random.default_rng(0),
                )
                line |= {
                    name: _rounded(estimate.value),
                    f"{name}_low": _rounded(estimate.low),
                    f"{name}_high": _rounded(estimate.high),
                }
            gap = means.get("none", np.nan) - means.get("ceiling", np.nan)
            closed = (means.get("none", np.nan) - means[row]) / gap
            rows.append({**line, "gap_closed": round(float(closed), 3)})
    return pd.DataFrame(rows)


def _rounded(value: float | None) -> float | None:
    """Four digits; an interval that one episode cannot have stays empty."""
    return None if value is None else round(value, 4)


def _run_batch(
    cfg: DictConfig,
    runs: dict[str, Parts],
    caches: dict[str, TourCache],
    seeds: list[int],
) -> list[dict[str, Any]]:
    first = next(iter(runs.values()))
    envs = [first.make_env() for _ in seeds]
    try:
        for env, seed in zip(envs, seeds, strict=True):
            env.reset(seed=seed)
        rngs = [np.random.default_rng([7, seed]) for seed in seeds]
        queries = [
            draw_queries(env, cfg.recall.queries, max(cfg.recall.horizons), rng)
            for env, rng in zip(envs, rngs, strict=True)
        ]
        predictions = _controls(first, queries)
        for name, parts in runs.items():
            predictions |= _imagine(name, parts, caches[name], envs, queries, seeds)
    finally:
        for env in envs:
            env.close()
    return [
        line
        for name, images in predictions.items()
        for line in _score(name, images, queries, seeds, cfg.recall.horizons)
    ]


def _imagine(
    name: str,
    parts: Parts,
    cache: TourCache,
    envs: list[MemoryTaskEnv],
    queries: list[list[Query]],
    seeds: list[int],
) -> dict[str, Tensor]:
    """Predictions (B, Q, T, C, H, W) with this memory, and with another episode's."""
    policy = parts.policy
    assert isinstance(policy, MPCPolicy)
    policy.reset(np.stack([e.tour_summary.first_image for e in envs]), seeds)
    cache.watch(policy, envs, [Episode(s, "") for s in seeds], lambda: None)
    out = {name: _rollouts(policy, queries, seeds)}
    if name not in ("none", "anchor") and not policy.privileged and len(envs) > 1:
        # Slot b answers the queries of episode b + 1, under that episode's noise.
        others = queries[1:] + queries[:1], seeds[1:] + seeds[:1]
        shifted = _rollouts(policy, *others)
        out[f"{name}, wrong_episode"] = shifted.roll(1, dims=0)
    return out


def _rollouts(
    policy: MPCPolicy, queries: list[list[Query]], seeds: list[int]
) -> Tensor:
    columns = []
    for column in zip(*queries, strict=True):
        frames = to_model(np.stack([q.start_image for q in column]))[:, None]
        actions = torch.tensor([q.actions for q in column])[:, None]
        state = tuple(q.start_state for q in column) if policy.privileged else None
        rollout = policy.world_model.rollout(
            Context(actions=actions[:, 0, :0], frames=frames, state=state),
            actions,
            memory=policy.memory,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        )
        columns.append(rollout.frames[:, 0, :, -1].cpu())
    return torch.stack(columns, dim=1)


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


@torch.no_grad()
def _score(
    row: str,
    images: Tensor,
    queries: list[list[Query]],
    seeds: list[int],
    horizons: Sequence[int],
) -> list[dict[str, Any]]:
    lines = []
    for seed, predicted, asked in zip(seeds, images, queries, strict=True):
        for i, (frames, query) in enumerate(zip(predicted, asked, strict=True)):
            steps = [h - 1 for h in horizons]
            truth = to_model(query.images)[steps]
            distance = lpips_vgg()(frames[steps], truth)
            ratio = psnr(frames[steps], truth).clamp(max=MAX_PSNR)
            for step, d, p in zip(steps, distance, ratio, strict=True):
                lines.append(
                    {
                        "row": row,
                        "seed": seed,
                        "query": i,
                        "horizon": step + 1,
                        "kind": query.kinds[step],
                        "delay": query.delays[step],
                        "lpips": float(d),
                        "psnr": float(p),
                    }
                )
    return lines
