"""`ActionProbe`: reads from two latents which action led from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from world_model.conv_net import conv_net
from world_model.pretrained import load_checked


class ActionProbe(ModelMixin, ConfigMixin):
    """A small convolutional inverse-dynamics net, trained on real latents only.

    Args:
        phrases: Canonical phrase of each action it tells apart.
        encoder: Fingerprint of the autoencoder whose latents it reads, see
            `world_model.fingerprint.encoder_fingerprint`.
        latent_channels: c.
        latent_size: h = w, a multiple of 2.
        width: Channels.
    """

    @register_to_config
    def __init__(
        self,
        phrases: Sequence[str],
        encoder: str = "",
        latent_channels: int = 16,
        latent_size: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.features = conv_net(2 * latent_channels, latent_size, width, len(phrases))

    def forward(self, pairs: Tensor) -> Tensor:
        """Latents before and after, (M, 2, c, h, w) -> logits of actions (M, A)."""
        return self.features(pairs.flatten(1, 2))

    @torch.no_grad()
    def read(self, before: Tensor, after: Tensor) -> Tensor:
        """The likeliest action between latents (M, c, h, w) each, (M,) int64."""
        weight = next(self.parameters())
        pairs = torch.stack([before, after], dim=1).to(weight)
        return self(pairs).argmax(dim=1).cpu()


def load_probe(
    folder: Path, *, phrases: Sequence[str], encoder: str | None
) -> ActionProbe:
    """The probe in a folder, checked against the world model it is to judge.

    Args:
        folder: Where `stage=probe` saved it.
        phrases: Canonical phrases of the world model's actions.
        encoder: Fingerprint of the world model's autoencoder; None if it has none.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or reads other actions or other latents.
    """
    wanted: dict[str, object] = {"phrases": phrases}
    if encoder is not None:
        wanted["encoder"] = encoder
    return load_checked(ActionProbe, folder, stage="probe", wanted=wanted)
