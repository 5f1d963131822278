"""`make_task_env`: the environment of a task, whatever its domain's actions are."""

from __future__ import annotations

from pathlib import Path

from envs.domains import DOMAINS, domain_class, has_vectors
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
        kept: Folder for what actions did, used by our domains whose physics is slow;
            see `ActionCache`.
    """
    if has_vectors(domain):
        return GoalTaskEnv(domain, task, split)
    # What others' actions do hangs on sources that the cache does not know.
    slow = domain_class(domain).slow and domain in DOMAINS
    return MemoryTaskEnv(domain, task, split, goal, kept=kept if slow else None)
