"""`ReverseLogPolicy`: the tour backwards, with the inverse of every action."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.reference.base import ReferencePolicy
from world_model.core import Chunk
from world_model.phrase_space import phrase_space_of
from world_model.policy_api import Observation


class ReverseLogPolicy(ReferencePolicy):
    """Undoes the tour, latest action first; starts over when all is undone.

    It needs no image: what it solves can be solved by counting.
    """

    def __init__(self, *, domain: str, task: str) -> None:
        super().__init__(domain=domain, task=task)
        space = phrase_space_of(
            self.action_space, "reverse_log", instead="leave it out"
        )
        inverses = [i for i in space.inverses if i is not None]
        if len(inverses) < int(space.n):
            raise ValueError(
                "`reverse_log` needs an inverse of every action, got "
                f"{self.action_space}: leave it out."
            )
        self._inverses = inverses

    def reset(self, first_images: np.ndarray, seeds: Sequence[int]) -> None:
        """See `Policy.reset`."""
        super().reset(first_images, seeds)
        self._logs: list[list[int]] = [[] for _ in seeds]
        self._on_tour = True

    def observe(self, chunk: Chunk) -> None:
        """Logs the tour's actions."""
        if not self._on_tour:
            return
        rows = zip(self._logs, chunk.actions.tolist(), chunk.active, strict=True)
        for log, action, active in rows:
            if active:
                log.append(int(action))

    def relocate(self, images: np.ndarray) -> None:
        """The tour is over."""
        self._on_tour = False

    def act_alone(self, obs: Observation, index: int) -> int:
        """See `ReferencePolicy.act_alone`.

        Raises:
            RuntimeError: If no tour was observed.
        """
        log = self._logs[index]
        if not log:
            raise RuntimeError(
                "`reverse_log` needs a tour to undo, got none: call `observe` with "
                "every chunk of it."
            )
        return self._inverses[log[-1 - self.num_steps % len(log)]]
