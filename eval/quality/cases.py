"""Chunks to predict: what was seen, what was done, what truly followed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from eval.quality.geometry import co_visible
from eval.quality.walks import Walks
from world_model.api import WorldModel, generators
from world_model.core import Context
from world_model.frames import to_model


@dataclass(frozen=True)
class Cases:
    """M real chunks whose action was not blocked.

    Attributes:
        context: The K key frames before the action, batch (M,).
        actions: (M,) int64.
        truth: The key frame after the action, (M, C, H, W) in [-1, 1].
        visible: Its pixels that the last context frame showed too, (M, H, W) bool.
        found: Goals that hold after the action, (M, O) bool.
        episodes: The walk of each case, (M,).
        places: Of objects before and after the action, (M, 2, O, 3) [m]; None where
            nothing is moved.
        seen: Which of them can be seen after it, (M, O) bool.
    """

    context: Context
    actions: Tensor
    truth: Tensor
    visible: Tensor
    found: Tensor
    episodes: np.ndarray
    places: Tensor | None = None
    seen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def last(self) -> Tensor:
        """The last context frame, (M, C, H, W)."""
        assert self.context.frames is not None
        return self.context.frames[:, -1]


def make_cases(walks: Walks, num_context_frames: int, *, tolerance: float) -> Cases:
    """All chunks of the walks that have K key frames before them and were not blocked.

    Args:
        walks: What was recorded.
        num_context_frames: K.
        tolerance: Of co-visibility, see `geometry.co_visible` [m].
    """
    first = num_context_frames - 1
    episodes, offsets = np.nonzero(walks.moved[:, first:])
    ends = offsets + first  # index of the last context frame
    past = ends[:, None] + np.arange(-first, 1)
    rows = episodes[:, None]
    actions = torch.from_numpy(walks.actions.astype(np.int64))
    return Cases(
        context=Context(
            actions=actions[rows, past[:, :-1]],
            frames=to_model(walks.key_frames[rows, past]),
        ),
        actions=actions[episodes, ends],
        truth=to_model(walks.key_frames[episodes, ends + 1]),
        visible=_visible(walks, episodes, ends, tolerance),
        found=torch.from_numpy(walks.found[episodes, ends + 1]),
        episodes=episodes,
        **_objects(walks, episodes, ends),
    )


def _objects(walks: Walks, episodes: np.ndarray, ends: np.ndarray) -> dict[str, Tensor]:
    """See `Cases`, where the walks say where objects are."""
    if walks.places is None or walks.seen is None:
        return {}
    around = ends[:, None] + np.arange(2)
    return {
        "places": torch.from_numpy(walks.places[episodes[:, None], around]),
        "seen": torch.from_numpy(walks.seen[episodes, ends + 1]),
    }


def _visible(
    walks: Walks, episodes: np.ndarray, ends: np.ndarray, tolerance: float
) -> Tensor:
    """Co-visibility masks (M, H, W) of the key frames after `ends`.

    A camera that stays has seen every pixel's place before.
    """
    if walks.focal_length is None:
        return torch.ones(len(ends), *walks.frames.shape[2:4], dtype=torch.bool)
    masks = [
        co_visible(
            walks.view(episode, end + 1),
            walks.view(episode, end),
            float(walks.focal_length),
            tolerance=tolerance,
        )
        for episode, end in zip(episodes, ends, strict=True)
    ]
    return torch.from_numpy(np.stack(masks))


def predict(
    model: WorldModel, cases: Cases, *, batch_size: int, description: str
) -> Tensor:
    """The model's key frame after every case, as latents (M, c, h, w) on the CPU.

    Case i has its own source of noise, seeded with i, whatever is asked of it: two
    wordings of an action differ by the wording alone.
    """
    batches = torch.arange(len(cases)).split(batch_size)
    parts = []
    for rows in track(batches, description=description):
        rollout = model.rollout(
            _take(cases.context, rows),
            cases.actions[rows, None, None],
            generator=generators(rows.tolist()),
        )
        parts.append(rollout.latents[:, 0, 0, -1].cpu())
    return torch.cat(parts)


def encode(model: WorldModel, frames: Tensor, *, batch_size: int = 256) -> Tensor:
    """Latents (M, c, h, w) of frames (M, C, H, W), on the CPU."""
    return torch.cat([model.encode(x).cpu() for x in frames.split(batch_size)])


def decode(model: WorldModel, latents: Tensor, *, batch_size: int = 256) -> Tensor:
    """Frames (M, C, H, W) of latents (M, c, h, w), on the CPU."""
    parts = [model.decode(x).float().cpu() for x in latents.split(batch_size)]
    return torch.cat(parts)


def _take(context: Context, rows: Tensor) -> Context:
    assert context.frames is not None
    return replace(context, actions=context.actions[rows], frames=context.frames[rows])
