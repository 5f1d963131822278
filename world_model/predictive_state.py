"""`PredictiveStateNet`: what actions would uncover, carried along by all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional

from world_model.pretrained import load_checked

GRID = 16
"""Images are looked at as GRID x GRID cells."""
_REACH = 3
"""Cells in a row of what is seen at a place."""
_STAY = 0.9
"""Share of a slot that an untrained transition leaves where it is."""


class PredictiveStateNet(ModelMixin, ConfigMixin):
    """Slots of codes, one for each action whose end hangs on what is hidden.

    A state (n, d + 1) holds, for each of n tests, the code of what the action would
    uncover and how much of that is known, in [0, 1].

    Args:
        phrases: Canonical phrase of each of the A actions.
        tests: Numbers of the actions that have a slot.
        cells: Where in the image each of them uncovers something, row * GRID +
            column.
        encoder: Fingerprint of the autoencoder whose latents it completes.
        frame_channels: C.
        latent_channels: c.
        latent_size: h = w.
        code_size: d.
        width: Channels.
    """

    @register_to_config
    def __init__(
        self,
        phrases: Sequence[str],
        tests: Sequence[int],
        cells: Sequence[int],
        encoder: str = "",
        frame_channels: int = 3,
        latent_channels: int = 16,
        latent_size: int = 8,
        code_size: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.latent_shape = (latent_channels, latent_size, latent_size)
        num_seen = _REACH**2 * frame_channels
        self.code = nn.Linear(num_seen, code_size)
        self.gate = nn.Sequential(
            nn.Linear(num_seen, 16), nn.SiLU(), nn.Linear(16, 1), nn.Sigmoid()
        )
        stay = math.log(_STAY / (1 - _STAY) * max(1, len(tests) - 1))
        self.moves = nn.Parameter(torch.eye(len(tests)).repeat(len(phrases), 1, 1))
        self.moves.data *= stay
        self.told = nn.Embedding(len(tests), math.prod(self.latent_shape))
        self.ending = nn.Sequential(
            nn.Conv2d(2 * latent_channels + code_size, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, latent_channels, 3, padding=1),
        )
        slots = torch.full((len(phrases),), -1)
        slots[list(tests)] = torch.arange(len(tests))
        self.register_buffer("slots", slots, persistent=False)

    def blank(self) -> Tensor:
        """The state (n, d + 1) that knows nothing."""
        return self.code.weight.new_zeros(
            len(self.told.weight), len(self.code.bias) + 1
        )

    def look(self, frames: Tensor) -> Tensor:
        """What frames (M, C, H, W) in [-1, 1] show at the place of each test.

        Returns:
            (M, n, 9 C).
        """
        return patches(cells_of(frames), self.config["cells"])

    def see(self, state: Tensor, seen: Tensor) -> Tensor:
        """The state (..., n, d + 1) after a look: what is in view replaces the rest."""
        codes = self.code(seen)
        told = torch.cat([codes, torch.ones_like(codes[..., :1])], dim=-1)
        return torch.lerp(state, told, self.gate(seen))

    def carry(self, state: Tensor, actions: Tensor) -> Tensor:
        """The state (..., n, d + 1) after actions (...,), if nobody looks."""
        return self.moves[actions].softmax(dim=-1) @ state

    def end(self, latents: Tensor, slots: Tensor, codes: Tensor) -> Tensor:
        """How tests end.

        Args:
            latents: The views before them (M, c, h, w).
            slots: Which tests, (M,).
            codes: What they uncover (M, d); zeros where nobody knows.
        """
        told = self.told(slots).view(-1, *self.latent_shape)
        spread = codes[:, :, None, None].expand(-1, -1, *self.latent_shape[1:])
        return latents + self.ending(torch.cat([latents, told, spread], dim=1))


def cells_of(frames: Tensor) -> Tensor:
    """Frames (M, C, H, W) as (M, C, GRID, GRID) mean colours."""
    return functional.adaptive_avg_pool2d(frames, GRID)


def patches(cells: Tensor, places: Sequence[int]) -> Tensor:
    """Neighbourhoods of places in (M, C, GRID, GRID), (M, n, 9 C)."""
    around = functional.unfold(cells, _REACH, padding=_REACH // 2)
    return around[:, :, list(places)].transpose(1, 2)


def own_rows(states: Tensor, slots: Tensor) -> Tensor:
    """Of states (B, T, n, k) the rows of slots (B, T); row 0 where that is -1."""
    index = slots.clamp(min=0)[..., None, None]
    return states.gather(2, index.expand(*slots.shape, 1, states.shape[-1]))[:, :, 0]


def load_predictive_state(
    folder: Path,
    *,
    phrases: Sequence[str],
    encoder: str,
    device: torch.device | str = "cpu",
) -> PredictiveStateNet:
    """The net in a folder, checked against the world model it serves.

    Args:
        folder: Where `stage=predictive_state` saved it.
        phrases: The world model's actions.
        encoder: Fingerprint of the world model's autoencoder.
        device: Where it goes: to the latents it is to complete.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged or was made for other actions or latents.
    """
    wanted = {"phrases": phrases, "encoder": encoder}
    return load_checked(
        PredictiveStateNet,
        folder,
        stage="predictive_state",
        wanted=wanted,
        device=device,
    )
