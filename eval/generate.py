"""`suite=generate frames=256`: one long open-loop video without and with memory.

SlowFast-VGen Algorithm 1a: from a first image and a list of actions, every chunk is
generated from the one before, and memory is written with what was generated. The
actions drive the episode's tour again and again, so that places come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from rich.progress import track

from envs.api import Domain
from envs.domains import domain_class
from envs.lattice import end_of, path_to
from eval.build import Parts, build, other_memory, require_tour, tour_env
from eval.video_file import side_by_side, write_mp4
from planners.mpc import MPCPolicy
from world_model.core import Chunk, Context
from world_model.frames import to_env, to_model


def run_generate(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """Writes real | without memory | with memory and returns the video file.

    Raises:
        ValueError: If fewer frames are asked for than one action takes.
    """
    require_tour(cfg)
    least = domain_class(cfg.task.domain).chunk_length
    if cfg.frames < least:
        raise ValueError(
            f"`frames` must be at least {least}, those of one action, got {cfg.frames}."
        )
    env = tour_env(cfg)
    env.reset(seed=cfg.first_seed)
    domain = env.domain
    # The same layout again, from the pose where its tour began.
    domain.place(env.tour_summary.nodes[0])
    actions = loop_actions(domain, cfg.frames // domain.chunk_length)
    first = domain.render()
    real = np.concatenate([domain.execute(a) for a in actions])
    env.close()
    columns = [real]
    for name in dict.fromkeys(["none", cfg.memory.name]):
        run = build(other_memory(overrides, name)[0])
        columns.append(generate(run, first, actions, seed=cfg.first_seed, name=name))
    folder = Path(cfg.outputs) / "generate"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cfg.task.domain}-{cfg.memory.name}-{cfg.first_seed}.mp4"
    np.savez_compressed(path.with_suffix(".npz"), *columns)
    write_mp4(side_by_side(columns), path, fps=8)
    print(f"video:   {path} (real | none | {cfg.memory.name})")
    return path


def loop_actions(domain: Domain, num_chunks: int) -> list[int]:
    """The tour, the way back to its start, the tour again, ..., `num_chunks` long."""
    start = domain.node
    actions: list[int] = []
    back = path_to(domain, end_of(domain, start, domain.tour()), [start])
    if back is None:
        raise ValueError("The tour's start must be reachable from its end.")
    loop = [*domain.tour(), *back]
    while len(actions) < num_chunks:
        actions += loop
    return actions[:num_chunks]


def generate(
    parts: Parts, first_image: np.ndarray, actions: list[int], *, seed: int, name: str
) -> np.ndarray:
    """Frames (len(actions) * F, H, W, C) uint8 of one open-loop generation."""
    policy = parts.policy
    if not isinstance(policy, MPCPolicy):
        raise ValueError(
            "`suite=generate` needs planner=mpc (it uses its world model)."
        )
    model, memory = policy.world_model, policy.memory
    memory.reset(1, seeds=[seed])
    frames = to_model(first_image)[None, None]
    context = Context(
        actions=torch.zeros((1, 0), dtype=torch.int64),
        frames=frames,
        latents=model.encode(frames),
    )
    generators = [torch.Generator().manual_seed(seed)]
    video = []
    for action in track(actions, description=f"generating, memory={name}"):
        step = torch.tensor([action])
        rollout = model.rollout(
            context,
            step[:, None, None],
            memory=memory,
            generator=generators,
            all_frames=True,
        )
        chunk = rollout.frames[:, 0, 0]
        memory.write(
            Chunk(context, step, chunk.cpu(), active=torch.ones(1, dtype=torch.bool))
        )
        video.append(to_env(chunk[0]))
        context = _longer(context, step, chunk[:, -1:], rollout.latents[:, 0, 0, -1:])
        context = context.last(model.num_context_frames)
    return np.concatenate(video)


def _longer(
    context: Context, action: torch.Tensor, frame: torch.Tensor, latent: torch.Tensor
) -> Context:
    assert context.frames is not None
    assert context.latents is not None
    return replace(
        context,
        actions=torch.cat([context.actions, action[:, None]], dim=1),
        frames=torch.cat([context.frames, frame.cpu()], dim=1),
        latents=torch.cat([context.latents, latent], dim=1),
    )
