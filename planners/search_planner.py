"""`SearchPlanner`: what all planners that compare imagined sequences are made with."""

from __future__ import annotations

from planners.checks import at_least
from world_model.api import WorldModel
from world_model.policy_api import Objective, Planner


class SearchPlanner(Planner):
    """A planner whose plan is the sequence of lowest cost among those it imagined.

    The cost of a sequence is that of its last chunk plus `action_cost` per action.

    Args:
        world_model: The model that imagines.
        objective: The cost of what it imagines.
        longest: Most actions of a plan.
        action_cost: Cost of one action; makes shorter plans win.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        longest: int,
        action_cost: float,
    ) -> None:
        at_least(1, longest=longest)
        self.world_model = world_model
        self.objective = objective
        self.longest = longest
        self.action_cost = action_cost

    def _num_steps(self, horizon: int) -> int:
        """Most actions worth planning, at least 1."""
        return min(self.longest, max(1, horizon))
