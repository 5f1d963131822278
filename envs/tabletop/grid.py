"""The fixed frame of the table: cells for cubes, slots for cups.

World axes: x from the robot to the camera, y to the right of the image, z up. Row 1
is the one next to the robot, column 1 is on the left of the image.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ROWS, COLUMNS = 4, 5
PITCH = 0.07
"""Distance between neighbouring cells [m]: open fingers fit between two cubes."""
TOLERANCE = 0.02
"""How far from where it belongs a cube may lie [m]: at least two pixels."""
TABLE_HEIGHT = 0.8  # [m]
CUBE_SIZE = 0.04  # edge [m]

CUBES = ("red cube", "blue cube", "yellow cube")

NUM_CUPS = 4
SLOT_PITCH = 0.08
"""Distance between neighbouring slots [m]: open fingers fit between two knobs."""
SLOT_ROW, BACK_LANE, FRONT_LANE = 0.02, -0.07, 0.11
"""Where cups cover cubes, and the lanes left free to pass each other: x [m]."""
CUPS = tuple(f"cup {i}" for i in range(NUM_CUPS))
OBJECTS = (*CUBES, *CUPS)
"""Every object of the model, in the order of states and positions."""
ORDINALS = ("first", "second", "third", "fourth")
"""Names of the slots, from the left."""

Point = tuple[float, float]
"""A place on the table (x, y) [m]."""


class Cell(NamedTuple):
    """A cell of the table; both count from 1."""

    row: int
    column: int


CELLS = tuple(Cell(r + 1, c + 1) for r in range(ROWS) for c in range(COLUMNS))
GREEN_AREA = (Cell(4, 2), Cell(4, 3), Cell(4, 4))
"""The cells of the green target area."""


def cell_place(cell: Cell) -> Point:
    """The middle of a cell."""
    x = PITCH * (cell.row - (ROWS + 1) / 2)
    return x, PITCH * (cell.column - (COLUMNS + 1) / 2)


def nearest_cell(place: Point) -> Cell:
    """The cell whose middle is nearest."""
    return min(CELLS, key=lambda cell: math.dist(cell_place(cell), place))


def slot_place(slot: int) -> Point:
    """The middle of slot 0..3."""
    return SLOT_ROW, SLOT_PITCH * (slot - (NUM_CUPS - 1) / 2)


def nearest_slot(place: Point) -> int:
    """The slot whose middle is nearest across the table."""
    return min(range(NUM_CUPS), key=lambda slot: abs(slot_place(slot)[1] - place[1]))
