"""Inner loop of slow-fast learning: episodes -> questions and what memory answers.

A memory is written along training episodes with the slow weights as they are; at a
few points it is frozen and asked. Each answer is kept beside its question: the
"snapshots" of SlowFast-VGen section 3.3 and Algorithm 1b, of which the outer loop
needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from world_model.api import Memory
from world_model.core import Chunk, Context, Reading
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import VideoDenoiser
from world_model.diffusion.model import ModelConfig, VideoDiffusionWorldModel
from world_model.memory.composed import ComposedMemory
from world_model.memory.predictive_state import PredictiveStateMemory
from world_model.shards import ShardMeta
from world_model.training.episodes import LatentEpisodes

MIN_DELAY = 4
"""Revisits in training were written at least so many chunks earlier."""
NUM_PAST = 2
BESIDE = 0.5
"""Share of questions asked from beside the path, where a data set holds such views."""


@dataclass(frozen=True)
class Queries:
    """Q questions with a memory's frozen answers.

    Attributes:
        episode: (Q,) which episode they are about.
        past: Clean latents of the two chunk ends before, (Q, 2, c, h, w) half.
        target: Clean latents of the next chunk end, (Q, c, h, w) half.
        actions: Actions that led to the last past frame and to the target, (Q, 2).
        recalled: The memory's frame for the target, (Q, c, h, w) half.
        known: (Q,) bool; False where the memory was silent.
        adapter: Names of fast weights -> (S, ...) half, one set per snapshot; empty
            for memories that recall frames.
        snapshot: (Q,) row of the adapter.
    """

    episode: Tensor
    past: Tensor
    target: Tensor
    actions: Tensor
    recalled: Tensor
    known: Tensor
    adapter: dict[str, Tensor]
    snapshot: Tensor

    def __len__(self) -> int:
        return len(self.episode)


def latent_model(
    denoiser: VideoDenoiser, meta: ShardMeta, min_change: float
) -> VideoDiffusionWorldModel:
    """A world model with these slow weights whose images are latents."""
    channels = denoiser.config["latent_channels"]
    identity = FrameAutoencoder(kind="identity", latent_channels=channels)
    device = next(denoiser.parameters()).device
    config = ModelConfig.of(meta, min_change)
    return VideoDiffusionWorldModel(identity.to(device), denoiser, config)


def ask(
    memory: Memory,
    data: LatentEpisodes,
    episodes: Sequence[int],
    *,
    snapshots: Sequence[int],
    per_snapshot: int,
    rng: np.random.Generator,
    device: torch.device,
) -> Queries:
    """Writes a memory along episodes and asks it at every snapshot.

    Args:
        memory: Of a world model whose images are latents.
        data: Encoded episodes.
        episodes: Which of them, side by side.
        snapshots: Numbers of written chunks after which it is asked.
        per_snapshot: Questions per episode and snapshot; half are about chunks
            written at least `MIN_DELAY` chunks before, half about what comes later.
        rng: Draws the questions.
        device: Where that world model is.

    Raises:
        ValueError: If the memory reads what encoded episodes do not hold.
    """
    check_memory(memory)
    memory.reset(len(episodes), seeds=list(episodes))
    parts: list[Queries] = []
    for t in range(max(snapshots)):
        memory.write(_chunk(data, episodes, t))
        if t + 1 in snapshots:
            first = len(parts) * len(episodes)
            asked = (episodes, t, per_snapshot, first, rng, device)
            parts.append(_ask_once(memory, data, *asked))
    return joined(parts)


def check_memory(memory: Memory) -> None:
    """Refuses memories that read what encoded episodes do not hold.

    Raises:
        ValueError: If one looks at images or at the simulator's state.
    """
    members = [memory]
    for member in members:
        if isinstance(member, ComposedMemory):
            members += [member.first, member.second]
        if member.privileged or isinstance(member, PredictiveStateMemory):
            raise ValueError(
                "`stage=slow_fast` works on latents, got a memory that looks at images "
                f"or at the simulator, {type(member).__name__}: choose another memory."
            )


def joined(parts: Sequence[Queries]) -> Queries:
    """All questions; adapters one after the other, as `snapshot` counts them."""
    columns = {
        f.name: torch.cat([getattr(p, f.name) for p in parts])
        for f in fields(Queries)
        if f.name != "adapter"
    }
    names = parts[0].adapter
    adapter = {n: torch.cat([p.adapter[n] for p in parts]) for n in names}
    return Queries(**columns, adapter=adapter)


def _chunk(data: LatentEpisodes, episodes: Sequence[int], t: int) -> Chunk:
    """Chunk t of every episode; the context is one frame where the episode begins."""
    rows, length = list(episodes), data.chunk_length
    first = max(0, t - 1)
    past = data.latents[rows][:, first * length : t * length + 1 : length].float()
    frames = data.latents[rows][:, t * length + 1 : (t + 1) * length + 1].float()
    actions = torch.from_numpy(data.actions[rows])
    return Chunk(
        context=Context(actions[:, first:t], frames=past),
        actions=actions[:, t],
        frames=frames,
        active=torch.ones(len(rows), dtype=torch.bool),
    )


def _ask_once(
    memory: Memory,
    data: LatentEpisodes,
    episodes: Sequence[int],
    written: int,
    count: int,
    first_snapshot: int,
    rng: np.random.Generator,
    device: torch.device,
) -> Queries:
    """`count` questions to each episode after chunk `written`."""
    rows = list(episodes)
    starts = _starts(written, data.actions.shape[1], (len(rows), count), rng)
    index = np.asarray(rows)[:, None]
    views = _views(data, index, starts, rng)
    past = views[:, :, :NUM_PAST].float()
    ids = np.stack([data.actions[index, starts - 1], data.actions[index, starts]], -1)
    actions = torch.from_numpy(ids.astype(np.int64))
    answers = [
        memory.read(
            Context(
                actions=actions[:, n : n + 1, :1],
                latents=past[:, n : n + 1].to(device),
                imagined=actions.new_zeros(len(rows), 1, 0),
                root=past[:, n, -1].to(device),
            ),
            actions[:, n : n + 1, 1],
        )
        for n in range(count)
    ]
    frames, known = zip(*(_answer(a, past[:, 0, -1]) for a in answers), strict=True)
    adapter = answers[0].adapter if answers[0] and answers[0].adapter else {}
    snapshot = first_snapshot + torch.arange(len(rows))[:, None].expand(-1, count)
    return Queries(
        episode=torch.tensor(rows)[:, None].expand(-1, count).flatten(),
        past=past.flatten(0, 1).half(),
        target=views[:, :, NUM_PAST].flatten(0, 1),
        actions=actions.flatten(0, 1),
        recalled=torch.stack(frames, dim=1).flatten(0, 1).half(),
        known=torch.stack(known, dim=1).flatten(),
        adapter={name: x.detach().half().cpu() for name, x in adapter.items()},
        snapshot=snapshot.flatten(),
    )


def _views(
    data: LatentEpisodes,
    index: np.ndarray,
    starts: np.ndarray,
    rng: np.random.Generator,
) -> Tensor:
    """Chunk ends before, at and after `starts` (S, M), (S, M, 3, c, h, w).

    Where the data hold views from beside the path, some questions see only these.
    """
    at = starts[..., None] + np.arange(-1, NUM_PAST)
    views = data.ends[index[..., None], at]
    if data.beside is None:
        return views
    beside = torch.from_numpy(rng.random(starts.shape) < BESIDE)
    others = data.beside[index[..., None], at]
    return torch.where(beside[..., None, None, None, None], others, views)


def _starts(
    written: int, num_actions: int, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Chunk ends that questions start from: half in what was written, half later."""
    old = rng.integers(1, max(2, written - MIN_DELAY + 1), size=size)
    new = rng.integers(min(written + 1, num_actions - 1), num_actions, size=size)
    return np.where(np.arange(size[1]) % 2 == 0, old, new)


def _answer(reading: Reading | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """The recalled frame (S, c, h, w), zeros where there is none, and where not."""
    if reading is None or reading.frames is None:
        return torch.zeros_like(like), torch.zeros(len(like), dtype=torch.bool)
    known = torch.ones(len(like), dtype=torch.bool)
    if reading.frames_valid is not None:
        known = reading.frames_valid[:, 0].cpu()
    return reading.frames[:, 0, -1].cpu(), known & reading.frames_recalled
