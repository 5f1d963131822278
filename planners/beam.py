"""Beam search over phrases: grows all promising sequences one action at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from planners.best import better
from planners.checks import phrases_of
from planners.phrases import continuations, may_follow
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal
from world_model.errors import at_least, within
from world_model.policy_api import Objective, Plan


class BeamPlanner(SearchPlanner):
    """Breadth-first search that keeps the `width` best prefixes of each length.

    Every prefix is imagined once and continued from its own latents, so that a level
    costs one batch. An action is never followed by its inverse. A prefix is ranked
    by its last chunk's cost plus `novelty` times its similarity to the prefixes kept
    before it: among equals, different futures survive. The plan is the prefix (of any
    length) with the lowest cost plus `action_cost` per action.

    With `min_change` views are states: a prefix that leads to one that was there
    before is not continued, as in graph search. Where most actions do nothing (an
    empty hand places nothing), the beam holds what those do that do something, also if
    that first has to make things worse.

    Args:
        world_model: The model that imagines.
        objective: The cost of what it imagines.
        width: Prefixes kept per level and episode.
        depth: Longest sequence.
        action_cost: Cost of one action; makes shorter plans win.
        novelty: Weight of similarity in the ranking of prefixes.
        min_change: Mean squared latent difference up to which two views are one; 0
            takes all for different.
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
        min_change: float = 0.0,
    ) -> None:
        at_least(1, width=width, depth=depth)
        within(0, math.inf, novelty=novelty, min_change=min_change)
        super().__init__(world_model, objective, longest=depth, action_cost=action_cost)
        self.width = width
        self.novelty = novelty
        self.min_change = min_change
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
        assert beam.context.latents is not None
        seen = beam.context.latents[:, -1:]
        exists = torch.ones(len(seen), 1, dtype=torch.bool)
        best: Plan | None = None
        for _ in range(self._num_steps(horizon)):
            parents, actions = continuations(beam.actions, self._may_follow)
            exists = exists.gather(1, parents)
            beam = self.world_model.extend(
                beam.select(parents), actions, memory=memory, generator=generator
            )
            last = beam.last_chunk()
            costs = self.objective(last, goal)[:, :, 0].cpu()
            costs = costs.masked_fill(~exists, torch.inf)
            whole = costs + self.action_cost * beam.num_steps
            best = better(best, beam, whole, self.objective, goal)
            yield best
            views = beam.latents[:, :, -1, -1]
            known = self._same(views, seen).any(dim=2)
            ranks = costs.masked_fill(known, torch.inf)
            if not ranks.isfinite().any():
                return
            # What does not exist is like nothing.
            absent = ~exists.to(views.device)[..., None, None, None]
            seen = torch.cat([seen, views.masked_fill(absent, torch.nan)], dim=1)
            kept, exists = self._keep(views, ranks)
            beam = beam.select(kept)

    def _same(self, views: Tensor, others: Tensor) -> Tensor:
        """Which (B, N, M) of views (B, N, c, h, w) and (B, M, c, h, w) are one."""
        shape = (*views.shape[:2], others.shape[1])
        if not self.min_change:
            return torch.zeros(shape, dtype=torch.bool)
        gaps = torch.cdist(views.flatten(2), others.flatten(2)).square()
        return (gaps / views[0, 0].numel() <= self.min_change).cpu()

    def _keep(self, views: Tensor, costs: Tensor) -> tuple[Tensor, Tensor]:
        """Indices (B, <= width) of the prefixes to continue, greedily diverse.

        Batches are rectangular: where an episode has fewer than the others, some of
        its indices stand for nothing, and the second result (B, <= width) is False.

        Args:
            views: Where they lead, latents (B, N, c, h, w).
            costs: Of these (B, N); infinite for what is not to be continued.
        """
        if costs.shape[1] <= self.width and not self.min_change:
            return torch.arange(costs.shape[1]).expand_as(costs), costs.isfinite()
        features = torch.nn.functional.normalize(views.flatten(2), dim=-1)
        similarity = (features @ features.transpose(1, 2)).cpu()
        same, rows = self._same(views, views), torch.arange(len(costs))
        rank, picks, exist = costs.clone(), list[Tensor](), list[Tensor]()
        while len(picks) < self.width and rank.isfinite().any():
            pick = rank.argmin(dim=1)
            picks.append(pick)
            exist.append(rank[rows, pick].isfinite())
            # The nearest neighbour kept so far decides how new a prefix is.
            penalty = self.novelty * similarity[rows, pick].clamp(min=0) ** 8
            rank = torch.maximum(rank, costs + penalty)
            rank[rows, pick] = torch.inf
            rank[same[rows, pick]] = torch.inf
        return torch.stack(picks, dim=1), torch.stack(exist, dim=1)
