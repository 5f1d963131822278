"""`Odometry`: poses counted from the actions' own motions (dead reckoning)."""

from __future__ import annotations

import math
from typing import NamedTuple

from world_model.phrase_space import Motion

_GRID = 0.1
"""Dead-reckoned poses closer than about this are one place [m]."""
_OFFSET = 0.123
"""Keeps round numbers, which steps usually are, away from the grid's edges."""

Place = tuple[int, int, int]


class Odometry(NamedTuple):
    """A pose relative to where counting began: x [m], y [m], heading [degrees]."""

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0

    def after(self, motion: Motion) -> Odometry:
        """Where an unblocked action leads; also a pose given relative to this one."""
        forward, left, turn = motion
        angle = math.radians(self.heading)
        c, s = math.cos(angle), math.sin(angle)
        return Odometry(
            self.x + c * forward - s * left,
            self.y + s * forward + c * left,
            (self.heading + turn) % 360,
        )

    @property
    def inverse(self) -> Odometry:
        """Where counting began, relative to this pose."""
        angle = math.radians(self.heading)
        c, s = math.cos(angle), math.sin(angle)
        return Odometry(
            -c * self.x - s * self.y, s * self.x - c * self.y, -self.heading % 360
        )

    @property
    def place(self) -> Place:
        """Equal for poses that are the same but for rounding."""
        heading = round(self.heading) % 360
        x, y = (round(value / _GRID + _OFFSET) for value in (self.x, self.y))
        return x, y, heading
