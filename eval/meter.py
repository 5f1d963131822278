"""Counts what planning costs, outside of what is measured."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading


class MeteredWorldModel(WorldModel):
    """A world model that counts denoiser calls.

    One call = one candidate chunk x one denoising step x one guidance branch.

    Args:
        inner: The model that does the work.
    """

    def __init__(self, inner: WorldModel) -> None:
        self.inner = inner
        self.privileged = inner.privileged  # type: ignore[misc]
        self.action_space = inner.action_space
        self.chunk_length = inner.chunk_length
        self.num_context_frames = inner.num_context_frames
        self.num_sampling_steps = inner.num_sampling_steps
        self.min_change = inner.min_change
        self.num_calls = 0

    def cost(self, actions: Tensor, reading: Reading | None) -> int:
        """Denoiser calls of predicting one chunk for actions (B, N) or (B, N, A)."""
        branches = 2 if reading is not None and reading.guidance else 1
        candidates = actions.shape[0] * actions.shape[1]
        return candidates * self.num_sampling_steps * branches

    def encode(self, frames: Tensor) -> Tensor:
        """See `WorldModel.encode`."""
        return self.inner.encode(frames)

    def decode(self, latents: Tensor) -> Tensor:
        """See `WorldModel.decode`."""
        return self.inner.decode(latents)

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """See `WorldModel.predict`; counts before it delegates."""
        self.num_calls += self.cost(actions, reading)
        return self.inner.predict(
            context,
            actions,
            reading=reading,
            generator=generator,
            all_frames=all_frames,
        )

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)
