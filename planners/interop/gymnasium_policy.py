"""`GymnasiumPolicy`: a policy written for gymnasium environments as ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from world_model.core import Chunk
from world_model.frames import to_env
from world_model.policy_api import Observation, Policy

ActOn = Callable[[dict[str, Any]], Any]
"""Observation of `SlowFast/...` environments -> action."""


class GymnasiumPolicy(Policy):
    """Runs a function of one episode's observation in all episodes of a suite.

    The observation is that of our environments: "image" uint8 (H, W, C), "instruction"
    and, where the task shows one, "goal_image". What acts may also have `reset(seed)`,
    called with the seed of an episode, and `observe(action, frames)`, called with every
    step of its tour and its test, frames (F, H, W, C) uint8.

    Args:
        make: Makes what acts; called once per episode.
        domain: Not used; the suite passes it to every policy.
        task: Not used.
    """

    def __init__(
        self, *, make: Callable[[], ActOn], domain: str = "", task: str = ""
    ) -> None:
        self.make = make

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """See `Policy.reset`."""
        self._policies = [self.make() for _ in seeds]
        for policy, seed in zip(self._policies, seeds, strict=True):
            if hasattr(policy, "reset"):
                policy.reset(seed)

    def observe(self, chunk: Chunk) -> None:
        """See `Policy.observe`."""
        for row in np.flatnonzero(chunk.active.numpy()):
            policy = self._policies[row]
            if hasattr(policy, "observe"):
                policy.observe(chunk.actions[row].numpy(), to_env(chunk.frames[row]))

    def relocate(self, images: np.ndarray) -> None:
        """The next observation shows it."""

    def act(self, obs: Observation) -> np.ndarray:
        """See `Policy.act`; zeros where an episode is over."""
        rows = np.flatnonzero(obs.active).tolist()
        chosen = [np.asarray(self._policies[i](self._alone(obs, i))) for i in rows]
        actions = np.zeros((len(obs.active), *chosen[0].shape), chosen[0].dtype)
        actions[rows] = np.stack(chosen)
        return actions

    def _alone(self, obs: Observation, row: int) -> dict[str, Any]:
        """What one episode observes."""
        alone = {
            "image": obs.images[row],
            "instruction": obs.goal.instructions[row],
        }
        if obs.goal.images is not None:
            alone["goal_image"] = to_env(obs.goal.images[row])
        return alone
