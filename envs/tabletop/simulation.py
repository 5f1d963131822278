"""The robosuite environment below `tabletop`: a Panda, a table, cubes and cups."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from envs.gl import mujoco
from envs.tabletop.grid import (
    CELLS,
    CUBE_SIZE,
    CUBES,
    CUPS,
    GREEN_AREA,
    OBJECTS,
    PITCH,
    Cell,
    cell_place,
)
from envs.tabletop.library import (
    Arena,
    BoxObject,
    CompositeObject,
    ManipulationEnv,
    ManipulationTask,
    PandaGripperBase,
    load_composite_controller_config,
    register_gripper,
)

IMAGE_SIZE = 64
CONTROL_FREQUENCY = 25  # [Hz]
TIMESTEP = 0.004  # [s]
_CUBE_COLOURS = {
    "red cube": (0.90, 0.08, 0.08, 1.0),
    "blue cube": (0.08, 0.15, 0.95, 1.0),
    "yellow cube": (1.00, 0.85, 0.00, 1.0),
}

CUP_HALF_WIDTH = 0.028  # [m]
CUP_HEIGHT = 0.05  # without the knob [m]
KNOB_HEIGHT = 0.03  # [m]
_WALL = 0.003  # [m]
_CUP_COLOUR = (0.10, 0.55, 0.55, 1.0)
_KNOB_COLOUR = (0.95, 0.95, 0.95, 1.0)
_DENSITY = 200  # [kg/m^3]
# Cubes slide under a cup without tilting it; the fingers' own friction is 2.
_FRICTION = (0.3, 0.005, 0.0001)
_STIFFNESS = 900  # of the operational-space controller [1/s^2]

register_gripper(PandaGripperBase)  # its action is the width itself: no memory


class TableSimulation(ManipulationEnv):
    """One Panda under operational-space control; all objects are always there.

    Who uses it puts the objects an episode needs on the table, see `Objects`.
    Actions are the end effector's pose in the world (position [m] and rotation
    vector [rad]) and the two finger positions in [-1, 1], -1 closed on the left.
    """

    def __init__(self) -> None:
        config = load_composite_controller_config(robot="Panda")
        config["body_parts"]["right"] |= {
            "input_type": "absolute",
            "input_ref_frame": "world",
            "kp": _STIFFNESS,
            "uncouple_pos_ori": False,  # else the hand swings around its goal
        }
        super().__init__(
            "Panda",
            controller_configs=config,
            gripper_types="PandaGripperBase",
            initialization_noise=None,
            use_camera_obs=False,
            has_offscreen_renderer=False,
            control_freq=CONTROL_FREQUENCY,
            ignore_done=True,
            hard_reset=False,
            renderer="mujoco",
        )

    def initialize_time(self, control_freq: float) -> None:
        """Sets the time constants; called whenever the model was compiled."""
        super().initialize_time(control_freq)
        self.model_timestep = TIMESTEP
        _set_options(self.sim.model._model)

    def reward(self, action: np.ndarray | None = None) -> float:
        """Tasks are judged outside."""
        return 0.0

    def _load_model(self) -> None:
        super()._load_model()
        robot = self.robots[0].robot_model
        robot.set_base_xpos(robot.base_xpos_offset["table"](0.8))
        arena = Arena(str(Path(__file__).with_name("table.xml")))
        table = arena.worldbody.find("./body[@name='table']")
        table.extend([_mark(cell) for cell in CELLS])
        cubes = [_cube(name, colour) for name, colour in _CUBE_COLOURS.items()]
        cups = [_cup(name) for name in CUPS]
        self.model = ManipulationTask(arena, [robot], cubes + cups)
        for name in OBJECTS:
            # MuJoCo ignores the value of bodies if no body had one when compiled.
            self.model.worldbody.find(f"./body[@name='{body_name(name)}']").set(
                "gravcomp", "1"
            )

    def _setup_observables(self) -> OrderedDict[str, Any]:
        return OrderedDict()  # read from the state when needed, not every substep

    def _check_robot_configuration(self, robots: Any) -> None:
        """There is only one."""


def body_name(name: str) -> str:
    """Robosuite's name of an object's body."""
    suffix = "main" if name in CUBES else "root"
    return f"{name.replace(' ', '_')}_{suffix}"


def _set_options(model: mujoco.MjModel) -> None:
    model.opt.timestep = TIMESTEP
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model.vis.global_.offwidth = model.vis.global_.offheight = IMAGE_SIZE
    model.vis.quality.offsamples = model.vis.quality.shadowsize = 0
    model.vis.map.znear, model.vis.map.zfar = 0.02, 10.0
    model.vis.headlight.ambient[:] = 0.5
    model.vis.headlight.diffuse[:] = 0.25
    model.vis.headlight.specular[:] = 0.0
    model.stat.extent = 1.0


def _mark(cell: Cell) -> ElementTree.Element:
    """A painted square: what makes the cells visible."""
    x, y = cell_place(cell)
    half = 0.5 * PITCH - (0.0 if cell in GREEN_AREA else 0.003)
    green = cell in GREEN_AREA
    colour = "0.25 0.75 0.3 1" if green else "0.74 0.72 0.68 1"
    return ElementTree.Element(
        "geom",
        name=f"cell_{cell.row}_{cell.column}",
        type="box",
        pos=f"{x} {y} 0.0252",
        size=f"{half} {half} 0.0002",
        rgba=colour,
        group="1",
        contype="0",
        conaffinity="0",
    )


def _cube(name: str, colour: tuple[float, ...]) -> BoxObject:
    return BoxObject(
        name=name.replace(" ", "_"),
        size=[CUBE_SIZE / 2] * 3,
        rgba=colour,
        density=_DENSITY,
        friction=_FRICTION,
    )


def _cup(name: str) -> CompositeObject:
    """Four walls, a lid and a knob on it; its origin is the middle of the opening."""
    wide, high, knob = CUP_HALF_WIDTH, CUP_HEIGHT / 2, KNOB_HEIGHT / 2
    side, thin = wide - _WALL / 2, _WALL / 2
    parts = [
        ((wide, thin, high), (0, side, high), _CUP_COLOUR),
        ((wide, thin, high), (0, -side, high), _CUP_COLOUR),
        ((thin, wide, high), (side, 0, high), _CUP_COLOUR),
        ((thin, wide, high), (-side, 0, high), _CUP_COLOUR),
        ((wide, wide, thin), (0, 0, CUP_HEIGHT - thin), _CUP_COLOUR),
        ((0.01, 0.01, knob), (0, 0, CUP_HEIGHT + knob), _KNOB_COLOUR),
    ]
    return CompositeObject(
        name=name.replace(" ", "_"),
        total_size=[wide, wide, high + knob],
        geom_types=["box"] * len(parts),
        geom_sizes=[size for size, _, _ in parts],
        geom_locations=[place for _, place, _ in parts],
        geom_rgbas=[colour for _, _, colour in parts],
        geom_frictions=[_FRICTION] * len(parts),
        locations_relative_to_center=True,
        density=_DENSITY,
    )
