"""What the reference policies have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from envs.domains import any_domain_class, has_vectors
from envs.tasks import find_task
from world_model.core import Chunk
from world_model.policy_api import Observation, Policy


class ReferencePolicy(Policy):
    """A policy without a world model: it treats every episode on its own.

    Args:
        domain: Name of the domain.
        task: Name of the task.
    """

    def __init__(self, *, domain: str, task: str) -> None:
        self.action_space: Any = any_domain_class(domain).action_space
        if not has_vectors(domain):  # those tasks are checked by their environment
            find_task(task)

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """Opens one episode per seed."""
        self.num_steps = 0

    def observe(self, chunk: Chunk) -> None:
        """Remembers nothing."""

    def relocate(self, images: np.ndarray) -> None:
        """Has no context to forget."""

    def act(self, obs: Observation) -> np.ndarray:
        """The next action of each episode, (B,) or (B, A); 0 where it is over."""
        shape = (len(obs.active), *self.action_space.shape)
        actions = np.zeros(shape, self.action_space.dtype)
        for i in np.flatnonzero(obs.active):
            actions[i] = self.act_alone(obs, int(i))
        self.num_steps += 1
        return actions

    def act_alone(self, obs: Observation, index: int) -> int | np.ndarray:
        """The next action of one episode.

        Args:
            obs: What all episodes see.
            index: Which one is asked for.
        """
        raise NotImplementedError

    @staticmethod
    def state_of(obs: Observation, index: int, asker: str) -> Any:
        """The simulator state of one episode, for privileged policies.

        Args:
            obs: What all episodes see.
            index: Which one is asked for.
            asker: Which policy needs it, for the error.

        Raises:
            ValueError: If the states are withheld.
        """
        if obs.states is None:
            raise ValueError(
                f"`{asker}` reads simulator states, got none: fill "
                "`Observation.states` for privileged policies."
            )
        return obs.states[index]
