"""An episode whose goal is an image and whose actions are vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envs.domains import goal_domain_class
from envs.goal_domain import GoalDomain
from envs.splits import episode_rng
from envs.task_env import Measures, TaskEnv
from envs.tasks import EXTRA_STEPS
from envs.words_space import WORDS
from world_model.errors import unknown_name

TASKS = ("reach",)
_MAX_ATTEMPTS = 100


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
        if render_mode not in (None, "rgb_array"):
            raise unknown_name("render_mode", render_mode, ["rgb_array"])
        self.domain = goal_domain_class(domain)()
        self.split = split
        self.render_mode = render_mode
        self.tour = ()
        self.tour_states = ()
        self.action_space = self.domain.action_space
        image = spaces.Box(0, 255, self.domain.frame_shape, np.uint8)
        self.observation_space = spaces.Dict(
            {"image": image, "instruction": WORDS, "goal_image": image}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draws the episode of `seed`; without a seed, a random one."""
        super().reset(seed=seed)
        episode = int(self.np_random.integers(2**31)) if seed is None else seed
        for attempt in range(_MAX_ATTEMPTS):
            self.domain.reset(episode_rng(self.split, episode, attempt))
            if self.domain.solved():
                continue
            self._optimum = len(self.path())
            if self._optimum in self.domain.optima:
                self._steps = 0
                self._goal_image = self.domain.goal_image
                self.first_image = self.domain.render()
                still = np.stack([self.first_image] * self.domain.chunk_length)
                return self._observe(), self._info(still)
        raise RuntimeError(
            f"Seed {episode} gave no valid episode in {_MAX_ATTEMPTS} attempts."
        )

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Executes one vector. The reward is 1 on success, else 0."""
        frames = self.domain.execute(np.asarray(action))
        self._steps += 1
        success = self.domain.solved()
        truncated = not success and self._steps >= self._optimum + EXTRA_STEPS
        return self._observe(), float(success), success, truncated, self._info(frames)

    def render(self) -> np.ndarray | None:
        """The present view, if `render_mode` is "rgb_array"."""
        return self.domain.render() if self.render_mode else None

    def close(self) -> None:
        """Releases the simulator."""
        self.domain.close()

    @property
    def steps_left(self) -> int:
        """See `TaskEnv.steps_left`."""
        return self.domain.optima[-1] + EXTRA_STEPS - self._steps

    def measure(self) -> Measures:
        """See `TaskEnv.measure`."""
        return Measures(
            optimum=self._optimum,
            distance=self.domain.distance(),
            success=self.domain.solved(),
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

    def _observe(self) -> dict[str, Any]:
        return {
            "image": self.domain.render(),
            "instruction": self.domain.instruction,
            "goal_image": self._goal_image.copy(),
        }

    def _info(self, frames: np.ndarray) -> dict[str, Any]:
        return {"chunk": frames, "success": self.domain.solved()}
