"""Counts what planning costs, outside of what is measured."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from eval.wrapped_model import WrappedWorldModel
from world_model.api import WorldModel
from world_model.core import Context, Prediction, Reading


class MeteredWorldModel(WrappedWorldModel[WorldModel]):
    """A world model that counts denoiser calls.

    One call = one candidate chunk x one denoising step x one guidance branch.

    Args:
        inner: The model that does the work.
    """

    def __init__(self, inner: WorldModel) -> None:
        super().__init__(inner)
        self.num_calls = 0

    def cost(self, actions: Tensor, reading: Reading | None) -> int:
        """Denoiser calls of predicting one chunk for actions (B, N) or (B, N, A)."""
        branches = 2 if reading is not None and reading.guidance else 1
        candidates = actions.shape[0] * actions.shape[1]
        return candidates * self.num_sampling_steps * branches

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        **options: Any,
    ) -> Prediction:
        """See `WorldModel.predict`; counts before it delegates."""
        self.num_calls += self.cost(actions, reading)
        return super().predict(context, actions, reading=reading, **options)
