"""Encoded episodes, and how they are split and joined."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor


class _Episodes(Protocol):
    """What can be split by episodes."""

    @property
    def actions(self) -> Sized: ...

    def part(self, rows: slice) -> Self: ...


Parted = TypeVar("Parted", bound=_Episodes)


@dataclass(frozen=True)
class LatentEpisodes:
    """All episodes of a data set, encoded.

    Attributes:
        latents: (E, 1 + T*F, c, h, w) half precision, on the CPU.
        actions: (E, T) int64, numbers of phrases or of rows of `vectors`.
        moved: (E, T) bool; None where nobody knows which actions were blocked.
        chunk_length: F.
        inverses: Index of the inverse action, -1 where there is none.
        beside: Chunk ends seen from a little beside the path, by one shift an
            episode, (E, T + 1, c, h, w) half; None where nobody looked.
        vectors: (A, D) the actions that are vectors; None where they are phrases.
        found: (E, T + 1, O) bool, which goals are reached at chunk ends; None where
            nobody knows.
    """

    latents: Tensor
    actions: np.ndarray
    moved: np.ndarray | None
    chunk_length: int
    inverses: np.ndarray
    beside: Tensor | None = None
    vectors: Tensor | None = None
    found: np.ndarray | None = None

    def part(self, rows: slice) -> LatentEpisodes:
        """Some of the episodes."""
        return replace(
            self,
            latents=self.latents[rows],
            actions=self.actions[rows],
            moved=None if self.moved is None else self.moved[rows],
            beside=None if self.beside is None else self.beside[rows],
            found=None if self.found is None else self.found[rows],
        )

    @property
    def ends(self) -> Tensor:
        """Views at chunk ends, (E, T + 1, c, h, w)."""
        return self.latents[:, :: self.chunk_length]

    @property
    def min_change(self) -> float:
        """Halfway from the views' change in blocked actions to that in free ones.

        See `WorldModel.min_change`. Taken between the largest and the smallest change
        but for one in a hundred; blocked actions that there are none of change nothing.
        Where nobody knows which were blocked, none were.
        """
        change = self.ends.float().diff(dim=1).square().mean(dim=(2, 3, 4)).numpy()
        moved = np.ones_like(change, bool) if self.moved is None else self.moved
        blocked, free = change[~moved], change[moved]
        low = np.quantile(blocked, 0.99) if blocked.size else 0.0
        return float(low + np.quantile(free, 0.01)) / 2


def split(data: Parted, held_out: float) -> tuple[Parted, Parted]:
    """Training and held-out episodes (the last ones).

    Raises:
        ValueError: If nothing would be left to train on.
    """
    count = num_trained_on(len(data.actions), held_out)
    return data.part(slice(0, count)), data.part(slice(count, None))


def num_trained_on(num_episodes: int, held_out: float) -> int:
    """How many of so many episodes are not held out.

    Raises:
        ValueError: If none is.
    """
    count = num_episodes - max(1, int(held_out * num_episodes))
    if count < 1:
        raise too_few(num_episodes)
    return count


def too_few(num_episodes: int) -> ValueError:
    """The error for a data set of which nothing would be left to train on."""
    return ValueError(
        f"A data set must hold at least 2 episodes, got {num_episodes}: one is kept "
        "for validation; collect or convert more."
    )


def joined(a: LatentEpisodes, b: LatentEpisodes) -> LatentEpisodes:
    """The episodes of both."""
    moved, beside, found = None, None, None
    if a.moved is not None and b.moved is not None:
        moved = np.concatenate([a.moved, b.moved])
    if a.beside is not None and b.beside is not None:
        beside = torch.cat([a.beside, b.beside])
    if a.found is not None and b.found is not None:
        found = np.concatenate([a.found, b.found])
    return replace(
        a,
        latents=torch.cat([a.latents, b.latents]),
        actions=np.concatenate([a.actions, b.actions]),
        moved=moved,
        beside=beside,
        found=found,
    )
