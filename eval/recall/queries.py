"""Questions about an episode: walk from here like this, what will you see?"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from envs.api import Domain, Node
from envs.memory_task_env import MemoryTaskEnv
from world_model.phrase_space import Motion

KNOWN, NEW_DIRECTION, NEW_VIEW = "known", "new_direction", "new_view"
DELAYS = (4, 8, 16, 32, 64)
"""Revisits are told apart by the nearest of these delays (on a log scale)."""
EXACT, JITTERED = "exact", "jittered"
JITTER_DISTANCE, JITTER_TURN = 0.08, 3.0
"""By how much jittered walks stand beside the lattice [m, degrees]."""
MOST_QUERIES = 200


@dataclass(frozen=True)
class Query:
    """A walk that starts where the path was and the truth along it.

    Attributes:
        start_image: View at the start (H, W, C).
        states: Simulator states at the start and after every action, T + 1.
        actions: (T,).
        images: True views after every action, (T, H, W, C).
        kinds: Per step, `known` (the path went this way), `new_direction` (it saw
            this view, but came from elsewhere) or `new_view` (never seen).
        delays: Per step, actions since the path last showed that view; None for
            views never seen.
        poses: `exact`, or `jittered` where every image is taken beside the pose.
    """

    start_image: np.ndarray
    states: tuple[object, ...]
    actions: tuple[int, ...]
    images: np.ndarray
    kinds: tuple[str, ...]
    delays: tuple[int | None, ...]
    poses: str


@dataclass(frozen=True)
class _Walk:
    """A walk on the lattice and what is known about its ends."""

    nodes: list[Node]
    actions: list[int]
    kinds: tuple[str, ...]
    delays: tuple[int | None, ...]


def nearest_delay(delay: int) -> int:
    """The delay of `DELAYS` that a revisit counts for."""
    return min(DELAYS, key=lambda d: abs(math.log(max(delay, 1) / d)))


def draw_queries(
    env: MemoryTaskEnv, num_queries: int, horizon: int, rng: np.random.Generator
) -> list[Query]:
    """Random walks over the layout, as many as possible with every kind of end.

    Wanted are, in turn, known ways and new directions at each delay and views never
    seen; where a path offers none of one sort, any walk takes its place. Where the
    domain's views can be shifted every second query is jittered.
    """
    tour = env.tour_summary.nodes
    walks = [_walk(env.domain, tour, horizon, rng) for _ in range(MOST_QUERIES)]
    wanted = _wanted()
    picked = []
    for _ in range(num_queries):
        kind, delay = next(wanted)
        match = next((w for w in walks if _ends_in(w, kind, delay)), walks[0])
        walks.remove(match)
        picked.append(match)
    offsets = [_offset(env.domain, i, rng) for i in range(num_queries)]
    return [
        _execute(env.domain, walk, offset)
        for walk, offset in zip(picked, offsets, strict=True)
    ]


def _wanted() -> Iterator[tuple[str, int | None]]:
    """Each sort twice, once exact and once jittered, again and again."""
    while True:
        for delay in DELAYS:
            for kind in (KNOWN, NEW_DIRECTION):
                yield kind, delay
                yield kind, delay
        for _ in range(4):
            yield NEW_VIEW, None


def _ends_in(walk: _Walk, kind: str, delay: int | None) -> bool:
    last = walk.delays[-1]
    near = None if last is None else nearest_delay(last)
    return walk.kinds[-1] == kind and near == delay


def _offset(domain: Domain, index: int, rng: np.random.Generator) -> Motion | None:
    """None for exact poses; else a shift of fixed size in a random direction."""
    angle, sign = rng.uniform(0, 2 * math.pi), 1 if rng.random() < 0.5 else -1
    if domain.look_offset is None or index % 2 == 0:
        return None
    x, y = JITTER_DISTANCE * math.cos(angle), JITTER_DISTANCE * math.sin(angle)
    return x, y, sign * JITTER_TURN


def _walk(
    domain: Domain, tour: tuple[Node, ...], horizon: int, rng: np.random.Generator
) -> _Walk:
    """A walk that never undoes its last step."""
    known = set(tour)
    seen = [n for n in domain.start_nodes(tour) if n in known]
    nodes = [seen[rng.integers(len(seen))]]
    actions: list[int] = []
    inverses = domain.action_space.inverses
    while len(actions) < horizon:
        free = [
            a
            for a in range(int(domain.action_space.n))
            if domain.successor(nodes[-1], a) != nodes[-1]
            and not (actions and inverses[actions[-1]] == a)
        ]
        actions.append(int(rng.choice(free)))
        nodes.append(domain.successor(nodes[-1], actions[-1]))
    return _Walk(nodes, actions, *_judge(nodes, tour))


def _judge(
    nodes: list[Node], tour: tuple[Node, ...]
) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    last_seen = {node: len(tour) - 1 - i for i, node in enumerate(tour)}
    ways = set(zip(tour, tour[1:], strict=False))
    kinds = [
        NEW_VIEW if b not in last_seen else KNOWN if (a, b) in ways else NEW_DIRECTION
        for a, b in zip(nodes, nodes[1:], strict=False)
    ]
    return tuple(kinds), tuple(last_seen.get(b) for b in nodes[1:])


def _execute(domain: Domain, walk: _Walk, offset: Motion | None) -> Query:
    domain.place(walk.nodes[0])
    beside = domain.looking_from_beside(offset) if offset else contextlib.nullcontext()
    with beside:
        start, states = domain.render(), [domain.get_state()]
        images = []
        for action in walk.actions:
            images.append(domain.execute(action)[-1])
            states.append(domain.get_state())
    return Query(
        start_image=start,
        states=tuple(states),
        actions=tuple(walk.actions),
        images=np.stack(images),
        kinds=walk.kinds,
        delays=walk.delays,
        poses=EXACT if offset is None else JITTERED,
    )
