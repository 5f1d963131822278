"""The best way to explore when some goals are possible and looking tells which."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from envs.api import Domain, Node
from envs.lattice import reachable

_FAR = 10**6


@dataclass(frozen=True)
class Hypothesis:
    """One thing that may be true of the goal.

    Attributes:
        goals: Poses that satisfy the goal if it is true.
        seen_from: Poses whose view tells whether it is true.
    """

    goals: frozenset[Node]
    seen_from: frozenset[Node]


class Explorer:
    """Acts so that the goal is reached in time under as many hypotheses as possible.

    The search is exhaustive, with hypotheses equally likely: no strategy that knows
    the map and what it has seen since `start` does better. Sets of hypotheses are
    the bits of an int.

    Args:
        domain: Knows the map.
        start: Where the exploration begins.
        hypotheses: What may be true of the goal.
        truth: Index of the true one; used only once it has been seen.
        distances: How many actions the goal may be away; the others drop out.
        extra_steps: A goal d actions away must be reached within d + `extra_steps`.
    """

    def __init__(
        self,
        domain: Domain,
        start: Node,
        hypotheses: Sequence[Hypothesis],
        truth: int,
        *,
        distances: Container[int],
        extra_steps: int,
    ) -> None:
        nodes = reachable(domain, start)
        self._index = {node: i for i, node in enumerate(nodes)}
        actions = range(int(domain.action_space.n))
        self._next = [
            [self._index[domain.successor(node, a)] for a in actions] for node in nodes
        ]
        self._far = [
            _distances(self._next, [self._index[g] for g in h.goals & set(nodes)])
            for h in hypotheses
        ]
        # Standing at a goal shows that it is one: the episode ends.
        self._sight = [
            _bits(node in h.seen_from | h.goals for h in hypotheses) for node in nodes
        ]
        self._truth = truth
        optima = [far[self._index[start]] for far in self._far]
        self._deadlines = [optimum + extra_steps for optimum in optima]
        self._open = _bits(optimum in distances for optimum in optima)
        self._time = 0
        self._near = cache(self._compute_near)
        self._value = cache(self._compute_value)

    def act(self, node: Node) -> int:
        """The best action at `node`, after a look; to be asked at every step."""
        here = self._index[node]
        seen = self._open & self._sight[here]
        if seen >> self._truth & 1:
            self._open = 1 << self._truth
        elif self._open & ~seen:
            self._open &= ~seen
        following = self._next[here]
        self._time += 1
        return max(range(len(following)), key=lambda a: self._worth(following[a]))

    def _worth(self, node: int) -> tuple[int, int]:
        """Hypotheses solved; among equals, how near the next goal is."""
        possible = [f[node] for h, f in enumerate(self._far) if self._open >> h & 1]
        known = self._open.bit_count() == 1
        solved = 0 if known else self._value(node, self._open, self._time)
        return solved, -min(possible)

    def _compute_near(self, node: int, time: int) -> int:
        """The hypotheses whose goals can be reached in time."""
        deadlines = zip(self._far, self._deadlines, strict=True)
        return _bits(time + far[node] <= deadline for far, deadline in deadlines)

    def _compute_value(self, node: int, possible: int, time: int) -> int:
        """How many of the hypotheses lead to success from here, before a look."""
        possible &= self._near(node, time)
        seen = possible & self._sight[node]
        rest = possible & ~seen
        if rest.bit_count() <= 1:  # the last one needs no look
            return possible.bit_count()
        best = max(self._value(n, rest, time + 1) for n in self._next[node])
        return seen.bit_count() + best


def _bits(truths: Iterable[bool]) -> int:
    return sum(1 << i for i, true in enumerate(truths) if true)


def _distances(following: list[list[int]], goals: list[int]) -> list[int]:
    """Fewest actions from every node to any goal."""
    far = [_FAR] * len(following)
    for goal in goals:
        far[goal] = 0
    changed = True
    while changed:
        changed = False
        for node, options in enumerate(following):
            best = 1 + min(far[n] for n in options)
            if best < far[node]:
                far[node], changed = best, True
    return far
