"""`MPCPolicy`: plan in the world model, execute the head of the plan, replan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Goal
from world_model.frames import to_model
from world_model.policy_api import Observation, Plan, Planner, Policy


class MPCPolicy(Policy):
    """Receding-horizon control with a memory that is written after execution.

    Args:
        world_model: The model the planner imagines with.
        memory: Written with every real chunk, read while planning.
        planner: Searches action sequences.
        replan_every: Executed actions per plan; 1 replans at every step.
    """

    _context: Context

    def __init__(
        self,
        world_model: WorldModel,
        memory: Memory,
        planner: Planner,
        *,
        replan_every: int = 1,
    ) -> None:
        if replan_every < 1:
            raise ValueError(f"`replan_every` must be at least 1, got {replan_every}.")
        self.world_model = world_model
        self.memory = memory
        self.planner = planner
        self.replan_every = replan_every
        self.privileged = world_model.privileged or memory.privileged

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """Forgets everything and opens one episode per seed."""
        self.memory.reset(len(seeds), seeds=seeds)
        self._seeds = tuple(seeds)
        self._decision = 0
        self._queue: Tensor | None = None
        self.last_plan = None
        self._open(first_images)

    def observe(self, chunk: Chunk) -> None:
        """Writes the chunk into memory and appends its last frame to the context."""
        self.memory.write(replace(chunk, context=self._context))
        assert self._context.frames is not None
        frames = torch.cat([self._context.frames, chunk.frames[:, -1:]], dim=1)
        actions = torch.cat([self._context.actions, chunk.actions[:, None]], dim=1)
        longer = Context(actions=actions, frames=frames)
        self._context = longer.last(self.world_model.num_context_frames)

    def resume(self, memory_state: Any, num_shown: Sequence[int]) -> None:
        """Stands where observing tours led before, after `reset`.

        A class that keeps more than its memory of what it observes must override
        this where it overrides `observe`; else its tours are shown again every time.

        Args:
            memory_state: The memory's snapshot after those tours.
            num_shown: Chunks of each episode's tour.
        """
        self.memory.restore(memory_state)

    def relocate(self, images: np.ndarray) -> None:
        """Starts a fresh context: the robot was moved with the camera off."""
        self._open(images)

    def act(self, obs: Observation) -> np.ndarray:
        """Plans if the last plan is used up and returns its next action."""
        if self._queue is None or self._queue.shape[1] == 0:
            plan = self._plan(obs)
            self.last_plan = plan
            # Nothing was planned beyond the end of the shortest plan.
            end = max(1, int(plan.lengths[torch.from_numpy(obs.active)].min()))
            self._queue = plan.actions[:, : min(self.replan_every, end)]
        action, self._queue = self._queue[:, 0], self._queue[:, 1:]
        return action.numpy()

    def goal_of(self, obs: Observation) -> Goal:
        """What is planned for now."""
        return obs.goal

    def context_for(self, states: Sequence[Any] | None) -> Context:
        """What a prediction starts from now; `states` only reach privileged parts."""
        states = tuple(states) if self.privileged and states is not None else None
        return replace(self._context, state=states)

    def _open(self, images: np.ndarray) -> None:
        frames = to_model(images)[:, None]
        space = self.world_model.action_space
        shape = (len(images), 0, *(space.shape or ()))
        dtype = torch.float32 if space.shape else torch.int64
        self._context = Context(actions=torch.zeros(shape, dtype=dtype), frames=frames)
        self._queue = None

    def _plan(self, obs: Observation) -> Plan:
        generator = [
            torch.Generator().manual_seed(_mix(seed, self._decision))
            for seed in self._seeds
        ]
        self._decision += 1
        # Finished episodes are not planned for: they would only cost time.
        rows = np.flatnonzero(obs.active).tolist()
        rest = None if self.last_plan is None else self._rest(self.last_plan, rows)
        plan = self.planner.plan(
            self.context_for(obs.states).rows(rows),
            self.goal_of(obs).rows(rows),
            memory=self.memory,
            warm_start=rest,
            generator=[generator[row] for row in rows],
            horizon=int(obs.steps_left[rows].max()),
        )
        return _spread(plan, rows, len(obs.active))

    def _rest(self, plan: Plan, rows: Sequence[int]) -> Plan | None:
        """What the last plan had still in mind for episodes `rows`."""
        actions = plan.actions[rows, self.replan_every :]
        if actions.shape[1] == 0:
            return None
        lengths = (plan.lengths[rows] - self.replan_every).clamp(min=0)
        return Plan(actions, lengths, plan.costs[rows])


def _spread(plan: Plan, rows: Sequence[int], num_episodes: int) -> Plan:
    """The plan of episodes `rows` as one of all episodes, zeros for the others."""

    def spread(x: Tensor) -> Tensor:
        out = x.new_zeros(num_episodes, *x.shape[1:])
        out[rows] = x
        return out

    likely = plan.predicted_success
    return Plan(
        spread(plan.actions),
        spread(plan.lengths),
        spread(plan.costs),
        None if likely is None else spread(likely),
    )


def _mix(seed: int, decision: int) -> int:
    """One 63-bit seed per episode and decision."""
    words = np.random.SeedSequence([seed, decision]).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])
