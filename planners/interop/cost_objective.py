"""`CostObjective`: a cost object of stable-worldmodel as our objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from planners.interop.action_log_model import num_actions
from world_model.core import Context, Goal, Rollout
from world_model.errors import at_least
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Objective

InfoOf = Callable[[Context, Goal], Mapping[str, Any]]


class Costable(Protocol):
    """Their protocol, as far as solvers use it (0.1.1 and after)."""

    def get_cost(self, info_dict: dict[str, Any], action_candidates: Tensor) -> Tensor:
        """Costs (B, S) of candidates (B, S, H, D), lower is better."""


def default_info(context: Context, goal: Goal) -> dict[str, Tensor]:
    """What cost objects usually read, (B, T, ...).

    Returns:
        `pixels` (B, K, C, H, W) and `goal` (B, 1, C, H, W), float32 in [0, 1]; `action`
        (B, 1, A), zeros; `goal` only if there is an image.
    """
    assert context.frames is not None
    size = context.actions.shape[2:] or (1,)
    info = {
        "pixels": (context.frames + 1) / 2,
        "action": torch.zeros(len(context.actions), 1, *size),
    }
    if goal.images is not None:
        info["goal"] = (goal.images[:, None] + 1) / 2
    return info


class CostObjective(Objective):
    """Cost of the actions of `ActionLogModel`, judged by others' cost object.

    Every prefix of a sequence is judged: `get_cost` is called once per length, with
    info values expanded to (B, N, T, ...) as their solvers do it. Phrases are one-hot.

    Args:
        cost: Has `get_cost`, e.g. their world model or `ShootingCostEvaluator`.
        action_space: Of the `ActionLogModel`.
        info_of: Makes their info, each value (B, T, ...): views as they were trained on
            (size, normalisation) and whatever else their cost reads.
        normalise: Maps our vectors to those the cost was trained on.
        batch_size: Episodes per call, as of their solvers: not all of their costs take
            more than one (`LeWM` of 0.1.1 does not).
    """

    def __init__(
        self,
        cost: Costable,
        action_space: Any,
        *,
        info_of: InfoOf = default_info,
        normalise: Callable[[Tensor], Tensor] | None = None,
        batch_size: int = 1,
    ) -> None:
        at_least(1, batch_size=batch_size)
        self.cost = cost
        self.action_space = action_space
        self.info_of = info_of
        self.normalise = normalise
        self.batch_size = batch_size

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.__call__`.

        Raises:
            ValueError: If the cost is no tensor (B, N) of finite numbers.
        """
        logs = rollout.latents[:, :, :, -1]  # (B, N, T, 1 + max_steps, A, 1)
        info = dict(self.info_of(rollout.context, goal))
        parts = []
        for start in range(0, len(logs), self.batch_size):
            rows = slice(start, start + self.batch_size)
            some = {key: value[rows] for key, value in info.items()}
            steps = [self._cost(some, log) for log in logs[rows].unbind(dim=2)]
            parts.append(torch.stack(steps, dim=2))
        return torch.cat(parts)

    def _cost(self, info: Mapping[str, Any], log: Tensor) -> Tensor:
        """Cost (B, N) of the actions in logs (B, N, 1 + max_steps, A, 1)."""
        length = int(num_actions(log).max())
        actions = log[:, :, 1 : length + 1, :, 0]
        if isinstance(self.action_space, PhraseSpace):
            index = actions[..., 0].round().long()
            actions = nn.functional.one_hot(index, len(self.action_space.phrases))
            actions = actions.float()
        elif self.normalise is not None:
            actions = self.normalise(actions)
        spread = {key: _spread(value, log.shape[1]) for key, value in info.items()}
        return self._checked(self.cost.get_cost(spread, actions), log)

    def _checked(self, cost: object, log: Tensor) -> Tensor:
        wanted = tuple(log.shape[:2])
        found = tuple(cost.shape) if isinstance(cost, Tensor) else type(cost).__name__
        if not isinstance(cost, Tensor) or found != wanted:
            raise ValueError(
                f"`get_cost` must return a tensor of shape {wanted}, one cost per "
                f"candidate, got {found}: correct {type(self.cost).__name__}."
            )
        if not cost.isfinite().all():
            raise ValueError(
                "`get_cost` must return finite costs, got NaN or infinity: correct "
                f"{type(self.cost).__name__}, or what `info_of` hands to it."
            )
        return cost


def _spread(value: Any, count: int) -> Any:
    """A value (B, T, ...) for N candidates, (B, N, T, ...)."""
    if isinstance(value, Tensor):
        return value[:, None].expand(len(value), count, *value.shape[1:])
    if isinstance(value, np.ndarray):
        return np.repeat(value[:, None], count, axis=1)
    return value
