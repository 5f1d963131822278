"""The contract of a domain whose actions are vectors and whose goal can be shown.

It has no lattice and no tour: what is asked for is control, not memory. Memory tasks
live on the domains of `envs.api`.

Units: metres [m]. Images are uint8 (H, W, C).
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import gymnasium
import numpy as np


class GoalDomain(abc.ABC):
    """One simulated world, one episode at a time.

    Attributes:
        id: Name of the domain, as in `domain=fetch`.
        action_space: Vectors within finite bounds.
        chunk_length: F, frames per action.
        frame_shape: (H, W, C) of every image.
        optima: How many actions a goal may be away when an episode begins.
        instruction: The goal in words.
    """

    id: ClassVar[str]
    action_space: ClassVar[gymnasium.spaces.Box]
    chunk_length: ClassVar[int]
    frame_shape: ClassVar[tuple[int, int, int]]
    optima: ClassVar[range]
    instruction: ClassVar[str]

    @abc.abstractmethod
    def reset(self, rng: np.random.Generator) -> None:
        """Draws a start and a goal."""

    @abc.abstractmethod
    def draw_goal(self, rng: np.random.Generator) -> None:
        """Draws another goal; everything else stays."""

    @abc.abstractmethod
    def execute(self, action: np.ndarray, *, render: bool = True) -> np.ndarray:
        """Carries an action (A,) out in the simulator's own dynamics.

        Returns:
            The frames of the chunk (F, H, W, C); of shape (0, H, W, C) if `render`
            is False.
        """

    @abc.abstractmethod
    def render(self) -> np.ndarray:
        """The present view (H, W, C); it does not show the goal."""

    @property
    @abc.abstractmethod
    def goal_image(self) -> np.ndarray:
        """The view (H, W, C) where the goal is reached."""

    @abc.abstractmethod
    def distance(self) -> float:
        """Straight distance to the goal [m]."""

    @abc.abstractmethod
    def solved(self) -> bool:
        """Simulator truth, now."""

    @abc.abstractmethod
    def control(self) -> np.ndarray:
        """What a controller that knows everything does next, (A,)."""

    def positions(self) -> np.ndarray | None:
        """Where objects and hand are (n, 3) float32 [m], if anything can be moved."""
        return None

    @abc.abstractmethod
    def get_state(self) -> Any:
        """Everything needed to continue from here (goal included), copied."""

    @abc.abstractmethod
    def set_state(self, state: Any) -> None:
        """Goes back to a state that `get_state` returned."""

    @abc.abstractmethod
    def close(self) -> None:
        """Releases what the simulator holds."""
