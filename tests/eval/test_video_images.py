"""PSNR and SSIM agree with scikit-image and with closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from eval.video.images import psnr, ssim


def _pair(num_images: int = 2) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    targets = rng.uniform(-1, 1, (num_images, 3, 32, 32))
    images = (targets + rng.normal(0, 0.1, targets.shape)).clip(-1, 1)
    return torch.tensor(images, dtype=torch.float32), torch.tensor(targets).float()


def test_psnr_agrees_with_scikit_image() -> None:
    images, targets = _pair()
    expected = [
        peak_signal_noise_ratio(t.numpy(), i.numpy(), data_range=2)
        for i, t in zip(images, targets, strict=True)
    ]
    np.testing.assert_allclose(psnr(images, targets), expected, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1.0))
def test_psnr_of_a_constant_error_has_a_closed_form(error: float) -> None:
    images = torch.zeros(1, 3, 4, 4)
    decibel = 20 * np.log10(2 / error)
    assert psnr(images, images + error).item() == pytest.approx(decibel, rel=1e-5)


def test_equal_images_have_infinite_psnr_and_full_ssim() -> None:
    images, _ = _pair()
    assert torch.isinf(psnr(images, images)).all()
    torch.testing.assert_close(ssim(images, images), torch.ones(2))


def test_a_mask_hides_the_error_outside_it() -> None:
    targets = torch.zeros(2, 3, 8, 8)
    images = targets.clone()
    images[:, :, :, :4] = 0.2
    images[:, :, :, 4:] = 1.0
    mask = torch.zeros(2, 8, 8, dtype=torch.bool)
    mask[:, :, :4] = True
    torch.testing.assert_close(psnr(images, targets, mask), torch.full((2,), 20.0))


def test_a_full_mask_changes_nothing_and_an_empty_one_leaves_no_value() -> None:
    images, targets = _pair()
    full = torch.ones(2, 32, 32, dtype=torch.bool)
    torch.testing.assert_close(psnr(images, targets, full), psnr(images, targets))
    assert torch.isnan(psnr(images, targets, ~full)).all()


def test_ssim_agrees_with_scikit_image() -> None:
    images, targets = _pair()
    expected = [
        structural_similarity(
            (t.numpy() + 1) / 2,
            (i.numpy() + 1) / 2,
            channel_axis=0,
            data_range=1,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        for i, t in zip(images, targets, strict=True)
    ]
    np.testing.assert_allclose(ssim(images, targets), expected, atol=1e-3)


def test_ssim_of_one_pair_keeps_its_axis() -> None:
    images, targets = _pair(num_images=1)
    assert ssim(images, targets).shape == (1,)


def test_ssim_sees_brightness_around_grey() -> None:
    # On [-1, 1] the luminance term would compare means of opposite sign.
    grey = torch.full((1, 3, 32, 32), -0.05)
    assert ssim(grey, -grey).item() > 0.98


def test_wrong_masks_and_pairs_are_refused() -> None:
    images, targets = _pair()
    with pytest.raises(ValueError, match=r"`mask` must be bool \(2, 32, 32\), got"):
        psnr(images, targets, torch.ones(2, 32, 32))
    with pytest.raises(ValueError, match="must have equal shapes"):
        ssim(images, targets[:1])
    with pytest.raises(ValueError, match="must be float32"):
        psnr(images.double(), targets.double())
