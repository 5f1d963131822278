"""The contracts of what acts: `Objective`, `Planner`, `Policy`.

They live beside `world_model.api` because environments (reference policies) and
planners share them.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from world_model.api import Generators, Memory
from world_model.core import Chunk, Context, Goal, Rollout


class Objective(abc.ABC):
    """Cost of an imagined future, lower is better."""

    @abc.abstractmethod
    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """Cost of every imagined chunk, (B, N, T).

        The cost of a whole candidate is the planner's business: it may stop at the
        best chunk.
        """

    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor | None:
        """Predicted probability of success after each chunk, (B, N, T), if known."""
        return None


@dataclass(frozen=True)
class Plan:
    """An action sequence per episode.

    Attributes:
        actions: (B, T) or (B, T, A).
        lengths: (B,) actions after which the goal is expected to hold.
        costs: (B,) cost of the chosen candidates.
        predicted_success: (B,) in [0, 1], or None if the objective does not say.
    """

    actions: Tensor
    lengths: Tensor
    costs: Tensor
    predicted_success: Tensor | None = None


class Planner(abc.ABC):
    """Searches an action sequence of low cost; knows a world model, nothing else."""

    @abc.abstractmethod
    def plan(
        self,
        context: Context,
        goal: Goal,
        *,
        memory: Memory | None = None,
        warm_start: Plan | None = None,
        generator: Generators,
        horizon: int,
    ) -> Plan:
        """Finds the best actions from `context`.

        Args:
            context: What was really seen, batch (B,).
            goal: What the episodes ask for.
            memory: Only read.
            warm_start: The unexecuted rest of the last plan.
            generator: B sources of noise.
            horizon: Most actions worth planning (the rest of the budget).
        """


@dataclass(frozen=True)
class Observation:
    """What a policy sees of B episodes in parallel.

    Attributes:
        images: Present views (B, H, W, C) uint8.
        goal: What the episodes ask for.
        active: (B,) bool; episodes still running.
        steps_left: (B,) rest of the largest budget of any episode: the true budget
            would tell how far the goal is.
        states: Simulator states; only for privileged policies.
    """

    images: np.ndarray
    goal: Goal
    active: np.ndarray
    steps_left: np.ndarray
    states: tuple[Any, ...] | None = None


class Policy(abc.ABC):
    """Anything that acts, in B episodes at once.

    Attributes:
        privileged: True if it reads simulator states.
        last_plan: The newest plans, if there are any.
        decided: (B,) bool; episodes that the last `act` decided for, rather than
            doing the next of what it had decided before. None if for all.
    """

    privileged: bool = False
    last_plan: Plan | None = None
    decided: np.ndarray | None = None

    @abc.abstractmethod
    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """Opens B episodes.

        Args:
            first_images: First view of each tour (B, H, W, C).
            seeds: Episode seeds, the only source of randomness.
        """

    @abc.abstractmethod
    def observe(self, chunk: Chunk) -> None:
        """Is told once of every chunk that really happened, the tour's included."""

    @abc.abstractmethod
    def relocate(self, images: np.ndarray) -> None:
        """Is told that the robots were moved unseen; `images` are the new views."""

    @abc.abstractmethod
    def act(self, obs: Observation) -> np.ndarray:
        """The next action of each episode, (B,) or (B, A)."""
