"""`RandomPolicy`: any action, equally likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.reference.base import ReferencePolicy
from world_model.policy_api import Observation


class RandomPolicy(ReferencePolicy):
    """Uniform over the actions, drawn from each episode's own seed."""

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """See `Policy.reset`."""
        super().reset(first_images, seeds)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]

    def act_alone(self, obs: Observation, index: int) -> int | np.ndarray:
        """See `ReferencePolicy.act_alone`."""
        space, rng = self.action_space, self._rngs[index]
        if space.shape:
            return rng.uniform(space.low, space.high)
        return int(rng.integers(space.n))
