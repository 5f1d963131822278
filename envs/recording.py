"""How training episodes are recorded, by kind of domain: the arrays of shards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from envs.lattice import path_to, reachable

if TYPE_CHECKING:  # importing it loads torch: `envs.collect --help` would take seconds
    from envs.api import Domain, Node
    from envs.goal_domain import GoalDomain
    from world_model.phrase_space import Motion

EXPLORATION = 0.15  # share of actions that ignore the purpose
BESIDE_DISTANCE, BESIDE_TURN = 0.12, 5.0
"""The largest shifts of views beside the path [m, degrees]."""


def record_episode(
    domain: Domain,
    rng: np.random.Generator,
    num_actions: int,
    *,
    watch: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """One episode in a new layout; the arrays of `world_model.shards`.

    Args:
        domain: The simulator.
        rng: Draws layout, start and actions.
        num_actions: T.
        watch: Called at rest, before the first and after every action.
    """
    domain.reset(rng)
    nodes = reachable(domain, domain.node) if domain.travels else []
    if nodes:
        domain.place(nodes[rng.integers(len(nodes))])
    frames = [domain.render()[None]]
    labels = [_labels(domain)]
    positions = [domain.positions()]
    watch()
    actions, moved = [], []
    plan: list[int] = []
    for _ in range(num_actions):
        action, plan = _next_action(domain, nodes, plan, rng)
        before = domain.node
        frames.append(domain.execute(action))
        actions.append(action)
        moved.append(domain.node != before)
        labels.append(_labels(domain))
        positions.append(domain.positions())
        watch()
    visible, found = (np.stack(x) for x in zip(*labels, strict=True))
    row = {
        "frames": np.concatenate(frames),
        "actions": np.array(actions, np.int16),
        "moved": np.array(moved),
        "visible": visible,
        "found": found,
    }
    return row | _known(positions)


def record_both(
    domain: Domain, rng: np.random.Generator, num_actions: int
) -> dict[str, np.ndarray]:
    """The same episode with the views at rest also taken from beside the path.

    The shift is one for the whole episode, as if the robot had walked there: uniform
    in a disc of `BESIDE_DISTANCE`, turned by up to `BESIDE_TURN`.
    """
    shift = _shift(rng.spawn(1)[0])  # a source of its own: the episode stays the same
    views: list[np.ndarray] = []

    def look() -> None:
        with domain.looking_from_beside(shift):
            views.append(domain.render())

    return record_episode(domain, rng, num_actions, watch=look) | {
        "beside": np.stack(views)
    }


def record_vectors(
    domain: GoalDomain, rng: np.random.Generator, num_actions: int
) -> dict[str, np.ndarray]:
    """One episode of a domain whose actions are vectors: from goal to goal.

    The controller heads for random goals, with noise of a quarter of the range of
    actions on every second stretch; now and then it is any action instead.
    """
    domain.reset(rng)
    space = domain.action_space
    frames, actions = [domain.render()[None]], list[np.ndarray]()
    positions = [domain.positions()]
    noise = 0.0
    for _ in range(num_actions):
        if domain.solved() or not actions:
            domain.draw_goal(rng)
            noise = 0.5 * rng.integers(2)
        action = domain.control()
        reach = (space.high - space.low) / 2
        action = action + noise * rng.standard_normal(space.shape) * reach
        if rng.random() < EXPLORATION:
            action = rng.uniform(space.low, space.high)
        # As it will be read again, in single precision.
        actions.append(np.clip(action, space.low, space.high).astype(np.float32))
        frames.append(domain.execute(actions[-1]))
        positions.append(domain.positions())
    row = {
        "frames": np.concatenate(frames),
        "actions": np.stack(actions),
    }
    return row | _known(positions)


def _known(positions: list[np.ndarray | None]) -> dict[str, np.ndarray]:
    """The array of positions, where a domain says any."""
    known = [p for p in positions if p is not None]
    return {"positions": np.stack(known)} if known else {}


def _shift(rng: np.random.Generator) -> Motion:
    distance = BESIDE_DISTANCE * math.sqrt(rng.random())
    angle = rng.uniform(0, 2 * math.pi)
    turn = rng.uniform(-BESIDE_TURN, BESIDE_TURN)
    return distance * math.cos(angle), distance * math.sin(angle), turn


def _next_action(
    domain: Domain, nodes: list[Node], plan: list[int], rng: np.random.Generator
) -> tuple[int, list[int]]:
    if rng.random() < EXPLORATION:
        return int(rng.integers(domain.action_space.n)), []
    while not plan and not domain.travels:
        plan = domain.errand(rng)
    while not plan:
        goal = nodes[rng.integers(len(nodes))]
        plan = path_to(domain, domain.node, [goal]) or []
    return plan[0], plan[1:]


def _labels(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    names = domain.vocabulary
    present = set(domain.objects)
    segmented = domain.segment_objects()
    pixels = [segmented.get(n, 0) for n in names]
    found = [n in present and domain.found(n) for n in names]
    return np.array(pixels, np.int32), np.array(found)
