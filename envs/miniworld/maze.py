"""MiniWorld's maze, furnished: doors, textures per cell, posters and objects."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from envs.miniworld.codes import draw_codes, draw_polygons
from envs.miniworld.gl import Maze, entity, gl, opengl, params
from envs.miniworld.lattice import (
    NUM_COLUMNS,
    NUM_ROWS,
    ROOM_SIZE,
    SPACING,
    TURN,
    WALLS,
    Cell,
    Doors,
    MazeNode,
    Pose,
    centre,
    has_door,
    heading_angle,
    opposite,
    towards,
)

IMAGE_SIZE = 64
FOV_DEG = 60.0
"""MiniWorld's own."""
CAMERA_HEIGHT = 0.6
"""MiniWorld has 1.5, from where objects one metre away are out of view [m]."""
SUBSTEPS = 16
"""Steps of MiniWorld per action: 0.20 m or 5.6 degrees each."""

NUM_OBJECTS = 4
COLOURS = tuple(entity.COLOR_NAMES)
KINDS: dict[str, Callable[[str], Any]] = {
    "ball": lambda colour: entity.Ball(colour, size=_OBJECT_SIZE),
    "box": lambda colour: entity.Box(colour, size=_OBJECT_SIZE),
    "key": lambda colour: entity.MeshEnt(f"key_{colour}", _KEY_SIZE, static=False),
}
VOCABULARY = tuple(f"{c} {k}" for c in COLOURS for k in KINDS)

_OBJECT_SIZE = 0.4  # of balls and boxes [m]
_KEY_SIZE = 0.24  # MiniWorld's own keys are wider than a niche's view [m]
_OBJECT_DISTANCE = 1.2  # from the centre of the cell [m]
_YAW = math.radians(20)  # of objects: a key across would stick out
_DOOR_WIDTH = 0.95  # the agent is 0.8 wide [m]
_DOOR_HEIGHT = 1.8  # [m]
_POSTER_WIDTH, _POSTER_HEIGHT = 2.2, 1.05  # the middle's height [m]
_POSTERS = (
    "airduct_grate",
    "asphalt",
    "brick_wall",
    "cardboard",
    "ceiling_tiles",
    "cinder_blocks",
    "concrete",
    "door_doom",
    "drywall",
    "floor_tiles_bw",
    "grass",
    "lava",
    "marble",
    "metal_grill",
    "picket_fence",
    "rock",
    "slime",
    "stucco",
    "water",
    "wood",
    "wood_planks",
)
_NO_WALLS = {"airduct_grate", "ceiling_tiles", "door_doom", "floor_tiles_bw"}
_WALLS = tuple(texture for texture in _POSTERS if texture not in _NO_WALLS)


class Placement(NamedTuple):
    """An object and the wall that it stands at."""

    name: str
    cell: Cell
    heading: int

    @property
    def view_node(self) -> MazeNode:
        """The pose that faces the object."""
        return MazeNode(*self.cell, self.heading)

    @property
    def position(self) -> tuple[float, float]:
        """Of the object, in MiniWorld's x and z [m]."""
        return _beside(self.cell, self.heading, _OBJECT_DISTANCE)


class FurnishedMaze(Maze):
    """MiniWorld-MazeS3-v0 with places and things that can be told apart.

    MiniWorld draws the maze and, by its domain randomisation, lights, colours and
    variants of textures; it moves the agent, finds collisions and renders. Ours is the
    furniture: openings narrowed to doors, a wall texture for each cell, posters, and
    objects at walls that no door looks at, all from MiniWorld's own stock. Everything
    random follows from the seed of `build`.

    Attributes:
        doors: Pairs of cells that a door joins.
        things: MiniWorld's entities of the objects, in the order of `placements`.
        placements: The objects; fewer than `NUM_OBJECTS` where too few walls are free.
    """

    _compiled: ClassVar[FurnishedMaze | None] = None
    """Whose walls are in MiniWorld's display list: all instances share number 1."""

    def __init__(self) -> None:
        self._coded = False
        # It prints how many samples per pixel the driver grants.
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(
                num_rows=NUM_ROWS,
                num_cols=NUM_COLUMNS,
                room_size=ROOM_SIZE,
                obs_width=IMAGE_SIZE,
                obs_height=IMAGE_SIZE,
                window_width=1,
                window_height=1,
                params=_parameters(),
                domain_rand=True,
            )
            self._code_buffer = opengl.FrameBuffer(IMAGE_SIZE, IMAGE_SIZE, 1)

    def build(self, seed: int) -> None:
        """Builds the world of a seed."""
        self.shadow_window.switch_to()
        self.reset(seed=seed)

    @property
    def pose(self) -> Pose:
        """Where the agent is."""
        x, _, z = self.agent.pos.tolist()
        return Pose(x, z, self.agent.dir)

    @pose.setter
    def pose(self, pose: Pose) -> None:
        self.agent.pos = np.array([pose.x, 0.0, pose.z])
        self.agent.dir = pose.direction

    def drive(self, distance: float, turn: float) -> list[Pose]:
        """Moves [m] and turns [degrees] in steps; after a collision, back again.

        Returns:
            The pose after each step; the present one if not a single step was free.
        """
        path = []
        for _ in range(SUBSTEPS):
            if not self._step(distance / SUBSTEPS, turn / SUBSTEPS):
                break
            path.append(self.pose)
        else:
            return path
        for _ in range(len(path)):
            self._step(-distance / SUBSTEPS, -turn / SUBSTEPS)
            path.append(self.pose)
        return path or [self.pose]

    def parts(self) -> dict[Hashable, int]:
        """Pixels of the present view, by the wall, poster or object that they show."""
        self._coded = True
        try:
            codes = self.render_obs(self._code_buffer)[..., 0]
        finally:
            self._coded = False
        names = [None, *(name for name, _ in self._parts)]
        pixels: Counter[Hashable] = Counter()
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            pixels[names[code]] += int(count)
        del pixels[None]
        return dict(pixels)

    def release(self) -> None:
        """Gives the OpenGL context back."""
        if FurnishedMaze._compiled is self:
            FurnishedMaze._compiled = None
        self.shadow_window.close()

    def add_rect_room(self, **extent: float) -> Any:
        """Gives the next cell its wall."""
        wall = str(self._walls[len(self.rooms)])
        return super().add_rect_room(**extent | {"wall_tex": wall})

    def connect_rooms(self, room_a: Any, room_b: Any, **extent: float) -> None:
        """Joins two cells by a door instead of leaving out the wall."""
        cells = (self._cell(self.rooms.index(room)) for room in (room_a, room_b))
        self.doors |= {frozenset(cells)}
        inwards = (ROOM_SIZE - _DOOR_WIDTH) / 2
        narrowed = {
            name: value + (inwards if name.startswith("min") else -inwards)
            for name, value in extent.items()
        }
        super().connect_rooms(room_a, room_b, **narrowed, max_y=_DOOR_HEIGHT)

    def _gen_world(self) -> None:
        self.doors: Doors = frozenset()
        self._walls = self.np_random.permutation(_WALLS)
        super()._gen_world()
        self.entities.remove(self.box)
        self._place_objects()
        self._hang_posters()
        self._parts = [*self._wall_parts(), *self._furniture_parts()]

    def _place_objects(self) -> None:
        rng = self.np_random
        niches = self.niches()
        cells = sorted({cell for cell, _ in niches})
        chosen = [cells[i] for i in rng.permutation(len(cells))[:NUM_OBJECTS]]
        self.placements: tuple[Placement, ...] = ()
        self.things: list[Any] = []
        for cell, colour in zip(chosen, rng.permutation(COLOURS), strict=False):
            kind = str(rng.choice(list(KINDS)))
            heading = int(rng.choice([h for c, h in niches if c == cell]))
            placement = Placement(f"{colour} {kind}", cell, heading)
            x, z = placement.position
            thing = KINDS[kind](str(colour))
            yaw = heading_angle(heading) + rng.uniform(-_YAW, _YAW)
            self.place_entity(thing, pos=np.array([x, 0.0, z]), dir=yaw)
            self.things.append(thing)
            self.placements += (placement,)

    def niches(self) -> list[tuple[Cell, int]]:
        """Walls without a door that no door looks at."""
        return [
            (cell, heading)
            for cell, heading in _all_walls()
            if not has_door(cell, heading, self.doors)
            and not has_door(cell, opposite(heading), self.doors)
        ]

    def _hang_posters(self) -> None:
        """A poster of its own for each closed wall; behind objects they are alike."""
        backdrops = {(p.cell, p.heading) for p in self.placements}
        backdrop, *textures = self.np_random.permutation(_POSTERS).tolist()
        self._posters: list[tuple[Hashable, Any]] = []
        for wall in _all_walls():
            if has_door(*wall, self.doors):
                continue
            alike = wall in backdrops
            frame = _poster(*wall, backdrop if alike else textures.pop())
            self._posters.append((None if alike else wall, frame))
            self.entities.append(frame)

    def _wall_parts(self) -> Iterator[tuple[Hashable, Callable[[], None]]]:
        """What to draw of the rooms, by what shows it; None for what is everywhere."""
        cells = [self._cell(i) for i in range(NUM_ROWS * NUM_COLUMNS)]
        for cell, room in itertools.zip_longest(cells, self.rooms):
            yield cell, partial(draw_polygons, gl.GL_QUADS, room.wall_verts)
            for surface in (room.floor_verts, room.ceil_verts):
                yield None, partial(draw_polygons, gl.GL_POLYGON, surface)

    def _furniture_parts(self) -> Iterator[tuple[Hashable, Callable[[], None]]]:
        names = (placement.name for placement in self.placements)
        yield from zip(names, (e.render for e in self.things), strict=True)
        yield from ((wall, frame.render) for wall, frame in self._posters)

    @staticmethod
    def _cell(index: int) -> Cell:
        row, column = divmod(index, NUM_COLUMNS)
        return Cell(column, row)

    def _step(self, distance: float, turn: float) -> bool:
        """One step of MiniWorld's dynamics; False if something is in the way."""
        if turn:
            return self.turn_agent(turn)
        return self.move_agent(distance, 0.0)

    def _render_static(self) -> None:
        super()._render_static()
        FurnishedMaze._compiled = self

    def _render_world(self, frame_buffer: Any, render_agent: bool) -> np.ndarray:
        if self._coded:
            draw_codes([draw for _, draw in self._parts])
            return frame_buffer.resolve()
        if FurnishedMaze._compiled is not self:
            self._render_static()
        return super()._render_world(frame_buffer, render_agent)


def _poster(cell: Cell, heading: int, texture: str) -> Any:
    x, z = _beside(cell, heading, ROOM_SIZE / 2)
    return entity.ImageFrame(
        pos=np.array([x, _POSTER_HEIGHT, z]),
        dir=heading_angle(opposite(heading)),
        tex_name=texture,
        width=_POSTER_WIDTH,
    )


def _all_walls() -> list[tuple[Cell, int]]:
    cells = itertools.product(range(NUM_COLUMNS), range(NUM_ROWS))
    return [(Cell(*cell), h) for cell in cells for h in WALLS]


def _beside(cell: Cell, heading: int, distance: float) -> tuple[float, float]:
    (x, z), (dx, dz) = centre(cell), towards(heading)
    return x + distance * dx, z + distance * dz


def _parameters() -> params.DomainParams:
    """MiniWorld's parameters with its randomised lights, but fixed moves and camera."""
    fixed = {
        "forward_step": SPACING / SUBSTEPS,
        "forward_drift": 0.0,
        "turn_step": TURN / SUBSTEPS,
        "bot_radius": 0.4,
        "cam_pitch": 0.0,
        "cam_fov_y": FOV_DEG,
        "cam_height": CAMERA_HEIGHT,
        "cam_fwd_disp": 0.0,
    }
    parameters = params.DEFAULT_PARAMS.copy()
    for name, value in fixed.items():
        parameters.set(name, value)
    return parameters
