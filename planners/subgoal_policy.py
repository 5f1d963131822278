"""`SubgoalPolicy`: one subgoal after the other, goal images recalled by the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from planners.mpc import MPCPolicy
from planners.subgoals import Grammar, Subgoal, of_goal_view, plain_grammar
from world_model.api import Memory, WorldModel, with_latents
from world_model.core import Chunk, Goal, Moment, Rollout
from world_model.policy_api import Objective, Observation, Planner


class SubgoalPolicy(MPCPolicy):
    """Takes the instruction apart and plans for the first part that has not held yet.

    The paper's planner is given subgoals by a language model (Hong et al. 2024,
    section 4.3); here a grammar reads them from the instruction. What a subgoal says
    of the past is asked of the memory: it recalls the view of that moment as goal
    image (`Memory.recall`). A memory that does not know leaves the planner without.
    A subgoal has held when the objective takes the present view for a success; it is
    not asked again.

    Args:
        world_model: See `MPCPolicy`, like the other arguments.
        memory: Also asked for goal images.
        planner: Searches action sequences for one subgoal at a time.
        objective: Says whether a subgoal holds.
        replan_every: See `MPCPolicy`.
        grammar: Takes instructions apart.
    """

    def __init__(
        self,
        world_model: WorldModel,
        memory: Memory,
        planner: Planner,
        objective: Objective,
        *,
        replan_every: int = 1,
        grammar: Grammar = plain_grammar,
    ) -> None:
        super().__init__(world_model, memory, planner, replan_every=replan_every)
        self.objective = objective
        self.grammar = grammar

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """See `MPCPolicy.reset`."""
        super().reset(first_images, seeds)
        self._num_chunks = np.zeros(len(seeds), np.int64)
        self._num_shown = self._num_chunks
        self._reached = [0] * len(seeds)
        # Asked once per instruction: a grammar may be a language model.
        self._parts: dict[str, tuple[Subgoal, ...]] = {}

    def observe(self, chunk: Chunk) -> None:
        """See `MPCPolicy.observe`."""
        super().observe(chunk)
        self._num_chunks = self._num_chunks + chunk.active.numpy()

    def resume(self, memory_state: Any, num_shown: Sequence[int]) -> None:
        """See `MPCPolicy.resume`."""
        super().resume(memory_state, num_shown)
        self._num_chunks = np.array(num_shown)

    def relocate(self, images: np.ndarray) -> None:
        """See `MPCPolicy.relocate`; the tour has ended."""
        super().relocate(images)
        self._num_shown = self._num_chunks

    def act(self, obs: Observation) -> np.ndarray:
        """See `MPCPolicy.act`; plans anew as soon as a subgoal has held."""
        self._advance(obs)
        return super().act(obs)

    def goal_of(self, obs: Observation) -> Goal:
        """The present subgoal of every episode, with what memory recalls for it."""
        rows = range(len(obs.active))
        images = tuple(self._image(obs, row) for row in rows)
        return Goal(tuple(self._words(obs, row) for row in rows), None, images)

    def _advance(self, obs: Observation) -> None:
        """Goes on to the next subgoal of episodes whose present one holds."""
        likely = self.objective.success_probability(self._present(), self.goal_of(obs))
        if likely is None:
            return
        for row in np.flatnonzero(obs.active).tolist():
            if likely[row, 0, 0] > 0.5 and not self._is_last(obs, row):
                self._reached[row] += 1
                self._num_due[row] = 0

    def _present(self) -> Rollout:
        """What is seen now, as if it had been imagined, (B, N=1, T=1)."""
        context = with_latents(self.world_model, self._context.last(1))
        assert context.latents is not None
        shape = (len(context.latents), 1, 1)
        return Rollout(
            context=context,
            actions=torch.zeros(shape, dtype=torch.int64),
            latents=context.latents[:, None, None],
            decode=self.world_model.decode,
            recalled=torch.zeros(shape, dtype=torch.bool),
        )

    def _words(self, obs: Observation, row: int) -> str:
        """What the present subgoal says of the present goal image."""
        words = self._subgoal(obs, row).words
        return of_goal_view(words) if self._is_shown(obs, row) else words

    def _image(self, obs: Observation, row: int) -> Tensor | None:
        """Latents of the present goal image: shown by the task, or else recalled."""
        if self._is_shown(obs, row):
            assert obs.goal.images is not None
            return self.world_model.encode(obs.goal.images[row : row + 1])[0]
        when = self._subgoal(obs, row).when
        if when is None:
            return None
        step = 0 if when == "first" else int(self._num_shown[row])
        return self.memory.recall(row, Moment(step))

    def _subgoals(self, obs: Observation, row: int) -> tuple[Subgoal, ...]:
        words = obs.goal.instructions[row]
        if words not in self._parts:
            self._parts[words] = self.grammar(words)
        return self._parts[words]

    def _subgoal(self, obs: Observation, row: int) -> Subgoal:
        return self._subgoals(obs, row)[self._reached[row]]

    def _is_shown(self, obs: Observation, row: int) -> bool:
        """Whether the task shows the present subgoal reached."""
        return obs.goal.images is not None and self._is_last(obs, row)

    def _is_last(self, obs: Observation, row: int) -> bool:
        return self._reached[row] == len(self._subgoals(obs, row)) - 1
