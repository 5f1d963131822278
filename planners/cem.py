"""`CEMPlanner`: the cross-entropy method."""

from __future__ import annotations

import torch

from planners.population import Population
from planners.population_planner import PopulationPlanner
from planners.proposal import Proposal
from world_model.api import WorldModel
from world_model.errors import at_least, within
from world_model.policy_api import Objective


class CEMPlanner(PopulationPlanner):
    """Refits a distribution of sequences to the best of its samples.

    De Boer et al. 2005, "A tutorial on the cross-entropy method", the algorithm for
    optimisation with smoothed updates:

        theta <- momentum theta + (1 - momentum) fit(the `elites` cheapest samples)

    theta: probabilities of every phrase per step, or mean and standard deviation of a
    vector per step. Differs: an action after an elite's best prefix does not count, and
    phrases keep a share of the uniform distribution.

    Args:
        world_model: The model that imagines; phrases or a bounded `Box` of vectors.
        objective: The cost of what it imagines.
        population: Sequences per iteration and episode.
        iterations: Times that sequences are sampled and the distribution refit.
        elites: Sequences it is refit to.
        horizon: Actions per sequence.
        momentum: Share of the old distribution in the new one, in [0, 1).
        action_cost: Cost of one action; makes shorter plans win.
    """

    name = "cem"

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        population: int = 64,
        iterations: int = 4,
        elites: int = 8,
        horizon: int = 7,
        momentum: float = 0.1,
        action_cost: float = 0.02,
    ) -> None:
        super().__init__(
            world_model,
            objective,
            population=population,
            iterations=iterations,
            horizon=horizon,
            action_cost=action_cost,
        )
        at_least(1, elites=elites)
        if elites > population:
            raise ValueError(
                f"`elites` must be at most population={population}, got {elites}: "
                "lower it."
            )
        within(0, 1, momentum=momentum)
        if momentum == 1:
            raise ValueError(
                f"`momentum` must be in [0, 1), got {momentum}: 1 never learns."
            )
        self.elites = elites
        self.momentum = momentum

    def _refit(self, proposal: Proposal, found: Population) -> Proposal:
        chosen = found.elites(self.elites)
        weights = torch.zeros_like(found.costs).scatter(1, chosen, 1.0)
        return proposal.refit(
            found.rollout.actions, found.weights_of_actions(weights), self.momentum
        )
