"""How large a search is made for a budget: one function per family.

The search is stopped when its budget is spent (`budgeted_model`), whatever its size;
these sizes see to it that it looks far enough before that, and that it has something
left to do until then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planners.phrases import may_follow
from world_model.odometry import Odometry
from world_model.phrase_space import Motion, PhraseSpace

ENDLESS = 10**6
"""Rounds of a search that goes on until it is stopped."""
ITERATIONS = 4
"""Refits that a budget pays for at least, as in the shipped cem, icem and mppi."""
CYCLES = 3
"""Visits of every length that a budget pays for, as in the shipped tree_search."""
MIN_POPULATION = 8
"""Fewer samples say nothing about a distribution."""

Options = dict[str, int]


@dataclass(frozen=True)
class Question:
    """What a size depends on.

    Attributes:
        chunks: Chunks that a decision may imagine.
        horizon: Longest plan.
        space: The phrases.
    """

    chunks: int
    horizon: int
    space: PhraseSpace

    @property
    def num_actions(self) -> int:
        """n, the number of phrases: the chunks after the start."""
        return len(self.space.phrases)

    @property
    def num_next(self) -> int:
        """Ways to continue a sequence by a phrase that does not undo the last."""
        return int(may_follow(self.space).sum(dim=1).max())


def exhaustive(question: Question) -> Options:
    """The deepest tree that fits whole."""
    depth, level, total = 1, question.num_actions, question.num_actions
    while depth < question.horizon:
        level *= question.num_next
        total += level
        if total > question.chunks:
            break
        depth += 1
    # Less than a level: the budget cuts it, not the search's own limit.
    return {"depth": depth, "limit": max(question.num_actions, question.chunks)}


def beam(question: Question) -> Options:
    """The widest beam that fits whole; one prefix is kept if none does."""

    def cost(width: int) -> int:
        levels = [question.num_actions]
        for _ in range(question.horizon - 1):
            levels.append(min(width, levels[-1]) * question.num_next)
        return sum(levels)

    return {"depth": question.horizon, "width": _widest(cost, question.chunks)}


def graph_search(question: Question) -> Options:
    """The widest search that fits whole where nothing is in the way."""
    ways = _ways(question.space.motions or (), question.horizon)

    def cost(width: int) -> int:
        later = (min(width * question.num_next, level) for level in ways[1:])
        return ways[0] + sum(later)

    return {"depth": question.horizon, "width": _widest(cost, question.chunks)}


def tree_search(question: Question) -> Options:
    """As wide as lets `CYCLES` visits of every length fit; more until it is stopped."""
    visits = max(1, question.horizon - 1) * question.num_next
    width = (question.chunks // CYCLES - question.num_actions) // visits
    return {"depth": question.horizon, "width": max(1, width), "waves": ENDLESS}


def random_shooting(question: Question) -> Options:
    """More sequences than can be paid, but not than there are: the budget cuts them."""
    there_are = question.num_actions * question.num_next ** (question.horizon - 1)
    population = max(1, min(question.chunks, there_are))
    return {"horizon": question.horizon, "population": population}


def mppi(question: Question) -> Options:
    """At least `ITERATIONS` refits; more until it is stopped."""
    population = question.chunks // (ITERATIONS * question.horizon)
    return {
        "horizon": question.horizon,
        "population": max(MIN_POPULATION, population),
        "iterations": ENDLESS,
    }


def cem(question: Question) -> Options:
    """As `mppi`; an eighth are elites, as in the shipped cem and icem."""
    options = mppi(question)
    return {**options, "elites": max(2, options["population"] // 8)}


SIZES: dict[str, Callable[[Question], Options]] = {
    "graph_search": graph_search,
    "tree_search": tree_search,
    "beam": beam,
    "random_shooting": random_shooting,
    "cem": cem,
    "icem": cem,
    "mppi": mppi,
    "exhaustive": exhaustive,
}
"""By name, as in `planner/optimizer=...`."""


def _widest(cost: Callable[[int], int], chunks: int) -> int:
    """The largest width whose cost is at most `chunks`, at least 1.

    No width beyond `chunks` makes a difference: it keeps all there is.
    """
    return max(1, bisect_right(range(1, chunks + 1), chunks, key=cost))


def _ways(motions: Sequence[Motion], horizon: int) -> list[int]:
    """Chunks per level of a search that reaches every place in the open once.

    As `GraphSearchPlanner` counts: ways from the places of the last level into places
    that were not reached before.
    """
    frontier = [Odometry()]
    reached, levels = {frontier[0].place}, []
    for _ in range(horizon):
        after = [pose.after(motion) for pose in frontier for motion in motions]
        after = [pose for pose in after if pose.place not in reached]
        levels.append(len(after))
        new = {pose.place: pose for pose in after}
        reached |= set(new)
        frontier = list(new.values())
    return levels
