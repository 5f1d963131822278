"""The laws of policies that plan nothing, tried in the task's environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from omegaconf import DictConfig

from envs.make_task_env import make_task_env
from envs.task_env import TaskEnv
from eval.build import build_policy
from eval.checked_policy import checked_policy
from eval.evaluate import run_episodes
from eval.laws.example import Example
from world_model.policy_api import Policy
from world_model.testing import require

MakePolicy = Callable[[], Policy]
MakeEnv = Callable[[], TaskEnv]


def examples(cfg: DictConfig) -> list[Example]:
    """One episode, then two, for the policy of `cfg.planner`."""

    def make() -> Policy:
        return build_policy(cfg)

    def make_env() -> TaskEnv:
        return make_task_env(cfg.task.domain, cfg.task.kind)

    make()

    return [
        Example(f"{cfg.task.name}, seeds {seeds}", (make, make_env, seeds))
        for seeds in ([0], [0, 1])
    ]


def actions_are_valid(make: MakePolicy, make_env: MakeEnv, seeds: list[int]) -> None:
    """`act` returns an array, one action of the space for every episode."""
    env = make_env()
    env.close()
    policy = checked_policy(make(), env.action_space, nullcontext)
    _play(policy, make_env, seeds)


def reset_forgets(make: MakePolicy, make_env: MakeEnv, seeds: list[int]) -> None:
    """The same seeds get the same actions, also from a policy that was used before."""
    used, fresh = make(), make()
    first, again = (_play(used, make_env, seeds) for _ in range(2))
    law = "same seeds, same actions"
    require(first == _play(fresh, make_env, seeds), law, "others from a fresh policy")
    require(first == again, "`reset` forgets", f"{first}, then {again}")


def episodes_are_independent(
    make: MakePolicy, make_env: MakeEnv, seeds: list[int]
) -> None:
    """An episode's actions do not depend on the other episodes of the batch."""
    together = _play(make(), make_env, seeds)
    for seed, among in zip(seeds, together, strict=True):
        (alone,) = _play(make(), make_env, [seed])
        law = "episodes of a batch are independent"
        require(alone == among, law, f"{alone} alone and {among} among others")


LAWS = (actions_are_valid, reset_forgets, episodes_are_independent)


def _play(policy: Policy, make_env: MakeEnv, seeds: Sequence[int]) -> list[Any]:
    """The actions of whole episodes."""
    envs = [make_env() for _ in seeds]
    try:
        return [e.actions for e in run_episodes(policy, envs, seeds)]
    finally:
        for env in envs:
            env.close()
