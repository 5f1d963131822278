"""`PositionProbe`: reads from a latent where the objects are."""

from __future__ import annotations

from collections.abc import Sequence

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from world_model.conv_net import conv_net

UNIT = 0.1
"""Of the net's outputs [m]."""


class PositionProbe(ModelMixin, ConfigMixin):
    """A small convolutional net, trained on real latents only.

    Args:
        objects: Names of the n objects, in the order of its answers.
        encoder: Fingerprint of the autoencoder whose latents it reads.
        latent_channels: c.
        latent_size: h = w, a multiple of 2.
        width: Channels.
    """

    @register_to_config
    def __init__(
        self,
        objects: Sequence[str],
        encoder: str = "",
        latent_channels: int = 16,
        latent_size: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.features = conv_net(latent_channels, latent_size, width, 3 * len(objects))

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (M, c, h, w) -> positions (M, n, 3) [m]."""
        return UNIT * self.features(latents).unflatten(1, (-1, 3))
