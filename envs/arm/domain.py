"""The `arm` domain: the Panda of `tabletop`, moved by vectors instead of phrases.

For planners of continuous actions: one cube, to be carried where the goal image
shows it. Dynamics, camera and operational-space control are those of `tabletop`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np

from envs.goal_domain import GoalDomain
from envs.tabletop.domain import TabletopDomain, TabletopState
from envs.tabletop.grid import (
    CELLS,
    CUBE_SIZE,
    CUBES,
    TOLERANCE,
    Point,
    cell_place,
)
from envs.tabletop.layout import JITTER, Layout, on_cells

CUBE = CUBES[0]
STEP = 0.12  # [m] that the hand moves along each axis, at the most
_GRASP, _TRAVEL = CUBE_SIZE / 2, 0.12  # heights of the finger tips [m]
_ALIGNED = 0.008  # [m]


@dataclass(frozen=True)
class ArmState:
    """The table's state and where the cube is to lie [m]."""

    table: TabletopState
    goal: Point


class ArmDomain(GoalDomain):
    """An action is the hand's displacement and the gripper, four numbers in [-1, 1].

    The first three move the finger tips by up to 12 cm along x (to the camera), y (to
    the right) and z (up), in a straight line under closed-loop control; then the
    gripper closes if the fourth is negative and opens if it is not. The goal is
    reached where the cube lies within 2 cm of its place and was let go.
    """

    id: ClassVar[str] = "arm"
    action_space: ClassVar[gymnasium.spaces.Box] = gymnasium.spaces.Box(-1, 1, (4,))
    chunk_length: ClassVar[int] = 2
    frame_shape: ClassVar[tuple[int, int, int]] = TabletopDomain.frame_shape
    optima: ClassVar[range] = range(4, 13)
    instruction: ClassVar[str] = f"put the {CUBE} where it is shown"

    def __init__(self) -> None:
        self._table = TabletopDomain()
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """See `GoalDomain.reset`."""
        cell = CELLS[rng.integers(len(CELLS))]
        # Beside the middle and turned: no two episodes are the same.
        self._table.start(Layout(on_cells(rng, {CUBE: cell})))
        self.draw_goal(rng)

    def draw_goal(self, rng: np.random.Generator) -> None:
        """See `GoalDomain.draw_goal`; near the middle of any cell."""
        x, y = cell_place(CELLS[rng.integers(len(CELLS))])
        dx, dy = rng.uniform(-JITTER, JITTER, size=2).tolist()
        self._goal = (x + dx, y + dy)

    def execute(self, action: np.ndarray, *, render: bool = True) -> np.ndarray:
        """See `GoalDomain.execute`."""
        *move, grip = np.clip(action, -1, 1).tolist()
        number = self.chunk_length if render else 0
        return self._table.drive(STEP * np.array(move), closed=grip < 0, number=number)

    def render(self) -> np.ndarray:
        """See `GoalDomain.render`."""
        return self._table.render()

    @property
    def goal_image(self) -> np.ndarray:
        """See `GoalDomain.goal_image`: as the controller leaves it."""
        state = self.get_state()
        for _ in range(2 * self.optima[-1]):
            if self.solved():
                break
            self.execute(self.control(), render=False)
        image = self.render()
        self.set_state(state)
        return image

    def distance(self) -> float:
        """From the cube to where it is to lie [m]."""
        wanted = np.array([*self._goal, CUBE_SIZE / 2])
        return float(np.linalg.norm(self.cube - wanted))

    def solved(self) -> bool:
        """See `GoalDomain.solved`."""
        return self.distance() < TOLERANCE and not self.holds

    @property
    def hand(self) -> np.ndarray:
        """The finger tips (x, y, height above the table) [m]."""
        return self._table.hand

    @property
    def cube(self) -> np.ndarray:
        """The cube's middle (x, y, height above the table) [m]."""
        return self._table.position(CUBE)

    def positions(self) -> np.ndarray:
        """See `GoalDomain.positions`: the cube, then the finger tips."""
        return np.vstack([self.cube, self.hand]).astype(np.float32)

    @property
    def holds(self) -> bool:
        """Whether the fingers hold the cube."""
        return self._table.held is not None

    def control(self) -> np.ndarray:
        """To the cube from above, then with it to the goal from above."""
        if self.solved():
            return np.zeros(4)
        holds, hand = self.holds, self.hand
        across = (np.array(self._goal) if holds else self.cube[:2]) - hand[:2]
        if np.linalg.norm(across) < _ALIGNED:
            down = _GRASP - hand[2]
            arrives = -down <= STEP
            # Closes around the cube below, or lets go of it.
            return _action(across, down, closed=holds != arrives)
        if hand[2] < _TRAVEL - _ALIGNED:
            return _action(np.zeros(2), _TRAVEL - hand[2], closed=holds)
        return _action(across, 0.0, closed=holds)

    def get_state(self) -> ArmState:
        """See `GoalDomain.get_state`."""
        return ArmState(self._table.get_state(), self._goal)

    def set_state(self, state: ArmState) -> None:
        """See `GoalDomain.set_state`."""
        self._table.set_state(state.table)
        self._goal = state.goal

    def close(self) -> None:
        """Releases the renderer."""
        self._table.close()


def _action(across: np.ndarray, up: float, *, closed: bool) -> np.ndarray:
    """A displacement (x, y), z [m] and the gripper as an action."""
    move = np.clip(np.array([*across, up]) / STEP, -1, 1)
    return np.append(move, -1.0 if closed else 1.0)
