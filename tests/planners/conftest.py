"""Toy scenes that planners are asked about: their optimum is known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from world_model.api import WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Objective, Plan, Planner
from world_model.toy import (
    DotWorldModel,
    PointWorldModel,
    dot_distance,
    dot_position,
    draw_dot,
)

MOTIONS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))


class Distance(Objective):
    """How far an imagined image is from the goal image."""

    def __init__(self, distance: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.distance = distance

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        assert goal.images is not None
        return self.distance(rollout.latents[:, :, :, -1], goal.images[:, None, None])

    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor:
        return (self(rollout, goal) < 0.01).float()


class MovingDot(DotWorldModel):
    """A dot whose actions say how they move."""

    def __init__(self) -> None:
        super().__init__()
        space = self.action_space
        self.action_space = PhraseSpace(space.phrases, space.inverses, motions=MOTIONS)


class ReadsDots:
    """Exact inverse dynamics; "up" where nothing moved."""

    def read(self, before: Tensor, after: Tensor) -> Tensor:
        step = dot_position(after) - dot_position(before)
        fits = (step[:, None] == DotWorldModel.STEPS).all(dim=-1)
        return fits.int().argmax(dim=1)


@dataclass(frozen=True)
class Scene:
    """A toy world model, how to draw its places, and what a place costs."""

    world_model: type[WorldModel]
    draw: Callable[[Tensor], Tensor]
    objective: Objective

    def context(self, starts: Sequence[Sequence[float]]) -> Context:
        return Context.first(self.images(starts), self.world_model().action_space)

    def goal(self, goals: Sequence[Sequence[float]]) -> Goal:
        return Goal(("reach it",) * len(goals), self.images(goals))

    def images(self, places: Sequence[Sequence[float]]) -> Tensor:
        return torch.stack([self.draw(torch.tensor(place)) for place in places])

    def make(self, planner: type[Planner], **options: object) -> Planner:
        return planner(self.world_model(), self.objective, **options)

    def ask(
        self,
        planner: Planner,
        starts,
        goals,
        *,
        horizon: int = 9,
        seed: int = 0,
        **more,
    ) -> Plan:
        return planner.plan(
            self.context(starts),
            self.goal(goals),
            generator=[
                torch.Generator().manual_seed(seed + i) for i, _ in enumerate(starts)
            ],
            horizon=horizon,
            **more,
        )


@pytest.fixture(scope="session")
def dot() -> Scene:
    """Cost: share of the longest way, 14 actions."""
    return Scene(MovingDot, draw_dot, Distance(lambda a, b: dot_distance(a, b) / 14))


@pytest.fixture(scope="session")
def point() -> Scene:
    """Cost: the larger coordinate of the way, in units of 1."""

    def draw(position: Tensor) -> Tensor:
        return position.float()[:, None, None]

    return Scene(
        PointWorldModel,
        draw,
        Distance(lambda a, b: (a - b).abs().amax(dim=(-3, -2, -1))),
    )


@pytest.fixture(scope="session")
def reads_dots() -> ReadsDots:
    """What reads actions from the dot's videos."""
    return ReadsDots()
