"""Closed-loop motions of the Panda's hand by operational-space control."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from envs.tabletop.grid import TABLE_HEIGHT
from envs.tabletop.simulation import CONTROL_FREQUENCY, TableSimulation

OPEN, CLOSED = 0.5, -1.0
"""Widths of the gripper: 6 cm, which leaves neighbours alone, and 0 cm."""
HOME = np.array([-0.16, 0.0, 0.12])
"""Where the hand rests: (x, y, height above the table) [m]."""

_DOWN = Rotation.from_matrix([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
"""The hand points down and opens from left to right in the image."""
_TOLERANCE = 0.0015  # [m]
_REST_SPEED = 0.02  # [m/s]
_MAX_SETTLING = 12  # control steps after the path's end
_GRIP_STEPS = 7  # control steps that closing or opening takes


class Arm:
    """Moves the hand; keeps nothing from one primitive to the next but the physics.

    Args:
        simulation: What it acts in.
    """

    def __init__(self, simulation: TableSimulation) -> None:
        self._simulation = simulation
        self._data = simulation.sim.data._data
        model = simulation.sim.model._model
        self._site = model.site("gripper0_right_grip_site").id
        self._pads = [
            model.geom(f"gripper0_right_finger{i}_pad_collision").id for i in (1, 2)
        ]
        self.begin()

    def begin(self) -> None:
        """Forgets every command; the grip follows from what the fingers feel."""
        self.path: list[np.ndarray] = []
        self._width = CLOSED if self.holds else OPEN
        self._yaw = 0.0

    @property
    def position(self) -> np.ndarray:
        """The real place of the finger tips (x, y, height above the table) [m]."""
        return self._data.site_xpos[self._site] - (0, 0, TABLE_HEIGHT)

    @property
    def holds(self) -> bool:
        """True if both fingers feel something between them."""
        return all(self._feels(pad) for pad in self._pads)

    def move(self, target: np.ndarray, speed: float = 0.6, yaw: float = 0.0) -> None:
        """Moves the finger tips on a straight line and waits until they arrive.

        Args:
            target: Where to (x, y, height above the table) [m].
            speed: Mean speed on the line [m/s].
            yaw: Turn of the hand at the target [rad].
        """
        start, first = self.position, self._yaw
        length = float(np.linalg.norm(target - start))
        num_steps = max(1, math.ceil(CONTROL_FREQUENCY * length / speed))
        for i in range(1, num_steps + 1):
            # Minimum jerk: no jolt at either end, so that nothing slips.
            s = i / num_steps
            s = s**3 * (10 - 15 * s + 6 * s**2)
            self._step(start + s * (target - start), first + s * (yaw - first))
        self._yaw = yaw
        self._settle(target)

    def grip(self, width: float) -> None:
        """Opens or closes the fingers where the hand is."""
        target, self._width = self.position, width
        for _ in range(_GRIP_STEPS):
            self._step(target, self._yaw)

    def _settle(self, target: np.ndarray) -> None:
        for _ in range(_MAX_SETTLING):
            before = self.position
            self._step(target, self._yaw)
            now = self.position
            speed = float(np.linalg.norm(now - before)) * CONTROL_FREQUENCY
            if np.linalg.norm(target - now) < _TOLERANCE and speed < _REST_SPEED:
                return

    def _step(self, target: np.ndarray, yaw: float) -> None:
        turned = Rotation.from_euler("z", yaw) * _DOWN
        pose = np.concatenate([target + (0, 0, TABLE_HEIGHT), turned.as_rotvec()])
        self._simulation.step(np.concatenate([pose, [self._width, -self._width]]))
        self.path.append(self._data.qpos.copy())

    def _feels(self, pad: int) -> bool:
        contacts = self._data.contact
        return bool(np.isin(pad, contacts.geom1) or np.isin(pad, contacts.geom2))
