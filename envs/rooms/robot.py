"""Closed-loop driving of the differential robot."""

from __future__ import annotations

import math

import numpy as np

from envs.gl import mujoco
from envs.rooms.lattice import STEP, Pose, wrap
from envs.rooms.scene import CHASSIS_RADIUS, CURTAIN_GROUP, TRACK, WHEEL_RADIUS
from world_model.phrase_space import Motion

MAX_SUBSTEPS = 200
"""A blocked move, there and back, takes about 110 and at most 180."""

_MAX_SPEED = 2.0  # [m/s]
_MAX_ACCELERATION = 7.0  # [m/s^2]
_MAX_TURN_RATE = 6.0  # [rad/s]
_MAX_TURN_ACCELERATION = 40.0  # [rad/s^2]
_GAIN = 25.0  # of the last centimetres and degrees [1/s]
_OFFSET_GAIN = 60.0  # turn per metre driven and metre beside the line [rad/m^2]
_YAW_GAIN = 8.0  # turn per metre driven and radian off the line [1/m]

_BEAM_HEIGHT = 0.12  # of the range sensor, above the wheels [m]
_SHORT_WAY = 0.10  # is not looked over [m]
_BUMP_SPEED = 0.30  # at which an obstacle is touched [m/s]
_BUMP_MARGIN = 0.02  # before the obstacle where the robot is already slow [m]

_POSITION_TOLERANCE = 0.004  # [m]
_YAW_TOLERANCE = 0.005  # [rad]
_REST_SPEED = 0.03  # [m/s] and [rad/s]

# Geom groups a beam is stopped by: all but the curtains.
_FELT = np.array([g != CURTAIN_GROUP for g in range(6)], np.uint8)


class Driver:
    """Drives the robot of a scene to absolute poses by its wheel velocities."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, chassis: int
    ) -> None:
        self._model = model
        self._data = data
        self._chassis = chassis
        self._body = int(model.geom_bodyid[chassis])
        self._speed = 0.0
        self._turn_rate = 0.0

    @property
    def pose(self) -> Pose:
        """The robot's real pose."""
        x, y, _, w, i, j, k = self._data.qpos[:7].tolist()
        return Pose(x, y, math.atan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k)))

    def drive(self, target: Pose, retreat: Pose) -> np.ndarray:
        """Drives to `target`; after a collision, back to `retreat`.

        Both are absolute, so that the errors of earlier drives never add up.

        Returns:
            The base's path (S, 7): position and quaternion after each substep.
        """
        self._speed = self._turn_rate = 0.0
        bump = self._obstacle(target)
        path = []
        for _ in range(MAX_SUBSTEPS):
            if self._control(target, bump):
                break
            mujoco.mj_step(self._model, self._data)
            path.append(self._data.qpos[:7].copy())
            if target is not retreat and self._bumped():
                target, bump = retreat, None
                self._speed = self._turn_rate = 0.0
        self._data.ctrl[:] = 0.0
        return np.array(path)

    def _control(self, target: Pose, bump: Pose | None) -> bool:
        """Sets the wheel velocities; True if the robot rests at the target.

        Args:
            target: Where to go.
            bump: Where an obstacle will be touched; approached slowly.
        """
        pose = self.pose
        dx, dy = target.x - pose.x, target.y - pose.y
        c, s = math.cos(pose.yaw), math.sin(pose.yaw)
        ahead, left = c * dx + s * dy, c * dy - s * dx
        yaw = wrap(target.yaw - pose.yaw)
        if self._arrived(ahead, yaw):
            return True
        speed = _profile(ahead, _MAX_SPEED, _MAX_ACCELERATION)
        if bump is not None:
            gap = math.hypot(bump.x - pose.x, bump.y - pose.y)
            gap = max(0.0, gap - _BUMP_MARGIN)
            slow = math.sqrt(_BUMP_SPEED**2 + _MAX_ACCELERATION * gap)
            speed = math.copysign(min(abs(speed), slow), speed)
        self._speed = _approach(self._speed, speed, _MAX_ACCELERATION * self._dt)
        rate = _profile(yaw, _MAX_TURN_RATE, _MAX_TURN_ACCELERATION)
        rate += self._speed * _OFFSET_GAIN * left + abs(self._speed) * _YAW_GAIN * yaw
        rate = max(-_MAX_TURN_RATE, min(_MAX_TURN_RATE, rate))
        limit = _MAX_TURN_ACCELERATION * self._dt
        self._turn_rate = _approach(self._turn_rate, rate, limit)
        half = self._turn_rate * TRACK / 2
        self._data.ctrl[0] = (self._speed - half) / WHEEL_RADIUS
        self._data.ctrl[1] = (self._speed + half) / WHEEL_RADIUS
        return False

    def _arrived(self, ahead: float, yaw: float) -> bool:
        if abs(ahead) > _POSITION_TOLERANCE or abs(yaw) > _YAW_TOLERANCE:
            return False
        vx, vy, *_, spin = self._data.qvel[:6].tolist()
        return math.hypot(vx, vy) < _REST_SPEED and abs(spin) < _REST_SPEED

    def _obstacle(self, target: Pose) -> Pose | None:
        """Where the bumper will touch something on the way, by three range beams."""
        pose = self.pose
        way = math.hypot(target.x - pose.x, target.y - pose.y)
        if way < _SHORT_WAY:
            return None
        ux, uy = (target.x - pose.x) / way, (target.y - pose.y) / way
        free = way
        for side in (-0.8 * CHASSIS_RADIUS, 0.0, 0.8 * CHASSIS_RADIUS):
            start = np.array([pose.x - side * uy, pose.y + side * ux, _BEAM_HEIGHT])
            reach = self._beam(start, np.array([ux, uy, 0.0]))
            free = min(free, reach - math.sqrt(CHASSIS_RADIUS**2 - side**2))
        if free >= way:
            return None
        return Pose(pose.x + free * ux, pose.y + free * uy, pose.yaw)

    def _beam(self, start: np.ndarray, direction: np.ndarray) -> float:
        """Distance to the nearest solid surface that is not the robot [m]."""
        geom = np.zeros(1, np.int32)
        reach = mujoco.mj_ray(
            self._model, self._data, start, direction, _FELT, 1, self._body, geom
        )
        return reach if reach >= 0 else math.inf

    def _bumped(self) -> bool:
        contacts = self._data.contact
        return self._chassis in contacts.geom1 or self._chassis in contacts.geom2

    @property
    def _dt(self) -> float:
        return float(self._model.opt.timestep)


def ahead_of(pose: Pose, sign: int) -> Pose:
    """The pose one lattice step ahead (+1) or behind (-1)."""
    step = sign * STEP
    return Pose(
        pose.x + step * math.cos(pose.yaw), pose.y + step * math.sin(pose.yaw), pose.yaw
    )


def sample_path(path: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Rows of a path (S, 7) at fractions of its length, turns counted too."""
    moved = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1)
    turned = np.linalg.norm(np.diff(path[:, 3:], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(moved + turned)])
    return path[np.searchsorted(length, fractions * length[-1])]


def shifted(base: np.ndarray, offset: Motion) -> np.ndarray:
    """A base (7,) moved by (forward [m], left [m], turn [degrees])."""
    forward, left, turn = offset
    w, i, j, k = base[3:7].tolist()
    yaw = math.atan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k))
    c, s, half = math.cos(yaw), math.sin(yaw), math.radians(turn) / 2
    moved = base.copy()
    moved[:2] += c * forward - s * left, s * forward + c * left
    turned = np.array([math.cos(half), 0.0, 0.0, math.sin(half)])
    mujoco.mju_mulQuat(moved[3:7], turned, base[3:7])
    return moved


def _profile(error: float, limit: float, acceleration: float) -> float:
    """The fastest rate from which one can still brake to zero error in time."""
    size = abs(error)
    rate = min(limit, math.sqrt(acceleration * size), _GAIN * size)
    return math.copysign(rate, error)


def _approach(value: float, goal: float, limit: float) -> float:
    return value + max(-limit, min(limit, goal - value))
