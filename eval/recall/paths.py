"""Long paths for the recall suite: a tour, then walks in parts of the layout.

After the tour the robot stays for a while near one place, then near another. So one
path holds views that were last seen a few actions ago, some dozens ago, and before
all of that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.api import Domain, Node
from envs.lattice import path_to
from envs.memory_task_env import MemoryTaskEnv

_RADIUS = 3
"""How far from a leg's centre the robot strays [actions]."""


def lengthen(env: MemoryTaskEnv, legs: Sequence[int], rng: np.random.Generator) -> None:
    """Drives on after the tour, `legs` actions each around another known place."""
    for num_actions in legs:
        here, known = env.tour_summary.nodes[-1], set(env.tour_summary.nodes)
        centres = [n for n in env.domain.start_nodes(known) if n in known]
        centre = centres[rng.integers(len(centres))]
        way = path_to(env.domain, here, [centre]) or []
        env.drive_on([*way, *stroll(env.domain, centre, num_actions, rng)])


def stroll(
    domain: Domain, centre: Node, num_actions: int, rng: np.random.Generator
) -> list[int]:
    """A random walk near `centre`, blocked moves left out.

    It never undoes its last action unless there is no other way to stay near.
    """
    inverses = domain.action_space.inverses
    near = nodes_within(domain, centre, _RADIUS)
    node, actions = centre, list[int]()
    for _ in range(num_actions):
        free = [
            a
            for a in range(int(domain.action_space.n))
            if domain.successor(node, a) != node and domain.successor(node, a) in near
        ]
        onwards = [a for a in free if not actions or inverses[actions[-1]] != a]
        actions.append(int(rng.choice(onwards or free)))
        node = domain.successor(node, actions[-1])
    return actions


def nodes_within(domain: Domain, start: Node, radius: int) -> set[Node]:
    """Nodes at most `radius` actions away."""
    found, border = {start}, {start}
    for _ in range(radius):
        actions = range(int(domain.action_space.n))
        border = {domain.successor(n, a) for n in border for a in actions} - found
        found |= border
    return found
