"""`WriteBatch`: what one gradient step of a Temp-LoRA write trains on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class WriteBatch:
    """One gradient step's clips: S slots, M clips each, L frames each.

    All but the last are arguments of `Adaptable.write_loss`.

    Attributes:
        latents: Clean, (S, M, L, c, h, w).
        actions: That led to each frame but the first, (S, M, L-1) or (S, M, L-1, A);
            None where they are not told.
        times: Position inside the chunk in (0, 1], 0 for past frames, (S, M, L).
        noise_levels: In [0, 1], 0 keeps a frame clean, (S, M, L).
        num_past: Past frames among the L.
        loss_frames: Weight of each frame in the loss, 0 or more, (L,).
    """

    latents: Tensor
    actions: Tensor | None
    times: Tensor
    noise_levels: Tensor
    num_past: int
    loss_frames: Tensor

    def to(self, device: torch.device) -> WriteBatch:
        """The same batch on another device."""
        return replace(
            self,
            latents=self.latents.to(device),
            actions=None if self.actions is None else self.actions.to(device),
            times=self.times.to(device),
            noise_levels=self.noise_levels.to(device),
            loss_frames=self.loss_frames.to(device),
        )
