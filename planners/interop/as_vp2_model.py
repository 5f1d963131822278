"""`AsVP2Model`: our world model as a video prediction model of vp2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from planners.checks import box_of
from planners.interop.candidates import imagine, to_actions
from world_model.api import Memory, WorldModel
from world_model.core import Context
from world_model.phrase_space import PhraseSpace


class AsVP2Model:
    """What vp2's optimisers call: see `VP2Model` for the contract.

    One action is one chunk, of which the last frame is returned. Vectors in [-1, 1] are
    scaled to the bounds; phrases are scores, one number each, the largest counts. All
    rows of a call share their noise.

    Args:
        world_model: Imagines.
        memory: Read, with one slot, or None. Writing it is up to who acts.
        seed: Of the noise.
        unscale: Maps actions in [-1, 1] to the world model's; None for its bounds.

    Attributes:
        num_context: Frames wanted, with the actions between them.
        base_prediction_modality: "rgb".
        planning_modalities: Only that.
        a_dim: Numbers per action.
        device: Where predictions lie.
    """

    base_prediction_modality = "rgb"
    planning_modalities = ("rgb",)
    device = "cpu"

    def __init__(
        self,
        world_model: WorldModel,
        *,
        memory: Memory | None = None,
        seed: int = 0,
        unscale: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.world_model = world_model
        self.memory = memory
        self.seed = seed
        self.num_context = world_model.num_context_frames
        self._unscale = unscale or self._to_bounds
        space = world_model.action_space
        if isinstance(space, PhraseSpace):
            self.a_dim = len(space.phrases)
        else:
            self.a_dim = box_of(space, "AsVP2Model", instead="bound it").shape[0]

    def __call__(
        self, batch: dict[str, Any], grad_enabled: bool = False
    ) -> dict[str, Any]:
        """Predicts.

        Args:
            batch: `video` (B, K, H, W, C) in [0, 1] and `actions` (B, K - 1 + T, A).
            grad_enabled: Return a tensor that can be differentiated in the actions.

        Returns:
            `rgb` (B, K - 1 + T, H, W, C) in [0, 1]: the context but for its first
            frame, then T imagined frames; numpy unless `grad_enabled`.

        Raises:
            ValueError: If there are no actions beyond the context.
        """
        video = torch.as_tensor(np.asarray(batch["video"])).float()
        actions = torch.as_tensor(batch["actions"]).float()
        num_past = video.shape[1] - 1
        if actions.shape[1] <= num_past:
            raise ValueError(
                f"`actions` must go beyond the {num_past} of the context, got "
                f"{actions.shape[1]}: add those to be imagined."
            )
        with torch.set_grad_enabled(grad_enabled):
            frames = self._imagine(video, actions, num_past)
        rgb = torch.cat([video[:, 1:], frames], dim=1)
        return {"rgb": rgb if grad_enabled else rgb.numpy()}

    def close(self) -> None:
        """Nothing to release."""

    def _imagine(self, video: Tensor, actions: Tensor, num_past: int) -> Tensor:
        """The chunk ends (B, T, H, W, C) in [0, 1]."""
        space = self.world_model.action_space
        read = to_actions(self._unscale(actions)[:, None], space)
        context = Context(
            actions=read[:, 0, :num_past].detach(),
            frames=video.movedim(-1, -3) * 2 - 1,
            slots=(0,) * len(video),
        )
        source = [torch.Generator().manual_seed(self.seed) for _ in video]
        rollout = imagine(
            self.world_model, context, read[:, :, num_past:], self.memory, source
        )
        frames = rollout.frames[:, 0, :, -1].cpu()
        return ((frames + 1) / 2).clamp(0, 1).movedim(-3, -1)

    def _to_bounds(self, actions: Tensor) -> Tensor:
        space = self.world_model.action_space
        if not isinstance(space, gymnasium.spaces.Box):
            return actions
        low, high = (torch.as_tensor(x) for x in (space.low, space.high))
        return (high + low) / 2 + (high - low) / 2 * actions
