"""What all searches share: the best sequence found so far."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from world_model.core import Goal, Rollout
from world_model.policy_api import Objective, Plan


def better(
    best: Plan | None,
    found: Rollout,
    costs: Tensor,
    objective: Objective,
    goal: Goal,
    lengths: Tensor | None = None,
) -> Plan:
    """The better of the plan so far and the cheapest of these sequences.

    Args:
        best: The plan so far, or None.
        found: Sequences, N per episode.
        costs: Of the sequences, (B, N).
        objective: Says how likely success is.
        goal: What the episodes ask for.
        lengths: Actions after which to stop, (B, N) in 1 .. T; None means all T.
    """
    cost, index = costs.cpu().min(dim=1)
    chosen = found.select(index[:, None])
    length = torch.full_like(index, found.num_steps)
    if lengths is not None:
        length = lengths.gather(1, index[:, None])[:, 0]
    likely = objective.success_probability(_chunk(chosen, length - 1), goal)
    if likely is not None:
        likely = likely[:, 0, 0].cpu()
    plan = Plan(chosen.actions[:, 0].cpu(), length, cost, likely)
    return plan if best is None else _merge(best, plan)


def _chunk(rollout: Rollout, step: Tensor) -> Rollout:
    """The same candidates with their imagined chunk `step` (B,) only."""
    rows = torch.arange(len(step))
    return replace(
        rollout,
        actions=rollout.actions[rows, :, step][:, :, None],
        latents=rollout.latents[rows, :, step][:, :, None],
        recalled=rollout.recalled[rows, :, step][:, :, None],
    )


def _merge(a: Plan, b: Plan) -> Plan:
    """Per episode, the plan of lower cost; actions padded to the longer one."""
    take = b.costs < a.costs
    num_steps = max(a.actions.shape[1], b.actions.shape[1])
    first, second = (_padded(plan.actions, num_steps) for plan in (a, b))
    likely = None
    if a.predicted_success is not None and b.predicted_success is not None:
        likely = torch.where(take, b.predicted_success, a.predicted_success)
    return Plan(
        torch.where(take.view(-1, *[1] * (first.ndim - 1)), second, first),
        torch.where(take, b.lengths, a.lengths),
        torch.where(take, b.costs, a.costs),
        likely,
    )


def _padded(actions: Tensor, num_steps: int) -> Tensor:
    """Actions (B, T) or (B, T, A) with zeros up to `num_steps`."""
    num_episodes, length, *shape = actions.shape
    rest = actions.new_zeros(num_episodes, num_steps - length, *shape)
    return torch.cat([actions, rest], dim=1)
