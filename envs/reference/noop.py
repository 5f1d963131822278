"""`NoopPolicy`: gets nowhere."""

from __future__ import annotations

import numpy as np

from envs.reference.base import ReferencePolicy
from world_model.policy_api import Observation


class NoopPolicy(ReferencePolicy):
    """Does an action and undoes it, for ever; of vectors, the one of zeros.

    No phrase means "stay": in `rooms` it turns left and right alternately, in
    `scroll` it moves up and down. A domain without "turn left" gives its first
    action that has an inverse.
    """

    _pair: tuple[int, int] | tuple[np.ndarray, np.ndarray]

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        space = self.action_space
        if space.shape:
            self._pair = (np.zeros(space.shape),) * 2
            return
        pairs = {a: b for a, b in enumerate(space.inverses) if b is not None}
        if not pairs:
            raise ValueError(
                f"`noop` needs an action with an inverse, got {space}: leave it out."
            )
        turns = [a for a in pairs if space.phrases[a] == "turn left"]
        action = (turns or list(pairs))[0]
        self._pair = (action, pairs[action])

    def act_alone(self, obs: Observation, index: int) -> int | np.ndarray:
        """See `ReferencePolicy.act_alone`."""
        return self._pair[self.num_steps % 2]
