"""`CheckedMemory`: a plug-in's memory whose every answer is checked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from torch import Tensor

from eval.make_part import Naming
from world_model.api import Memory
from world_model.core import Chunk, Context, Moment, Reading
from world_model.testing import require


class CheckedMemory(Memory):
    """Passes everything on; an answer that cannot be imagined with is an error at once.

    Args:
        inner: The memory that does the work.
        naming: Gives errors the plug-in's name.
    """

    def __init__(self, inner: Memory, naming: Naming) -> None:
        self.inner = inner
        self.naming = naming
        self.stores_frames = inner.stores_frames  # type: ignore[misc]
        self.privileged = inner.privileged  # type: ignore[misc]

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """See `Memory.reset`; like all below, its errors name the plug-in."""
        with self.naming():
            self.inner.reset(num_episodes, seeds=seeds)

    def write(self, chunk: Chunk) -> None:
        """See `Memory.write`."""
        with self.naming():
            self.inner.write(chunk)

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """See `Memory.read`."""
        with self.naming():
            reading = self.inner.read(context, actions)
            check_reading(reading, context, actions)
        return reading

    def recall(self, slot: int, moment: Moment) -> Tensor | None:
        """See `Memory.recall`."""
        with self.naming():
            found = self.inner.recall(slot, moment)
            law = "`recall` returns latents (c, h, w) or None"
            is_view = isinstance(found, Tensor) and found.dim() == 3
            require(found is None or is_view, law, getattr(found, "shape", type(found)))
            require(found is None or _is_finite(found), "recalled latents are finite")
        return found

    def snapshot(self) -> Any:
        """See `Memory.snapshot`."""
        with self.naming():
            return self.inner.snapshot()

    def restore(self, state: Any) -> None:
        """See `Memory.restore`."""
        with self.naming():
            self.inner.restore(state)

    @property
    def num_bytes(self) -> int:
        """See `Memory.num_bytes`."""
        with self.naming():
            found: Any = self.inner.num_bytes
            law = "`num_bytes` is a whole number, at least 0"
            require(isinstance(found, Integral) and int(found) >= 0, law, repr(found))
        return int(found)


def check_reading(reading: Any, context: Context, actions: Tensor) -> None:
    """Checks what a memory says against the promises of `Reading`.

    Args:
        reading: What `read` returned.
        context: What it was asked with, batch (B, N), with latents.
        actions: See `Memory.read`.

    Raises:
        AssertionError: With the broken promise and what was found.
    """
    if reading is None:
        return
    law = "`read` returns a `Reading` or None"
    require(isinstance(reading, Reading), law, type(reading).__name__)
    batch = tuple(actions.shape[:2])
    if reading.frames is not None and context.latents is not None:
        size = tuple(context.latents.shape[-3:])
        shape = tuple(reading.frames.shape)
        holds = len(shape) == 6 and shape[:2] == batch and shape[3:] == size
        names = ", ".join(map(str, (*batch, "S", *size)))
        law = f"`frames` have the shape (B, N, S, c, h, w) = ({names})"
        require(holds, law, shape)
        require(_is_finite(reading.frames), "`frames` are finite")
    if reading.frames_valid is not None:
        shape = tuple(reading.frames_valid.shape)
        require(shape == batch, f"`frames_valid` has the shape (B, N) = {batch}", shape)
    for name, weights in (reading.adapter or {}).items():
        law = f"the adapter has one set of weights per episode, {batch[0]}"
        require(len(weights) == batch[0], law, f"{len(weights)} of {name}")
        require(_is_finite(weights), "weights of the adapter are finite", name)


def _is_finite(values: Tensor) -> bool:
    return bool(values.isfinite().all())
