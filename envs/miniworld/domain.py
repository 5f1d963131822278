"""The `miniworld` domain: MiniWorld's maze on a lattice of cells and headings."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.api import Domain, Node
from envs.lattice import end_of, path_to
from envs.miniworld.lattice import (
    INVERSES,
    MOTIONS,
    PHRASES,
    Doors,
    MazeNode,
    Pose,
    depth_first,
    headings_at,
    nearest_node,
    neighbours,
    node_pose,
    place_distance,
    shifted,
    successor,
    wrap,
)
from envs.miniworld.maze import (
    IMAGE_SIZE,
    NUM_OBJECTS,
    VOCABULARY,
    FurnishedMaze,
    Placement,
)
from world_model.phrase_space import Motion, PhraseSpace

_FOUND_DISTANCE = 1.4  # [m]
_FOUND_BEARING = math.radians(30)
_AT_DISTANCE = 0.10  # [m]
_AT_ANGLE = math.radians(10)


@dataclass(frozen=True)
class MiniWorldState:
    """The seed that a world follows from and the agent's pose in it."""

    seed: int
    pose: Pose


class MiniWorldDomain(Domain):
    """MiniWorld's agent in MiniWorld's maze of 3 x 3 cells.

    A chunk is a move of 3.25 m, to the next cell, or a turn of 45 degrees, in 16 steps
    of MiniWorld and four images.
    """

    id: ClassVar[str] = "miniworld"
    action_space: ClassVar[PhraseSpace] = PhraseSpace(
        PHRASES, INVERSES, motions=MOTIONS
    )
    chunk_length: ClassVar[int] = 4
    frame_shape: ClassVar[tuple[int, int, int]] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    vocabulary: ClassVar[tuple[str, ...]] = VOCABULARY
    min_visible_pixels: ClassVar[int] = 60
    look_offset: Motion = (0.0, 0.0, 0.0)

    def __init__(self) -> None:
        self._maze = FurnishedMaze()
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Draws mazes until one has a place for every object."""
        while True:
            self._build(int(rng.integers(2**31)))
            if len(self._maze.placements) == NUM_OBJECTS:
                break
        self.place(self._home)

    def execute(self, action: int, *, render: bool = True) -> np.ndarray:
        forward, _, turn = MOTIONS[action]
        path = self._maze.drive(forward, turn)
        if not render:
            return np.zeros((0, *self.frame_shape), np.uint8)
        ends = np.arange(1, self.chunk_length + 1) * len(path) / self.chunk_length
        self._chunk = [path[math.ceil(end) - 1] for end in ends]
        return np.stack([self._render_from(pose) for pose in self._chunk])

    def render(self) -> np.ndarray:
        return self._render_from(self.pose)

    def tour(self) -> tuple[int, ...]:
        """Depth first through all cells, facing each object on the way."""
        node, actions = self._home, list[int]()
        views = {p.cell: p.view_node for p in self._maze.placements}
        *cells, last = depth_first(node.cell, self.doors)
        for cell in [*cells[1:], last]:
            goals = [views[cell]] if cell in views else headings_at(cell)
            way = path_to(self, node, goals) or []
            actions += way
            node = _checked(end_of(self, node, way))
        # On to a cell next door: what the last one holds must be out of sight.
        beyond = [n for c in neighbours(last, self.doors) for n in headings_at(c)]
        return (*actions, *(path_to(self, node, beyond) or []))

    @property
    def doors(self) -> Doors:
        """Pairs of cells that a door joins."""
        return self._maze.doors

    @property
    def pose(self) -> Pose:
        """The agent's real pose."""
        return self._maze.pose

    @property
    def node(self) -> MazeNode:
        return nearest_node(self.pose)

    def place(self, node: Node) -> None:
        self._maze.pose = node_pose(_checked(node))

    def successor(self, node: Node, action: int) -> MazeNode:
        return successor(_checked(node), action, self.doors)

    def start_nodes(self, visited: Collection[Node]) -> list[MazeNode]:
        cells = {node.cell for node in map(_checked, visited)}
        return [node for cell in sorted(cells) for node in headings_at(cell)]

    def home_nodes(self) -> list[MazeNode]:
        return [placement.view_node for placement in self._maze.placements]

    @property
    def objects(self) -> tuple[str, ...]:
        return tuple(placement.name for placement in self._maze.placements)

    def found_nodes(self, name: str) -> frozenset[MazeNode]:
        placement = self._placement(name)
        nodes = headings_at(placement.cell)
        return frozenset(n for n in nodes if _faces(node_pose(n), placement))

    def found(self, name: str) -> bool:
        placement = self._placement(name)
        return self.node.cell == placement.cell and _faces(self.pose, placement)

    def segment_objects(self) -> dict[str, int]:
        return self._count_objects(self.pose)

    def segment_chunk(self) -> list[dict[str, int]]:
        return [self._count_objects(pose) for pose in self._chunk]

    def segment_parts(self) -> dict[Hashable, int]:
        """Pixels of every cell, doorway, picture and object in view."""
        return self._maze.parts()

    def is_at(self, node: Node) -> bool:
        real, ideal = self.pose, node_pose(_checked(node))
        near = place_distance(real, ideal) <= _AT_DISTANCE
        return near and abs(wrap(real.direction - ideal.direction)) <= _AT_ANGLE

    def distance(self, a: Node, b: Node) -> float:
        return place_distance(node_pose(_checked(a)), node_pose(_checked(b)))

    def get_state(self) -> MiniWorldState:
        return MiniWorldState(self._seed, self.pose)

    def set_state(self, state: MiniWorldState) -> None:
        if state.seed != self._seed:
            self._build(state.seed)
        self._maze.pose = state.pose

    def close(self) -> None:
        self._maze.release()

    def _build(self, seed: int) -> None:
        self._seed = seed
        self._maze.build(seed)

    @property
    def _home(self) -> MazeNode:
        return self._maze.placements[0].view_node

    def _placement(self, name: str) -> Placement:
        """The object of that name.

        Raises:
            ValueError: If the layout has no such object.
        """
        for placement in self._maze.placements:
            if placement.name == name:
                return placement
        raise ValueError(
            f"`name` must be an object of the layout, {list(self.objects)}, got {name}."
        )

    def _count_objects(self, pose: Pose) -> dict[str, int]:
        with self._looking_from(pose):
            pixels = self._maze.parts()
        return {name: pixels.get(name, 0) for name in self.objects}

    def _render_from(self, pose: Pose) -> np.ndarray:
        with self._looking_from(shifted(pose, self.look_offset)):
            return self._maze.render_obs()

    @contextlib.contextmanager
    def _looking_from(self, pose: Pose) -> Iterator[None]:
        """Puts the camera elsewhere for a look."""
        here = self.pose
        self._maze.pose = pose
        try:
            yield
        finally:
            self._maze.pose = here


def _faces(pose: Pose, placement: Placement) -> bool:
    x, z = placement.position
    dx, dz = x - pose.x, z - pose.z
    # MiniWorld's z points right where its x points ahead.
    bearing = wrap(math.atan2(-dz, dx) - pose.direction)
    return math.hypot(dx, dz) <= _FOUND_DISTANCE and abs(bearing) <= _FOUND_BEARING


def _checked(node: Node) -> MazeNode:
    if not isinstance(node, MazeNode):
        raise TypeError(f"A node of `miniworld` must be a MazeNode, got {node!r}.")
    return node
