"""Where the objects are: read and set in MuJoCo's state."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from envs.gl import mujoco
from envs.tabletop.grid import CUBE_SIZE, CUBES, OBJECTS, TABLE_HEIGHT, Point
from envs.tabletop.simulation import body_name

_PARKED = -3.0
"""Height of objects that an episode does not need: below the floor [m]."""


class Objects:
    """The cubes and cups of a simulation.

    Attributes:
        present: Names of the objects that the episode needs.

    Args:
        model: Compiled model.
        data: Its state.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        self._data = data
        self._bodies = {name: model.body(body_name(name)).id for name in OBJECTS}
        self._geoms = {
            name: np.flatnonzero(model.geom_bodyid == body)
            for name, body in self._bodies.items()
        }
        self._solid = model.geom_contype.copy(), model.geom_conaffinity.copy()
        addresses = {n: model.body_jntadr[b] for n, b in self._bodies.items()}
        self._qpos = {n: int(model.jnt_qposadr[a]) for n, a in addresses.items()}
        self._qvel = {n: int(model.jnt_dofadr[a]) for n, a in addresses.items()}
        self.present: frozenset[str] = frozenset()

    def show_only(self, names: Collection[str]) -> None:
        """Makes these objects solid and heavy; the others are parked unseen."""
        self.present = frozenset(names)
        for i, name in enumerate(OBJECTS):
            present = name in names
            self._model.body_gravcomp[self._bodies[name]] = float(not present)
            for field, solid in zip(
                (self._model.geom_contype, self._model.geom_conaffinity),
                self._solid,
                strict=True,
            ):
                geoms = self._geoms[name]
                field[geoms] = solid[geoms] if present else 0
            if not present:
                self._set(name, (0.3 * i, 0.0, _PARKED), 0.0)

    def put(self, name: str, place: Point, yaw: float = 0.0) -> None:
        """Sets an object at rest on the table; only for the start of an episode."""
        height = TABLE_HEIGHT + (CUBE_SIZE / 2 if name in CUBES else 0.0)
        self._set(name, (*place, height + 0.0005), yaw)

    def position(self, name: str) -> np.ndarray:
        """The object's origin (x, y, height above the table) [m]; a copy."""
        start = self._qpos[name]
        position = self._data.qpos[start : start + 3].copy()
        position[2] -= TABLE_HEIGHT
        return position

    def place(self, name: str) -> Point:
        """The object's place on the table (x, y) [m]."""
        x, y, _ = self.position(name).tolist()
        return x, y

    def yaw(self, name: str) -> float:
        """How far the object is turned from the nearest right angle [rad]."""
        start = self._qpos[name] + 3
        w, i, j, k = self._data.qpos[start : start + 4].tolist()
        angle = math.atan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k))
        return math.remainder(angle, math.pi / 2)

    def pixels(self, geoms: np.ndarray, names: Collection[str]) -> dict[str, int]:
        """How many entries of an image of geoms show each object."""
        return {name: int(self.mask(geoms, name).sum()) for name in names}

    def mask(self, geoms: np.ndarray, name: str) -> np.ndarray:
        """Which entries of an image of geoms (H, W) show an object, bool (H, W)."""
        return np.isin(geoms, self._geoms[name])

    def _set(self, name: str, position: tuple[float, ...], yaw: float) -> None:
        start = self._qpos[name]
        turned = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        self._data.qpos[start : start + 7] = (*position, *turned)
        self._data.qvel[self._qvel[name] : self._qvel[name] + 6] = 0.0
