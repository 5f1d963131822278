"""An episode whose goal is an image and whose actions are vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.domains import goal_domain_class
from envs.goal_domain import GoalDomain
from envs.task_env import Measures, TaskEnv
from envs.tasks import EXTRA_STEPS
from world_model.errors import unknown_name

TASKS = ("reach",)


class GoalTaskEnv(TaskEnv):
    """Reach what the goal image shows, within as many actions as the optimum plus two.

    There is no tour: everything that matters is in view. The optimum is what a
    controller that knows everything needs. Observations, `info` and rewards are those
    of `TaskEnv`; the goal image is always shown, so that `goal=given_image` is the
    same question.

    Args:
        domain: Name of a domain of `GoalDomain`.
        task: "reach".
        split: "train", "val" or "test"; their seeds are disjoint.
        render_mode: "rgb_array" or None.
    """

    domain: GoalDomain

    def __init__(
        self,
        domain: str = "point",
        task: str = "reach",
        split: str = "val",
        render_mode: str | None = None,
    ) -> None:
        if task not in TASKS:
            raise unknown_name("task", task, TASKS)
        super().__init__(
            goal_domain_class(domain)(), split, shows_goal=True, render_mode=render_mode
        )
        self.tour = ()
        self.tour_states = ()

    def execute(self, action: Any) -> np.ndarray:
        """See `TaskEnv.execute`."""
        return super().execute(np.asarray(action))

    @property
    def budget(self) -> int:
        """See `TaskEnv.budget`."""
        return self._optimum + EXTRA_STEPS

    @property
    def steps_left(self) -> int:
        """See `TaskEnv.steps_left`."""
        return self.domain.optima[-1] + EXTRA_STEPS - self._steps

    def measure(self) -> Measures:
        """See `TaskEnv.measure`."""
        return Measures(
            optimum=self._optimum,
            distance=self.domain.distance(),
            success=self._solved(),
            delay=None,
        )

    def path(self) -> list[np.ndarray]:
        """The controller's actions, one more than `optima` allow at most."""
        state, actions = self.domain.get_state(), list[np.ndarray]()
        while not self.domain.solved() and len(actions) <= self.domain.optima[-1]:
            actions.append(self.domain.control())
            self.domain.execute(actions[-1], render=False)
        self.domain.set_state(state)
        return actions

    def _begin(self, rng: np.random.Generator) -> bool:
        """Draws a start and a goal, if they are as far apart as they should be."""
        self.domain.reset(rng)
        if self.domain.solved():
            return False
        self._optimum, self._steps = len(self.path()), 0
        if self._optimum not in self.domain.optima:
            return False
        self._goal_image = self.domain.goal_image
        self.first_image = self.domain.render()
        return True

    def _observe(self) -> dict[str, Any]:
        return {
            "image": self.domain.render(),
            "instruction": self.domain.instruction,
            "goal_image": self._goal_image.copy(),
        }

    def _solved(self) -> bool:
        return self.domain.solved()
