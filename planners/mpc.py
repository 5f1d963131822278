"""`MPCPolicy`: plan in the world model, execute the head of the plan, replan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Goal
from world_model.errors import at_least
from world_model.frames import to_model
from world_model.policy_api import Observation, Plan, Planner, Policy


class MPCPolicy(Policy):
    """Receding-horizon control with a memory that is written after execution.

    Every episode keeps to its own plan and is planned for when that is used up,
    whatever the others do.

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
        at_least(1, replan_every=replan_every)
        self.world_model = world_model
        self.memory = memory
        self.planner = planner
        self.replan_every = replan_every
        self.privileged = world_model.privileged or memory.privileged

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """Forgets everything and opens one episode per seed."""
        self.memory.reset(len(seeds), seeds=seeds)
        self._seeds = tuple(seeds)
        self._num_plans = [0] * len(seeds)
        self._ahead: list[_Ahead | None] = [None] * len(seeds)
        self._num_due = [0] * len(seeds)
        self.last_plan = None
        self.decided = None
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
        """Plans where the last plan is used up; the next action of every episode."""
        active = np.flatnonzero(obs.active).tolist()
        rows = [row for row in active if not self._num_due[row]]
        self.decided = np.isin(np.arange(len(obs.active)), rows)
        if rows:
            self._decide(obs, rows)
        return self._executed(active).numpy()

    def goal_of(self, obs: Observation) -> Goal:
        """What is planned for now."""
        return obs.goal

    def context_for(self, states: Sequence[Any] | None) -> Context:
        """What a prediction starts from now; `states` only reach privileged parts."""
        states = tuple(states) if self.privileged and states is not None else None
        return replace(self._context, state=states)

    def _open(self, images: np.ndarray) -> None:
        space = self.world_model.action_space
        self._context = Context.first(to_model(images), space)
        self._num_due = [0] * len(images)

    def _decide(self, obs: Observation, rows: list[int]) -> None:
        """Plans for episodes `rows`; of what is planned, so much is due."""
        plan = self._plan(obs, rows)
        for i, row in enumerate(rows):
            actions, length = plan.actions[i], int(plan.lengths[i])
            self._ahead[row] = _Ahead(actions, length, plan.costs[i])
            # Nothing was planned beyond a plan's end.
            self._num_due[row] = min(self.replan_every, max(1, length), len(actions))
        self.last_plan = _spread(plan, rows, len(obs.active))

    def _plan(self, obs: Observation, rows: list[int]) -> Plan:
        generator = [
            torch.Generator().manual_seed(_mix(self._seeds[row], self._num_plans[row]))
            for row in rows
        ]
        for row in rows:
            self._num_plans[row] += 1
        return self.planner.plan(
            self.context_for(obs.states).rows(rows),
            self.goal_of(obs).rows(rows),
            memory=self.memory,
            warm_start=self._rest(rows),
            generator=generator,
            horizon=int(obs.steps_left[rows].max()),
        )

    def _rest(self, rows: Sequence[int]) -> Plan | None:
        """What the last plans had still in mind for episodes `rows`."""
        # All episodes begin at once: all have a plan behind them, or none has.
        rests = [rest for row in rows if (rest := self._ahead[row]) is not None]
        longest = max((rest.actions for rest in rests), key=len, default=None)
        if longest is None or not len(longest):
            return None
        return Plan(
            torch.stack([_padded(rest.actions, longest) for rest in rests]),
            torch.tensor([rest.length for rest in rests]),
            torch.stack([rest.cost for rest in rests]),
        )

    def _executed(self, active: Sequence[int]) -> Tensor:
        """The next action of every active episode, zeros for the others."""
        assert self.last_plan is not None
        actions = torch.zeros_like(self.last_plan.actions[:, 0])
        for row in active:
            ahead = self._ahead[row]
            assert ahead is not None
            actions[row], self._ahead[row] = ahead.actions[0], ahead.rest()
            self._num_due[row] -= 1
        return actions


@dataclass(frozen=True)
class _Ahead:
    """What one episode's last plan holds that was not executed yet.

    Attributes:
        actions: (T,) or (T, A).
        length: Actions after which the goal is expected to hold.
        cost: Of the whole plan.
    """

    actions: Tensor
    length: int
    cost: Tensor

    def rest(self) -> _Ahead:
        """Without the first action."""
        return _Ahead(self.actions[1:], max(0, self.length - 1), self.cost)


def _padded(actions: Tensor, like: Tensor) -> Tensor:
    """Actions followed by zeros up to the length of `like`."""
    return torch.cat([actions, torch.zeros_like(like[len(actions) :])])


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
