"""`SearchPlanner`: what all planners that compare imagined sequences are made with."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator

from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal
from world_model.errors import at_least, within
from world_model.policy_api import Objective, Plan, Planner


class SearchPlanner(Planner):
    """A planner whose plan is the sequence of lowest cost among those it imagined.

    The cost of a sequence is that of its last chunk plus `action_cost` per action.
    A search shows its best plan so far whenever it has imagined more, so that it can be
    stopped at any time (Zilberstein 1996, "Using anytime algorithms in intelligent
    systems").

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
        within(-math.inf, math.inf, action_cost=action_cost)
        self.world_model = world_model
        self.objective = objective
        self.longest = longest
        self.action_cost = action_cost

    def plan(
        self,
        context: Context,
        goal: Goal,
        *,
        memory: Memory | None = None,
        warm_start: Plan | None = None,
        generator: Generators,
        horizon: int,
    ) -> Plan:
        """See `Planner.plan`; the last plan of `search`."""
        *_, best = self.search(
            context,
            goal,
            memory=memory,
            warm_start=warm_start,
            generator=generator,
            horizon=horizon,
        )
        return best

    @abc.abstractmethod
    def search(
        self,
        context: Context,
        goal: Goal,
        *,
        memory: Memory | None = None,
        warm_start: Plan | None = None,
        generator: Generators,
        horizon: int,
    ) -> Iterator[Plan]:
        """Yields the best plan so far, at least once; costs never rise.

        Where calls are limited, `world_model.rollout` may hand back fewer sequences
        than it was asked for, or shorter ones: `Rollout.actions` says which.

        Args:
            context: As in `plan`, like all that follows.
            goal: What the episodes ask for.
            memory: Only read.
            warm_start: The unexecuted rest of the last plan.
            generator: B sources of noise.
            horizon: Most actions worth planning.
        """

    def _num_steps(self, horizon: int) -> int:
        """Most actions worth planning, at least 1."""
        return min(self.longest, max(1, horizon))
