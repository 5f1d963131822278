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

    def act_alone(self, obs: Observation, index: int) -> int:
        """See `ReferencePolicy.act_alone`."""
        return int(self._rngs[index].integers(self.action_space.n))
