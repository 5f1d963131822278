"""`RetrievalViewMemory`: looks up what this place looked like before."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from world_model.memory.keyframes import Keyframes
from world_model.memory.retrieval import RetrievalMemory


class RetrievalViewMemory(RetrievalMemory):
    """Hands over the stored view nearest to the candidate's present view.

    `RetrievalMemory` without its knowledge of where actions lead: the action is not
    asked for, and the view enters as another frame of the episode, not as the end of
    the chunk. So retrieval of past frames as context works in the literature (Yu et al.
    2025, Context as Memory), where camera poses tell which frame is near; here the
    latents do. A view that was just stored is nearest to itself.

    Args:
        world_model: Encodes the frames and names the actions.
        max_distance: See `RetrievalMemory`.
    """

    _recalls_chunk_end: ClassVar[bool] = False

    def _answers(
        self, keys: Keyframes, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        fits = torch.ones(len(actions), len(keys.latents), dtype=torch.bool)
        return keys.latents, keys.latents, fits
