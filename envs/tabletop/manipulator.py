"""`Manipulator`: carries primitives out, by looking at what is there now."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from envs.tabletop.arm import CLOSED, HOME, OPEN, Arm
from envs.tabletop.grid import (
    BACK_LANE,
    CUBE_SIZE,
    CUBES,
    CUPS,
    FRONT_LANE,
    Point,
    cell_place,
    slot_place,
)
from envs.tabletop.objects import Objects
from envs.tabletop.vocabulary import Primitive

TRAVEL_HEIGHT = 0.12
"""Of the finger tips above cubes and cups [m]."""
LIFT_HEIGHT = 0.16
"""Of the finger tips when a cup is held up [m]."""

_GRASP_HEIGHT = {"cube": CUBE_SIZE / 2, "cup": 0.068}
"""Of the finger tips around a cube, around the knob of a cup [m]."""
_CARRY_HEIGHT = 0.135  # of the finger tips when a cup passes over a cube [m]
_SLIDE_CLEARANCE = 0.004  # below a cup that slides: no cube slips out [m]
_SOFTLY = 0.25  # [m/s]
_COVERS = 0.02  # how near a cup's middle is to what it covers [m]


class Manipulator:
    """What the arm can do; a primitive that makes no sense now does nothing.

    Grasps and placements are aimed at where the objects are seen to be, and may
    fail. Nothing is kept from one primitive to the next.

    Args:
        arm: Moves.
        objects: Tells where the objects are.
    """

    def __init__(self, arm: Arm, objects: Objects) -> None:
        self._arm = arm
        self._objects = objects

    def run(self, primitive: Primitive) -> list[np.ndarray]:
        """Carries a primitive out.

        Returns:
            The joint positions after each control step; empty if nothing was done.
        """
        self._arm.begin()
        verbs: dict[str, Callable[[Primitive], None]] = {
            "pick": self._pick,
            "place": self._place,
            "cover": self._cover,
            "swap": self._swap,
            "lift": self._lift,
            "lower": self._lower,
        }
        verbs[primitive.verb](primitive)
        return self._arm.path

    @property
    def held(self) -> str | None:
        """The object between the fingers."""
        if not self._arm.holds:
            return None
        return min(self._objects.present, key=self._distance_to_hand, default=None)

    def covering(self, cube: str) -> str | None:
        """The cup that stands over a cube."""
        place = self._objects.place(cube)
        for cup in self._cups():
            x, y, height = self._objects.position(cup).tolist()
            if math.dist((x, y), place) < _COVERS and height < CUBE_SIZE:
                return cup
        return None

    def _pick(self, primitive: Primitive) -> None:
        cube = primitive.cube
        if cube not in self._objects.present or self.held or self.covering(cube):
            return
        self._grasp(cube)
        self._rise(TRAVEL_HEIGHT)
        self._arm.move(HOME)
        if not self._arm.holds:
            self._arm.grip(OPEN)

    def _place(self, primitive: Primitive) -> None:
        assert primitive.cell is not None
        held = self.held
        if held not in CUBES:
            return
        self._put(held, cell_place(primitive.cell), TRAVEL_HEIGHT)
        self._release()

    def _cover(self, primitive: Primitive) -> None:
        cube = primitive.cube
        free = [cup for cup in self._cups() if not self._covered_by(cup)]
        if (
            cube not in self._objects.present
            or not free
            or self.held
            or self.covering(cube)
        ):
            return
        place = self._objects.place(cube)
        # The one that stands behind it.
        cup = min(free, key=lambda name: abs(self._objects.place(name)[1] - place[1]))
        self._grasp(cup)
        self._rise(_CARRY_HEIGHT)
        self._put(cup, place, _CARRY_HEIGHT)
        self._release()

    def _swap(self, primitive: Primitive) -> None:
        cups = self._cups()
        if not cups or self.held:
            return
        left, right = (cups[i] for i in primitive.cups)
        here, there = (slot_place(i) for i in primitive.cups)
        y, v = here[1], there[1]
        self._slide(left, [(BACK_LANE, y)])
        self._slide(right, [(FRONT_LANE, v), (FRONT_LANE, y), here])
        self._slide(left, [(BACK_LANE, v), there])
        self._arm.move(HOME)

    def _lift(self, primitive: Primitive) -> None:
        cups = self._cups()
        if not cups or self.held:
            return
        self._grasp(cups[primitive.cups[0]])
        self._rise(LIFT_HEIGHT)
        if not self._arm.holds:
            self._arm.grip(OPEN)

    def _lower(self, primitive: Primitive) -> None:
        held = self.held
        if held not in CUPS:
            return
        self._put(held, self._objects.place(held), LIFT_HEIGHT)
        self._release()

    def _grasp(self, name: str) -> None:
        (x, y), yaw = self._objects.place(name), self._objects.yaw(name)
        self._arm.grip(OPEN) if self._arm.holds else None
        self._arm.move(np.array([x, y, TRAVEL_HEIGHT]), yaw=yaw)
        self._arm.move(np.array([x, y, self._grasp_height(name)]), _SOFTLY, yaw)
        self._arm.grip(CLOSED)

    def _rise(self, height: float) -> None:
        self._arm.move(np.array([*self._arm.position[:2], height]))

    def _put(self, name: str, place: Point, height: float) -> None:
        """Sets what is held down on a place, from above."""
        above = np.array([*place, height])
        self._arm.move(above)
        # What is held may sit askew between the fingers.
        above[:2] += place - self._objects.position(name)[:2]
        self._arm.move(above, _SOFTLY)
        bottom = self._bottom(name)
        self._arm.move(above - (0, 0, bottom - 0.001), _SOFTLY)

    def _slide(self, cup: str, places: list[Point]) -> None:
        """Moves a cup, with what it covers, over the table."""
        self._grasp(cup)
        shift = self._arm.position - self._objects.position(cup)
        shift[2] = self._grasp_height(cup) + _SLIDE_CLEARANCE
        for x, y in [self._objects.place(cup), *places]:
            self._arm.move(np.array([x, y, 0.0]) + shift, _SOFTLY)
        shift[2] = self._grasp_height(cup)
        self._arm.move(np.array([*places[-1], 0.0]) + shift, _SOFTLY)
        self._arm.grip(OPEN)
        self._rise(TRAVEL_HEIGHT)

    def _release(self) -> None:
        self._arm.grip(OPEN)
        self._rise(TRAVEL_HEIGHT)
        self._arm.move(HOME)

    def _cups(self) -> list[str]:
        """The cups, from the left."""
        cups = [name for name in CUPS if name in self._objects.present]
        return sorted(cups, key=lambda name: self._objects.place(name)[1])

    def _covered_by(self, cup: str) -> bool:
        cubes = [name for name in CUBES if name in self._objects.present]
        return any(self.covering(cube) == cup for cube in cubes)

    def _bottom(self, name: str) -> float:
        """Height of an object's underside above the table [m]."""
        height = float(self._objects.position(name)[2])
        return height - (CUBE_SIZE / 2 if name in CUBES else 0.0)

    def _grasp_height(self, name: str) -> float:
        return _GRASP_HEIGHT["cube" if name in CUBES else "cup"]

    def _distance_to_hand(self, name: str) -> float:
        grasp = self._objects.position(name)
        grasp[2] += 0.0 if name in CUBES else self._grasp_height(name)
        return float(np.linalg.norm(grasp - self._arm.position))
