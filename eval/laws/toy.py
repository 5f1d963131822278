"""`ToyScene`: questions on the toy worlds, the same every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from world_model.api import WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Objective
from world_model.toy import (
    DotWorldModel,
    PointWorldModel,
    dot_distance,
    draw_dot,
    point_distance,
)

MOTIONS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))
"""How up, down, left and right move the dot."""
WORDS = "go to the yellow sphere"


class ToyDistance(Objective):
    """Cost of a toy rollout: what is left to the goal image [actions].

    Args:
        distance: Of two images.
    """

    def __init__(self, distance: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.distance = distance

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        """See `Objective.__call__`."""
        ends = rollout.latents[:, :, :, -1]
        # Policies of subgoals hand over as latents, here images, what they were shown.
        shown = goal.recalled if goal.images is None else goal.images
        images = torch.stack([image for image in shown if image is not None])
        left = self.distance(ends, images[:, None, None])
        return left.float() + 0 * ends.mean(dim=(-3, -2, -1))  # keeps gradients

    def success_probability(self, rollout: Rollout, goal: Goal) -> Tensor:
        """1 where nothing is left, else 0."""
        return (self(rollout, goal) == 0).float()


@dataclass(frozen=True)
class ToyScene:
    """A toy world, and how to draw its places.

    Attributes:
        name: In reports.
        model: Makes the world.
        distance: Fewest actions between two images.
        draw: Makes the image of a place in [0, 1)^2.
    """

    name: str
    model: Callable[[], WorldModel]
    distance: Callable[[Tensor, Tensor], Tensor]
    draw: Callable[[Tensor], Tensor]

    def objective(self) -> Objective:
        """What is left to the goal."""
        return ToyDistance(self.distance)

    def context(self, num_episodes: int) -> Context:
        """One image (B, 1, C, H, W) each, and no action yet."""
        images = self._places(num_episodes, seed=0)
        return Context.first(images, self.model().action_space)

    def goal(self, num_episodes: int, *, seed: int = 1) -> Goal:
        """Other places, told in words and by image."""
        return Goal((WORDS,) * num_episodes, self._places(num_episodes, seed=seed))

    def _places(self, count: int, seed: int) -> Tensor:
        """Images; the first ones do not depend on how many there are."""
        sources = [torch.Generator().manual_seed(10 * seed + i) for i in range(count)]
        return torch.stack([self.draw(torch.rand(2, generator=g)) for g in sources])


def dot_world() -> DotWorldModel:
    """The toy world of phrases, whose actions also say how they move."""
    model = DotWorldModel()
    model.action_space = dot_space()
    return model


def dot_space() -> PhraseSpace:
    """The actions of `dot_world`."""
    space = DotWorldModel().action_space
    assert isinstance(space, PhraseSpace)
    return PhraseSpace(space.phrases, space.inverses, motions=MOTIONS)


def point_world() -> PointWorldModel:
    """The toy world of vectors, whose bounds are no one's defaults."""
    model = PointWorldModel()
    low, high = np.array([[-0.7, -1.0], [0.4, 0.1]], np.float32)
    model.action_space = Box(low, high)
    return model


DOTS = ToyScene(
    "toy world",
    dot_world,
    dot_distance,
    lambda place: draw_dot((DotWorldModel.SIZE * place).long()),
)
POINTS = ToyScene(
    "toy world of vectors",
    point_world,
    point_distance,
    lambda place: (2 * place - 1)[:, None, None],
)
