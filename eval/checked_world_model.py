"""`CheckedWorldModel`: a plug-in's world model whose every prediction is checked."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from eval.make_part import Naming
from eval.wrapped_model import WrappedWorldModel
from world_model.api import WorldModel
from world_model.core import Context, Prediction
from world_model.testing import require


class CheckedWorldModel(WrappedWorldModel[WorldModel]):
    """Passes everything on; a future that is none is an error at once.

    Args:
        inner: The model that does the work.
        naming: Gives errors the plug-in's name.
    """

    def __init__(self, inner: WorldModel, naming: Naming) -> None:
        super().__init__(inner)
        self.naming = naming

    def encode(self, frames: Tensor) -> Tensor:
        """See `WorldModel.encode`; like all below, its errors name the plug-in."""
        with self.naming():
            latents = super().encode(frames)
            _check_images(latents, frames, "`encode` returns finite latents")
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """See `WorldModel.decode`."""
        with self.naming():
            frames = super().decode(latents)
            _check_images(frames, latents, "`decode` returns finite frames")
        return frames

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        all_frames: bool = False,
        **options: Any,
    ) -> Prediction:
        """See `WorldModel.predict`."""
        with self.naming():
            found = super().predict(context, actions, all_frames=all_frames, **options)
            length = self.chunk_length if all_frames else 1
            check_prediction(found, context, actions, length)
        return found


def check_prediction(
    found: Any, context: Context, actions: Tensor, length: int
) -> None:
    """Checks an imagined chunk against the promises of `Prediction`.

    Args:
        found: What `predict` returned.
        context: What it was asked with, batch (B, N), with latents.
        actions: See `WorldModel.predict`.
        length: How many frames were asked for.

    Raises:
        AssertionError: With the broken promise and what was found.
    """
    law = "`predict` returns a `Prediction`"
    require(isinstance(found, Prediction), law, type(found).__name__)
    assert context.latents is not None
    shape = (*actions.shape[:2], length, *context.latents.shape[-3:])
    law = f"`latents` have the shape (B, N, F, c, h, w) = {shape}"
    require(found.latents.shape == shape, law, tuple(found.latents.shape))
    require(bool(found.latents.isfinite().all()), "`latents` are finite")


def _check_images(found: Tensor, asked: Tensor, law: str) -> None:
    """As many images as were asked about, whatever their size."""
    require(bool(found.isfinite().all()), law)
    law = f"{law}, {tuple(asked.shape[:-3])} of them"
    require(found.shape[:-3] == asked.shape[:-3], law, tuple(found.shape[:-3]))
