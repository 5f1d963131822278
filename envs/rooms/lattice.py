"""The lattice of `rooms`: where the robot may stand and where actions lead.

The world is a pie of six 60 degree sectors around a hexagonal hub. Four of them
are branches: a tunnel and behind it a chamber. Headings are the sector axes.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

NUM_SECTORS = 6
STEP = 0.75
"""Distance between neighbouring places [m]."""

HUB = -1
"""The `sector` of the hub, which belongs to none."""
CHAMBER_DEPTH = 2

FORWARD, BACKWARD, TURN_LEFT, TURN_RIGHT = range(4)
PHRASES = ("forward", "backward", "turn left", "turn right")
INVERSES = (BACKWARD, FORWARD, TURN_RIGHT, TURN_LEFT)
MOTIONS = (
    (STEP, 0.0, 0.0),
    (-STEP, 0.0, 0.0),
    (0.0, 0.0, 360 / NUM_SECTORS),
    (0.0, 0.0, -360 / NUM_SECTORS),
)
"""Forward [m], left [m], turn [degrees] of each action."""


class RoomNode(NamedTuple):
    """A pose of the lattice.

    Attributes:
        sector: 0..5, or `HUB`.
        depth: Steps from the hub: 0 hub, 1 tunnel, 2 chamber.
        heading: Multiple of 60 degrees, 0..5, counter-clockwise.
    """

    sector: int
    depth: int
    heading: int


class Pose(NamedTuple):
    """A real pose: x [m], y [m], yaw [rad]."""

    x: float
    y: float
    yaw: float


def sector_angle(sector: int) -> float:
    """Direction of a sector's axis, or of a heading [rad]."""
    return 2 * math.pi * sector / NUM_SECTORS


def to_world(sector: int, x: float, y: float) -> tuple[float, float]:
    """Maps a point of a sector's frame (x outward) to the world [m]."""
    c, s = math.cos(sector_angle(sector)), math.sin(sector_angle(sector))
    return c * x - s * y, s * x + c * y


def wrap(angle: float) -> float:
    """The same angle within [-pi, pi] [rad]."""
    return math.remainder(angle, 2 * math.pi)


def node_pose(node: RoomNode) -> Pose:
    """The exact pose of a node."""
    x, y = to_world(node.sector, STEP * node.depth, 0.0)
    return Pose(x, y, sector_angle(node.heading))


def nearest_node(pose: Pose, branches: Collection[int]) -> RoomNode:
    """The node nearest to a real pose."""
    heading = round(pose.yaw / sector_angle(1)) % NUM_SECTORS
    places = [RoomNode(HUB, 0, heading)] + [
        RoomNode(sector, depth, heading) for sector in branches for depth in (1, 2)
    ]
    return min(places, key=lambda n: place_distance(node_pose(n), pose))


def place_distance(a: Pose, b: Pose) -> float:
    """Straight distance between two poses [m]."""
    return math.hypot(a.x - b.x, a.y - b.y)


def successor(node: RoomNode, action: int, branches: Collection[int]) -> RoomNode:
    """Where an action leads; the node itself if blocked."""
    if action == TURN_LEFT:
        return node._replace(heading=(node.heading + 1) % NUM_SECTORS)
    if action == TURN_RIGHT:
        return node._replace(heading=(node.heading - 1) % NUM_SECTORS)
    reverse = 0 if action == FORWARD else NUM_SECTORS // 2
    return _move(node, (node.heading + reverse) % NUM_SECTORS, branches)


def _move(node: RoomNode, direction: int, branches: Collection[int]) -> RoomNode:
    if node.sector == HUB:
        open_ = direction in branches
        return node._replace(sector=direction, depth=1) if open_ else node
    if direction == node.sector:
        return node._replace(depth=min(node.depth + 1, CHAMBER_DEPTH))
    if direction != (node.sector + NUM_SECTORS // 2) % NUM_SECTORS:
        return node
    if node.depth == 1:
        return node._replace(sector=HUB, depth=0)
    return node._replace(depth=node.depth - 1)


def turns(start: int, end: int) -> list[int]:
    """The shortest turns from one heading to another (left on a tie)."""
    left = (end - start) % NUM_SECTORS
    if left <= NUM_SECTORS // 2:
        return [TURN_LEFT] * left
    return [TURN_RIGHT] * (NUM_SECTORS - left)
