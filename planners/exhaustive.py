"""`ExhaustivePlanner`: every sequence of phrases, for small questions and for tests."""

from __future__ import annotations

from planners.beam import BeamPlanner
from planners.checks import phrases_of
from planners.phrases import may_follow
from world_model.api import WorldModel
from world_model.errors import at_least
from world_model.policy_api import Objective


class ExhaustivePlanner(BeamPlanner):
    """Imagines all sequences of up to `depth` actions: the optimum within the model.

    Breadth-first enumeration: a beam (`BeamPlanner`) as wide as the last level, so that
    nothing is dropped. Sequences never directly undo themselves: without an action
    more they would end where a shorter one did.

    Imagines n (n - 1)^(depth - 1) chunks on the last level, n the number of phrases.

    Args:
        world_model: The model that imagines; its actions are phrases.
        objective: The cost of what it imagines.
        depth: Longest sequence.
        limit: Most sequences of the last level; more are refused.
        action_cost: Cost of one action; makes shorter plans win.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        depth: int = 4,
        limit: int = 4096,
        action_cost: float = 0.02,
    ) -> None:
        at_least(1, depth=depth, limit=limit)
        table = may_follow(phrases_of(world_model.action_space, "exhaustive"))
        count = len(table) * int(table.sum(dim=1).max()) ** (depth - 1)
        if count > limit:
            raise ValueError(
                f"`depth` must leave at most limit={limit} sequences, got {depth} with "
                f"{count}: plan less far or use planner/optimizer=tree_search."
            )
        super().__init__(
            world_model,
            objective,
            width=count,
            depth=depth,
            action_cost=action_cost,
            novelty=0.0,
        )
