"""`VP2WorldModel`: a video prediction model of vp2 as our world model."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading


class VP2Model(Protocol):
    """What vp2's planners use of a model (vp2/mpc/cem.py, vp2/models/*).

    Attributes:
        num_context: Frames it is given, with the actions between them.
        base_prediction_modality: "rgb".
    """

    num_context: int
    base_prediction_modality: str

    def __call__(
        self, batch: dict[str, Any], grad_enabled: bool = False
    ) -> dict[str, Any]:
        """Predicts.

        Args:
            batch: `video` (B, K, H, W, C) float in [0, 1], `actions` (B, K - 1 + T, A)
                in [-1, 1], numpy.
            grad_enabled: Return tensors that can be differentiated.

        Returns:
            `rgb` (B, ..., H, W, C) in [0, 1], the last T frames of which are predicted.
        """


class VP2WorldModel(WorldModel):
    """One action is one frame; images are their own latents.

    Each imagined frame is one call with the last `num_context` frames: models with a
    state of their own begin it anew, where vp2 predicts whole plans in one call. At the
    start of an episode the first frame and the zero action stand for what is missing.
    Noise comes from torch's global generators, seeded by ours for each call.

    Args:
        model: FitVid, SVG', MCVD, the simulator, or anyone's.
        action_size: A.
    """

    min_change = 1e-4

    def __init__(self, model: VP2Model, action_size: int) -> None:
        if model.base_prediction_modality != "rgb":
            raise ValueError(
                "`model` must predict 'rgb', got "
                f"{model.base_prediction_modality!r}: choose one that does."
            )
        self.model = model
        self.action_space = gymnasium.spaces.Box(-1, 1, (action_size,))
        self.chunk_length = 1
        self.num_context_frames = model.num_context

    def encode(self, frames: Tensor) -> Tensor:
        """The identity."""
        return frames

    def decode(self, latents: Tensor) -> Tensor:
        """The identity, clipped to [-1, 1]."""
        return latents.clamp(-1, 1)

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """See `WorldModel.predict`; readings are ignored."""
        assert context.latents is not None
        videos = (context.latents.movedim(-3, -1) + 1) / 2
        done = torch.cat([context.actions, actions[:, :, None]], dim=2)
        # Their noise is global: each episode is asked about with its own.
        frames = [
            self._next(*given) for given in zip(videos, done, generator, strict=True)
        ]
        latents = torch.stack(frames).movedim(-1, -3).float() * 2 - 1
        return Prediction(latents[:, :, None])

    def _next(self, video: Tensor, done: Tensor, generator: torch.Generator) -> Tensor:
        """The frame (N, H, W, C) after videos (N, K, H, W, C) and actions (N, K, A)."""
        missing = self.num_context_frames - video.shape[1]
        video = torch.cat([video[:, :1]] * missing + [video], dim=1)
        done = torch.cat([done.new_zeros(len(done), missing, done.shape[2]), done], 1)
        batch = {
            "video": video.cpu().numpy().astype(np.float32),
            "actions": done.cpu().numpy().astype(np.float32),
        }
        seed = int(torch.randint(2**62, (), generator=generator))
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(seed)
            if torch.cuda.is_available():
                torch.cuda.manual_seed_all(seed)
            found = np.asarray(self.model(batch)["rgb"])
        return torch.from_numpy(self._checked(found, batch["video"]).copy())

    def _checked(self, rgb: np.ndarray, video: np.ndarray) -> np.ndarray:
        """The last predicted frame (M, H, W, C).

        Raises:
            ValueError: If it is not like the frames that were given.
        """
        if (
            rgb.ndim != 5
            or rgb.shape[0] != len(video)
            or rgb.shape[2:] != video.shape[2:]
        ):
            raise ValueError(
                "`rgb` must have shape (B, T, H, W, C) like the video, got "
                f"{rgb.shape} for {video.shape}: check the model's image size."
            )
        return rgb[:, -1]
