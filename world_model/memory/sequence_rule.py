"""`SequenceRule`: the paper's form on samples from the whole episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Chunk
from world_model.memory.paper_rule import encoded_pair, joint_batch
from world_model.memory.write_batch import WriteBatch
from world_model.memory.write_rule import WriteRule

Pair = tuple[Tensor, Tensor]
"""Latents of one chunk's input (K, c, h, w) and output (F, c, h, w)."""


class SequenceRule(WriteRule):
    """`PaperRule` on any chunk of the episode so far, each as likely as the newest.

    SlowFast-VGen's ablation "without local learning rule" (Table 4). How samples are
    drawn is not stated there: we draw one executed chunk per gradient step, uniformly,
    with the context it had. For that each chunk's latents are kept with its context's,
    (K + F) c h w numbers, until the episode ends.

    Args:
        world_model: Encodes frames.
        batch_size: Noise draws of the chunk per gradient step.
    """

    stores_latents: ClassVar[bool] = True

    def __init__(self, world_model: WorldModel, *, batch_size: int = 1) -> None:
        super().__init__(world_model, batch_size=batch_size)
        self._episodes: dict[int, tuple[Pair, ...]] = {}

    def add(self, chunk: Chunk) -> None:
        """Appends the chunk's pair to the episodes of its active slots."""
        past, future = encoded_pair(self.world_model, chunk)
        for slot in chunk.active.nonzero()[:, 0].tolist():
            # Cloned: views would keep the frames of all slots alive.
            pair = past[slot].clone(), future[slot].clone()
            self._episodes[slot] = (*self._episodes.get(slot, ()), pair)

    def groups(self, step: int, slots: Sequence[int]) -> list[list[int]]:
        """Every slot alone: drawn chunks may have contexts of other lengths."""
        return [[slot] for slot in slots]

    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """A pair from anywhere in the episode, under fresh noise."""
        (slot,), (generator,) = slots, generators
        pairs = self._episodes[slot]
        pick = int(torch.randint(len(pairs), (), generator=generator))
        past, future = (x[None] for x in pairs[pick])
        return joint_batch(past, future, self.batch_size, generators)

    def state(self) -> dict[int, tuple[Pair, ...]]:
        """All pairs of the episodes, oldest first; replaced, never changed in place."""
        return dict(self._episodes)

    def load(self, state: dict[int, tuple[Pair, ...]]) -> None:
        """Takes pairs back."""
        self._episodes = dict(state)

    @property
    def num_bytes(self) -> int:
        """Bytes of the pairs of the fullest slot."""
        sizes = [
            sum(past.nbytes + future.nbytes for past, future in pairs)
            for pairs in self._episodes.values()
        ]
        return max(sizes, default=0)
