"""`RandomShootingPlanner`: the baseline of sampling planners."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from planners.best import better
from planners.population import Population
from planners.proposals import check_space, first_proposal
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal
from world_model.errors import at_least
from world_model.policy_api import Objective, Plan


class RandomShootingPlanner(SearchPlanner):
    """Imagines random sequences once and takes the best prefix of any.

    Nagabandi et al. 2018, "Neural network dynamics for model-based deep reinforcement
    learning with model-free fine-tuning", whose controller it is:

        plan = argmin over N samples of the cost of the sample

    Differs: phrases never directly undo themselves; vectors are normal about the
    middle of their bounds and clipped, not uniform; the cost is that of the last chunk
    of the best prefix.

    Imagines at most `population` x `horizon` chunks per decision.

    Args:
        world_model: The model that imagines; phrases or a bounded `Box` of vectors.
        objective: The cost of what it imagines.
        population: Sequences per episode.
        horizon: Actions per sequence.
        action_cost: Cost of one action; makes shorter plans win.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        population: int = 256,
        horizon: int = 7,
        action_cost: float = 0.02,
    ) -> None:
        at_least(1, population=population, horizon=horizon)
        check_space(world_model.action_space, "random_shooting")
        super().__init__(
            world_model, objective, longest=horizon, action_cost=action_cost
        )
        self.population = population

    @torch.no_grad()
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
        """See `SearchPlanner`; `warm_start` is not used: this is the baseline."""
        proposal = first_proposal(
            self.world_model.action_space,
            len(goal.instructions),
            self._num_steps(horizon),
        )
        actions = proposal.sample(self.population, generator)
        rollout = self.world_model.rollout(
            context, actions, memory=memory, generator=generator
        )
        found = Population.judged(rollout, goal, self.objective, self.action_cost)
        yield better(None, rollout, found.costs, self.objective, goal, found.lengths)
