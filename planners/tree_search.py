"""`TreeSearchPlanner`: best-first search in a tree of phrases, a level at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class _Level:
    """Sequences of one length that were not grown yet, and their costs (B, N)."""

    open: Rollout
    costs: Tensor

    def split(self, count: int) -> tuple[Rollout, _Level]:
        """The `count` cheapest sequences of each episode, and all others."""
        order = self.costs.argsort(dim=1, stable=True)
        best, rest = order[:, :count], order[:, count:]
        others = _Level(self.open.select(rest), self.costs.gather(1, rest))
        return self.open.select(best), others

    def joined(self, new: _Level) -> _Level:
        """These sequences and new ones of the same length."""
        costs = torch.cat([self.costs, new.costs], dim=1)
        return _Level(_side_by_side(self.open, new.open), costs)


class TreeSearchPlanner(SearchPlanner):
    """Grows the most promising sequences of every length in turn.

    Cyclic best-first search, Morrison et al. 2017, "Cyclic best first search: using
    contours to guide branch-and-bound algorithms", with the length of a sequence as its
    contour. A wave takes the next length that has sequences left to grow and continues
    the `width` of lowest cost by every phrase but the one that would undo the last:

        open_d <- open_d - best(open_d, width)
        open_(d+1) <- open_(d+1) + best(open_d, width) x phrases

    with d = 0, 1, ..., depth - 1, 0, ...

    A wave is one batch, of the same length in all episodes; a prefix is imagined once
    and continued from its own latents. The first cycle is a beam search; later ones
    return to what it passed over. With enough waves every sequence is met and the
    plan is exact. Differs: no bounds prune the tree (costs of learned objectives have
    none), and `width` sequences are grown per visit, not one.

    Imagines at most `waves` x `width` x (number of phrases) chunks per decision.

    Args:
        world_model: The model that imagines; its actions are phrases.
        objective: The cost of what it imagines.
        width: Sequences continued per wave and episode.
        waves: Batches per decision.
        depth: Longest sequence.
        action_cost: Cost of one action; makes shorter plans win.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        width: int = 16,
        waves: int = 21,
        depth: int = 7,
        action_cost: float = 0.02,
    ) -> None:
        at_least(1, width=width, waves=waves, depth=depth)
        super().__init__(world_model, objective, longest=depth, action_cost=action_cost)
        self.width = width
        self.waves = waves
        space = phrases_of(world_model.action_space, "tree_search")
        self._may_follow = may_follow(space)

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
        """See `SearchPlanner`; `warm_start` is not used: its context is outdated."""
        num_steps = self._num_steps(horizon)
        root = self.world_model.start(context)
        levels = {0: _Level(root, torch.zeros(root.actions.shape[:2]))}
        depth: int | None = 0
        best: Plan | None = None
        for _ in range(self.waves):
            if depth is None:
                break
            chosen, levels[depth] = levels[depth].split(self.width)
            parents, actions = continuations(chosen.actions, self._may_follow)
            grown = self.world_model.extend(
                chosen.select(parents), actions, memory=memory, generator=generator
            )
            costs = self.objective(grown.last_chunk(), goal)[:, :, 0].cpu()
            whole = costs + self.action_cost * grown.num_steps
            best = better(best, grown, whole, self.objective, goal)
            yield best
            if depth + 1 < num_steps:
                new = _Level(grown, costs)
                old = levels.get(depth + 1)
                levels[depth + 1] = new if old is None else old.joined(new)
            depth = _next(levels, depth)


def _next(levels: dict[int, _Level], depth: int) -> int | None:
    """The next length, in cycles, of which sequences are left; None if none are.

    All episodes have grown equally many sequences of each length, so that what is left
    of one is left of all.
    """
    lengths = [d for d, level in levels.items() if level.costs.shape[1]]
    return min(lengths, key=lambda d: (d <= depth, d), default=None)


def _side_by_side(a: Rollout, b: Rollout) -> Rollout:
    """The candidates of both rollouts, which have equal contexts and lengths."""
    states = None
    if a.states is not None and b.states is not None:
        states = tuple(x + y for x, y in zip(a.states, b.states, strict=True))
    return replace(
        a,
        actions=torch.cat([a.actions, b.actions], dim=1),
        latents=torch.cat([a.latents, b.latents], dim=1),
        recalled=torch.cat([a.recalled, b.recalled], dim=1),
        states=states,
    )
