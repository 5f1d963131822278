"""`ConditionalRule`: the original Temp-LoRA's form, input -> output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from world_model.api import Generators
from world_model.core import Chunk
from world_model.memory.paper_rule import PaperRule
from world_model.memory.write_batch import WriteBatch


class ConditionalRule(PaperRule):
    """Temp-LoRA as Wang et al. 2024 (arXiv 2401.11504) train it, carried to video.

    There a text's preceding tokens are given and only those of the new chunk enter the
    loss. Here the newest chunk's context stays clean, its action is told, and only its
    frames are noised, at one level, and enter the loss: slow learning's own form, which
    SlowFast-VGen ablates in Table 4. No replay. The differences from `PaperRule` are
    these three; rank, rate and steps are the paper's, not those of Wang et al. (64,
    5e-5, 2).
    """

    _actions: Tensor | None = None

    def add(self, chunk: Chunk) -> None:
        """Keeps the newest pair and the actions that led to its frames."""
        super().add(chunk)
        num_future = chunk.frames.shape[1]
        led_to = chunk.actions[:, None].repeat_interleave(num_future, dim=1)
        self._actions = torch.cat([chunk.context.actions, led_to], dim=1)

    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """The newest pair: clean past, told actions, future under fresh noise."""
        assert self._actions is not None
        joint = super().batch(step, slots, generators)
        is_future = (joint.times[0, 0] > 0).float()
        actions = self._actions[list(slots)][:, None]
        return replace(
            joint,
            actions=actions.repeat_interleave(self.batch_size, dim=1),
            noise_levels=joint.noise_levels * is_future,
            loss_frames=is_future,
        )

    def load(self, state: dict[int, Tensor]) -> None:
        """Drops pair and actions."""
        super().load(state)
        self._actions = None
