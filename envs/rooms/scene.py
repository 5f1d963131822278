"""The MuJoCo scene of `rooms`, compiled once and repainted for every layout.

All six sectors have a tunnel and a chamber; a plug in the door makes a blank wall.
Geoms are named "<surface>#<index>": all geoms of a surface share its colour.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from envs.gl import mujoco
from envs.rooms.lattice import NUM_SECTORS
from envs.rooms.layout import NUM_BRANCHES, OBJECT_COLOURS, SHAPES, Layout

IMAGE_SIZE = 64
FOV_DEG = 90.0
CAMERA_HEIGHT = 0.35
CHASSIS_RADIUS = 0.12
WHEEL_RADIUS = 0.05
BUMPER_HEIGHT = 0.04
"""Near the centre of mass: a collision must not tip the robot [m]."""
TRACK = 0.18
"""Distance between the wheels' contact points [m]."""

CURTAIN_GROUP = 2
"""Geom group of what is seen but not felt."""

_APOTHEM = 0.60
_DOOR = 0.20
_INNER = 1.22
_OUTER = 2.20
_TAN = math.tan(math.pi / NUM_SECTORS)
_HEIGHT = 0.80
_LINTEL = 0.55
_BOARD_DISTANCE = 0.72
_CHAMBER_X = 1.50
_T = 0.02
"""Thickness of walls [m]."""
_LAP = 0.005
"""By which walls that meet overlap: no cracks, no coplanar faces that flicker [m]."""

# Object sizes in MuJoCo's sense [m]; half heights double as the centre's height.
_OBJECT_SIZES = {"box": "0.14 0.14 0.20", "cylinder": "0.15 0.22", "sphere": "0.18"}
_OBJECT_HEIGHTS = {"box": 0.20, "cylinder": 0.22, "sphere": 0.18}

# Half sizes of a symbol relative to its sign (width, height) and tilt [rad].
_SYMBOL_FORMS = {
    "square": (0.50, 0.55, 0.0),
    "diamond": (0.45, 0.45, math.pi / 4),
    "bar": (0.95, 0.30, 0.0),
    "post": (0.35, 0.95, 0.0),
}


class Scene:
    """A compiled model and the ways to change its looks.

    Attributes:
        model: The MuJoCo model.
        chassis: Geom id of the robot's bumper.
    """

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(build_xml())
        self.chassis = self.model.geom("chassis").id
        self._surfaces: dict[str, list[int]] = defaultdict(list)
        for i in range(self.model.ngeom):
            name = self.model.geom(i).name
            if "#" in name:
                self._surfaces[name.split("#")[0]].append(i)
        self._solid = self.model.geom_contype.copy()
        self._symbol_room = self.model.geom_size.copy()

    def object_geom(self, index: int, shape: str) -> int:
        """Geom id of an object of the layout's `index`-th branch."""
        return self._surfaces[f"object{index}/{shape}"][0]

    def apply(self, layout: Layout, data: mujoco.MjData) -> None:
        """Gives the scene the colours, openings and objects of a layout."""
        for surface, colour in layout.colours.items():
            for geom in self._surfaces[surface]:
                self.model.geom_rgba[geom, :3] = colour
        for sign, symbol in layout.symbols.items():
            for geom in self._surfaces[f"{sign}_symbol"]:
                self._shape_symbol(geom, symbol)
        for sector in range(NUM_SECTORS):
            self._open_sector(sector, layout)
        for index in range(NUM_BRANCHES):
            self._place_object(index, layout, data)

    def _open_sector(self, sector: int, layout: Layout) -> None:
        sides = {branch.sector: branch.side for branch in layout.branches}
        is_branch = sector in sides
        for part in ("plug_wall", "plug", "plug_symbol"):
            self._show(f"{sector}/{part}", not is_branch)
        for part in ("door", "door_symbol"):
            self._show(f"{sector}/{part}", is_branch)
        for i, side in enumerate((1, -1)):
            # The board stands where there is no object, so that every way is blocked.
            shown = is_branch and sides[sector] != side
            for part in ("board", "board_symbol"):
                self._show_geom(self._surfaces[f"{sector}/{part}"][i], shown)

    def _place_object(self, index: int, layout: Layout, data: mujoco.MjData) -> None:
        branch = layout.branches[index]
        for shape in SHAPES:
            geom = self.object_geom(index, shape)
            self._show_geom(geom, shape == branch.shape)
            self.model.geom_rgba[geom, :3] = OBJECT_COLOURS[branch.colour]
        data.mocap_pos[index] = (*branch.position, _OBJECT_HEIGHTS[branch.shape])
        half = branch.yaw / 2
        data.mocap_quat[index] = (math.cos(half), 0.0, 0.0, math.sin(half))

    def _show(self, surface: str, shown: bool) -> None:
        for geom in self._surfaces[surface]:
            self._show_geom(geom, shown)

    def _show_geom(self, geom: int, shown: bool) -> None:
        self.model.geom_rgba[geom, 3] = float(shown)
        self.model.geom_contype[geom] = self._solid[geom] if shown else 0

    def _shape_symbol(self, geom: int, symbol: str) -> None:
        width, height, tilt = _SYMBOL_FORMS[symbol]
        room = self._symbol_room[geom]
        if tilt:
            room = np.array([room[0], min(room[1:]), min(room[1:])])
        self.model.geom_size[geom] = room * (1.0, width, height)
        quat = (math.cos(tilt / 2), math.sin(tilt / 2), 0.0, 0.0)
        self.model.geom_quat[geom] = quat


def build_xml() -> str:
    """The MJCF of all six sectors, the objects and the robot."""
    sectors = "".join(_sector(k) for k in range(NUM_SECTORS))
    objects = "".join(_object(i) for i in range(NUM_BRANCHES))
    return f"""
<mujoco model="rooms">
  <option timestep="0.01" integrator="implicitfast" iterations="10" ls_iterations="5"/>
  <statistic extent="1" center="0 0 0.5"/>
  <visual>
    <global offwidth="{IMAGE_SIZE}" offheight="{IMAGE_SIZE}"/>
    <quality offsamples="0" shadowsize="0"/>
    <map znear="0.02" zfar="20"/>
    <headlight ambient="0.62 0.62 0.62" diffuse="0.14 0.14 0.14" specular="0 0 0"/>
  </visual>
  <asset>
    <texture type="skybox" builtin="flat" rgb1="0.80 0.90 1.0" width="8" height="48"/>
    <mesh name="wedge" vertex="{_wedge_vertices()}"/>
  </asset>
  <default>
    <geom condim="1" contype="2" conaffinity="0"/>
    <default class="paint"><geom contype="0"/></default>
  </default>
  <worldbody>
    <light directional="true" dir="0.35 0.2 -1" diffuse="0.35 0.35 0.35"
      ambient="0 0 0" specular="0 0 0"/>
    <geom name="ground" type="plane" size="4 4 1" contype="1" rgba="0 0 0 0"/>
    <geom name="floor#0" class="paint" type="cylinder" size="1.3 0.01"
      pos="0 0 -0.015"/>
    {sectors}{objects}{_robot()}
  </worldbody>
  <actuator>
    <velocity joint="left" kv="0.5" forcerange="-0.7 0.7"/>
    <velocity joint="right" kv="0.5" forcerange="-0.7 0.7"/>
  </actuator>
</mujoco>"""


def _sector(k: int) -> str:
    """A sector in its own frame: hub wall, tunnel, chamber."""
    parts = [
        *_hub_wall(k),
        *_tunnel(k),
        *_chamber(k),
        *(_side_wall(k, side) for side in (1, -1)),
        *(_board(k, i, side) for i, side in enumerate((1, -1))),
    ]
    angle = 360 / NUM_SECTORS * k
    return f'<body name="sector{k}" euler="0 0 {angle}">{"".join(parts)}</body>'


def _hub_wall(k: int) -> list[str]:
    edge = _APOTHEM * _TAN + 0.01
    x, door = (_APOTHEM, _APOTHEM + _T), _DOOR + _LAP
    return [
        _box(f"{k}/hub_wall#0", x, (door, edge), (0, _HEIGHT)),
        _box(f"{k}/hub_wall#1", x, (-edge, -door), (0, _HEIGHT)),
        _box(f"{k}/hub_wall#2", x, (-door, door), (_LINTEL, _HEIGHT)),
        _box(f"{k}/plug_wall#0", x, (-door, door), (0, _LINTEL)),
        _sign(f"{k}/door", (_APOTHEM, 0, 0.675), 0, (0.20, 0.10)),
        _sign(f"{k}/plug", (_APOTHEM, 0, 0.40), 0, (0.24, 0.22)),
    ]


def _tunnel(k: int) -> list[str]:
    x = (_APOTHEM + _LAP, _INNER - _LAP)
    return [
        _box(f"{k}/tunnel_left#0", x, (_DOOR, _DOOR + _T), (0, _HEIGHT)),
        _box(f"{k}/tunnel_right#0", x, (-_DOOR - _T, -_DOOR), (0, _HEIGHT)),
    ]


def _chamber(k: int) -> list[str]:
    inner, edge, outer = (_INNER - _T, _INNER), _INNER * _TAN, _OUTER * _TAN + _T
    door = _DOOR + _LAP
    return [
        f'<geom name="{k}/chamber_floor#0" class="paint" type="mesh" mesh="wedge"/>',
        _box(f"{k}/inner#0", inner, (door, edge), (0, _HEIGHT)),
        _box(f"{k}/inner#1", inner, (-edge, -door), (0, _HEIGHT)),
        _box(f"{k}/gate#0", inner, (-door, door), (_LINTEL, _HEIGHT)),
        _box(f"{k}/outer#0", (_OUTER, _OUTER + _T), (-outer, outer), (0, _HEIGHT)),
        _sign(f"{k}/sign_outer", (_OUTER, 0, 0.42), 0, (0.35, 0.25)),
        _curtain(k),
    ]


def _curtain(k: int) -> str:
    """What hides a chamber from outside; the robot drives through it."""
    x, width = _INNER - _T - 0.01, _DOOR + _T
    return (
        f'<geom name="{k}/curtain#0" class="paint" type="box" '
        f'group="{CURTAIN_GROUP}" pos="{x} 0 {_HEIGHT / 2}" '
        f'size="0.004 {width} {_HEIGHT / 2}"/>'
    )


def _side_wall(k: int, side: int) -> str:
    name = "left" if side > 0 else "right"
    angle = math.pi / NUM_SECTORS
    middle, half = (_INNER + _OUTER) / 2, (_OUTER - _INNER) / 2 / math.cos(angle)
    degrees = side * math.degrees(angle)
    wall = _box(f"{k}/{name}#0", (-half, half), (-_T / 2, _T / 2), (0, _HEIGHT))
    sign = _sign(f"{k}/sign_{name}", (0.1, -side * _T / 2, 0.45), side * 90, (0.3, 0.2))
    # Half a thickness inwards: each sector has its own face of a shared wall.
    x = middle + math.sin(angle) * _T / 2
    y = side * (middle * _TAN - math.cos(angle) * _T / 2)
    return f'<body pos="{x} {y} 0" euler="0 0 {degrees}">{wall}{sign}</body>'


def _board(k: int, index: int, side: int) -> str:
    """A free-standing sign that blocks the way to the niche without an object."""
    x = _CHAMBER_X + _BOARD_DISTANCE * math.cos(math.pi / 3)
    y = side * _BOARD_DISTANCE * math.sin(math.pi / 3)
    name = f"{k}/board"
    panel = _box(f"{name}#{index}", (0, _T), (-0.28, 0.28), (0, 0.6))
    symbol = _symbol(f"{name}_symbol#{index}", (0.26, 0.26), 0.32)
    return f'<body pos="{x} {y} 0" euler="0 0 {side * 60}">{panel}{symbol}</body>'


def _sign(
    name: str,
    pos: tuple[float, float, float],
    degrees: float,
    half: tuple[float, float],
) -> str:
    """A painted panel with a symbol, facing against its local x axis."""
    panel = (
        f'<geom name="{name}#0" class="paint" type="box" '
        f'size="0.006 {half[0]} {half[1]}"/>'
    )
    symbol = _symbol(f"{name}_symbol#0", half, 0.0)
    x, y, z = pos
    body = f'<body pos="{x} {y} {z}" euler="0 0 {degrees}">'
    return f"{body}{panel}{symbol}</body>"


def _symbol(name: str, half: tuple[float, float], z: float) -> str:
    return (
        f'<geom name="{name}" class="paint" type="box" pos="-0.008 0 {z}" '
        f'size="0.006 {half[0]} {half[1]}"/>'
    )


def _box(
    name: str,
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
) -> str:
    """A solid box given by its intervals [m]."""
    pos = " ".join(f"{(lo + hi) / 2:.6f}" for lo, hi in (x, y, z))
    size = " ".join(f"{(hi - lo) / 2:.6f}" for lo, hi in (x, y, z))
    return f'<geom name="{name}" type="box" pos="{pos}" size="{size}"/>'


def _wedge_vertices() -> str:
    """Corners of a chamber's floor, a thin prism."""
    corners = [
        (x, side * x * _TAN, z)
        for x in (_INNER - _T, _OUTER + _T)
        for side in (1, -1)
        for z in (-0.02, 0.0)
    ]
    return "  ".join(f"{x:.6f} {y:.6f} {z:.6f}" for x, y, z in corners)


def _object(index: int) -> str:
    shapes = "".join(
        f'<geom name="object{index}/{shape}#0" type="{shape}" '
        f'size="{_OBJECT_SIZES[shape]}"/>'
        for shape in SHAPES
    )
    return f'<body name="object{index}" mocap="true" pos="{index} 9 0">{shapes}</body>'


def _robot() -> str:
    """A round robot: two driven wheels, two casters, a camera above its centre.

    Wheels and casters touch the floor as spheres, the bumper is an ellipsoid: one
    contact each. The battery lies low and the casters are soft, so that the robot
    hardly tips and the wheels bear most of its weight.
    """
    wheels = "".join(
        f"""
    <body pos="0 {side * TRACK / 2} 0">
      <joint name="{name}" type="hinge" axis="0 1 0" armature="0.001"/>
      <geom type="sphere" size="{WHEEL_RADIUS}" mass="0.15" contype="0"
        conaffinity="1" condim="3" friction="2 0.005 0.0001" rgba="0 0 0 0"/>
      <geom type="cylinder" size="{WHEEL_RADIUS} 0.012" euler="90 0 0" mass="0.05"
        contype="0" rgba="0.1 0.1 0.1 1"/>
    </body>"""
        for name, side in (("left", 1), ("right", -1))
    )
    casters = "".join(
        f'<geom type="sphere" size="0.02" pos="{x} 0 -0.03" mass="0.05" contype="0" '
        'conaffinity="1" priority="1" solref="0.05 1"/>'
        for x in (0.09, -0.09)
    )
    height = CAMERA_HEIGHT - WHEEL_RADIUS
    return f"""
  <body name="robot" pos="0 0 {WHEEL_RADIUS}">
    <freejoint name="base"/>
    <geom name="chassis" type="ellipsoid" pos="0 0 {BUMPER_HEIGHT - WHEEL_RADIUS}"
      size="{CHASSIS_RADIUS} {CHASSIS_RADIUS} 0.03" mass="0.1" contype="0"
      conaffinity="2" rgba="0 0 0 0"/>
    <geom type="cylinder" size="{CHASSIS_RADIUS} 0.04" pos="0 0 0.02" mass="0.3"
      contype="0" rgba="0.9 0.9 0.92 1"/>
    <geom name="battery" type="cylinder" size="0.06 0.01" pos="0 0 -0.03" mass="3"
      contype="0" rgba="0.2 0.2 0.2 1"/>
    <geom type="cylinder" size="0.01 0.12" pos="0 0 0.16" mass="0.05" contype="0"
      rgba="0.3 0.3 0.3 1"/>
    <camera name="eye" pos="0 0 {height}" xyaxes="0 -1 0 0 0 1" fovy="{FOV_DEG}"/>
    {wheels}{casters}
  </body>"""
