"""`make_task_env`: the environment of a task, whatever its domain's actions are."""

from __future__ import annotations

from envs.domains import GOAL_DOMAINS
from envs.goal_task_env import GoalTaskEnv
from envs.memory_task_env import MemoryTaskEnv
from envs.task_env import TaskEnv


def make_task_env(
    domain: str, task: str, split: str = "val", goal: str = "language"
) -> TaskEnv:
    """A fresh environment.

    Args:
        domain: Name of the domain.
        task: Name of the task.
        split: "train", "val" or "test".
        goal: See `MemoryTaskEnv`; where actions are vectors an image is always given.
    """
    if domain in GOAL_DOMAINS:
        return GoalTaskEnv(domain, task, split)
    return MemoryTaskEnv(domain, task, split, goal)
