"""`ComposedMemory`: two memories, the second speaks where the first is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from world_model.api import Memory
from world_model.core import Chunk, Context, Moment, Reading


class ComposedMemory(Memory):
    """Asks one memory, and for what it does not know another.

    Both are written. Of their readings, extra frames are taken candidate by candidate,

        frame = f1 where the first one knows, else f2,

    and an adapter or a longer past from whichever gives it; so a memory of frames and
    one of weights act together. Moments are asked of the first, then of the second.
    Either may be composed again.

    Composition of Memory Experts (Stapf et al., arXiv 2605.18813) multiplies the
    experts' densities while sampling instead, at one denoiser call for each; here the
    number of calls stays that of one memory.

    Args:
        first: Believed where it knows.
        second: Asked where the first is silent.
    """

    def __init__(self, first: Memory, second: Memory) -> None:
        self.first, self.second = first, second

    @property
    def stores_frames(self) -> bool:  # type: ignore[override]
        """True if either keeps frames."""
        return self.first.stores_frames or self.second.stores_frames

    @property
    def privileged(self) -> bool:  # type: ignore[override]
        """True if either reads simulator state."""
        return self.first.privileged or self.second.privileged

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Both forget."""
        self.first.reset(num_episodes, seeds=seeds)
        self.second.reset(num_episodes, seeds=seeds)

    def write(self, chunk: Chunk) -> None:
        """Both are told."""
        self.first.write(chunk)
        self.second.write(chunk)

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """What either says.

        Raises:
            ValueError: If what they say cannot be put together.
        """
        first = self.first.read(context, actions)
        second = self.second.read(context, actions)
        if first is None or second is None:
            return first or second
        self._check(first, second)
        joined = _joined_frames(first, second)
        return replace(
            joined,
            past=first.past or second.past,
            adapter=first.adapter or second.adapter,
            guidance=first.guidance or second.guidance,
        )

    def recall(self, slot: int, moment: Moment) -> Tensor | None:
        """See `Memory.recall`."""
        known = self.first.recall(slot, moment)
        return self.second.recall(slot, moment) if known is None else known

    def snapshot(self) -> tuple[Any, Any]:
        """See `Memory.snapshot`."""
        return self.first.snapshot(), self.second.snapshot()

    def restore(self, state: tuple[Any, Any]) -> None:
        """See `Memory.restore`."""
        self.first.restore(state[0])
        self.second.restore(state[1])

    @property
    def num_bytes(self) -> int:
        """Bytes of both."""
        return self.first.num_bytes + self.second.num_bytes

    def _check(self, first: Reading, second: Reading) -> None:
        """Refuses two of what the world model takes one of."""
        names = f"{type(self.first).__name__} and {type(self.second).__name__}"
        for part in ("adapter", "past"):
            if getattr(first, part) is not None and getattr(second, part) is not None:
                raise ValueError(
                    f"Of two composed memories one at most may give `{part}`, got it "
                    f"from {names}: compose others."
                )
        if first.frames is None or second.frames is None:
            return
        one = first.frames_recalled, first.frames.shape[2]
        other = second.frames_recalled, second.frames.shape[2]
        if one != other:
            raise ValueError(
                "Extra frames of composed memories must be of one kind, got (recalled, "
                f"number) {one} and {other} from {names}: compose others."
            )


def _joined_frames(first: Reading, second: Reading) -> Reading:
    """Extra frames of the first where it knows, else of the second."""
    if first.frames is None or second.frames is None:
        return second if first.frames is None else first
    knows = _valid(first, first.frames)
    where = knows.to(first.frames.device)[..., None, None, None, None]
    return Reading(
        frames=torch.where(where, first.frames, second.frames),
        frames_valid=knows | _valid(second, second.frames),
        frames_recalled=first.frames_recalled,
    )


def _valid(reading: Reading, frames: Tensor) -> Tensor:
    """Where its extra frames count, (B, N) on the CPU."""
    if reading.frames_valid is None:
        return torch.ones(frames.shape[:2], dtype=torch.bool)
    return reading.frames_valid.cpu()
