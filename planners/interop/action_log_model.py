"""`ActionLogModel`: a world model for costs that judge actions by themselves."""

from __future__ import annotations

import gymnasium
import torch
from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading
from world_model.errors import at_least
from world_model.phrase_space import PhraseSpace


class ActionLogModel(WorldModel):
    """Imagines nothing: its latents are the actions since the last real view.

    With `CostObjective` any of our planners searches what a cost object of others
    (which has a world model inside) minimises. Latents are (1 + max_steps, A, 1): how
    many actions there are, then the actions; phrases by their index, A = 1.

    Args:
        action_space: `PhraseSpace` or a bounded `Box` of shape (A,).
        max_steps: Longest sequence a planner may ask for.
        chunk_length: F, of the environment that is planned for.
    """

    min_change = 0.0

    def __init__(
        self,
        action_space: gymnasium.Space,
        *,
        max_steps: int = 32,
        chunk_length: int = 1,
    ) -> None:
        at_least(1, max_steps=max_steps, chunk_length=chunk_length)
        self.action_space = action_space
        self.max_steps = max_steps
        self.chunk_length = chunk_length
        self.num_context_frames = 1

    def encode(self, frames: Tensor) -> Tensor:
        """No action yet, whatever is seen."""
        size = (self.action_space.shape or (1,))[0]
        return torch.zeros(*frames.shape[:-3], 1 + self.max_steps, size, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """There are no pictures.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "Costs of others show no frames, got a request to decode: use an objective "
            "that reads the latents of `ActionLogModel`, i.e. `CostObjective`."
        )

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """Appends the action; differentiable in it.

        Raises:
            ValueError: If the sequence gets too long.
        """
        assert context.latents is not None
        before = context.latents[:, :, -1]
        done = num_actions(before)
        if int(done.max()) >= self.max_steps:
            raise ValueError(
                f"`max_steps` must cover the planner's longest sequence, got "
                f"{self.max_steps} and one more: raise it."
            )
        if isinstance(self.action_space, PhraseSpace):
            actions = actions[..., None]
        rows = torch.arange(1 + self.max_steps)
        here = (rows == done[..., None] + 1).float()
        entry = here[..., None, None] * actions.float()[:, :, None, :, None]
        count = (rows == 0).float()[:, None, None].expand_as(before)
        num_frames = self.chunk_length if all_frames else 1
        return Prediction(torch.stack([before + entry + count] * num_frames, dim=2))


def num_actions(latents: Tensor) -> Tensor:
    """How many actions logs (..., 1 + max_steps, A, 1) hold, (...) int64."""
    return latents[..., 0, 0, 0].detach().round().long()
