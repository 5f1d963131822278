"""`PoseMapMemory`: the views themselves, by pose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.memory.pose_memory import PoseMemory
from world_model.odometry import Odometry, Place

Views = dict[tuple[int, Place], Tensor]


class PoseMapMemory(PoseMemory):
    """Stores the latents of the last view from every pose.

    The ceiling of `PoseWeightsMemory`. See `PoseMemory` for how poses are counted and
    walks anchored. Grows with the places that the episode visits.
    """

    stores_frames: ClassVar[bool] = True

    def _keep(self, slot: int, walk: int, pose: Odometry, view: Tensor) -> None:
        old = self._kept.get(slot, {})
        self._kept[slot] = {**old, (walk, pose.place): view}

    def _views(self, slot: int, keys: Sequence[tuple[int, Odometry]]) -> Tensor:
        kept = self._kept[slot]
        return torch.stack([kept[walk, pose.place] for walk, pose in keys])

    @property
    def num_bytes(self) -> int:
        """Bytes of the views and poses of the fullest slot."""
        sizes = [sum(v.nbytes for v in kept.values()) for kept in self._kept.values()]
        return max(sizes, default=0) + self._pose_bytes
