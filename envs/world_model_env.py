"""`SlowFast/WorldModel-v0`: any world model as a gymnasium environment."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from envs.checked_action import checked_action
from envs.render_mode import check_render_mode
from world_model.api import Memory, WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.errors import at_least
from world_model.frames import to_env, to_model
from world_model.policy_api import Objective


@dataclass(frozen=True)
class Imagination:
    """Where an imagined episode stands; opaque, for `WorldModelEnv.restore`."""

    rollout: Rollout
    goal: Goal
    noise: torch.Tensor


class WorldModelEnv(gymnasium.Env[np.ndarray, Any]):
    """Steps through what a world model imagines; one episode, B = N = 1.

    Observations are the last decoded frame, uint8 (H, W, C). `info["chunk"]` holds
    all F frames of the action (F, H, W, C). The reward is minus the objective's
    cost. Nothing ends the episode but `max_steps`: a world model knows no success.
    The memory is only read; write it and snapshot it outside.

    Args:
        world_model: Imagines the frames.
        objective: Cost of an imagined chunk.
        start: A real environment whose `reset` begins each episode. It observes
            "image", "instruction" and perhaps "goal_image", as `MemoryTaskEnv`.
        memory: What each imagined chunk may read, with one slot, or None.
        max_steps: Actions until the episode is truncated.
        render_mode: "rgb_array" or None.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 8,
    }

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        start: gymnasium.Env[dict[str, Any], Any],
        *,
        memory: Memory | None = None,
        max_steps: int = 16,
        render_mode: str | None = None,
    ) -> None:
        at_least(1, max_steps=max_steps)
        check_render_mode(render_mode)
        if start.action_space != world_model.action_space:
            raise ValueError(
                f"`start` must have the world model's actions, "
                f"{world_model.action_space}, got {start.action_space}: choose a "
                "domain that the model was trained on."
            )
        assert isinstance(start.observation_space, spaces.Dict)
        self.world_model = world_model
        self.objective = objective
        self.memory = memory
        self.max_steps = max_steps
        self.render_mode = render_mode
        # Its own sources of random actions and observations.
        self.action_space = copy.deepcopy(world_model.action_space)
        self.observation_space = copy.deepcopy(start.observation_space["image"])
        self._start = start

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts from `options["context"]` and `options["goal"]`, or a real reset.

        Raises:
            ValueError: If only one of the two is given, or the context is not that
                of one episode.
        """
        super().reset(seed=seed)
        context, goal = self._given(options or {}) or self._real_start()
        self._goal = goal
        self._generator = torch.Generator().manual_seed(
            int(self.np_random.integers(2**62))
        )
        self._rollout = self.world_model.start(context)
        frames = np.stack([self._frame()] * self.world_model.chunk_length)
        return self._frame(), {"chunk": frames}

    @torch.no_grad()
    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Imagines one chunk.

        Raises:
            ValueError: If the action is none.
        """
        done = self._done(action)
        self._rollout = self.world_model.extend(
            self._rollout,
            torch.as_tensor(done)[None, None],
            memory=self.memory,
            generator=[self._generator],
            all_frames=True,
        )
        reward = -float(
            self.objective(self._rollout.last_chunk(), self._goal)[0, 0, -1]
        )
        truncated = self._rollout.num_steps >= self.max_steps
        chunk = self._chunk()
        return chunk[-1], reward, False, truncated, {"chunk": chunk}

    def render(self) -> np.ndarray | None:
        """The last frame, if `render_mode` is "rgb_array"."""
        return self._frame() if self.render_mode else None

    def snapshot(self) -> Imagination:
        """Everything that decides what follows, the noise included."""
        return Imagination(self._rollout, self._goal, self._generator.get_state())

    def restore(self, state: Imagination) -> None:
        """Returns exactly to a state made by `snapshot`."""
        self._rollout, self._goal = state.rollout, state.goal
        self._generator = torch.Generator()
        self._generator.set_state(state.noise)

    def close(self) -> None:
        """Closes the environment that episodes start from."""
        self._start.close()

    def _done(self, action: Any) -> np.ndarray:
        """What is done of an action, as in reality: what its bounds allow."""
        space = self.action_space
        action = np.asarray(checked_action(space, action))
        if not isinstance(space, spaces.Box):
            return action
        return action.astype(space.dtype).clip(space.low, space.high)

    def _given(self, options: dict[str, Any]) -> tuple[Context, Goal] | None:
        if not options:
            return None
        context, goal = options.get("context"), options.get("goal")
        if not isinstance(context, Context) or not isinstance(goal, Goal):
            raise ValueError(
                "`options` must hold both 'context' (Context) and 'goal' (Goal), got "
                f"{sorted(options)}: add the missing one."
            )
        if len(goal.instructions) != 1 or context.actions.shape[0] != 1:
            raise ValueError(
                "`options` must describe one episode (B = 1), got "
                f"{context.actions.shape[0]} contexts and {len(goal.instructions)} "
                "goals: pick one."
            )
        return context, goal

    def _real_start(self) -> tuple[Context, Goal]:
        seed = int(self.np_random.integers(2**31))
        obs, _ = self._start.reset(seed=seed)
        context = Context.first(to_model(obs["image"])[None], self.action_space)
        memory = self.memory
        if self.world_model.privileged or (memory is not None and memory.privileged):
            state = self._start.unwrapped.domain.get_state()  # type: ignore[attr-defined]
            context = replace(context, state=(state,))
        image = obs.get("goal_image")
        images = None if image is None else to_model(image)[None]
        return context, Goal((obs["instruction"],), images)

    def _chunk(self) -> np.ndarray:
        return to_env(self._rollout.decode(self._rollout.latents[0, 0, -1]))

    def _frame(self) -> np.ndarray:
        """The newest frame (H, W, C): imagined, or the context's at the start."""
        if self._rollout.num_steps:
            return self._chunk()[-1]
        latents = self._rollout.context.latents
        assert latents is not None
        return to_env(self._rollout.decode(latents[0, -1]))
