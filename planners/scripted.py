"""`ScriptedPlanner`: plans what it was told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from planners.best import better
from planners.checks import phrases_of
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal
from world_model.errors import unknown_name
from world_model.policy_api import Objective, Plan


class ScriptedPlanner(SearchPlanner):
    """A given list of phrases, in every episode; at its end it begins again.

    Searches nothing: a floor for planners, and a way to see what a model imagines of a
    known path. The script is imagined once per decision, so that its cost and predicted
    success can be compared with what happens. Where it stands is read off the rest of
    the last plan (`warm_start`).

    Imagines one sequence of at most `len(phrases)` chunks per decision.

    Args:
        world_model: The model that imagines; its actions are phrases.
        objective: The cost of what it imagines.
        phrases: What to do, e.g. ["forward", "turn left"].
        action_cost: Cost of one action.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        phrases: Sequence[str],
        action_cost: float = 0.02,
    ) -> None:
        space = phrases_of(world_model.action_space, "scripted")
        if not phrases:
            raise ValueError(
                "`phrases` must name an action, got none: choose from "
                f"{', '.join(space.phrases)}."
            )
        for phrase in phrases:
            if phrase not in space.phrases:
                raise unknown_name("phrase", phrase, space.phrases)
        super().__init__(
            world_model, objective, longest=len(phrases), action_cost=action_cost
        )
        self._script = torch.tensor([space.phrases.index(p) for p in phrases])

    @torch.no_grad()
    def search(
        self,
        context: Context,
        goal: Goal,
        *,
        memory: Memory | None = None,
        warm_start: Plan | None = None,
        generator: Generators,
        horizon: int,
    ) -> Iterator[Plan]:
        """See `SearchPlanner`; continues `warm_start`, or begins the script."""
        actions = self._script.expand(len(goal.instructions), -1)
        if warm_start is not None:
            actions = self._continued(warm_start)
        rollout = self.world_model.rollout(
            context,
            actions[:, None, : self._num_steps(horizon)],
            memory=memory,
            generator=generator,
        )
        costs = self.objective(rollout, goal)[:, :, -1].cpu()
        whole = costs + self.action_cost * rollout.num_steps
        yield better(None, rollout, whole, self.objective, goal)

    def _continued(self, warm_start: Plan) -> Tensor:
        """What is left of every episode's script (B, T); then it begins again."""
        lengths = warm_start.lengths.tolist()
        longest = max(lengths) or len(self._script)
        again = self._script.repeat(1 + longest // len(self._script))
        rests = zip(warm_start.actions, lengths, strict=True)
        return torch.stack([torch.cat([x[:n], again])[:longest] for x, n in rests])
