"""`VideoPlanPlanner`: imagine a video of the goal, read the actions from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from planners.best import better
from planners.checks import phrases_of
from planners.search_planner import SearchPlanner
from world_model.api import Generators, Memory, WorldModel, with_latents
from world_model.core import Context, Goal
from world_model.policy_api import Objective, Plan


class InverseDynamics(Protocol):
    """Reads which action led from one view to the next."""

    def read(self, before: Tensor, after: Tensor) -> Tensor:
        """The likeliest action between latents (M, c, h, w) each, (M,) int64."""


class VideoPlanPlanner(SearchPlanner):
    """Generates what going to the goal looks like; searches and scores nothing.

    The way of UniPi (Du et al. 2023, arXiv 2302.00111) and AVDC, which SlowFast-VGen
    takes for its long-horizon planning: told the goal in words, the world model
    imagines the next chunks; an inverse-dynamics model reads an action from every two
    neighbouring views. The memory is read while the video is generated.
    `planner.replan_every` says how long the video is followed: to its end (open loop),
    as in the paper, or for one action.

    Subgoals that an image explains are first put into words that the model was told
    (`GoalWords`).

    Imagines one sequence of `horizon` chunks per decision.

    Args:
        world_model: Imagines; it must have been told goals (`GoalTold`).
        objective: Only says how likely success is, for the record.
        inverse_dynamics: Reads actions from latents.
        words: Says what is to be told, from present views (B, c, h, w) and the goal;
            None tells the instructions.
        horizon: Chunks of a video.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        inverse_dynamics: InverseDynamics,
        words: Callable[[Tensor, Goal], Sequence[str]] | None = None,
        *,
        horizon: int = 7,
    ) -> None:
        phrases_of(world_model.action_space, "video_plan")
        super().__init__(world_model, objective, longest=horizon, action_cost=0.0)
        self.inverse_dynamics = inverse_dynamics
        self.words = words or (lambda _, goal: goal.instructions)
        if not hasattr(world_model, "goal_numbers"):
            raise ValueError(
                "`video_plan` needs a world model that can be told a goal in words, "
                f"got {type(world_model).__name__}: use planner=mpc."
            )
        world_model.goal_numbers([])  # refuses weights that were never told goals

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
        """See `SearchPlanner`; one video, one plan."""
        first = with_latents(self.world_model, context.last(1)).latents
        assert first is not None
        goals = self.words(first[:, 0], goal)
        told = self.world_model.goal_numbers(goals)  # type: ignore[attr-defined]
        steps = told[:, None, None].expand(-1, 1, self._num_steps(horizon))
        rollout = self.world_model.rollout(
            context, steps, memory=memory, generator=generator
        )
        views = torch.cat([first, rollout.latents[:, 0, :, -1]], dim=1)
        before, after = views[:, :-1], views[:, 1:]
        read = self.inverse_dynamics.read(before.flatten(0, 1), after.flatten(0, 1))
        costs = self.objective(rollout, goal)[:, :, -1].cpu()
        plan = better(None, rollout, costs, self.objective, goal)
        actions = read.reshape(before.shape[:2])
        yield Plan(actions, plan.lengths, plan.costs, plan.predicted_success)
