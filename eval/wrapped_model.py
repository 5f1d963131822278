"""`WrappedWorldModel`: what stands around a world model to watch or limit it."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading

Inner = TypeVar("Inner", bound=WorldModel)


class WrappedWorldModel(WorldModel, Generic[Inner]):
    """Does what the inner model does; attributes it lacks are the inner model's.

    Args:
        inner: The model that does the work.
    """

    def __init__(self, inner: Inner) -> None:
        self.inner = inner
        self.privileged = inner.privileged  # type: ignore[misc]
        self.action_space = inner.action_space
        self.chunk_length = inner.chunk_length
        self.num_context_frames = inner.num_context_frames
        self.num_sampling_steps = inner.num_sampling_steps
        self.min_change = inner.min_change

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
        """See `WorldModel.predict`."""
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
