"""`ICEMPlanner`: the cross-entropy method with fewer samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from planners.cem import CEMPlanner
from planners.population import Population
from planners.proposal import Proposal
from world_model.api import Generators, WorldModel
from world_model.errors import within
from world_model.policy_api import Objective


class ICEMPlanner(CEMPlanner):
    """CEM that keeps elites, shifts its plan, colours its noise and shrinks.

    Pinneri et al. 2020, "Sample-efficient cross-entropy method for real-time planning",
    algorithm 1. In iteration i = 0, 1, ... of a decision it imagines

        N_i = max(population decay^-i, 2 elites)

    sequences, among them a share `kept` of the last iteration's elites (section 3.2)
    or, in the first, the last decision's plan shifted by what was executed (3.1).
    Vectors are sampled with noise of power spectrum 1 / f^colour along the steps (3.1).

    Differs: elites are not handed from decision to decision but for the plan itself,
    because a planner keeps nothing that an episode could leave to the next; sequences
    kept count among the N_i; the mean is imagined after the last refit, not before;
    phrases have no colour.

    Args:
        world_model: The model that imagines; phrases or a bounded `Box` of vectors.
        objective: The cost of what it imagines.
        population: Sequences of the first iteration, per episode.
        iterations: Times that sequences are sampled and the distribution refit.
        elites: Sequences it is refit to.
        horizon: Actions per sequence.
        momentum: Share of the old distribution in the new one, in [0, 1).
        decay: Factor by which the population shrinks per iteration, at least 1.
        kept: Share of the elites that the next iteration imagines again, in [0, 1].
        colour: 0 white noise, 1 pink, 2 red; more for slower motions.
        action_cost: Cost of one action; makes shorter plans win.
    """

    name = "icem"

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
        decay: float = 1.25,
        kept: float = 0.3,
        colour: float = 2.0,
        action_cost: float = 0.02,
    ) -> None:
        within(1, math.inf, decay=decay)
        within(0, math.inf, colour=colour)
        within(0, 1, kept=kept)
        super().__init__(
            world_model,
            objective,
            population=population,
            iterations=iterations,
            elites=elites,
            horizon=horizon,
            momentum=momentum,
            action_cost=action_cost,
        )
        self.decay = decay
        self.num_kept = round(kept * elites)
        self.colour = colour

    def _candidates(
        self,
        iteration: int,
        proposal: Proposal,
        found: Population | None,
        generator: Generators,
    ) -> Tensor:
        """See `PopulationPlanner`."""
        if found is None:
            again = proposal.centre()[:, None]
        else:
            again = found.rollout.select(found.elites(self.num_kept)).actions
        num_new = self._size(iteration) - again.shape[1]
        return torch.cat([again, proposal.sample(num_new, generator)], dim=1)

    def _size(self, iteration: int) -> int:
        """N_i; never more than at first, also with many elites."""
        shrunk = int(self.population * self.decay**-iteration)
        return min(self.population, max(shrunk, 2 * self.elites))
