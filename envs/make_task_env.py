"""`make_task_env`: the environment of a task, whatever its domain's actions are."""

from __future__ import annotations

from pathlib import Path

from envs.domains import GOAL_DOMAINS, domain_class
from envs.goal_task_env import GoalTaskEnv
from envs.memory_task_env import MemoryTaskEnv
from envs.task_env import TaskEnv


def make_task_env(
    domain: str,
    task: str,
    split: str = "val",
    goal: str = "language",
    kept: Path | None = None,
) -> TaskEnv:
    """A fresh environment.

    Args:
        domain: Name of the domain.
        task: Name of the task.
        split: "train", "val" or "test".
        goal: See `MemoryTaskEnv`; where actions are vectors an image is always given.
        kept: Folder for what actions did, used by domains whose physics is slow; see
            `ActionCache`.
    """
    if domain in GOAL_DOMAINS:
        return GoalTaskEnv(domain, task, split)
    slow = domain_class(domain).slow
    return MemoryTaskEnv(domain, task, split, goal, kept=kept if slow else None)
