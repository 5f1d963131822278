"""The laws of tasks, and of the domains they are set in, tried in the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
from gymnasium import spaces
from omegaconf import DictConfig

from envs.api import Domain
from envs.make_task_env import make_task_env
from envs.memory_task_env import MemoryTaskEnv
from envs.task_env import TaskEnv
from eval.laws import domain
from eval.laws.example import Example
from world_model.testing import require

MakeEnv = Callable[[], TaskEnv]


def examples(cfg: DictConfig) -> list[Example]:
    """The first episodes of `cfg.task`.

    Raises:
        ValueError: If there is no such task.
    """

    def make() -> TaskEnv:
        return make_task_env(cfg.task.domain, cfg.task.kind)

    make().close()
    return [
        Example(f"{cfg.task.name}, split val, seed {seed}", (make, seed))
        for seed in range(3)
    ]


def every_seed_gives_an_episode(make: MakeEnv, seed: int) -> None:
    """A seed gives an episode, always the same one, whatever was played before."""
    with _opened(make, seed) as (env, obs), _opened(make, seed + 1) as (other, _):
        again, _ = other.reset(seed=seed)
        law = "same seed, same episode"
        require(env.budget == other.budget, law, f"{env.budget}, {other.budget} steps")
        for key in obs:
            require(np.array_equal(obs[key], again[key]), law, f"another {key}")


def observations_fit_their_space(make: MakeEnv, seed: int) -> None:
    """Instructions are lower-case words; a goal image is shown only if it is said."""
    with _opened(make, seed) as (env, obs):
        space = env.observation_space
        assert isinstance(space, spaces.Dict)
        law = "observations hold what the task says it shows (`shows_image`)"
        require(sorted(obs) == sorted(space), law, sorted(obs))
        words, text = obs["instruction"], space["instruction"]
        assert isinstance(text, spaces.Text)
        law = (
            f"instructions are at most {text.max_length} lower-case letters and spaces"
        )
        require(text.contains(words), law, repr(words))
        require(space.contains(obs), "observations are in their space")


def no_start_satisfies_the_goal(make: MakeEnv, seed: int) -> None:
    """Where the test begins the goal is not reached, and after a tour not in view."""
    with _opened(make, seed) as (env, _):
        require(not env.measure().success, "no start satisfies the goal")
        if isinstance(env, MemoryTaskEnv):
            law = "no start shows what is looked for"
            require(env.challenge.hidden(env.domain), law)


def the_goal_can_be_reached(make: MakeEnv, seed: int) -> None:
    """The shortest way to the goal ends with success, in the simulator's truth."""
    with _opened(make, seed) as (env, _):
        law = "`solved` holds at the end of the shortest way, and not before"
        ends = [env.step(action)[2] for action in env.path()]
        require(bool(ends) and ends[-1] and not any(ends[:-1]), law, ends)


def the_goal_is_one_of_its_rivals(make: MakeEnv, seed: int) -> None:
    """`rivals` holds the true goal among those that are possible."""
    with _opened(make, seed) as (env, _):
        if not isinstance(env, MemoryTaskEnv):  # the goal is shown, not chosen
            return
        goals = set(env.challenge.goal_nodes(env.domain))
        rivals = [set(nodes) for nodes in env.challenge.rivals(env.domain)]
        require(goals in rivals, "`rivals` holds the true goal too", len(rivals))


def _of_domain(law: Callable[[Domain], None]) -> Callable[[MakeEnv, int], None]:
    """A law of domains as one of tasks: tried where an episode begins."""

    @wraps(law)
    def tried(make: MakeEnv, seed: int) -> None:
        with _opened(make, seed) as (env, _):
            if isinstance(env, MemoryTaskEnv):  # others move on no lattice
                law(env.domain)

    return tried


LAWS = (
    every_seed_gives_an_episode,
    observations_fit_their_space,
    no_start_satisfies_the_goal,
    the_goal_can_be_reached,
    the_goal_is_one_of_its_rivals,
    *map(_of_domain, domain.LAWS),
)


@contextmanager
def _opened(make: MakeEnv, seed: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    env = make()
    try:
        yield env, env.reset(seed=seed)[0]
    finally:
        env.close()
