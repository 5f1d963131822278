"""`WriteRule`: what a Temp-LoRA write trains on."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Chunk
from world_model.errors import at_least
from world_model.memory.write_batch import WriteBatch


class WriteRule(abc.ABC):
    """Turns executed chunks into clips to train fast weights on.

    Attributes:
        stores_latents: True if it replays older chunks.

    Args:
        world_model: Encodes frames.
        batch_size: M, clips per gradient step.
    """

    stores_latents: ClassVar[bool]

    def __init__(self, world_model: WorldModel, *, batch_size: int) -> None:
        at_least(1, batch_size=batch_size)
        self.world_model = world_model
        self.batch_size = batch_size

    @abc.abstractmethod
    def add(self, chunk: Chunk) -> None:
        """Takes note of an executed chunk."""

    @abc.abstractmethod
    def groups(self, step: int, slots: Sequence[int]) -> list[list[int]]:
        """Splits slots into those whose clips of gradient step `step` fit together."""

    @abc.abstractmethod
    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """Clips of gradient step `step` of the present write.

        Args:
            step: Counts from 0 in every write.
            slots: One of `groups(step, ...)`; S of them, all active in this write.
            generators: The randomness of these slots.
        """

    @abc.abstractmethod
    def state(self) -> dict[int, Any]:
        """What survives between writes, by slot; later writes leave it as it is."""

    @abc.abstractmethod
    def load(self, state: dict[int, Any]) -> None:
        """Returns to a `state()`; an empty one forgets the episodes."""

    @property
    @abc.abstractmethod
    def num_bytes(self) -> int:
        """Bytes of the `state()` of the fullest slot."""


def uniform(shape: Sequence[int], generators: Generators) -> Tensor:
    """Uniform numbers in [0, 1), one row of `shape` per slot."""
    return torch.stack([torch.rand(tuple(shape), generator=g) for g in generators])
