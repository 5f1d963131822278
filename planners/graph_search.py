"""`GraphSearchPlanner`: breadth-first search over dead-reckoned poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.best import better
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.errors import at_least
from world_model.odometry import Odometry, Place
from world_model.phrase_space import motions_of
from world_model.policy_api import Objective, Plan


@dataclass
class _Search:
    """The search of one episode: poses of the frontier and places reached so far."""

    frontier: list[Odometry]
    reached: set[Place]


class GraphSearchPlanner(SearchPlanner):
    """Imagines the shortest way to every place within reach, once.

    Sequences that lead to the same pose are equal in the future they allow, so only
    the first is continued: a transposition table, with the pose counted from the
    actions' own motions (`PhraseSpace.motions`) since planning began. An action that
    is no turn and leaves the imagined view as it was has been blocked and ends its
    branch. Where a beam of N sequences fills with reorderings of each other, this
    search is complete and cheaper. The plan is the sequence with the lowest cost of
    its last chunk plus `action_cost` per action.

    Args:
        world_model: The model that imagines; its actions must say how they move.
        objective: The cost of what it imagines.
        depth: Longest sequence.
        width: Most sequences continued per level and episode, the cheapest first.
        action_cost: Cost of one action; makes shorter plans win.
        min_change: Mean squared latent change below which an action was blocked.
        unknown_cost: Cost of a plan whose end the memory does not claim to know:
            pessimism about what is only imagined. Without such a memory all plans
            bear it, and it changes nothing.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        depth: int = 7,
        width: int = 64,
        action_cost: float = 0.02,
        min_change: float = 0.1,
        unknown_cost: float = 0.0,
    ) -> None:
        at_least(1, depth=depth, width=width)
        super().__init__(world_model, objective, longest=depth, action_cost=action_cost)
        self._motions = motions_of(
            world_model.action_space,
            "graph_search",
            instead="use planner=mpc_beam, on the table planner=mpc_table, for "
            "vectors planner/optimizer=icem",
        )
        self.width = width
        self.min_change = min_change
        self.unknown_cost = unknown_cost
        self._turns = torch.tensor([not (x or y) for x, y, _ in self._motions])

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
        tree = self.world_model.start(context)
        start = Odometry()
        searches = [_Search([start], {start.place}) for _ in goal.instructions]
        best: Plan | None = None
        for _ in range(self._num_steps(horizon)):
            parents, actions, exists = self._branch(searches)
            if not exists.any():
                break
            before = tree.select(parents)
            tree = self.world_model.extend(
                before, actions, memory=memory, generator=generator
            )
            costs = self.objective(tree.last_chunk(), goal)[:, :, 0].cpu()
            costs = costs.masked_fill(~exists, torch.inf)
            whole = costs + self.action_cost * tree.num_steps
            whole = whole + self.unknown_cost * ~tree.recalled[:, :, -1]
            best = better(best, tree, whole, self.objective, goal)
            yield best
            moved = exists & self._has_moved(before, tree, actions)
            tree = tree.select(self._advance(searches, parents, actions, moved, costs))

    def _branch(self, searches: Sequence[_Search]) -> tuple[Tensor, Tensor, Tensor]:
        """All steps to places not reached yet.

        Returns:
            Parents (B, M) in the frontier, actions (B, M) and which of the M exist:
            batches are rectangular.
        """
        steps = [
            [
                (i, action)
                for i, pose in enumerate(search.frontier)
                for action, motion in enumerate(self._motions)
                if pose.after(motion).place not in search.reached
            ]
            for search in searches
        ]
        size = max(1, *map(len, steps))
        padded = torch.tensor([row + [(0, 0)] * (size - len(row)) for row in steps])
        count = torch.tensor([len(row) for row in steps])
        return padded[..., 0], padded[..., 1], torch.arange(size) < count[:, None]

    def _has_moved(self, before: Rollout, after: Rollout, actions: Tensor) -> Tensor:
        """Which of the last actions (B, M) were not blocked."""
        if before.num_steps:
            views = before.latents[:, :, -1, -1]
        else:
            assert before.context.latents is not None
            views = before.context.latents[:, None, -1]
        change = (after.latents[:, :, -1, -1] - views).square().mean(dim=(2, 3, 4))
        # Nothing stands in the way of a turn on the spot.
        return self._turns[actions] | (change.cpu() > self.min_change)

    def _advance(
        self,
        searches: Sequence[_Search],
        parents: Tensor,
        actions: Tensor,
        moved: Tensor,
        costs: Tensor,
    ) -> Tensor:
        """Makes new places the frontier; returns their indices (B, K), padded."""
        kept = []
        for b, search in enumerate(searches):
            frontier: list[Odometry] = []
            rows: list[int] = []
            for m in costs[b].argsort(stable=True).tolist():
                if not moved[b, m] or len(rows) == self.width:
                    continue
                parent = search.frontier[int(parents[b, m])]
                pose = parent.after(self._motions[int(actions[b, m])])
                if pose.place not in search.reached:
                    search.reached.add(pose.place)
                    frontier.append(pose)
                    rows.append(m)
            search.frontier = frontier
            kept.append(rows)
        size = max(1, *map(len, kept))
        return torch.tensor([rows + [0] * (size - len(rows)) for rows in kept])
