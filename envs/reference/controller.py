"""`ControllerPolicy`: knows everything, where actions are vectors."""

from __future__ import annotations

import numpy as np

from envs.domains import goal_domain_class
from envs.reference.base import ReferencePolicy
from world_model.policy_api import Observation


class ControllerPolicy(ReferencePolicy):
    """Does what the domain's own controller does: the ceiling, and the optimum.

    Args:
        domain: Name of a domain whose actions are vectors.
        task: Name of the task.
    """

    privileged: bool = True

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        self.simulator = goal_domain_class(domain)()

    def act_alone(self, obs: Observation, index: int) -> np.ndarray:
        """See `ReferencePolicy.act_alone`.

        Raises:
            ValueError: If the states are withheld.
        """
        self.simulator.set_state(self.state_of(obs, index, "controller"))
        return self.simulator.control()
