"""Video features: I3D reproduces the original, every extractor keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.video.features import VideoFeatures
from eval.video.frechet import frechet_distance
from eval.video.i3d import I3d
from eval.video.i3d_features import I3dFeatures, resize_tf1
from tests.pixel_dct import PixelDct


@pytest.fixture(scope="module")
def i3d_features() -> I3dFeatures:
    return I3dFeatures(batch_size=1)


@pytest.fixture(params=["i3d", "dct"])
def features(
    request: pytest.FixtureRequest, i3d_features: I3dFeatures
) -> VideoFeatures:
    return i3d_features if request.param == "i3d" else PixelDct()


def _clips(num_clips: int, num_frames: int, size: int = 32) -> Tensor:
    shape = (num_clips, num_frames, 3, size, size)
    values = np.random.default_rng(0).uniform(-1, 1, shape)
    return torch.from_numpy(values.astype(np.float32))


def test_i3d_reproduces_the_golden_logits(i3d_features: I3dFeatures) -> None:
    clips = np.random.RandomState(1).rand(2, 16, 224, 224, 3) * 2 - 1
    clip = torch.from_numpy(clips[:1].astype(np.float32)).permute(0, 1, 4, 2, 3)
    golden = [1.6123902, 4.9212127, 2.7019546, 2.9387367]
    np.testing.assert_allclose(i3d_features(clip)[0, :4], golden, atol=2e-5)


@pytest.mark.parametrize(
    ("num_frames", "golden"), [(10, 569.771), (16, 152.902), (30, 151.392426)]
)
def test_identical_black_against_identical_white_clips_have_the_golden_fvd(
    i3d_features: I3dFeatures, num_frames: int, golden: float
) -> None:
    # The TensorFlow original gives 151.39244 for 30 frames.
    white = torch.ones(1, num_frames, 3, 64, 64)
    x, y = (i3d_features(clip).repeat(3, axis=0) for clip in (white, -white))
    assert frechet_distance(x, y) == pytest.approx(golden, rel=5e-6)


def test_features_have_the_promised_shape_and_do_not_depend_on_the_batch(
    features: VideoFeatures,
) -> None:
    clips = _clips(2, features.min_frames)
    values = features(clips)
    assert values.shape == (2, features.dim)
    assert values.dtype == np.float32
    np.testing.assert_allclose(features(clips[1:])[0], values[1], rtol=1e-4, atol=1e-5)


def test_features_know_the_order_of_frames(features: VideoFeatures) -> None:
    clip = _clips(1, features.min_frames)
    assert not np.allclose(features(clip), features(clip.flip(1)), atol=1e-2)


def test_features_refuse_bytes(features: VideoFeatures) -> None:
    with pytest.raises(ValueError, match="must be float32 in"):
        features(torch.zeros(1, 16, 3, 32, 32, dtype=torch.uint8))


def test_i3d_itself_refuses_other_sizes_and_short_clips() -> None:
    network = I3d()
    with pytest.raises(ValueError, match=r"I3D needs clips .* got \(1, 3, 9, 64, 64\)"):
        network(torch.zeros(1, 3, 9, 64, 64))
    with pytest.raises(ValueError, match="T >= 9"):
        network(torch.zeros(1, 3, 8, 224, 224))


def test_the_resize_samples_as_tensorflow_1_does() -> None:
    # Output i reads position i * in / out, and the last pixel is repeated.
    row = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    resized = resize_tf1(row, 8)
    expected = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0])
    torch.testing.assert_close(resized, expected.expand(8, 8))


def test_the_resize_keeps_images_of_the_right_size() -> None:
    images = _clips(1, 1, size=24)
    torch.testing.assert_close(resize_tf1(images, 24), images)
