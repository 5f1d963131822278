"""`TaskEnv`: what evaluation knows of an episode, whatever domain it runs on."""

from __future__ import annotations

import abc
import copy
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.api import Transition
from envs.checked_action import checked_action
from envs.render_mode import check_render_mode
from envs.splits import check_split, episode_rng
from envs.words_space import WORDS

_MAX_ATTEMPTS = 100


@dataclass(frozen=True)
class Measures:
    """What evaluation may know of an episode and a policy may not.

    Attributes:
        optimum: Fewest actions from the start of the test to the goal.
        distance: Straight distance to the nearest goal pose now [m].
        success: Simulator truth, now.
        delay: Actions between the last sight of the goal on the tour and the test;
            None where the goal is not an object.
        distances: How far each object is from where it belongs [m], by name; empty
            where the task moves none.
        subgoals: Which parts of the goal have been reached; empty if it has none.
    """

    optimum: int
    distance: float
    success: bool
    delay: int | None
    distances: dict[str, float] = field(default_factory=dict)
    subgoals: tuple[bool, ...] = ()


class TaskEnv(gymnasium.Env[dict[str, Any], Any]):
    """A task on a domain, perhaps with a tour that memory may watch before.

    Observations: "image" uint8 (H, W, C), "instruction" str and, where the task
    shows one, "goal_image". `info` holds "chunk", the frames (F, H, W, C) of the
    action, and "success"; nothing that could stand for memory.

    Attributes:
        domain: The simulated world: `get_state`, `set_state`, `execute`.
        tour: What was shown before the test.
        tour_states: Simulator states after each action of the tour.
        first_image: The view before the tour (H, W, C).

    Args:
        domain: A fresh simulator.
        split: "train", "val" or "test"; their seeds are disjoint.
        shows_goal: Whether a goal image is part of every observation.
        render_mode: "rgb_array" or None.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 8,
    }

    domain: Any
    tour: tuple[Transition, ...]
    tour_states: tuple[Any, ...]
    first_image: np.ndarray
    _steps: int

    def __init__(
        self, domain: Any, split: str, *, shows_goal: bool, render_mode: str | None
    ) -> None:
        check_render_mode(render_mode)
        self.domain = domain
        check_split(split)
        self.split = split
        self.render_mode = render_mode
        # Its own source of random actions: domains share one space.
        self.action_space = copy.deepcopy(domain.action_space)
        image = spaces.Box(0, 255, domain.frame_shape, np.uint8)
        words = copy.deepcopy(WORDS)
        entries: dict[str, spaces.Space[Any]] = {"image": image, "instruction": words}
        if shows_goal:
            entries["goal_image"] = copy.deepcopy(image)
        self.observation_space = spaces.Dict(entries)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draws the episode of `seed`; without a seed, a random one."""
        super().reset(seed=seed)
        episode = int(self.np_random.integers(2**31)) if seed is None else seed
        for attempt in range(_MAX_ATTEMPTS):
            if self._begin(episode_rng(self.split, episode, attempt)):
                still = np.stack([self.domain.render()] * self.domain.chunk_length)
                return self._observe(), self._info(still)
        raise RuntimeError(
            f"A task must allow a valid episode within {_MAX_ATTEMPTS} layouts, got "
            f"none from seed {episode}: ask less of its tours or its layouts."
        )

    def step(
        self, action: Any
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Executes one action. The reward is 1 on success, else 0.

        Raises:
            ValueError: If it is none.
        """
        frames = self.execute(checked_action(self.action_space, action))
        self._steps += 1
        success = self._solved()
        truncated = not success and self._steps >= self.budget
        return self._observe(), float(success), success, truncated, self._info(frames)

    def render(self) -> np.ndarray | None:
        """The present view, if `render_mode` is "rgb_array"."""
        return self.domain.render() if self.render_mode else None

    def close(self) -> None:
        """Releases the simulator."""
        self.domain.close()

    def execute(self, action: Any) -> np.ndarray:
        """Lets the robot act outside the test's count; its frames (F, H, W, C)."""
        frames: np.ndarray = self.domain.execute(action)
        return frames

    @property
    @abc.abstractmethod
    def budget(self) -> int:
        """Actions the test allows."""

    @property
    @abc.abstractmethod
    def steps_left(self) -> int:
        """What policies are told: the rest of the largest budget of any episode."""

    @abc.abstractmethod
    def measure(self) -> Measures:
        """Simulator truth for evaluation."""

    @abc.abstractmethod
    def path(self) -> list[Any]:
        """Actions that lead from here to the goal, as few as the domain knows."""

    @abc.abstractmethod
    def _begin(self, rng: np.random.Generator) -> bool:
        """Draws an episode and opens its test; False if it is not a valid one."""

    @abc.abstractmethod
    def _observe(self) -> dict[str, Any]:
        """What a policy may see now."""

    @abc.abstractmethod
    def _solved(self) -> bool:
        """Simulator truth, now."""

    def _info(self, frames: np.ndarray) -> dict[str, Any]:
        return {"chunk": frames, "success": self._solved()}
