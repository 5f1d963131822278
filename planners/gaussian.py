"""`Gaussian`: a proposal over vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gymnasium
import torch
from torch import Tensor

from planners.coloured_noise import coloured_noise
from planners.proposal import Proposal
from world_model.api import Generators


@dataclass(frozen=True)
class Gaussian(Proposal):
    """Normal actions per step, independent along A, clipped to the bounds.

    Refit to the weighted mean and, unless `is_rigid`, the weighted standard deviation
    (De Boer et al. 2005, "A tutorial on the cross-entropy method").

    Attributes:
        mean: (B, T, A).
        std: (B, T, A).
        low: Bounds (A,).
        high: Bounds (A,).
        colour: Exponent of the noise along the steps, see `coloured_noise`.
        is_rigid: True keeps the standard deviation.
    """

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor
    colour: float = 0.0
    is_rigid: bool = False

    @classmethod
    def over(
        cls,
        space: gymnasium.spaces.Box,
        num_episodes: int,
        num_steps: int,
        *,
        colour: float = 0.0,
        is_rigid: bool = False,
    ) -> Gaussian:
        """About the middle of the bounds, which are two standard deviations apart."""
        low, high = (torch.as_tensor(x).float() for x in (space.low, space.high))
        shape = (num_episodes, num_steps, len(low))
        mean, std = ((low + high) / 2).expand(shape), ((high - low) / 2).expand(shape)
        return cls(mean, std, low, high, colour, is_rigid)

    def sample(self, count: int, generator: Generators) -> Tensor:
        """See `Proposal.sample`."""
        _, num_steps, size = self.mean.shape
        noise = [
            coloured_noise(count, num_steps, size, exponent=self.colour, source=source)
            for source in generator
        ]
        actions = self.mean[:, None] + self.std[:, None] * torch.stack(noise)
        return actions.clamp(self.low, self.high)

    def centre(self) -> Tensor:
        """See `Proposal.centre`; the mean."""
        return self.mean.clamp(self.low, self.high)

    def around(self, actions: Tensor, known: Tensor) -> Gaussian:
        """See `Proposal.around`; as wide as before."""
        return replace(self, mean=torch.where(known[..., None], actions, self.mean))

    def refit(self, actions: Tensor, weights: Tensor, momentum: float) -> Gaussian:
        """See `Proposal.refit`."""
        mass = weights.sum(dim=1)[..., None]

        def average(values: Tensor, otherwise: Tensor) -> Tensor:
            found = (weights[..., None] * values).sum(dim=1) / mass
            return torch.where(mass > 0, found, otherwise)

        def follow(old: Tensor, new: Tensor) -> Tensor:
            return momentum * old + (1 - momentum) * new

        mean = average(actions, self.mean)
        moved = replace(self, mean=follow(self.mean, mean))
        if self.is_rigid:
            return moved
        spread = average((actions - mean[:, None]).square(), self.std.square()).sqrt()
        return replace(moved, std=follow(self.std, spread))
