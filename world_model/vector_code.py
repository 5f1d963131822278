"""`VectorCode`: actions that are vectors, in the form in which phrases are read."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from world_model.shards import Bounds

TEXT_DIM = 384
_SEED = 0
_HARMONICS = range(1, 5)
_WAVES = (torch.sin, torch.cos)


class VectorCode:
    """Maps vectors to as many numbers as an embedded phrase has.

    Every number, scaled to [-1, 1], gives itself and the sines and cosines of its
    first harmonics; a fixed random rotation spreads these over all places, so that
    slow weights read vectors and phrases through the same layers. Linear in the
    action up to the harmonics: what lies between two actions has a code between.

    Args:
        bounds: Least and largest value of each number.

    Raises:
        ValueError: If a bound is not finite, or none is left between the two.
    """

    def __init__(self, bounds: Bounds) -> None:
        low, high = torch.tensor(bounds, dtype=torch.float32).T
        if not (torch.isfinite(low) & torch.isfinite(high) & (low < high)).all():
            raise ValueError(
                "Actions that are vectors need finite bounds, the lower below the "
                f"upper, got {list(bounds)}: scale the actions, e.g. to [-1, 1]."
            )
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        each = 1 + len(_WAVES) * len(_HARMONICS)
        size = each * len(bounds)
        if size > TEXT_DIM:
            raise ValueError(
                f"Actions may have {TEXT_DIM // each} numbers at most, got "
                f"{len(bounds)}: leave out what does not matter."
            )
        generator = torch.Generator().manual_seed(_SEED)
        square = torch.randn(TEXT_DIM, TEXT_DIM, generator=generator)
        rotation = torch.linalg.qr(square)[0][:size]
        # As large as a standardised embedding: about one per place. A wave's mean
        # square is one half.
        self._rotation = rotation * math.sqrt(2 * TEXT_DIM / size)

    def __call__(self, actions: Tensor) -> Tensor:
        """Codes (..., 384) of actions (..., A); what is out of bounds is clipped."""
        device = actions.device
        middle, half = self._middle.to(device), self._half.to(device)
        x = ((actions.float() - middle) / half).clamp(-1, 1)
        waves = [f(k * math.pi / 2 * x) for k in _HARMONICS for f in _WAVES]
        return torch.cat([x, *waves], dim=-1) @ self._rotation.to(device)
