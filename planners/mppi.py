"""`MPPIPlanner`: model-predictive path integral control."""

from __future__ import annotations

from planners.population import Population
from planners.population_planner import PopulationPlanner
from planners.proposal import Proposal
from world_model.api import WorldModel
from world_model.errors import positive
from world_model.policy_api import Objective


class MPPIPlanner(PopulationPlanner):
    """Follows the mean of all samples, the cheaper the more.

    Williams et al. 2017, "Information theoretic MPC for model-based reinforcement
    learning", algorithms 1 and 2: sample k of cost S_k has weight

        w_k = exp(-(S_k - min S) / temperature) / eta,   sum_k w_k = 1

    and the new mean sequence is sum_k w_k actions_k; for phrases, the new
    probabilities are the frequencies of the actions weighted by w. The spread of
    vectors stays. Differs: several iterations per decision; no cost on the distance of
    a sample from the mean (their gamma term); an action after a sample's best prefix
    does not count, and phrases keep a share of the uniform distribution.

    Args:
        world_model: The model that imagines; phrases or a bounded `Box` of vectors.
        objective: The cost of what it imagines.
        population: Sequences per iteration and episode.
        iterations: Times that sequences are sampled and the distribution refit.
        horizon: Actions per sequence.
        temperature: Difference in cost at which a weight falls to 1 / e.
        action_cost: Cost of one action; makes shorter plans win.
    """

    name = "mppi"
    is_rigid = True

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        population: int = 64,
        iterations: int = 4,
        horizon: int = 7,
        temperature: float = 0.05,
        action_cost: float = 0.02,
    ) -> None:
        positive(temperature=temperature)
        super().__init__(
            world_model,
            objective,
            population=population,
            iterations=iterations,
            horizon=horizon,
            action_cost=action_cost,
        )
        self.temperature = temperature

    def _refit(self, proposal: Proposal, found: Population) -> Proposal:
        weights = (-found.costs / self.temperature).softmax(dim=1)
        return proposal.refit(
            found.rollout.actions, found.weights_of_actions(weights), momentum=0.0
        )
