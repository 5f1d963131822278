"""LPIPS reproduces the reference implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.video.lpips import Lpips


def _noise(seed: int, shape: tuple[int, ...] = (2, 3, 64, 64)) -> Tensor:
    values = np.random.default_rng(seed).uniform(-1, 1, shape)
    return torch.from_numpy(values.astype(np.float32))


@pytest.fixture(scope="module", params=["alex", "vgg"])
def net(request: pytest.FixtureRequest) -> Lpips:
    return Lpips(request.param)


@pytest.mark.parametrize(("name", "golden"), [("alex", 0.813954), ("vgg", 0.453837)])
def test_black_against_white_has_the_golden_distance(name: str, golden: float) -> None:
    # The reference gives 0.8140 for alex (spatial average, 64 x 64).
    white = torch.ones(1, 3, 64, 64)
    assert Lpips(name)(-white, white).item() == pytest.approx(golden, abs=2e-6)


def test_an_image_has_no_distance_from_itself(net: Lpips) -> None:
    images = _noise(0)
    assert torch.equal(net(images, images), torch.zeros(2))


def test_the_distance_is_symmetric_positive_and_per_pair(net: Lpips) -> None:
    images, targets = _noise(0), _noise(1)
    distances = net(images, targets)
    torch.testing.assert_close(distances, net(targets, images))
    torch.testing.assert_close(distances[1:], net(images[1:], targets[1:]))
    assert (distances > 0).all()


def test_the_weights_are_frozen_and_the_images_take_gradients() -> None:
    net = Lpips("alex")
    images = _noise(0).requires_grad_()
    net(images, _noise(1)).sum().backward()
    assert images.grad is not None
    assert not any(p.requires_grad for p in net.parameters())


def test_an_unknown_net_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"one of \['alex', 'vgg'\], got 'squeeze'"):
        Lpips("squeeze")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), "must be float32 in"),
        (torch.full((2, 3, 64, 64), 255.0), r"must lie in \[-1, 1\], got \[255, 255\]"),
        (torch.full((2, 3, 64, 64), torch.nan), r"must lie in \[-1, 1\], got \[nan"),
        (torch.zeros(2, 64, 64, 3), "must be RGB images"),
        (torch.zeros(1, 3, 64, 64), "must have equal shapes"),
    ],
)
def test_wrong_images_are_refused(images: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lpips("alex")(images, torch.zeros(2, 3, 64, 64))


def test_images_too_small_for_the_network_are_refused() -> None:
    small = torch.zeros(1, 3, 16, 16)
    with pytest.raises(ValueError, match=r"at least 32 px a side, got \(16, 16\)"):
        Lpips("alex")(small, small)
