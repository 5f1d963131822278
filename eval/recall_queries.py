"""Questions about an episode: walk from here like this, what will you see?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.api import Domain, Node
from envs.memory_task_env import MemoryTaskEnv

KNOWN, NEW_DIRECTION, NEW_VIEW = "known", "new_direction", "new_view"
KINDS = (KNOWN, NEW_DIRECTION, NEW_VIEW)
_TRIES = 60


@dataclass(frozen=True)
class Query:
    """A walk that starts where the tour was and the truth along it.

    Attributes:
        start_image: View at the start (H, W, C).
        start_state: Simulator state there.
        actions: (T,).
        images: True views after every action, (T, H, W, C).
        kinds: Per step, `known` (the tour went this way), `new_direction` (the tour
            saw this view, but came from elsewhere) or `new_view` (never seen).
        delays: Per step, actions since the tour last showed that view; None for
            views never seen.
    """

    start_image: np.ndarray
    start_state: object
    actions: tuple[int, ...]
    images: np.ndarray
    kinds: tuple[str, ...]
    delays: tuple[int | None, ...]


def draw_queries(
    env: MemoryTaskEnv, num_queries: int, horizon: int, rng: np.random.Generator
) -> list[Query]:
    """Random walks over the toured layout, a third ending in each kind of view.

    Where a layout offers too few walks of one kind, others take their place.
    """
    walks = [
        _walk(env.domain, env.tour_summary.nodes, horizon, rng) for _ in range(_TRIES)
    ]
    judged = [(w, *_judge(w[0], env.tour_summary.nodes)) for w in walks]
    picked = []
    for i in range(num_queries):
        wanted = KINDS[i % len(KINDS)]
        match = next((j for j in judged if j[1][-1] == wanted), judged[0])
        judged.remove(match)
        picked.append(match)
    return [_execute(env.domain, *match) for match in picked]


def _walk(
    domain: Domain, tour: tuple[Node, ...], horizon: int, rng: np.random.Generator
) -> tuple[list[Node], list[int]]:
    """Nodes (horizon + 1) and actions of a walk that never undoes its last step."""
    starts = domain.start_nodes(tour)
    seen = [n for n in starts if n in set(tour)]
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
    return nodes, actions


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


def _execute(
    domain: Domain,
    walk: tuple[list[Node], list[int]],
    kinds: tuple[str, ...],
    delays: tuple[int | None, ...],
) -> Query:
    nodes, actions = walk
    domain.place(nodes[0])
    start, state = domain.render(), domain.get_state()
    images = [domain.execute(a)[-1] for a in actions]
    return Query(start, state, tuple(actions), np.stack(images), kinds, delays)
