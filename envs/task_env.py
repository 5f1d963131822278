"""`TaskEnv`: what evaluation knows of an episode, whatever domain it runs on."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from envs.api import Transition


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
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 8,
    }

    domain: Any
    tour: tuple[Transition, ...]
    tour_states: tuple[Any, ...]
    first_image: np.ndarray

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
