"""The `rooms` domain: MuJoCo dynamics, first-person images, a pie of chambers."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.api import Domain, Node
from envs.gl import PHYSICS, get_physics, make_renderer, mujoco
from envs.rooms.lattice import (
    BACKWARD,
    CHAMBER_DEPTH,
    FORWARD,
    INVERSES,
    MOTIONS,
    NUM_SECTORS,
    PHRASES,
    TURN_LEFT,
    Pose,
    RoomNode,
    nearest_node,
    node_pose,
    place_distance,
    sector_angle,
    successor,
    wrap,
)
from envs.rooms.layout import VOCABULARY, Branch, Layout, draw_layout, tour
from envs.rooms.robot import Driver, ahead_of, sample_path, shifted
from envs.rooms.scene import FOV_DEG, IMAGE_SIZE, Scene
from world_model.phrase_space import Motion, PhraseSpace

_FOUND_DISTANCE = 1.15  # [m]
_FOUND_BEARING = math.radians(30)
_AT_DISTANCE = 0.10  # [m]
_AT_YAW = math.radians(10)


@dataclass(frozen=True)
class RoomsState:
    """A layout and MuJoCo's full integration state."""

    layout: Layout
    physics: np.ndarray


class RoomsDomain(Domain):
    """A wheeled robot among a hub and four chambers that the hub does not show.

    A chunk is a move of 0.75 m or a turn of 60 degrees, four images long.
    """

    id: ClassVar[str] = "rooms"
    action_space: ClassVar[PhraseSpace] = PhraseSpace(
        PHRASES, INVERSES, motions=MOTIONS
    )
    chunk_length: ClassVar[int] = 4
    frame_shape: ClassVar[tuple[int, int, int]] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    vocabulary: ClassVar[tuple[str, ...]] = VOCABULARY
    min_visible_pixels: ClassVar[int] = 60
    look_offset: Motion = (0.0, 0.0, 0.0)

    def __init__(self) -> None:
        self._scene = Scene()
        self._model = self._scene.model
        self._data = mujoco.MjData(self._model)
        # Images are drawn from a second state: looking never disturbs the dynamics.
        self._view = mujoco.MjData(self._model)
        self._driver = Driver(self._model, self._data, self._scene.chassis)
        self._renderer: mujoco.Renderer | None = None
        self._rest = self._settle()
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        self._apply(draw_layout(rng))
        self.place(self._layout.home)

    def execute(self, action: int, *, render: bool = True) -> np.ndarray:
        start = node_pose(self.node)
        if action in (FORWARD, BACKWARD):
            target = ahead_of(start, 1 if action == FORWARD else -1)
        else:
            sign = 1 if action == TURN_LEFT else -1
            target = start._replace(yaw=start.yaw + sign * sector_angle(1))
        path = self._driver.drive(target, retreat=start)
        if not render:
            return np.zeros((0, *self.frame_shape), np.uint8)
        fractions = np.arange(1, self.chunk_length) / self.chunk_length
        self._chunk = [*sample_path(path, fractions), self._data.qpos[:7].copy()]
        return np.stack([self._render_from(base) for base in self._chunk])

    def render(self) -> np.ndarray:
        return self._render_from(self._data.qpos[:7])

    def tour(self) -> tuple[int, ...]:
        return tour(self._layout)

    @property
    def layout(self) -> Layout:
        """The present layout."""
        return self._layout

    @property
    def pose(self) -> Pose:
        """The robot's real pose."""
        return self._driver.pose

    @property
    def node(self) -> RoomNode:
        return nearest_node(self.pose, self._layout.sectors)

    def place(self, node: Node) -> None:
        pose = node_pose(_checked(node))
        # Wheels back to zero and no warm start: what follows depends on `node` only.
        self._data.time = 0.0
        self._data.qpos[:] = self._rest
        self._data.qpos[:2] = pose.x, pose.y
        half = pose.yaw / 2
        self._data.qpos[3:7] = math.cos(half), 0.0, 0.0, math.sin(half)
        for field in (self._data.qvel, self._data.ctrl, self._data.qacc_warmstart):
            field[:] = 0.0
        mujoco.mj_forward(self._model, self._data)

    def successor(self, node: Node, action: int) -> RoomNode:
        return successor(_checked(node), action, self._layout.sectors)

    def start_nodes(self, visited: Collection[Node]) -> list[Node]:
        # Tunnels are left out: a view of a wall at 0.2 m tells little.
        places = {(n.sector, n.depth) for n in map(_checked, visited) if n.depth != 1}
        return [RoomNode(*p, h) for p in sorted(places) for h in range(NUM_SECTORS)]

    def home_nodes(self) -> list[RoomNode]:
        return [branch.view_node for branch in self._layout.branches]

    @property
    def objects(self) -> tuple[str, ...]:
        return tuple(branch.name for branch in self._layout.branches)

    def found_nodes(self, name: str) -> frozenset[RoomNode]:
        branch = self._layout.branch(name)
        nodes = (RoomNode(branch.sector, 2, h) for h in range(NUM_SECTORS))
        return frozenset(n for n in nodes if _faces(node_pose(n), branch))

    def found(self, name: str) -> bool:
        branch = self._layout.branch(name)
        node = self.node
        in_chamber = (node.sector, node.depth) == (branch.sector, CHAMBER_DEPTH)
        return in_chamber and _faces(self.pose, branch)

    def segment_objects(self) -> dict[str, int]:
        """Pixels of every object in the present view, by name."""
        return self._count_objects(self._data.qpos[:7])

    def segment_chunk(self) -> list[dict[str, int]]:
        return [self._count_objects(base) for base in self._chunk]

    def segment_parts(self) -> dict[Hashable, int]:
        """Pixels of every geom in view, by name; the hub's floor is everywhere."""
        geoms, counts = np.unique(
            self._segment(self._data.qpos[:7]), return_counts=True
        )
        names = [self._model.geom(g).name if g >= 0 else "" for g in geoms]
        pairs = zip(names, counts.tolist(), strict=True)
        return {n: count for n, count in pairs if "/" in n}

    def depth(self) -> np.ndarray:
        """Distance along the optical axis, float32 (H, W) [m]."""
        renderer = self._aim(self._data.qpos[:7])
        renderer.enable_depth_rendering()
        depth = renderer.render().copy()
        renderer.disable_depth_rendering()
        return depth

    def camera_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """The camera's position (3,) [m] and rotation matrix (3, 3).

        The matrix's columns are right, up and backward in the world.
        """
        self._pose_view(self._data.qpos[:7])
        camera = self._view.cam("eye")
        return camera.xpos.copy(), camera.xmat.reshape(3, 3).copy()

    @property
    def focal_length_px(self) -> float:
        """Focal length, equal on both axes [px]."""
        return IMAGE_SIZE / 2 / math.tan(math.radians(FOV_DEG) / 2)

    def is_at(self, node: Node) -> bool:
        real, ideal = self.pose, node_pose(_checked(node))
        near = place_distance(real, ideal) <= _AT_DISTANCE
        return near and abs(wrap(real.yaw - ideal.yaw)) <= _AT_YAW

    def distance(self, a: Node, b: Node) -> float:
        return place_distance(node_pose(_checked(a)), node_pose(_checked(b)))

    def get_state(self) -> RoomsState:
        physics = get_physics(self._model, self._data)
        return RoomsState(self._layout, physics)

    def set_state(self, state: RoomsState) -> None:
        if state.layout is not self._layout:
            self._apply(state.layout)
        mujoco.mj_setState(self._model, self._data, state.physics, PHYSICS)
        # The range sensor reads where objects are, which follows from the state.
        mujoco.mj_kinematics(self._model, self._data)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _apply(self, layout: Layout) -> None:
        self._layout = layout
        self._scene.apply(layout, self._data)
        self._view.mocap_pos[:] = self._data.mocap_pos
        self._view.mocap_quat[:] = self._data.mocap_quat

    def _settle(self) -> np.ndarray:
        """The joint positions (9,) of the robot at rest on the floor."""
        for _ in range(100):
            mujoco.mj_step(self._model, self._data)
        rest = np.zeros(self._model.nq)
        rest[2] = self._data.qpos[2]
        return rest

    def _pose_view(self, base: np.ndarray) -> None:
        self._view.qpos[:7] = base
        mujoco.mj_kinematics(self._model, self._view)
        mujoco.mj_camlight(self._model, self._view)

    def _aim(self, base: np.ndarray) -> mujoco.Renderer:
        if self._renderer is None:
            self._renderer = make_renderer(self._model, IMAGE_SIZE)
        self._pose_view(base)
        self._renderer.update_scene(self._view, camera="eye")
        return self._renderer

    def _segment(self, base: np.ndarray) -> np.ndarray:
        """The geom that each pixel shows, int32 (H, W), -1 for none."""
        renderer = self._aim(base)
        renderer.enable_segmentation_rendering()
        geoms = renderer.render()[..., 0].copy()
        renderer.disable_segmentation_rendering()
        return geoms

    def _count_objects(self, base: np.ndarray) -> dict[str, int]:
        geoms = self._segment(base)
        return {
            b.name: int((geoms == self._scene.object_geom(i, b.shape)).sum())
            for i, b in enumerate(self._layout.branches)
        }

    def _render_from(self, base: np.ndarray) -> np.ndarray:
        if any(self.look_offset):
            base = shifted(base, self.look_offset)
        return self._aim(base).render()


def _faces(pose: Pose, branch: Branch) -> bool:
    dx, dy = branch.position[0] - pose.x, branch.position[1] - pose.y
    bearing = wrap(math.atan2(dy, dx) - pose.yaw)
    return math.hypot(dx, dy) <= _FOUND_DISTANCE and abs(bearing) <= _FOUND_BEARING


def _checked(node: Node) -> RoomNode:
    if not isinstance(node, RoomNode):
        raise TypeError(f"A node of `rooms` must be a RoomNode, got {node!r}.")
    return node
