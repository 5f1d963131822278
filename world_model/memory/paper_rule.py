"""`PaperRule`: what a Temp-LoRA write of SlowFast-VGen trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Generators, WorldModel, with_latents
from world_model.core import Chunk
from world_model.memory.write_batch import WriteBatch
from world_model.memory.write_rule import WriteRule, uniform


class PaperRule(WriteRule):
    """SlowFast-VGen section 3.2: [input | output] of the newest chunk, all noised.

    One noise level for the whole sequence, loss on all of it, no action, no replay.

    Args:
        world_model: Encodes frames.
        batch_size: Noise draws per gradient step (not stated in the paper).
    """

    stores_latents: ClassVar[bool] = False

    def __init__(self, world_model: WorldModel, *, batch_size: int = 1) -> None:
        super().__init__(world_model, batch_size=batch_size)
        self._pair: tuple[Tensor, Tensor] | None = None

    def add(self, chunk: Chunk) -> None:
        """Keeps the newest pair for the present write."""
        self._pair = encoded_pair(self.world_model, chunk)

    def groups(self, step: int, slots: Sequence[int]) -> list[list[int]]:
        """All slots have the same newest pair."""
        return [list(slots)]

    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """The newest pair, under fresh noise."""
        assert self._pair is not None
        past, future = (x[list(slots)] for x in self._pair)
        return joint_batch(past, future, self.batch_size, generators)

    def state(self) -> dict[int, Tensor]:
        """Nothing survives a write."""
        return {}

    def load(self, state: dict[int, Tensor]) -> None:
        """Drops the pair."""
        self._pair = None

    @property
    def num_bytes(self) -> int:
        """Always 0."""
        return 0


def encoded_pair(world_model: WorldModel, chunk: Chunk) -> tuple[Tensor, Tensor]:
    """Latents of a chunk's input (B, K, c, h, w) and output (B, F, c, h, w)."""
    past = with_latents(world_model, chunk.context).latents
    assert past is not None
    return past, world_model.encode(chunk.frames)


def joint_batch(
    past: Tensor, future: Tensor, batch_size: int, generators: Generators
) -> WriteBatch:
    """[past | future], all of it under one noise level per clip and in the loss.

    Args:
        past: (S, P, c, h, w).
        future: (S, F, c, h, w).
        batch_size: M, noise levels per slot, uniform in [0, 1).
        generators: The randomness of the S slots.
    """
    num_past, num_future = past.shape[1], future.shape[1]
    clip, length = torch.cat([past, future], dim=1), num_past + num_future
    times = torch.zeros(length)
    times[num_past:] = torch.arange(1, num_future + 1) / num_future
    level = uniform((batch_size, 1), generators)
    return WriteBatch(
        latents=clip[:, None].expand(-1, batch_size, *[-1] * 4),
        actions=None,
        times=times.expand(len(clip), batch_size, -1),
        noise_levels=level.expand(-1, -1, length),
        num_past=num_past,
        loss_frames=torch.ones(length),
    )
