"""The `tabletop` domain: robosuite dynamics, an agent view, primitives of language."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from envs.api import Domain, Node
from envs.gl import PHYSICS, get_physics, make_renderer, mujoco
from envs.tabletop.arm import CLOSED, HOME, OPEN, Arm
from envs.tabletop.arrangement import (
    HAND,
    Arrangement,
    arrange,
    spot_place,
    successor,
)
from envs.tabletop.errands import errand
from envs.tabletop.grid import (
    CUBES,
    CUPS,
    OBJECTS,
    TOLERANCE,
    Point,
    cell_place,
)
from envs.tabletop.layout import (
    Layout,
    draw_restore_cubes,
    draw_shell_game,
    draw_swap_back,
)
from envs.tabletop.manipulator import Manipulator
from envs.tabletop.objects import Objects
from envs.tabletop.places import REACH, check_places
from envs.tabletop.simulation import IMAGE_SIZE, TableSimulation
from envs.tabletop.vocabulary import ACTION_SPACE, GOALS, PRIMITIVES
from world_model.phrase_space import PhraseSpace

_MOST_DRAWN = 256  # images that are kept
_KINDS = (draw_restore_cubes, draw_swap_back, draw_shell_game)


@dataclass(frozen=True)
class TabletopState:
    """Everything needed to continue.

    Attributes:
        layout: What lay where at first.
        physics: MuJoCo's full integration state.
        history: Positions of all `OBJECTS` (n, 3) [m], at first and after each action.
    """

    layout: Layout
    physics: np.ndarray
    history: tuple[np.ndarray, ...]


class TabletopDomain(Domain):
    """A Panda that moves cubes and cups by language primitives.

    A chunk is one primitive, six images long. The node is the arrangement.
    """

    id: ClassVar[str] = "tabletop"
    action_space: ClassVar[PhraseSpace] = ACTION_SPACE
    chunk_length: ClassVar[int] = 6
    frame_shape: ClassVar[tuple[int, int, int]] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    vocabulary: ClassVar[tuple[str, ...]] = CUBES
    min_visible_pixels: ClassVar[int] = 40
    travels: ClassVar[bool] = False
    slow: ClassVar[bool] = True

    def __init__(self) -> None:
        self._simulation = TableSimulation()
        self._model = self._simulation.sim.model._model
        self._data = self._simulation.sim.data._data
        # Images are drawn from a second state: looking never disturbs the dynamics.
        self._view = mujoco.MjData(self._model)
        self._options = _visible_groups()
        self._renderer: mujoco.Renderer | None = None
        # Searches ask most often for what does nothing.
        self._drawn = lru_cache(_MOST_DRAWN)(self._draw)
        self._table = Objects(self._model, self._data)
        self._arm = Arm(self._simulation)
        self._manipulator = Manipulator(self._arm, self._table)
        self._rest = self._find_rest()
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        self.start(_KINDS[rng.integers(len(_KINDS))](rng))

    def start(self, layout: Layout) -> None:
        """Puts the objects of a layout on the table, the arm at rest above it.

        Raises:
            ValueError: If the fingers cannot reach one, or two overlap.
        """
        self._show(layout)
        self._set_out({name: start for name, start in layout.starts.items()})
        self._history: tuple[np.ndarray, ...] = (self._positions(),)

    def execute(self, action: int, *, render: bool = True) -> np.ndarray:
        path = self._manipulator.run(PRIMITIVES[action])
        return self._film(path, self.chunk_length if render else 0)

    def drive(
        self, displacement: np.ndarray, *, closed: bool, number: int
    ) -> np.ndarray:
        """Moves the hand, then closes or opens it: below primitives of language.

        Args:
            displacement: Of the finger tips (x, y, z) [m]; they stay above the table
                and within its grid.
            closed: Whether the fingers are to be closed at the end.
            number: How many images are taken of it.

        Returns:
            Images at equal parts of the time (number, H, W, C).
        """
        self._arm.begin()
        self._arm.move(np.clip(self._arm.position + displacement, *REACH))
        if closed != self._arm.holds:
            self._arm.grip(CLOSED if closed else OPEN)
        return self._film(self._arm.path, number)

    def render(self) -> np.ndarray:
        return self._render_from(self._data.qpos)

    def render_wrist(self) -> np.ndarray:
        """What the camera at the wrist sees now (H, W, C)."""
        return self._aim(self._data.qpos, camera="robot0_eye_in_hand").render()

    def tour(self) -> tuple[int, ...]:
        return self._layout.tour

    @property
    def layout(self) -> Layout:
        """The present layout."""
        return self._layout

    @property
    def history(self) -> tuple[np.ndarray, ...]:
        """See `TabletopState`."""
        return self._history

    @property
    def held(self) -> str | None:
        """The object between the fingers."""
        return self._manipulator.held

    @property
    def hand(self) -> np.ndarray:
        """The finger tips (x, y, height above the table) [m]."""
        return self._arm.position

    def covering(self, cube: str) -> str | None:
        """The cup that stands over a cube now."""
        return self._manipulator.covering(cube)

    def position(self, name: str) -> np.ndarray:
        """An object's origin (x, y, height above the table) [m]."""
        return self._table.position(name)

    @property
    def node(self) -> Arrangement:
        places = {name: self._table.place(name) for name in self._table.present}
        return arrange(places, self.held)

    def place(self, node: Node) -> None:
        if node == self.node:
            return
        # Never part of an episode: real objects are moved by the arm alone.
        spots = dict(_checked(node))
        self._set_out({name: (spot_place(s), 0.0) for name, s in spots.items()})

    def successor(self, node: Node, action: int) -> Arrangement:
        return successor(_checked(node), PRIMITIVES[action])

    def start_nodes(self, visited: Collection[Node]) -> list[Arrangement]:
        # Nobody clears the table between the tour and the test.
        return [self.node]

    def home_nodes(self) -> list[Arrangement]:
        return [self._layout.first]

    @property
    def objects(self) -> tuple[str, ...]:
        return tuple(name for name in CUBES if name in self._table.present)

    def found_nodes(self, name: str) -> frozenset[Arrangement]:
        spots = dict(self.node) | {name: HAND}
        return frozenset([tuple(sorted(spots.items()))])

    def found(self, name: str) -> bool:
        return self.held == name

    def segment_objects(self) -> dict[str, int]:
        return self._table.pixels(self._segment(self._data.qpos), self.objects)

    def segment_chunk(self) -> list[dict[str, int]]:
        return [
            self._table.pixels(self._segment(qpos), self.objects)
            for qpos in self._chunk
        ]

    def segment_parts(self) -> dict[Hashable, int]:
        geoms, counts = np.unique(self._segment(self._data.qpos), return_counts=True)
        names = [self._model.geom(g).name if g >= 0 else "" for g in geoms]
        pairs = zip(names, counts.tolist(), strict=True)
        return {name: count for name, count in pairs if name}

    def segment(self, name: str) -> np.ndarray:
        """Which pixels show an object, bool (H, W)."""
        return self._table.mask(self._segment(self._data.qpos), name)

    def is_at(self, node: Node) -> bool:
        return self.node == node

    def distance(self, a: Node, b: Node) -> float:
        ends = dict(_checked(b))
        gaps = [
            math.dist(spot_place(spot), spot_place(ends[name]))
            for name, spot in _checked(a)
            if HAND not in (spot, ends[name])
        ]
        return float(np.mean(gaps)) if gaps else 0.0

    def errand(self, rng: np.random.Generator) -> list[int]:
        return errand(self.node, rng)

    def toward(self, goal: str) -> int | None:
        """See `Domain.toward`; goals are those of `GOALS`."""
        if goal not in GOALS or self._is_reached(goal):
            return None
        pick, place = GOALS[goal]
        is_held = self.held == PRIMITIVES[pick].cube
        picked = self.node if is_held else self.successor(self.node, pick)
        if not is_held and picked == self.node:
            return None
        if self.successor(picked, place) == picked:  # the cell is taken
            return None
        return place if is_held else pick

    def _is_reached(self, goal: str) -> bool:
        """Whether a cube lies as near to its cell as tasks ask for."""
        pick, place = (PRIMITIVES[action] for action in GOALS[goal])
        if pick.cube not in self._table.present or self.held == pick.cube:
            return False
        assert place.cell is not None
        gap = math.dist(self._table.place(pick.cube), cell_place(place.cell))
        return gap <= TOLERANCE

    def uncovers(self, action: int) -> bool:
        there_are_cups = not self._table.present.isdisjoint(CUPS)
        return there_are_cups and PRIMITIVES[action].verb == "lift"

    def positions(self) -> np.ndarray:
        """Positions of all `OBJECTS`, then of the finger tips (n, 3) float32 [m]."""
        return np.vstack([self._positions(), self.hand]).astype(np.float32)

    def get_state(self) -> TabletopState:
        physics = get_physics(self._model, self._data)
        return TabletopState(self._layout, physics, self._history)

    def set_state(self, state: TabletopState) -> None:
        if state.layout is not self._layout:
            self._show(state.layout)
        self._history = state.history
        mujoco.mj_setState(self._model, self._data, state.physics, PHYSICS)
        self._look_again()

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _film(self, path: list[np.ndarray], number: int) -> np.ndarray:
        """Notes what an action did; images of its path of joint positions."""
        self._look_again()
        self._history += (self._positions(),)
        if not number:
            return np.zeros((0, *self.frame_shape), np.uint8)
        self._chunk = _sample(path or [self._data.qpos.copy()], number)
        return np.stack([self._render_from(qpos) for qpos in self._chunk])

    def _find_rest(self) -> np.ndarray:
        """The state of the arm at rest above the table, all objects parked."""
        self._table.show_only(())
        self._arm.move(HOME)
        self._data.qvel[:] = 0.0
        return get_physics(self._model, self._data)

    def _show(self, layout: Layout) -> None:
        self._layout = layout
        self._drawn.cache_clear()  # other objects may be there
        self._table.show_only(frozenset(layout.starts))

    def _set_out(self, starts: dict[str, tuple[Point, float]]) -> None:
        """Arm and objects at rest; what follows depends on `starts` only."""
        check_places({name: place for name, (place, _) in starts.items()})
        mujoco.mj_setState(self._model, self._data, self._rest, PHYSICS)
        self._data.time = 0.0
        self._data.qacc_warmstart[:] = 0.0
        self._table.show_only(self._table.present)
        for name, (place, yaw) in starts.items():
            self._table.put(name, place, yaw)
        mujoco.mj_forward(self._model, self._data)
        self._data.qacc_warmstart[:] = 0.0

    def _look_again(self) -> None:
        """Lets places and contacts follow from the state, not from the last step."""
        warm = self._data.qacc_warmstart.copy()
        mujoco.mj_forward(self._model, self._data)
        self._data.qacc_warmstart[:] = warm

    def _positions(self) -> np.ndarray:
        return np.stack([self._table.position(name) for name in OBJECTS])

    def _aim(self, qpos: np.ndarray, camera: str = "agent") -> mujoco.Renderer:
        if self._renderer is None:
            self._renderer = make_renderer(self._model, IMAGE_SIZE)
        self._view.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._view)
        mujoco.mj_camlight(self._model, self._view)
        self._renderer.update_scene(
            self._view, camera=camera, scene_option=self._options
        )
        return self._renderer

    def _render_from(self, qpos: np.ndarray) -> np.ndarray:
        return self._drawn(qpos.tobytes()).copy()

    def _draw(self, qpos: bytes) -> np.ndarray:
        return self._aim(np.frombuffer(qpos)).render()

    def _segment(self, qpos: np.ndarray) -> np.ndarray:
        """The geom that each pixel shows, int32 (H, W), -1 for none."""
        renderer = self._aim(qpos)
        renderer.enable_segmentation_rendering()
        geoms = renderer.render()[..., 0].copy()
        renderer.disable_segmentation_rendering()
        return geoms


def _visible_groups() -> mujoco.MjvOption:
    """Robosuite's visual geoms only: no collision shapes, no sites."""
    options = mujoco.MjvOption()
    options.geomgroup[:] = 0
    options.geomgroup[1] = 1
    options.sitegroup[:] = 0
    return options


def _sample(path: list[np.ndarray], number: int) -> list[np.ndarray]:
    """Joint positions at equal parts of a path's time, the last one at its end."""
    ends = [math.ceil(len(path) * (i + 1) / number) - 1 for i in range(number)]
    return [path[end] for end in ends]


def _checked(node: Node) -> Arrangement:
    if not isinstance(node, tuple):
        raise TypeError(f"A node of `tabletop` must be an arrangement, got {node!r}.")
    return node
