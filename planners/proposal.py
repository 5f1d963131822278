"""`Proposal`: a distribution of action sequences that sampling planners refit."""

from __future__ import annotations

import abc

from torch import Tensor

from world_model.api import Generators


class Proposal(abc.ABC):
    """An independent distribution per step of a sequence; never changed in place."""

    @abc.abstractmethod
    def sample(self, count: int, generator: Generators) -> Tensor:
        """Draws `count` = N sequences per episode, (B, N, T) or (B, N, T, A)."""

    @abc.abstractmethod
    def centre(self) -> Tensor:
        """The sequence it is about, (B, T) or (B, T, A)."""

    @abc.abstractmethod
    def around(self, actions: Tensor, known: Tensor) -> Proposal:
        """The same distribution about a given sequence.

        Args:
            actions: (B, T) or (B, T, A).
            known: (B, T) bool; steps at which `actions` says something.
        """

    @abc.abstractmethod
    def refit(self, actions: Tensor, weights: Tensor, momentum: float) -> Proposal:
        """Follows weighted sequences; steps without any weight stay as they were.

        Args:
            actions: (B, N, T) or (B, N, T, A).
            weights: Of each action, (B, N, T), at least 0.
            momentum: Share of this proposal in the new one, in [0, 1).
        """
