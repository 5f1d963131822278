"""The `point` domain: a dot in a square that vectors move.

A test bed of continuous control on the same code path as everything else: exact, and
so small that its 8x8 images serve as latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np

from envs.goal_domain import GoalDomain

SIZE = 8  # pixels of an image's side
STEP = 0.25  # of the square's half side, per action at the most
REACHED = 0.15
_MARGIN = 0.9  # goals and starts keep away from the border
_WIDTH = 1.0  # of the dot, in pixels
_CENTRES = np.linspace(-1, 1, SIZE)


@dataclass(frozen=True)
class PointState:
    """Where the dot is and where it is to be, (2,) each, in [-1, 1]."""

    position: np.ndarray
    goal: np.ndarray


class PointDomain(GoalDomain):
    """An action in [-1, 1]^2 moves the dot by `STEP` times itself, in two halves.

    The dot stops at the border. An image is a bump around the dot: white on blue,
    smooth, so that where it is can be read more finely than a pixel.
    """

    id: ClassVar[str] = "point"
    action_space: ClassVar[gymnasium.spaces.Box] = gymnasium.spaces.Box(-1, 1, (2,))
    chunk_length: ClassVar[int] = 2
    frame_shape: ClassVar[tuple[int, int, int]] = (SIZE, SIZE, 3)
    optima: ClassVar[range] = range(3, 8)
    instruction: ClassVar[str] = "reach the place shown"

    def __init__(self) -> None:
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """See `GoalDomain.reset`."""
        self._position = rng.uniform(-_MARGIN, _MARGIN, size=2)
        self.draw_goal(rng)

    def draw_goal(self, rng: np.random.Generator) -> None:
        """See `GoalDomain.draw_goal`."""
        self._goal = rng.uniform(-_MARGIN, _MARGIN, size=2)

    def execute(self, action: np.ndarray, *, render: bool = True) -> np.ndarray:
        """See `GoalDomain.execute`."""
        half = STEP / self.chunk_length * np.clip(action, -1, 1)
        frames = np.zeros((0, *self.frame_shape), np.uint8)
        for _ in range(self.chunk_length):
            self._position = np.clip(self._position + half, -1, 1)
            if render:
                frames = np.concatenate([frames, self.render()[None]])
        return frames

    def render(self) -> np.ndarray:
        """See `GoalDomain.render`."""
        return _image(self._position)

    @property
    def goal_image(self) -> np.ndarray:
        """See `GoalDomain.goal_image`."""
        return _image(self._goal)

    def distance(self) -> float:
        """Straight distance, in half sides of the square."""
        return float(np.linalg.norm(self._goal - self._position))

    def solved(self) -> bool:
        """See `GoalDomain.solved`."""
        return self.distance() <= REACHED

    def control(self) -> np.ndarray:
        """Straight towards the goal, as far as an action goes."""
        away = self._goal - self._position
        return (away / max(STEP, np.abs(away).max())).astype(np.float32)

    def get_state(self) -> PointState:
        """See `GoalDomain.get_state`."""
        return PointState(self._position.copy(), self._goal.copy())

    def set_state(self, state: PointState) -> None:
        """See `GoalDomain.set_state`."""
        self._position, self._goal = state.position.copy(), state.goal.copy()

    def close(self) -> None:
        """Holds nothing."""


def _image(position: np.ndarray) -> np.ndarray:
    """(8, 8, 3) uint8; x to the right, y up."""
    pixel = _CENTRES[1] - _CENTRES[0]
    across, up = (
        np.exp(-0.5 * ((_CENTRES - at) / (_WIDTH * pixel)) ** 2) for at in position
    )
    bump = np.outer(up[::-1], across)[..., None]
    return (255 * (bump + (1 - bump) * np.array([0.1, 0.1, 0.5]))).astype(np.uint8)
