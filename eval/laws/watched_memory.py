"""`WatchedMemory`: remembers nothing but who tried to change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from world_model.api import Memory
from world_model.core import Chunk, Context


class WatchedMemory(Memory):
    """A memory that holds nothing and keeps the names of the calls that change one.

    Attributes:
        changes: Those names, in order.
        written: The chunks.
    """

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.written: list[Chunk] = []

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Notes the call."""
        self.changes.append("reset")

    def write(self, chunk: Chunk) -> None:
        """Notes the call."""
        self.changes.append("write")
        self.written.append(chunk)

    def read(self, context: Context, actions: Tensor) -> None:
        """Has nothing to say."""

    def snapshot(self) -> Any:
        """Is empty."""
        return ()

    def restore(self, state: Any) -> None:
        """Notes the call."""
        self.changes.append("restore")

    @property
    def num_bytes(self) -> int:
        """Nothing is kept of an episode."""
        return 0
