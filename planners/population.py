"""`Population`: sequences that were imagined to their end, each cut at its best."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from world_model.core import Goal, Rollout
from world_model.policy_api import Objective


@dataclass(frozen=True)
class Population:
    """Sequences of T actions, each as good as its best prefix.

    Attributes:
        rollout: The sequences and what was imagined, N per episode.
        costs: (B, N) of the best prefixes.
        lengths: (B, N) actions of the best prefixes, 1 .. T.
    """

    rollout: Rollout
    costs: Tensor
    lengths: Tensor

    @classmethod
    def judged(
        cls, rollout: Rollout, goal: Goal, objective: Objective, action_cost: float
    ) -> Population:
        """Costs every prefix: that of its last chunk plus `action_cost` per action."""
        costs = prefix_costs(rollout, goal, objective, action_cost).cpu()
        best, index = costs.min(dim=2)
        return cls(rollout, best, index + 1)

    def elites(self, count: int) -> Tensor:
        """Indices (B, <= count) of the sequences of lowest cost, the best first."""
        return self.costs.argsort(dim=1, stable=True)[:, :count]

    def weights_of_actions(self, weights: Tensor) -> Tensor:
        """Weights of sequences (B, N) as weights of their actions (B, N, T).

        What comes after a best prefix did not make it good, and weighs nothing.
        """
        steps = torch.arange(self.rollout.num_steps)
        return weights[..., None] * (steps < self.lengths[..., None])


def prefix_costs(
    rollout: Rollout, goal: Goal, objective: Objective, action_cost: float
) -> Tensor:
    """Cost of every prefix (B, N, T): its last chunk's, plus `action_cost` each."""
    costs = objective(rollout, goal)
    num_actions = torch.arange(1, rollout.num_steps + 1, device=costs.device)
    return costs + action_cost * num_actions
