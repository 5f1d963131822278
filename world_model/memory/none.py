"""`NoMemory`: the baseline that remembers only its context."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from world_model.api import Memory
from world_model.core import Chunk, Context, Reading


class NoMemory(Memory):
    """Carries nothing from chunk to chunk."""

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Nothing to forget."""

    def write(self, chunk: Chunk) -> None:
        """Nothing to write."""

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """Nothing to say."""
        return None

    def snapshot(self) -> None:
        """Nothing to keep."""

    def restore(self, state: None) -> None:
        """Nothing to restore."""

    @property
    def num_bytes(self) -> int:
        """Always 0."""
        return 0
