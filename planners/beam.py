"""Beam search over phrases: grows all promising sequences one action at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from planners.best import better
from planners.checks import phrases_of
from planners.phrases import continuations, may_follow
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.errors import at_least
from world_model.policy_api import Objective, Plan


class BeamPlanner(SearchPlanner):
    """Breadth-first search that keeps the `width` best prefixes of each length.

    Every prefix is imagined once and continued from its own latents, so that a level
    costs one batch. An action is never followed by its inverse. A prefix is ranked
    by its last chunk's cost plus `novelty` times its similarity to the prefixes kept
    before it: among equals, different futures survive. The plan is the prefix (of any
    length) with the lowest cost plus `action_cost` per action.

    Args:
        world_model: The model that imagines.
        objective: The cost of what it imagines.
        width: Prefixes kept per level and episode.
        depth: Longest sequence.
        action_cost: Cost of one action; makes shorter plans win.
        novelty: Weight of similarity in the ranking of prefixes.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        width: int = 32,
        depth: int = 7,
        action_cost: float = 0.02,
        novelty: float = 1.0,
    ) -> None:
        at_least(1, width=width, depth=depth)
        super().__init__(world_model, objective, longest=depth, action_cost=action_cost)
        self.width = width
        self.novelty = novelty
        self._may_follow = may_follow(phrases_of(world_model.action_space, "beam"))

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
        """See `SearchPlanner`; `warm_start` is not needed (the search is complete)."""
        beam = self.world_model.start(context)
        best: Plan | None = None
        for _ in range(self._num_steps(horizon)):
            parents, actions = continuations(beam.actions, self._may_follow)
            beam = self.world_model.extend(
                beam.select(parents), actions, memory=memory, generator=generator
            )
            last = beam.last_chunk()
            costs = self.objective(last, goal)[:, :, 0].cpu()
            whole = costs + self.action_cost * beam.num_steps
            best = better(best, beam, whole, self.objective, goal)
            yield best
            beam = beam.select(self._keep(beam, costs))

    def _keep(self, beam: Rollout, costs: Tensor) -> Tensor:
        """Indices (B, <= width) of the prefixes to continue, greedily diverse."""
        if beam.actions.shape[1] <= self.width:
            return torch.arange(beam.actions.shape[1]).expand(len(costs), -1)
        features = beam.latents[:, :, -1, -1].flatten(2)
        features = torch.nn.functional.normalize(features, dim=-1)
        similarity = (features @ features.transpose(1, 2)).cpu()
        rank = costs.clone()
        picks = []
        for _ in range(self.width):
            pick = rank.argmin(dim=1)
            picks.append(pick)
            rows = torch.arange(len(costs))
            # The nearest neighbour kept so far decides how new a prefix is.
            penalty = self.novelty * similarity[rows, pick].clamp(min=0) ** 8
            rank = torch.maximum(rank, costs + penalty)
            rank[rows, pick] = torch.inf
        return torch.stack(picks, dim=1)
