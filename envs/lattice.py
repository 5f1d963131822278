"""Shortest paths on a domain's lattice (breadth-first search: every step costs 1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it loads torch
    from envs.api import Domain, Node


def shortest_path(
    domain: Domain, start: Node, is_goal: Callable[[Node], bool]
) -> list[int] | None:
    """Fewest actions from `start` to a node where `is_goal` holds, or None."""
    parents: dict[Node, tuple[Node, int] | None] = {start: None}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        if is_goal(node):
            return _actions(parents, node)
        for action in range(int(domain.action_space.n)):
            following = domain.successor(node, action)
            if following not in parents:
                parents[following] = (node, action)
                queue.append(following)
    return None


def path_to(domain: Domain, start: Node, goals: Collection[Node]) -> list[int] | None:
    """Fewest actions from `start` to any of `goals`, or None."""
    wanted = set(goals)
    return shortest_path(domain, start, wanted.__contains__)


def end_of(domain: Domain, start: Node, actions: Iterable[int]) -> Node:
    """The node that a sequence of actions leads to."""
    node = start
    for action in actions:
        node = domain.successor(node, action)
    return node


def reachable(domain: Domain, start: Node) -> list[Node]:
    """Every node that can be reached, nearest first."""
    found: list[Node] = []

    def visit(node: Node) -> bool:
        found.append(node)
        return False

    shortest_path(domain, start, visit)
    return found


def _actions(parents: dict[Node, tuple[Node, int] | None], node: Node) -> list[int]:
    actions = []
    step = parents[node]
    while step is not None:
        node, action = step
        actions.append(action)
        step = parents[node]
    return actions[::-1]
