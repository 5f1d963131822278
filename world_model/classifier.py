"""`GoalClassifier`: does a latent show the goal, and how large is the target?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from world_model.conv_net import conv_net
from world_model.errors import unknown_name
from world_model.pretrained import load_checked

PREFIX = "go to the "


class GoalClassifier(ModelMixin, ConfigMixin):
    """A small convolutional net on latents with two outputs per nameable object.

    Args:
        objects: Names it knows, e.g. "yellow cylinder"; instructions are
            "go to the <name>".
        latent_channels: c.
        latent_size: h = w, a multiple of 2.
        width: Channels.
    """

    @register_to_config
    def __init__(
        self,
        objects: Sequence[str],
        latent_channels: int = 8,
        latent_size: int = 8,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.features = conv_net(latent_channels, latent_size, width, 2 * len(objects))

    def forward(self, latents: Tensor) -> Tensor:
        """(M, c, h, w) -> (M, 2, O): logit of "found", logit of visibility."""
        return self.features(latents).unflatten(1, (2, -1))

    def __call__(self, latents: Tensor, instructions: Sequence[str] | None = None):  # type: ignore[no-untyped-def]
        """`forward`, or with instructions their logits and visibility, (M,) each.

        Raises:
            ValueError: If an instruction names an object it does not know.
        """
        out = super().__call__(latents)
        if instructions is None:
            return out
        index = torch.tensor([self._index(w) for w in instructions])
        rows = torch.arange(len(out))
        return out[rows, 0, index], out[rows, 1, index].sigmoid()

    def _index(self, instruction: str) -> int:
        name = instruction.removeprefix(PREFIX)
        known = list(self.config["objects"])
        if name not in known:
            raise unknown_name("goal", name, known)
        return known.index(name)


def load_classifier(
    folder: Path, *, device: torch.device | str = "cpu"
) -> GoalClassifier:
    """A classifier in single precision; nothing is downloaded.

    Args:
        folder: Where `stage=classifier` saved it.
        device: Where it goes: to the latents it is to read.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged.
    """
    return load_checked(
        GoalClassifier, folder, stage="classifier", wanted={}, device=device
    )
