"""Goals of the arm's vocabulary are reached where their phrases were just executed."""

import numpy as np
import pytest
import torch

from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.shards import ShardMeta, write_meta, write_shard
from world_model.text.phrases import goals_of
from world_model.training.latents import encode_dataset
from world_model.training.position_probe import goal_places

PICK_RED, PICK_BLUE, LEFT, RIGHT = PHRASES = (
    "pick up the red cube",
    "pick up the blue cube",
    "place it at row 2, column 1",
    "place it at row 2, column 5",
)
DONE = [[PICK_RED, LEFT, PICK_BLUE, RIGHT], [PICK_RED, LEFT, RIGHT, PICK_RED]]
MOVED = [[True, True, True, True], [True, False, True, True]]


def goals(tmp_path, **options):
    """By episode, when which goals are reached."""
    shape = (2, 5, 1)
    shard = {
        "frames": np.zeros((2, 5, 8, 8, 3), np.uint8),
        "actions": np.array([[PHRASES.index(p) for p in row] for row in DONE]),
        "moved": np.array(MOVED),
        "visible": np.ones(shape, np.int32),
        "found": np.ones(shape, bool),
    }
    write_meta(tmp_path, ShardMeta("table", 1, PHRASES, (None,) * 4, ("cube",), {}))
    write_shard(tmp_path, 0, shard)
    model = FrameAutoencoder(kind="identity", latent_channels=3)
    episodes = encode_dataset(tmp_path, model, torch.device("cpu"), **options)
    names = [words[0] for words in goals_of(PHRASES).values()]
    return [
        {(int(t), names[g]) for t, g in zip(*np.nonzero(found), strict=True)}
        for found in episodes.found
    ]


def test_a_goal_is_reached_when_its_last_phrase_has_just_been_executed(tmp_path):
    first, second = goals(tmp_path)
    assert first == {
        (2, "put the red cube at row 2, column 1"),
        (4, "put the blue cube at row 2, column 5"),
    }
    # Blocked, then placed without a pick right before, then not placed at all.
    assert second == set()


def test_a_mirror_shows_the_goal_on_the_other_side(tmp_path):
    assert goals(tmp_path, mirrored=True)[0] == {
        (2, "put the red cube at row 2, column 5"),
        (4, "put the blue cube at row 2, column 1"),
    }


def test_where_goals_lie_is_measured_where_they_are_reached(tmp_path):
    goals(tmp_path)  # writes the data set
    model = FrameAutoencoder(kind="identity", latent_channels=3)
    episodes = encode_dataset(tmp_path, model, torch.device("cpu"))
    positions = torch.zeros(2, 5, 2, 3)
    positions[0, 2, 0] = torch.tensor([0.1, 0.2, 0.02])
    positions[0, 4, 1] = torch.tensor([0.3, -0.2, 0.02])
    shifts = torch.zeros(2, 5, 2)
    shifts[0, 2, 0], shifts[0, 4, 1] = 0.3, 0.2
    found = goal_places(goals_of(PHRASES), episodes, positions, shifts)
    assert found == [
        ("put the red cube at row 2, column 1", 0, (0.1, 0.2, 0.02)),
        ("put the blue cube at row 2, column 5", 1, (0.3, -0.2, 0.02)),
    ]


def test_latents_are_encoded_anew_where_the_data_are_new(tmp_path):
    goals(tmp_path)
    (cached,) = tmp_path.glob("latents-*.pt")
    goals(tmp_path)
    assert list(tmp_path.glob("latents-*.pt")) == [cached]
    made = ShardMeta("table", 1, PHRASES, (None,) * 4, ("cube",), {"revision": "new"})
    write_meta(tmp_path, made)
    model = FrameAutoencoder(kind="identity", latent_channels=3)
    encode_dataset(tmp_path, model, torch.device("cpu"))
    assert len(list(tmp_path.glob("latents-*.pt"))) == 2


def test_vectors_have_no_mirror_image(tmp_path):
    bounds = ((-1.0, 1.0),)
    write_meta(tmp_path, ShardMeta("p", 1, (), (), (), {}, bounds=bounds, labels=()))
    frames = np.zeros((1, 3, 8, 8, 3), np.uint8)
    write_shard(tmp_path, 0, {"frames": frames, "actions": np.zeros((1, 2, 1))})
    model = FrameAutoencoder(kind="identity", latent_channels=3)
    with pytest.raises(ValueError, match="needs actions that are phrases, got vectors"):
        encode_dataset(tmp_path, model, torch.device("cpu"), mirrored=True)
