"""The `fetch` domain: `FetchReach-v4` of Gymnasium-Robotics, seen by a camera.

An outside judge of continuous control: arm, dynamics, actions and the test of success
are theirs (Plappert et al. 2018, arXiv 1802.09464). Ours: the camera is nearer, the
goal is shown as an image of the arm there instead of a red dot, and episodes start
anywhere in the range of goals, so that a goal is several actions away.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs.gl import PHYSICS, get_physics, mujoco
from envs.goal_domain import GoalDomain
from world_model.errors import MachineError

IMAGE_SIZE = 64
STEP = 0.032  # [m] that the hand moves in one of their steps, at the most
_CAMERA = {"distance": 0.9, "azimuth": 150.0, "elevation": -20.0}
_LOOKAT = (1.35, 0.75, 0.55)
_CLOSE = 0.01  # [m] to which the controller goes for goal images and starts


@dataclass(frozen=True)
class FetchState:
    """MuJoCo's whole state and the goal (3,) [m]."""

    physics: np.ndarray
    goal: np.ndarray


class FetchDomain(GoalDomain):
    """An action moves the hand: three numbers in [-1, 1], the same for two steps.

    Each step of theirs takes 0.04 s and moves the hand by up to 3.2 cm along each
    axis. The fourth number of their actions, the blocked gripper, is left out. The
    goal is reached within 5 cm, as theirs is.

    Raises:
        MachineError: If Gymnasium-Robotics is not installed.
    """

    id: ClassVar[str] = "fetch"
    action_space: ClassVar[gymnasium.spaces.Box] = gymnasium.spaces.Box(-1, 1, (3,))
    chunk_length: ClassVar[int] = 2
    frame_shape: ClassVar[tuple[int, int, int]] = (IMAGE_SIZE, IMAGE_SIZE, 3)
    optima: ClassVar[range] = range(2, 6)
    instruction: ClassVar[str] = "reach the place shown"

    def __init__(self) -> None:
        self._env = _make()
        model = self._env.model
        # The red dot would show the goal, shadows and mirrors cost most of a picture.
        model.site_rgba[model.site("target0").id] = 0
        model.light_castshadow[:] = 0
        model.mat_reflectance[:] = 0
        self._env.mujoco_renderer.default_cam_config = {
            **_CAMERA,
            "lookat": np.array(_LOOKAT),
        }
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """See `GoalDomain.reset`."""
        self._env.reset(seed=int(rng.integers(2**31)))
        self.draw_goal(rng)
        self._go_to_goal()  # the start is a goal, too
        self.draw_goal(rng)

    def draw_goal(self, rng: np.random.Generator) -> None:
        """See `GoalDomain.draw_goal`; their own range of goals."""
        reach = self._env.target_range
        self._goal = self._env.initial_gripper_xpos[:3] + rng.uniform(-reach, reach, 3)

    def execute(self, action: np.ndarray, *, render: bool = True) -> np.ndarray:
        """See `GoalDomain.execute`."""
        told = np.append(np.clip(action, -1, 1), 0.0)
        frames = np.zeros((0, *self.frame_shape), np.uint8)
        for _ in range(self.chunk_length):
            self._env.step(told)
            if render:
                frames = np.concatenate([frames, self.render()[None]])
        return frames

    def render(self) -> np.ndarray:
        """See `GoalDomain.render`."""
        return self._env.render().copy()

    @property
    def goal_image(self) -> np.ndarray:
        """See `GoalDomain.goal_image`: the arm there, come from where it is now."""
        state = self.get_state()
        self._go_to_goal()
        image = self.render()
        self.set_state(state)
        return image

    def distance(self) -> float:
        """See `GoalDomain.distance`."""
        return float(np.linalg.norm(self._away))

    def solved(self) -> bool:
        """See `GoalDomain.solved`."""
        return self.distance() < self._env.distance_threshold

    def control(self) -> np.ndarray:
        """Straight towards the goal along each axis, as far as an action goes."""
        return np.clip(self._away / (STEP * self.chunk_length), -1, 1)

    def get_state(self) -> FetchState:
        """See `GoalDomain.get_state`."""
        physics = get_physics(self._env.model, self._env.data)
        return FetchState(physics, self._goal.copy())

    def set_state(self, state: FetchState) -> None:
        """See `GoalDomain.set_state`."""
        mujoco.mj_setState(self._env.model, self._env.data, state.physics, PHYSICS)
        mujoco.mj_forward(self._env.model, self._env.data)
        self._goal = state.goal.copy()

    def close(self) -> None:
        """Releases the renderer."""
        self._env.close()

    @property
    def _away(self) -> np.ndarray:
        """From the hand to the goal (3,) [m]."""
        return self._goal - self._env.data.site("robot0:grip").xpos

    def _go_to_goal(self) -> None:
        for _ in range(4 * self.optima[-1]):
            if self.distance() < _CLOSE:
                return
            self.execute(self.control(), render=False)


def _make() -> Any:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it speaks of other robots
            from gymnasium_robotics.envs.fetch.reach import MujocoFetchReachEnv
    except ModuleNotFoundError as error:
        raise MachineError(
            f"`domain=fetch` needs the package `{error.name}`, which is not "
            "installed: pip install 'slowfast-bench[fetch]'."
        ) from error
    return MujocoFetchReachEnv(
        reward_type="sparse",
        render_mode="rgb_array",
        width=IMAGE_SIZE,
        height=IMAGE_SIZE,
    )
