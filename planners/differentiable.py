"""Imagining sequences so that costs can be differentiated in their actions."""

from __future__ import annotations

import torch
from torch import Tensor

from world_model.api import Generators, Memory, WorldModel
from world_model.core import Rollout


def imagine_apart(
    world_model: WorldModel,
    root: Rollout,
    actions: Tensor,
    memory: Memory | None,
    generator: Generators,
) -> Rollout:
    """Imagines each of (B, N, T, A) sequences for itself.

    Unlike `WorldModel.rollout`, which imagines equal prefixes once: they would share
    their slope.
    """
    rollout = root.select(torch.zeros(actions.shape[:2], dtype=torch.long))
    for action in actions.unbind(dim=2):
        rollout = world_model.extend(
            rollout, action, memory=memory, generator=generator
        )
    return rollout
