"""`CheckedPlanner`: a plug-in's planner whose every plan is checked."""

from __future__ import annotations

from typing import Any

import gymnasium
import torch
from torch import Tensor

from eval.make_part import Naming
from world_model.core import Context, Goal
from world_model.policy_api import Plan, Planner
from world_model.testing import require


class CheckedPlanner(Planner):
    """Passes everything on; a plan that cannot be executed is an error at once.

    Args:
        inner: The planner that does the work.
        space: The action space of its world model.
        naming: Gives errors the plug-in's name.
    """

    def __init__(self, inner: Planner, space: gymnasium.Space, naming: Naming) -> None:
        self.inner = inner
        self.space = space
        self.naming = naming

    def plan(
        self, context: Context, goal: Goal, *, horizon: int, **options: Any
    ) -> Plan:
        """See `Planner.plan`.

        Raises:
            ValueError: With the plug-in's name, whatever went wrong.
        """
        with self.naming():
            plan = self.inner.plan(context, goal, horizon=horizon, **options)
            check_plan(plan, len(goal.instructions), horizon, self.space)
        return plan


def check_plan(
    plan: Plan, num_episodes: int, horizon: int, space: gymnasium.Space
) -> None:
    """Checks a plan against the promises of `Plan`.

    Raises:
        AssertionError: With the broken promise and what was found.
    """
    require(isinstance(plan, Plan), "`plan` returns a `Plan`", type(plan).__name__)
    shape = tuple(plan.actions.shape)
    law = "`actions` is (B, T) or (B, T, A) with 1 <= T <= horizon"
    holds = len(shape) == 2 + len(space.shape or ()) and shape[0] == num_episodes
    require(holds and 1 <= shape[1] <= horizon, law, f"{shape}, horizon {horizon}")
    law = f"`actions` are of {space}"
    require(_are_of(space, plan.actions.cpu()), law, plan.actions.tolist())
    for name in ("lengths", "costs", "predicted_success"):
        _check_row(name, getattr(plan, name), num_episodes)
    holds = bool(((plan.lengths >= 0) & (plan.lengths <= shape[1])).all())
    require(holds, "`lengths` are from 0 to T", plan.lengths.tolist())


def _are_of(space: gymnasium.Space, actions: Tensor) -> bool:
    """Whether all actions (B, T) or (B, T, A) are of the space; vectors in float32."""
    if not isinstance(space, gymnasium.spaces.Box):
        return all(space.contains(a.numpy()) for row in actions for a in row)
    low, high = (torch.as_tensor(x).float() for x in (space.low, space.high))
    vectors = actions.float()
    return bool(((vectors >= low) & (vectors <= high)).all())  # no NaN does


def _check_row(name: str, values: Tensor | None, num_episodes: int) -> None:
    if values is None:
        require(name == "predicted_success", f"`{name}` is given", "None")
        return
    shape = tuple(values.shape)
    require(shape == (num_episodes,), f"`{name}` has shape ({num_episodes},)", shape)
    finite = bool(values.isfinite().all())
    require(finite, f"`{name}` is finite", values.tolist())
    if name == "predicted_success":
        inside = bool(((values >= 0) & (values <= 1)).all())
        require(inside, f"`{name}` is in [0, 1]", values.tolist())
