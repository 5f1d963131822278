"""`PopulationPlanner`: sample sequences, imagine them, refit, again."""

from __future__ import annotations

import abc
from collections.abc import Iterator

import torch
from torch import Tensor

from planners.best import better
from planners.population import Population
from planners.proposal import Proposal
from planners.proposals import around_plan, check_space, first_proposal
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal
from world_model.errors import at_least
from world_model.policy_api import Objective, Plan


class PopulationPlanner(SearchPlanner):
    """What `cem`, `icem` and `mppi` share: a proposal that follows good samples.

    It starts about the rest of the last plan and is asked for `population` sequences
    per iteration; a sequence is worth its best prefix. The plan is the best sequence
    met, that of the last proposal's centre included: where the model is noisy, better
    than the last proposal alone. Nothing is kept between decisions but the plan. Of
    phrases, equal prefixes are imagined once.

    Imagines at most (`population` x `iterations` + 1) x `horizon` chunks per decision.

    Args:
        world_model: The model that imagines; phrases or a bounded `Box` of vectors.
        objective: The cost of what it imagines.
        population: Sequences per iteration and episode.
        iterations: Times that sequences are sampled and the proposal refit.
        horizon: Actions per sequence.
        action_cost: Cost of one action; makes shorter plans win.
    """

    name: str
    """As in `planner/optimizer=...`, for errors."""
    colour = 0.0
    is_rigid = False

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        population: int,
        iterations: int,
        horizon: int,
        action_cost: float,
    ) -> None:
        at_least(1, population=population, iterations=iterations, horizon=horizon)
        check_space(world_model.action_space, self.name)
        super().__init__(
            world_model, objective, longest=horizon, action_cost=action_cost
        )
        self.population = population
        self.iterations = iterations

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
        """See `SearchPlanner.search`."""
        context = self.world_model.start(context).context  # encoded once

        def imagine(actions: Tensor) -> Population:
            rollout = self.world_model.rollout(
                context, actions, memory=memory, generator=generator
            )
            return Population.judged(rollout, goal, self.objective, self.action_cost)

        def better_of(best: Plan | None, new: Population) -> Plan:
            return better(
                best, new.rollout, new.costs, self.objective, goal, new.lengths
            )

        proposal = self._first(len(goal.instructions), horizon, warm_start)
        best: Plan | None = None
        found: Population | None = None
        for iteration in range(self.iterations):
            actions = self._candidates(iteration, proposal, found, generator)
            found = imagine(actions)
            best = better_of(best, found)
            yield best
            proposal = self._refit(proposal, found)
        yield better_of(best, imagine(proposal.centre()[:, None]))

    @abc.abstractmethod
    def _refit(self, proposal: Proposal, found: Population) -> Proposal:
        """The proposal after an iteration."""

    def _candidates(
        self,
        iteration: int,
        proposal: Proposal,
        found: Population | None,
        generator: Generators,
    ) -> Tensor:
        """The sequences of one iteration; `found` is the population before."""
        return proposal.sample(self.population, generator)

    def _first(
        self, num_episodes: int, horizon: int, warm_start: Plan | None
    ) -> Proposal:
        proposal = first_proposal(
            self.world_model.action_space,
            num_episodes,
            self._num_steps(horizon),
            colour=self.colour,
            is_rigid=self.is_rigid,
        )
        return proposal if warm_start is None else around_plan(proposal, warm_start)
