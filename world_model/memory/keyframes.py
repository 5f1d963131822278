"""The chunk ends of an episode with the actions between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from world_model.api import WorldModel, with_latents
from world_model.core import Chunk
from world_model.phrase_space import NO_ACTION

SAME_VIEW = 1e-4
"""Mean squared latent difference up to which two encoded frames are one view."""


@dataclass(frozen=True)
class Keyframes:
    """Latents of one episode's chunk ends, in order.

    Attributes:
        latents: (M, c, h, w).
        actions: (M,) action that led to each frame, on the CPU; -1 where a segment
            begins (the first frame, and after the robot was moved unseen).
    """

    latents: Tensor
    actions: Tensor

    @property
    def num_bytes(self) -> int:
        """Bytes of the episode's frames and actions."""
        return self.latents.nbytes + self.actions.nbytes

    def seen_at(self, step: int) -> Tensor | None:
        """The view (c, h, w) after so many actions, None if it never came to that."""
        if step == 0:
            return self.latents[0]
        acted = (self.actions != NO_ACTION).nonzero()[:, 0]
        return self.latents[acted[step - 1]] if step <= len(acted) else None

    def starts(self, num_steps: int) -> Tensor:
        """Frames i such that actions join i, i+1 .. i+num_steps."""
        joined = self.actions[1:] != NO_ACTION
        if len(joined) < num_steps:
            return torch.zeros(0, dtype=torch.long)
        return joined.unfold(0, num_steps, 1).all(dim=-1).nonzero()[:, 0]


def chunk_ends(world_model: WorldModel, chunk: Chunk) -> tuple[Tensor, Tensor]:
    """Latents of the views before and after a chunk, (B, c, h, w) each."""
    before = with_latents(world_model, chunk.context.last(1)).latents
    assert before is not None
    return before[:, 0], world_model.encode(chunk.frames[:, -1])


def append_chunk(
    kept: dict[int, Keyframes], world_model: WorldModel, chunk: Chunk
) -> None:
    """Appends a chunk's last frame to the keyframes of its active slots."""
    before, after = chunk_ends(world_model, chunk)
    is_fresh = chunk.context.num_frames == 1
    for slot in chunk.active.nonzero()[:, 0].tolist():
        kept[slot] = append(
            kept.get(slot),
            before[slot],
            chunk.actions[slot],
            after[slot],
            is_fresh=is_fresh,
        )


def append(
    keys: Keyframes | None,
    before: Tensor,
    action: Tensor,
    after: Tensor,
    *,
    is_fresh: bool,
) -> Keyframes:
    """Adds a chunk.

    Args:
        keys: What is kept so far, or None.
        before: Latents (c, h, w) of the frame before the action.
        action: The action, ().
        after: Latents (c, h, w) of the chunk's last frame.
        is_fresh: True if the chunk's context held that one frame only: it was begun
            anew because the robot was moved, unless the frame is the last one seen
            (models whose contexts are always that short).
    """
    latents, actions = [after[None]], [action.cpu()[None]]
    if keys is None or (is_fresh and not _same_view(keys.latents[-1], before)):
        latents.insert(0, before[None])
        actions.insert(0, torch.tensor([NO_ACTION]))
    if keys is not None:
        latents.insert(0, keys.latents)
        actions.insert(0, keys.actions)
    return Keyframes(torch.cat(latents), torch.cat(actions))


def _same_view(a: Tensor, b: Tensor) -> bool:
    return float((a - b).square().mean()) <= SAME_VIEW
