"""Scene revisit consistency: the same place, another one, and one with noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eval.image_scores import revisit_similarity


def _places(noise: float = 0.0) -> Tensor:
    """Six coloured floors and walls with a box each, (6, 3, 64, 64) in [-1, 1]."""
    rng = np.random.default_rng(0)
    images = np.empty((6, 3, 64, 64))
    for image in images:
        wall, floor, box = rng.uniform(-0.9, 0.9, (3, 3, 1, 1))
        row, column, size = rng.integers((20, 0, 10), (40, 50, 30))
        image[:] = wall
        image[:, 32:] = floor
        image[:, row : row + size, column : column + size] = box
    images += np.random.default_rng(1).normal(0, noise, images.shape)
    return torch.from_numpy(images.clip(-1, 1).astype(np.float32))


def test_the_same_frames_are_fully_consistent() -> None:
    places = _places()
    torch.testing.assert_close(revisit_similarity(places, places), torch.ones(6))


def test_a_noisy_revisit_lies_between_another_place_and_the_truth() -> None:
    places = _places()
    noisy = revisit_similarity(places, _places(noise=0.005)).mean()
    elsewhere = revisit_similarity(places, places.roll(1, dims=0)).mean()
    assert elsewhere < (elsewhere + 1) / 2 < noisy < 1


def test_images_of_any_size_are_compared() -> None:
    wide = torch.nn.functional.interpolate(_places(), size=(48, 96))
    assert revisit_similarity(wide, wide).shape == (6,)
