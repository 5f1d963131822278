"""`AnchorMemory`: the first frames of the episode stay in view (Streaming-T2V)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Moment, Reading
from world_model.errors import at_least
from world_model.memory.keyframes import chunk_ends


class AnchorMemory(Memory):
    """Keeps the latents of the first frame and chunk ends of an episode.

    Streaming-T2V (Henschel et al. 2024) conditions every chunk on an anchor frame
    from the first one; here it enters through the world model's extra-frame slot.

    Args:
        world_model: Encodes the frames.
        num_frames: Anchors kept; the shipped models were trained with one.
    """

    stores_frames: ClassVar[bool] = True

    def __init__(self, world_model: WorldModel, *, num_frames: int = 1) -> None:
        at_least(1, num_frames=num_frames)
        self.world_model = world_model
        self.num_frames = num_frames
        self._anchors: list[Tensor] = []

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Drops the anchors."""
        self._anchors = [torch.empty(0)] * num_episodes

    def write(self, chunk: Chunk) -> None:
        """Keeps the frame before the first chunk, then the first chunk ends."""
        before, after = (x[:, None] for x in chunk_ends(self.world_model, chunk))
        for slot in chunk.active.nonzero()[:, 0].tolist():
            kept = self._anchors[slot] if len(self._anchors[slot]) else before[slot]
            # Cloned: a view would keep the frames of all slots alive.
            frames = torch.cat([kept, after[slot]])[: self.num_frames]
            self._anchors[slot] = frames.clone()

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The anchors of each episode, for all its candidates."""
        known = [x for x in self._anchors if len(x)]
        if not known:
            return None
        blank = torch.zeros_like(known[0])
        asked = [self._anchors[slot] for slot in context.memory_slots]
        frames = torch.stack([self._filled(x if len(x) else blank) for x in asked])
        has_any = torch.tensor([len(x) > 0 for x in asked])
        num_candidates = actions.shape[1]
        return Reading(
            frames=frames[:, None].expand(-1, num_candidates, *[-1] * 4),
            frames_valid=has_any[:, None].expand(-1, num_candidates),
        )

    def recall(self, slot: int, moment: Moment) -> Tensor | None:
        """See `Memory.recall`: the anchors are the first moments."""
        anchors = self._anchors[slot]
        return anchors[moment.step] if moment.step < len(anchors) else None

    def snapshot(self) -> list[Tensor]:
        """See `Memory.snapshot`; anchors are replaced, never changed in place."""
        return list(self._anchors)

    def restore(self, state: list[Tensor]) -> None:
        """See `Memory.restore`."""
        self._anchors = list(state)

    @property
    def num_bytes(self) -> int:
        """Bytes of the anchors of the fullest slot."""
        return max((x.nbytes for x in self._anchors), default=0)

    def _filled(self, frames: Tensor) -> Tensor:
        """Anchors (S, c, h, w), the last one repeated up to `num_frames`.

        Always so many: what a slot reads must not depend on what others hold.
        """
        index = torch.arange(self.num_frames).clamp(max=len(frames) - 1)
        return frames[index]
