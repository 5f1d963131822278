"""`OpenLoopPolicy`: the one action sequence that solves most training episodes.

`python -m envs.reference.open_loop` searches the sequences again and stores them in
`open_loop.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from envs.api import Domain, Node
from envs.domains import DOMAINS, domain_class, make_domain
from envs.lattice import path_to, reachable
from envs.reference.base import ReferencePolicy
from envs.splits import episode_rng
from envs.tasks import EXTRA_STEPS, OPTIMA, TASKS, FindSeen
from world_model.errors import told_in_one_line
from world_model.phrase_space import phrase_space_of
from world_model.policy_api import Observation

SEQUENCES = Path(__file__).with_name("open_loop.json")
LENGTH = OPTIMA[-1] + EXTRA_STEPS


class OpenLoopPolicy(ReferencePolicy):
    """Plays a fixed sequence, blind; `open_loop.json` says how good it was."""

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        space = phrase_space_of(self.action_space, "open_loop", instead="leave it out")
        found = json.loads(SEQUENCES.read_text())
        key = f"{domain}/{task}"
        if key not in found:
            raise ValueError(
                f"`open_loop` knows sequences for {', '.join(found)}, got {key}: "
                "leave it out."
            )
        phrases = space.phrases
        self._sequence = [phrases.index(p) for p in found[key]["phrases"]]

    def act_alone(self, obs: Observation, index: int) -> int:
        """See `ReferencePolicy.act_alone`."""
        return self._sequence[self.num_steps % len(self._sequence)]


class LatticeEpisodes:
    """Training episodes as tables, for counting successes without rendering.

    Goals and starts are drawn as in `MemoryTaskEnv`, but for the tests of what is
    in view and of the rivals.

    Args:
        domain: Simulator of the layouts.
        task: Name of the task.
        num_episodes: E; the training seeds 0 .. E-1.
    """

    def __init__(self, domain: Domain, task: str, num_episodes: int) -> None:
        rows = [_draw(domain, task, seed) for seed in range(num_episodes)]
        num_nodes = max(len(row["distance"]) for row in rows)
        num_actions = int(domain.action_space.n)
        self.following = np.zeros((num_episodes, num_nodes, num_actions), np.int16)
        self.distance = np.zeros((num_episodes, num_nodes), np.int16)
        for e, row in enumerate(rows):
            self.following[e, : len(row["following"])] = row["following"]
            self.distance[e, : len(row["distance"])] = row["distance"]
        # The start is node 0 of its own episode.
        self.budget = self.distance[:, 0] + EXTRA_STEPS


def search(episodes: LatticeEpisodes, width: int = 1000) -> tuple[list[int], float]:
    """The sequence of `LENGTH` actions with most successes, by beam search.

    Prefixes are ranked by the episodes that are solved or can still be.

    Args:
        episodes: What it is tried on.
        width: Prefixes kept per length.

    Returns:
        The actions and their success rate.
    """
    num_episodes, _, num_actions = episodes.following.shape
    rows = np.arange(num_episodes)
    prefixes = np.zeros((1, 0), int)
    nodes = np.zeros((1, num_episodes), int)
    for step in range(LENGTH):
        actions = np.tile(np.arange(num_actions), len(prefixes))[:, None]
        prefixes = np.hstack([prefixes.repeat(num_actions, 0), actions])
        nodes = nodes.repeat(num_actions, 0)
        # Success or an empty budget ends an episode: its robot stays.
        going = (episodes.distance[rows, nodes] > 0) & (step < episodes.budget)
        nodes = np.where(going, episodes.following[rows, nodes, actions], nodes)
        left = np.maximum(0, episodes.budget - step - 1)
        promise = (episodes.distance[rows, nodes] <= left).mean(1)
        best = np.argsort(-promise, kind="stable")[:width]
        prefixes, nodes, promise = prefixes[best], nodes[best], promise[best]
    return prefixes[0].tolist(), float(promise[0])


def main(num_episodes: int = 1000) -> None:
    """Searches the sequence of every domain and task and stores them."""
    found: dict[str, Any] = {}
    for name in (x for x in DOMAINS if domain_class(x).travels):
        domain = make_domain(name)
        for task in TASKS:
            actions, success = search(LatticeEpisodes(domain, task, num_episodes))
            phrases = [domain.action_space.phrases[a] for a in actions]
            found[f"{name}/{task}"] = {"phrases": phrases, "train_success": success}
            sys.stdout.write(f"{name}/{task}: {success:.3f} {', '.join(phrases)}\n")
        domain.close()
    SEQUENCES.write_text(json.dumps(found, indent=1) + "\n")


def _draw(domain: Domain, task: str, seed: int) -> dict[str, np.ndarray]:
    """Successors (n, actions) and distances to the goal (n,) of one episode."""
    rng = episode_rng("train", seed)
    domain.reset(rng)
    route = [domain.node]
    for action in domain.tour():
        route.append(domain.successor(route[-1], action))
    is_find = task == FindSeen.name
    goals = domain.found_nodes(rng.choice(domain.objects)) if is_find else [route[0]]
    starts = [n for n in domain.start_nodes(route) if _is_fair(domain, n, goals)]
    nodes = reachable(domain, starts[rng.integers(len(starts))])
    index = {node: i for i, node in enumerate(nodes)}
    actions = range(int(domain.action_space.n))
    following = [[index[domain.successor(n, a)] for a in actions] for n in nodes]
    return {
        "following": np.array(following),
        "distance": np.array([len(path_to(domain, n, goals) or []) for n in nodes]),
    }


def _is_fair(domain: Domain, start: Node, goals: Collection[Node]) -> bool:
    path = path_to(domain, start, goals)
    return path is not None and len(path) in OPTIMA


if __name__ == "__main__":
    with told_in_one_line():
        main()
