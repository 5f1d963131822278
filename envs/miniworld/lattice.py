"""The lattice of `miniworld`: the centres of the maze's cells, eight headings each."""

from __future__ import annotations

import math
from typing import NamedTuple

from world_model.phrase_space import Motion

NUM_ROWS = NUM_COLUMNS = 3
ROOM_SIZE = 3.0
"""Of MiniWorld-MazeS3-v0 [m]."""
SPACING = 3.25
"""Between centres of neighbouring cells: room and gap [m]."""
NUM_HEADINGS = 8
WALLS = (0, 2, 4, 6)
"""Headings that face a wall of a cell; the others face its corners."""
TURN = 360 / NUM_HEADINGS

FORWARD, BACKWARD, TURN_LEFT, TURN_RIGHT = range(4)
PHRASES = ("forward", "backward", "turn left", "turn right")
INVERSES = (BACKWARD, FORWARD, TURN_RIGHT, TURN_LEFT)
MOTIONS = (
    (SPACING, 0.0, 0.0),
    (-SPACING, 0.0, 0.0),
    (0.0, 0.0, TURN),
    (0.0, 0.0, -TURN),
)
"""Forward [m], left [m], turn [degrees] of each action."""

_DIRECTIONS = {0: (1, 0), 2: (0, -1), 4: (-1, 0), 6: (0, 1)}
"""Column and row added by a step; rows grow along MiniWorld's z."""


class Cell(NamedTuple):
    """A cell of the maze; (0, 0) is where its rows and columns begin."""

    column: int
    row: int


class MazeNode(NamedTuple):
    """A pose of the lattice.

    Attributes:
        column: 0..2, along MiniWorld's x.
        row: 0..2, along MiniWorld's z.
        heading: Multiple of 45 degrees, 0..7, counter-clockwise from x.
    """

    column: int
    row: int
    heading: int

    @property
    def cell(self) -> Cell:
        """Where the node is."""
        return Cell(self.column, self.row)


class Pose(NamedTuple):
    """A real pose in MiniWorld's terms: x [m], z [m], direction [rad]."""

    x: float
    z: float
    direction: float


Doors = frozenset[frozenset[Cell]]
"""The pairs of cells that a door joins."""


def neighbour(cell: Cell, heading: int) -> Cell:
    """The cell next to another, which may lie outside the maze."""
    dx, dz = _DIRECTIONS[heading]
    return Cell(cell.column + dx, cell.row + dz)


def has_door(cell: Cell, heading: int, doors: Doors) -> bool:
    """Whether a cell's wall in a direction has a door."""
    return heading in WALLS and frozenset((cell, neighbour(cell, heading))) in doors


def opposite(heading: int) -> int:
    """The heading the other way round."""
    return (heading + NUM_HEADINGS // 2) % NUM_HEADINGS


def centre(cell: Cell) -> tuple[float, float]:
    """The middle of a cell in MiniWorld's x and z [m]."""
    x, z = (ROOM_SIZE / 2 + SPACING * index for index in cell)
    return x, z


def towards(heading: int) -> tuple[float, float]:
    """Unit vector of a heading in MiniWorld's x and z."""
    dx, dz = _DIRECTIONS[heading]
    return float(dx), float(dz)


def heading_angle(heading: int) -> float:
    """MiniWorld's direction of a heading [rad]."""
    return math.radians(TURN * heading)


def neighbours(cell: Cell, doors: Doors) -> list[Cell]:
    """The cells that doors lead to."""
    return [neighbour(cell, h) for h in WALLS if has_door(cell, h, doors)]


def depth_first(start: Cell, doors: Doors) -> list[Cell]:
    """All cells that can be reached, in the order of a depth-first search."""
    found: dict[Cell, None] = {}
    stack = [start]
    while stack:
        cell = stack.pop()
        if cell not in found:
            found[cell] = None
            stack += neighbours(cell, doors)
    return list(found)


def headings_at(cell: Cell) -> list[MazeNode]:
    """The poses of a cell."""
    return [MazeNode(*cell, heading) for heading in range(NUM_HEADINGS)]


def node_pose(node: MazeNode) -> Pose:
    """The exact pose of a node."""
    x, z = centre(node.cell)
    return Pose(x, z, heading_angle(node.heading))


def nearest_node(pose: Pose) -> MazeNode:
    """The node nearest to a real pose."""
    column, row = (
        min(max(round((value - ROOM_SIZE / 2) / SPACING), 0), size - 1)
        for value, size in ((pose.x, NUM_COLUMNS), (pose.z, NUM_ROWS))
    )
    return MazeNode(
        column, row, round(pose.direction / heading_angle(1)) % NUM_HEADINGS
    )


def successor(node: MazeNode, action: int, doors: Doors) -> MazeNode:
    """Where an action leads; the node itself if a wall blocks it."""
    if action in (TURN_LEFT, TURN_RIGHT):
        turn = 1 if action == TURN_LEFT else -1
        return node._replace(heading=(node.heading + turn) % NUM_HEADINGS)
    heading = node.heading if action == FORWARD else opposite(node.heading)
    if not has_door(node.cell, heading, doors):
        return node
    return MazeNode(*neighbour(node.cell, heading), node.heading)


def shifted(pose: Pose, offset: Motion) -> Pose:
    """A pose moved by (forward [m], left [m], turn [degrees])."""
    forward, left, turn = offset
    c, s = math.cos(pose.direction), math.sin(pose.direction)
    return Pose(
        pose.x + c * forward - s * left,
        pose.z - s * forward - c * left,
        pose.direction + math.radians(turn),
    )


def wrap(angle: float) -> float:
    """The same angle within [-pi, pi] [rad]."""
    return math.remainder(angle, 2 * math.pi)


def place_distance(a: Pose, b: Pose) -> float:
    """Straight distance between two poses [m]."""
    return math.hypot(a.x - b.x, a.z - b.z)
