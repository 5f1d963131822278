"""Scene cuts: known cuts are found, frozen and noisy videos have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.video.cuts import calibrate_threshold, content_values, scene_cuts

_THRESHOLD = 12.0


def _scene(seed: int, num_frames: int, size: int = 64) -> np.ndarray:
    """A still texture with sensor noise of 2 grey levels, uint8 (T, H, W, 3)."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(30, 220, (8, 8, 3)).repeat(size // 8, 0).repeat(size // 8, 1)
    noise = rng.normal(0, 2, (num_frames, size, size, 3))
    return (texture + noise).clip(0, 255).astype(np.uint8)


def _grey(noise: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    frames = 128 + rng.normal(0, noise, (16, 64, 64, 3))
    return frames.clip(0, 255).astype(np.uint8)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_every_known_cut_is_found_at_its_frame(lengths: list[int]) -> None:
    # One-frame scenes and cuts at the ends included; there is no minimum scene.
    lengths = [1, *lengths]
    video = np.concatenate([_scene(i, n, size=32) for i, n in enumerate(lengths)])
    cuts = scene_cuts(video, threshold=_THRESHOLD)
    assert cuts.cut_frames == tuple(np.cumsum(lengths[:-1]))
    expected = 100 * (len(lengths) - 1) / len(video)
    assert cuts.cuts_per_100_frames == pytest.approx(expected)


def test_a_frozen_video_has_no_cuts_and_no_motion() -> None:
    frozen = _scene(0, 1).repeat(32, axis=0)
    cuts = scene_cuts(frozen, threshold=1e-6)
    assert cuts.cuts_per_100_frames == 0
    assert cuts.motion == 0


def test_noise_on_grey_walls_is_no_cut() -> None:
    # Hue is undefined on grey: PySceneDetect's defaults score 22 to 40 here.
    cuts = scene_cuts(_grey(noise=4.0), threshold=_THRESHOLD)
    assert cuts.cut_frames == ()
    assert 3 < content_values(_grey(noise=4.0)).max() < 5
    assert cuts.motion > 3


def test_the_scores_are_those_of_the_luma() -> None:
    frames = np.zeros((3, 16, 16, 3), dtype=np.uint8)
    frames[1:, :8] = (0, 100, 40)  # half of the pixels, luma 100
    np.testing.assert_allclose(content_values(frames), [50, 0])


def test_channels_are_read_as_rgb() -> None:
    # OpenCV's luma is the largest channel, so the order cannot show; motion adds all.
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    frames[1] = (90, 0, 0)
    assert scene_cuts(frames, threshold=_THRESHOLD).motion == pytest.approx(30)


def test_the_calibrated_threshold_is_silent_on_real_videos_and_finds_cuts() -> None:
    real = [_scene(seed, 40) for seed in range(3)]
    threshold = calibrate_threshold(real, margin=1.5)
    assert all(not scene_cuts(video, threshold=threshold).cut_frames for video in real)
    spliced = np.concatenate([real[0][:8], real[1][:8]])
    assert scene_cuts(spliced, threshold=threshold).cut_frames == (8,)


def test_the_margin_is_a_factor() -> None:
    real = [_scene(0, 20)]
    single, double = (calibrate_threshold(real, margin=m) for m in (1.0, 2.0))
    assert double == pytest.approx(2 * single)


def test_float_frames_are_refused() -> None:
    frames = _scene(0, 4).astype(np.float32) / 255
    with pytest.raises(ValueError, match=r"must be uint8 in .* got float32: floats"):
        scene_cuts(frames, threshold=_THRESHOLD)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (8, 8, 3), (4, 3, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be an RGB video \(T >= 2, H, W, 3\)"):
        scene_cuts(np.zeros(shape, dtype=np.uint8), threshold=_THRESHOLD)


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_a_threshold_that_fires_on_frozen_videos_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="`threshold` must be > 0, got"):
        scene_cuts(_scene(0, 4), threshold=threshold)


def test_calibration_refuses_nothing_and_frozen_videos() -> None:
    with pytest.raises(ValueError, match="needs real videos, got none"):
        calibrate_threshold([])
    with pytest.raises(ValueError, match="got 0 from 1 real videos: use videos that"):
        calibrate_threshold([_scene(0, 1).repeat(4, axis=0)])
