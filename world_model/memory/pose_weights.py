"""`PoseWeightsMemory`: fast weights addressed by pose, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import WorldModel
from world_model.errors import at_least, positive
from world_model.memory.pose_memory import PoseMemory
from world_model.memory.ridge_weights import RidgeWeights
from world_model.odometry import Odometry
from world_model.place_matcher import PlaceMatcher

_SEED = 0
_MAX_HARMONIC = 6
"""Headings are told apart by the first harmonics of the angle."""


class PoseWeightsMemory(PoseMemory):
    """One matrix per episode from the code of a pose to the view from there.

    The code of pose (x, y, h) of walk n is k_d = sqrt(2 / D) s_nd cos(w_d (x, y) +
    m_d h + b_d): random Fourier features with w_d ~ N(0, 1 / width^2), whole harmonics
    m_d, phases b_d and a random sign per walk, so that walks do not mix until one is
    anchored in the other. Writing and reading are those of `RidgeWeights`; how poses
    are counted and walks anchored is said in `PoseMemory`, whose views for alignment
    are read from the weights, too. Neither frames nor gradients; of fixed size (poses
    are kept in a table of D, but for two more per unseen move).

    Args:
        world_model: Encodes the frames and names the actions.
        matcher: Tells how views lie to each other.
        min_known: See `PoseMemory`.
        dim: D, number of features, and most poses known at a time: more views than
            features could not be told apart.
        width: Of the kernel over positions [m].
        penalty: Of the regression.
    """

    stores_frames: ClassVar[bool] = False

    def __init__(
        self,
        world_model: WorldModel,
        matcher: PlaceMatcher,
        *,
        min_known: float = 0.1,
        dim: int = 112,
        width: float = 0.2,
        penalty: float = 0.01,
    ) -> None:
        super().__init__(world_model, matcher, min_known=min_known)
        at_least(1, dim=dim)
        positive(width=width, penalty=penalty)
        self.dim = self.capacity = dim
        self.penalty = penalty
        generator = torch.Generator().manual_seed(_SEED)
        self._position = torch.randn(2, dim, generator=generator) / width
        self._harmonic = torch.randint(
            -_MAX_HARMONIC, _MAX_HARMONIC + 1, (dim,), generator=generator
        )
        self._phase = 2 * math.pi * torch.rand(dim, generator=generator)

    @property
    def num_bytes(self) -> int:
        """Bytes of one slot's weights and poses."""
        sizes = [weights.num_bytes for weights in self._kept.values()]
        return max(sizes, default=0) + self._pose_bytes

    def _keep(self, slot: int, walk: int, pose: Odometry, view: Tensor) -> None:
        old = self._kept.get(slot) or RidgeWeights.blank(self.dim, view)
        codes = self._codes([(walk, pose)]).to(view)
        self._kept[slot] = old.written(codes, view[None])

    def _views(self, slot: int, keys: Sequence[tuple[int, Odometry]]) -> Tensor:
        codes = self._codes(keys).to(self._kept[slot].values.device)
        return self._kept[slot].read(codes, self.penalty)[0]

    def _codes(self, keys: Sequence[tuple[int, Odometry]]) -> Tensor:
        """Codes (M, D) of poses of walks, of about unit length."""
        signs = {walk: _signs(walk, self.dim) for walk, _ in keys}
        poses = torch.tensor([pose for _, pose in keys])
        angle = torch.deg2rad(poses[:, 2:]) * self._harmonic
        waves = torch.cos(poses[:, :2] @ self._position + angle + self._phase)
        return (
            math.sqrt(2 / self.dim) * waves * torch.stack([signs[w] for w, _ in keys])
        )


def _signs(walk: int, dim: int) -> Tensor:
    """Random signs (D,) of a walk, always equal."""
    generator = torch.Generator().manual_seed(_SEED + 1 + walk)
    return torch.randint(2, (dim,), generator=generator) * 2.0 - 1
