"""`PositionProbe`: reads from a latent where the objects are and which can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from world_model.conv_net import conv_net
from world_model.pretrained import load_checked

UNIT = 0.1
"""Of the net's outputs [m]."""


class PositionProbe(ModelMixin, ConfigMixin):
    """A small convolutional net, trained on real latents only.

    Args:
        objects: Names of the n objects, in the order of its answers.
        goals: Goals in words that world models are told, each with the number of the
            object that it moves and where that came to lie, (x, y, z) [m].
        encoder: Fingerprint of the autoencoder whose latents it reads.
        latent_channels: c.
        latent_size: h = w, a multiple of 2.
        width: Channels.
    """

    @register_to_config
    def __init__(
        self,
        objects: Sequence[str],
        goals: Sequence[tuple[str, int, tuple[float, float, float]]] = (),
        encoder: str = "",
        latent_channels: int = 16,
        latent_size: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.features = conv_net(latent_channels, latent_size, width, 4 * len(objects))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (M, c, h, w) -> positions (M, n, 3) [m], visibility logits (M, n)."""
        out = self.features(latents).unflatten(1, (-1, 4))
        return UNIT * out[..., :3], out[..., 3]

    @torch.no_grad()
    def judge(
        self, latents: Tensor, positions: Tensor, visible: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How wrong views are, as far as this probe reads them.

        Args:
            latents: Of the views (M, c, h, w).
            positions: Where their objects should be (M, n, 3) [m].
            visible: Which objects should be seen (M, n) bool.

        Returns:
            Distances of what is read from where it should be (M, n) [m], and where
            visibility is read wrongly, (M, n) bool.
        """
        parts = [self(x.float()) for x in latents.split(1024)]
        read, logits = (torch.cat(x) for x in zip(*parts, strict=True))
        return (read - positions).norm(dim=-1), (logits > 0) != visible


def load_position_probe(
    folder: Path, *, encoder: str | None, device: torch.device | str = "cpu"
) -> PositionProbe:
    """The probe in a folder, checked against the world model whose latents it reads.

    Args:
        folder: Where `stage=position_probe` saved it.
        encoder: Fingerprint of the world model's autoencoder; None if it has none.
        device: Where it goes: to the latents it is to read.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or reads other latents.
    """
    wanted = {} if encoder is None else {"encoder": encoder}
    return load_checked(
        PositionProbe, folder, stage="position_probe", wanted=wanted, device=device
    )
