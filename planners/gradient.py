"""`GradientPlanner`: descends the slope of the cost, through the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from planners.best import better
from planners.checks import box_of
from planners.differentiable import imagine_apart
from planners.population import Population
from planners.proposals import around_plan, first_proposal
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.errors import at_least, positive
from world_model.policy_api import Objective, Plan


class GradientPlanner(SearchPlanner):
    """Moves random vector sequences downhill and takes the best prefix met.

    Jyothir et al. 2023, "Gradient-based planning with world models" (arXiv 2312.17227),
    with Adam (Kingma and Ba 2015) in units u in [-1, 1] of half the bounds' width:

        u <- clip(u - learning_rate Adam(d/du mean over t of the cost after action t))

    The slope is that of all chunks' mean cost, so that late actions feel it before
    early ones have arrived; sequences are ranked by their best prefix, as in the other
    planners. Differs: `population` starts, the first on the rest of the last plan;
    clipping instead of a policy network's bounds.

    Only for `Box` actions, and for a world model and objective that torch can
    differentiate: `predict` must not run under `no_grad`. The video diffusion model's
    does (and speaks phrases), and is refused.

    Imagines `population` x (`iterations` + 1) x `horizon` chunks per decision, all but
    the last round of them with their slope, which costs about twice as much again.

    Args:
        world_model: The model that imagines, differentiable in its actions.
        objective: The cost of what it imagines, differentiable too.
        population: Sequences per episode.
        iterations: Steps downhill.
        horizon: Actions per sequence.
        learning_rate: Step in units of half the width of the bounds.
        action_cost: Cost of one action; makes shorter plans win.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        population: int = 8,
        iterations: int = 20,
        horizon: int = 7,
        learning_rate: float = 0.2,
        action_cost: float = 0.02,
    ) -> None:
        at_least(1, population=population, iterations=iterations, horizon=horizon)
        positive(learning_rate=learning_rate)
        remedy = "phrases have no slope, use planner/optimizer=tree_search or icem"
        self._space = box_of(world_model.action_space, "gradient", instead=remedy)
        self._low = torch.as_tensor(self._space.low).float()
        self._high = torch.as_tensor(self._space.high).float()
        super().__init__(
            world_model, objective, longest=horizon, action_cost=action_cost
        )
        self.population = population
        self.iterations = iterations
        self.learning_rate = learning_rate

    @torch.enable_grad()
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
        """See `SearchPlanner.search`.

        Raises:
            ValueError: If the costs cannot be differentiated in the actions.
        """
        root = self.world_model.start(context)
        middle, half = (self._high + self._low) / 2, (self._high - self._low) / 2

        def imagine() -> Rollout:
            free = middle + half * units
            # A bound is met but for rounding, where a clamp would have no slope.
            actions = free + (free.clamp(self._low, self._high) - free).detach()
            return imagine_apart(self.world_model, root, actions, memory, generator)

        starts = self._starts(len(goal.instructions), horizon, warm_start, generator)
        # Bounds may meet: such an action stays where it is.
        units = ((starts - middle) / half.clamp(min=1e-9)).requires_grad_()
        optimizer = torch.optim.Adam([units], lr=self.learning_rate)
        best: Plan | None = None
        for _ in range(self.iterations):
            rollout = imagine()
            best = self._better(best, rollout, goal)
            yield best
            units.grad = self._slope(rollout, goal, units)
            optimizer.step()
            units.data.clamp_(-1, 1)
        with torch.no_grad():
            best = self._better(best, imagine(), goal)
        yield best

    def _starts(
        self,
        num_episodes: int,
        horizon: int,
        warm_start: Plan | None,
        generator: Generators,
    ) -> Tensor:
        """Sequences (B, N, T, A): one on the last plan, the others random."""
        proposal = first_proposal(self._space, num_episodes, self._num_steps(horizon))
        others = proposal.sample(self.population - 1, generator)
        if warm_start is not None:
            proposal = around_plan(proposal, warm_start)
        return torch.cat([proposal.centre()[:, None], others], dim=1)

    def _slope(self, rollout: Rollout, goal: Goal, units: Tensor) -> Tensor:
        """Derivative of the mean cost of each sequence; parameters keep theirs."""
        costs = self.objective(rollout, goal).mean(dim=2).sum()
        if not costs.requires_grad:
            raise ValueError(
                "`gradient` needs costs that torch can differentiate in the actions, "
                f"got none from {type(self.world_model).__name__} and "
                f"{type(self.objective).__name__}: use planner/optimizer=icem."
            )
        return torch.autograd.grad(costs, units)[0]

    @torch.no_grad()
    def _better(self, best: Plan | None, rollout: Rollout, goal: Goal) -> Plan:
        found = replace(
            rollout, actions=rollout.actions.detach(), latents=rollout.latents.detach()
        )
        judged = Population.judged(found, goal, self.objective, self.action_cost)
        return better(best, found, judged.costs, self.objective, goal, judged.lengths)
