"""`Episode`: what all formats have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from world_model.shards import LABELS

LABEL_ROWS = {name: int(name != "moved") for name in LABELS}
"""Rows of each label beyond one per action: those of chunk ends have one more."""


@dataclass(frozen=True)
class Episode:
    """A video without a break, cut into chunks of F frames, a phrase for each.

    Attributes:
        name: Where it comes from, e.g. "kitchen" or "demo_3@40".
        frames: (1 + T*F, H, W, C) uint8: the first frame, then F per action.
        phrases: What was done in each of the T chunks.
        labels: What a simulator knew, see `world_model.shards`: name -> (T, ...) or
            (T + 1, ...); empty where nobody knows.
    """

    name: str
    frames: np.ndarray
    phrases: tuple[str, ...]
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def chunk_length(self) -> int:
        """F."""
        return (len(self.frames) - 1) // len(self.phrases)

    def pieces(self, num_actions: int) -> list[Episode]:
        """The episode cut into parts of `num_actions`; a shorter rest is dropped.

        The last frame of a part is the first one of the next.
        """
        starts = range(0, len(self.phrases) - num_actions + 1, num_actions)
        return [self._part(start, start + num_actions) for start in starts]

    def _part(self, start: int, stop: int) -> Episode:
        length = self.chunk_length
        labels = {
            name: rows[start : stop + LABEL_ROWS[name]]
            for name, rows in self.labels.items()
        }
        return Episode(
            f"{self.name}@{start}" if start else self.name,
            self.frames[start * length : stop * length + 1],
            self.phrases[start:stop],
            labels,
        )
