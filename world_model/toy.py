"""Toy worlds whose optimum is known in closed form: a dot, and a point for vectors."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import gymnasium
import torch
from torch import Tensor, nn

from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading
from world_model.phrase_space import PhraseSpace


class _ToyWorldModel(WorldModel):
    """Images are their own latents and change in the last frame of a chunk.

    Readings are ignored: toys need no memory.
    """

    num_context_frames = 2

    def encode(self, frames: Tensor) -> Tensor:
        """The identity."""
        return frames

    def decode(self, latents: Tensor) -> Tensor:
        """The identity."""
        return latents

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """Waits, then moves what every candidate's image shows."""
        assert context.latents is not None
        before = context.latents[:, :, -1]
        after = self._moved(before, actions)
        num_waiting = self.chunk_length - 1 if all_frames else 0
        return Prediction(torch.stack([before] * num_waiting + [after], dim=2))

    @abc.abstractmethod
    def _moved(self, before: Tensor, actions: Tensor) -> Tensor:
        """Images (B, N, c, h, w) after actions (B, N) or (B, N, A)."""


class DotWorldModel(_ToyWorldModel):
    """A dot that each action moves by one pixel; images are their own latents.

    The optimum is known: `dot_distance` actions lead from one image to another. The
    dot stops at the border, moves in the last frame of a chunk and needs no memory:
    readings are ignored.

    Args:
        chunk_length: F.
    """

    SIZE = 8
    min_change = 0.05
    STEPS = torch.tensor([[-1, 0], [1, 0], [0, -1], [0, 1]])
    MIDDLE = (4, 4)

    def __init__(self, chunk_length: int = 2) -> None:
        self.action_space = PhraseSpace(("up", "down", "left", "right"), (1, 0, 3, 2))
        self.chunk_length = chunk_length

    def goal_numbers(self, goals: Sequence[str]) -> Tensor:
        """See `GoalTold.goal_numbers`; one number for all goals."""
        return torch.full((len(goals),), len(self.STEPS))

    def _moved(self, before: Tensor, actions: Tensor) -> Tensor:
        here = dot_position(before)
        actions = torch.where(actions < len(self.STEPS), actions, self._homing(here))
        return draw_dot((here + self.STEPS[actions]).clamp(0, self.SIZE - 1))

    def _homing(self, here: Tensor) -> Tensor:
        """The next action from (row, column) to `MIDDLE`."""
        row, column = (torch.tensor(self.MIDDLE) - here).unbind(dim=-1)
        across = torch.where(column < 0, 2, torch.where(column > 0, 3, 0))
        return torch.where(row < 0, 0, torch.where(row > 0, 1, across))


def draw_dot(position: Tensor) -> Tensor:
    """Images (..., 3, 8, 8) in {-1, 1} of dots at (row, column), (..., 2)."""
    size = DotWorldModel.SIZE
    index = position[..., 0] * size + position[..., 1]
    flat = nn.functional.one_hot(index, size * size).float() * 2 - 1
    image = flat.unflatten(-1, (1, size, size))
    return image.expand(*position.shape[:-1], 3, size, size)


def dot_position(images: Tensor) -> Tensor:
    """(row, column) of the brightest pixel, (..., 2) int64."""
    index = images.mean(dim=-3).flatten(-2).argmax(dim=-1)
    return torch.stack([index // images.shape[-1], index % images.shape[-1]], dim=-1)


def dot_distance(a: Tensor, b: Tensor) -> Tensor:
    """Fewest actions from images `a` to `b` (..., 3, 8, 8) of the toy world, (...)."""
    return (dot_position(a) - dot_position(b)).abs().sum(dim=-1)


class PointWorldModel(_ToyWorldModel):
    """A point in the square [-1, 1]^2 that a vector moves, differentiable.

    An image is the point's coordinates, (2, 1, 1), and its own latent. An action in
    [-1, 1]^2 moves the point by `STEP` times itself; the point stops at the border. The
    optimum is known: `point_distance` actions lead from one image to another. Readings
    are ignored.

    Args:
        chunk_length: F.
    """

    STEP = 0.25

    def __init__(self, chunk_length: int = 1) -> None:
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,))
        self.chunk_length = chunk_length

    def _moved(self, before: Tensor, actions: Tensor) -> Tensor:
        return (before + self.STEP * actions[..., None, None]).clamp(-1, 1)


def point_distance(a: Tensor, b: Tensor) -> Tensor:
    """Fewest actions between images (..., 2, 1, 1) of `PointWorldModel`, (...)."""
    farthest = (a - b).abs().amax(dim=(-3, -2, -1))
    # Not one more for a rounding error.
    return (farthest / PointWorldModel.STEP - 1e-4).ceil().long()
