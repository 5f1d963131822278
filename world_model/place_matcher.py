"""`PlaceMatcher`: do two views show one place, and how is the second turned?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from world_model.conv_net import conv_net
from world_model.phrase_space import Motion
from world_model.pretrained import load_checked

ELSEWHERE = 0
"""The class of two views from different places."""


class PlaceMatcher(ModelMixin, ConfigMixin):
    """Tells how views of one episode lie to each other: a Siamese net on latents.

    Class 0 is "from different places"; class 1 + k is "from one place, the second
    view turned by k steps counter-clockwise". Learned from dead reckoning alone, on
    training episodes: whoever hears which actions were executed can label it.
    What robotics calls loop-closure detection.

    Args:
        motions: How the actions move, see `PhraseSpace`; the smallest turn is the
            step of headings.
        encoder: Fingerprint of the autoencoder whose latents it reads, see
            `world_model.fingerprint.encoder_fingerprint`.
        latent_channels: c.
        latent_size: h = w, a multiple of 2.
        width: Channels.
    """

    @register_to_config
    def __init__(
        self,
        motions: Sequence[Motion],
        encoder: str = "",
        latent_channels: int = 16,
        latent_size: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.features = conv_net(latent_channels, latent_size, width, 2 * width)
        self.first = nn.Linear(2 * width, 2 * width)
        self.second = nn.Linear(2 * width, 2 * width)
        self.product = nn.Linear(2 * width, 2 * width)
        self.head = nn.Sequential(
            nn.SiLU(),
            nn.Linear(2 * width, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 1 + num_headings(motions)),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Every first view with every second one of the same row.

        Args:
            first: (M, I, c, h, w).
            second: (M, J, c, h, w).

        Returns:
            Logits (M, I, J, 1 + number of headings).
        """
        a, b = self._embed(first)[:, :, None], self._embed(second)[:, None]
        return self.head(self.first(a) + self.second(b) + self.product(a * b))

    def _embed(self, views: Tensor) -> Tensor:
        return self.features(views.flatten(0, 1)).unflatten(0, views.shape[:2])


def turn_step(motions: Sequence[Motion]) -> float:
    """The smallest turn of any action [degrees]; 360 where none turns."""
    return min((abs(turn) for _, _, turn in motions if turn), default=360.0)


def num_headings(motions: Sequence[Motion]) -> int:
    """Headings that actions can tell apart."""
    return round(360 / turn_step(motions))


def relations(
    first: Tensor, second: Tensor, motions: Sequence[Motion], *, radius: float = 0.4
) -> Tensor:
    """Classes of pairs of dead-reckoned poses.

    Args:
        first: Poses (..., I, 3): x [m], y [m], heading [degrees].
        second: Poses (..., J, 3), counted from the same start.
        motions: How the actions move.
        radius: Of one place, as a share of the shortest move.

    Returns:
        (..., I, J) int64: 0 elsewhere, 1 + k for the same place turned by k steps.
    """
    shortest = min((math.hypot(x, y) for x, y, _ in motions if x or y), default=1.0)
    apart = (first[..., :, None, :2] - second[..., None, :, :2]).norm(dim=-1)
    turned = second[..., None, :, 2] - first[..., :, None, 2]
    steps = (turned / turn_step(motions)).round().long() % num_headings(motions)
    return torch.where(apart < radius * shortest, 1 + steps, ELSEWHERE)


def load_matcher(
    folder: Path,
    *,
    motions: Sequence[Motion],
    encoder: str,
    device: torch.device | str = "cpu",
) -> PlaceMatcher:
    """The matcher in a folder, checked against the world model it serves.

    Args:
        folder: Where `stage=matcher` saved it.
        motions: How the world model's actions move.
        encoder: Fingerprint of the world model's autoencoder.
        device: Where it goes: to the latents it is to read.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged or was made for other actions or latents.
    """
    wanted = {"motions": motions, "encoder": encoder}
    return load_checked(
        PlaceMatcher, folder, stage="matcher", wanted=wanted, device=device
    )
