"""What tree searches share: the best sequence found so far."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from world_model.core import Goal, Rollout
from world_model.policy_api import Objective, Plan


def last_chunk(rollout: Rollout) -> Rollout:
    """The same candidates with their last imagined chunk only."""
    return replace(
        rollout,
        actions=rollout.actions[:, :, -1:],
        latents=rollout.latents[:, :, -1:],
        recalled=rollout.recalled[:, :, -1:],
    )


def better(
    best: Plan | None, tree: Rollout, costs: Tensor, objective: Objective, goal: Goal
) -> Plan:
    """The better of the plan so far and the cheapest of these sequences.

    Args:
        best: The plan so far, or None.
        tree: Sequences of one length, N per episode.
        costs: Of the whole sequences, (B, N).
        objective: Says how likely success is.
        goal: What the episodes ask for.
    """
    cost, index = costs.cpu().min(dim=1)
    chosen = tree.select(index[:, None])
    likely = objective.success_probability(last_chunk(chosen), goal)
    if likely is not None:
        likely = likely[:, 0, 0].cpu()
    lengths = torch.full_like(index, tree.num_steps)
    plan = Plan(chosen.actions[:, 0].cpu(), lengths, cost, likely)
    return plan if best is None else _merge(best, plan)


def _merge(a: Plan, b: Plan) -> Plan:
    """Per episode, the plan of lower cost; actions padded to the longer one."""
    take = b.costs < a.costs
    padded = torch.nn.functional.pad(
        a.actions, (0, b.actions.shape[1] - a.actions.shape[1])
    )
    likely = None
    if a.predicted_success is not None and b.predicted_success is not None:
        likely = torch.where(take, b.predicted_success, a.predicted_success)
    return Plan(
        torch.where(take[:, None], b.actions, padded),
        torch.where(take, b.lengths, a.lengths),
        torch.where(take, b.costs, a.costs),
        likely,
    )
