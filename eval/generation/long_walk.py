"""`LongWalk`: what is driven, again and again, for a long video; and its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.api import Domain
from envs.lattice import end_of, path_to
from envs.memory_task_env import MemoryTaskEnv

MIN_DELAY = 4
"""Fewest actions between two visits of a place that count as a revisit."""


@dataclass(frozen=True)
class LongWalk:
    """The tour of an episode, the way back to its start, the tour again, ...

    Attributes:
        seed: Of the episode.
        actions: Of the walk.
        first_image: The view where it begins (H, W, C).
        real: What the simulator shows, (len(actions) * F, H, W, C).
        revisits: Pairs of numbers of actions that end in one pose, the first visit
            first.
    """

    seed: int
    actions: list[int]
    first_image: np.ndarray
    real: np.ndarray
    revisits: list[tuple[int, int]]


def drive(env: MemoryTaskEnv, seed: int, num_actions: int) -> LongWalk:
    """Drives a walk of so many actions through the layout of an episode.

    Raises:
        ValueError: If there is no way from the end of the tour to its start.
    """
    env.reset(seed=seed)
    domain = env.domain
    domain.place(env.tour_summary.nodes[0])
    actions = _round_trips(domain, num_actions)
    first_image, chunks, nodes = domain.render(), [], []
    for action in actions:
        chunks.append(domain.execute(action))
        nodes.append(domain.node)
    pairs = [(nodes.index(node), i) for i, node in enumerate(nodes)]
    revisits = [(i, j) for i, j in pairs if j - i >= MIN_DELAY]
    return LongWalk(seed, actions, first_image, np.concatenate(chunks), revisits)


def _round_trips(domain: Domain, num_actions: int) -> list[int]:
    start = domain.node
    back = path_to(domain, end_of(domain, start, domain.tour()), [start])
    if back is None:
        raise ValueError("The tour's start must be reachable from its end.")
    trip = [*domain.tour(), *back]
    return (trip * (num_actions // len(trip) + 1))[:num_actions]
