import numpy as np
import pytest
import torch

from world_model.frames import to_env, to_model


def test_images_survive_the_way_there_and_back():
    images = np.arange(2 * 4 * 8 * 3, dtype=np.uint8).reshape(2, 4, 8, 3)
    frames = to_model(images)
    assert frames.shape == (2, 3, 4, 8)
    assert frames.abs().max() <= 1
    np.testing.assert_array_equal(to_env(frames), images)


def test_frames_out_of_range_are_clipped():
    assert to_env(torch.tensor([-3.0, 3.0]).reshape(1, 1, 2)).flatten().tolist() == [
        0,
        255,
    ]


def test_floats_are_refused():
    with pytest.raises(ValueError, match="must be uint8 in .* got float32: convert"):
        to_model(np.zeros((4, 4, 3), np.float32))
