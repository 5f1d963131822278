"""`BudgetedWorldModel`: predicts as long as the budget of a decision lasts."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from eval.clock import now
from eval.meter import MeteredWorldModel
from eval.planner_suite.budget import SECONDS, Budget, BudgetSpent
from eval.wrapped_model import WrappedWorldModel
from world_model.api import Generators, Memory
from world_model.core import Context, Prediction, Reading, Rollout


class BudgetedWorldModel(WrappedWorldModel[MeteredWorldModel]):
    """A metered world model that is asked for no more than a decision may spend.

    The episodes of a batch are decided for together and share their budgets: each may
    spend as much as any other. What does not fit is not begun. Of a rollout, the first
    sequences that fit are imagined; of a single one, the first actions.

    Args:
        inner: The model that does the work, and counts it.
        budget: What a decision of one episode may spend.
    """

    def __init__(self, inner: MeteredWorldModel, budget: Budget) -> None:
        super().__init__(inner)
        self.budget = budget
        self.may_cut = True
        """Whether rollouts may be cut; if not, one that does not fit is refused."""
        self._calls_per_chunk = inner.num_sampling_steps
        self.open()

    def open(self) -> None:
        """Begins a decision: nothing of it is spent yet."""
        self.is_spent = False
        self._reached: Rollout | None = None
        self._calls_before = self.inner.num_calls
        self._start = now()

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        **options: Any,
    ) -> Prediction:
        """See `WorldModel.predict`.

        Raises:
            BudgetSpent: If it costs more than is left.
        """
        cost = self.inner.cost(actions, reading)
        self._calls_per_chunk = cost // (actions.shape[0] * actions.shape[1])
        if cost > self._rest(len(actions)):
            self.is_spent = True
            raise BudgetSpent(f"{cost} calls are more than is left of {self.budget}")
        return super().predict(context, actions, reading=reading, **options)

    def extend(
        self,
        rollout: Rollout,
        actions: Tensor,
        *,
        memory: Memory | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Rollout:
        """See `WorldModel.extend`; raises `BudgetSpent` like `predict`."""
        self._reached = super().extend(
            rollout,
            actions,
            memory=memory,
            generator=generator,
            all_frames=all_frames,
        )
        return self._reached

    def rollout(
        self,
        context: Context,
        actions: Tensor,
        *,
        memory: Memory | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Rollout:
        """See `WorldModel.rollout`; perhaps fewer or shorter sequences, see the class.

        Raises:
            BudgetSpent: If not even one chunk fits.
        """
        before = self._reached
        if self.may_cut:
            actions = self._fitting(actions)
        try:
            return super().rollout(
                context,
                actions,
                memory=memory,
                generator=generator,
                all_frames=all_frames,
            )
        except BudgetSpent:
            # Time ran faster, or memory made calls dearer, than was expected.
            reached = self._reached
            if reached is None or reached is before or not self.may_cut:
                raise
            return reached

    def _fitting(self, actions: Tensor) -> Tensor:
        """The sequences (B, N, T) or (B, N, T, A), cut to what can be paid."""
        rest = self._rest(len(actions)) / (len(actions) * self._calls_per_chunk)
        count = int((num_chunks(actions) <= rest).sum())
        if count == actions.shape[1]:
            return actions
        self.is_spent = True
        return actions[:, :count] if count else actions[:, :1, : max(1, int(rest))]

    def _rest(self, num_episodes: int) -> float:
        """Calls that are left to so many episodes together."""
        budget = self.budget
        if budget.kind == SECONDS:
            seconds = now() - self._start
            left = budget.amount * num_episodes - seconds
            return left * budget.calls_per_second
        return budget.amount * num_episodes - self.inner.num_calls + self._calls_before


def num_chunks(actions: Tensor) -> np.ndarray:
    """Chunks per episode that the first 1, 2, ..., N sequences take, (N,).

    Equal prefixes are imagined once; batches are rectangular, so that the episode with
    the most different ones counts.

    Args:
        actions: (B, N, T) or (B, N, T, A).
    """
    num_episodes, size, num_steps = actions.shape[:3]
    is_new = np.zeros((num_episodes, num_steps, size), dtype=np.int64)
    for b, sequences in enumerate(actions.cpu().numpy()):
        for t in range(num_steps):
            prefixes = sequences[:, : t + 1].reshape(size, -1)
            _, first = np.unique(prefixes, axis=0, return_index=True)
            is_new[b, t, first] = 1
    return is_new.cumsum(axis=2).max(axis=0).sum(axis=0)
