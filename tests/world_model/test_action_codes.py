"""`ActionCodes`: which code belongs to which action."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from world_model.shards import ShardMeta
from world_model.text.arm_phrases import ARM
from world_model.text.encoder import embed_phrases
from world_model.text.motion_phrases import MOTIONS
from world_model.training.action_codes import ActionCodes
from world_model.vector_code import VectorCode

IDS = np.array([[-1, 0, 1, 1], [-1, 1, 1, 0]])


def test_every_wording_of_an_action_is_picked_and_no_other():
    groups = [torch.tensor([[1.0], [2.0]]), torch.tensor([[10.0], [20.0], [30.0]])]
    codes = ActionCodes.of_wordings(groups)
    rng = np.random.default_rng(0)
    drawn = torch.stack([codes.pick(IDS, rng) for _ in range(50)])[..., 0]
    assert (drawn[:, :, 0] == 0).all()
    assert set(drawn[:, 0, 1].tolist()) == {1.0, 2.0}
    assert set(drawn[:, 0, 2].tolist()) == {10.0, 20.0, 30.0}
    # The frames of a chunk agree on the wording.
    assert torch.equal(drawn[:, 0, 2], drawn[:, 0, 3])
    assert set(codes.first_only.pick(IDS, rng)[..., 0].unique().tolist()) == {0, 1, 10}


def test_phrases_are_read_as_their_embeddings():
    meta = ShardMeta("rooms", 2, ("forward", "turn left"), (None, None), (), {})
    codes = ActionCodes.of(meta, None).first_only
    found = codes.pick(IDS, np.random.default_rng(0))
    embedded = embed_phrases(["forward", "turn left"])
    torch.testing.assert_close(found[0, 1:3], embedded)
    assert codes.named


def test_vectors_are_read_as_their_codes():
    bounds = ((-1.0, 1.0), (0.0, 2.0))
    meta = ShardMeta("mine", 2, (), (), (), {}, bounds=bounds)
    vectors = torch.rand(6, 2, generator=torch.Generator().manual_seed(0))
    codes = ActionCodes.of(meta, vectors)
    ids = np.array([[-1, 4, 5]])
    found = codes.pick(ids, np.random.default_rng(0))
    torch.testing.assert_close(found[0, 1:], VectorCode(bounds)(vectors[4:]))
    assert not codes.named


def test_goals_follow_the_phrases_worded_as_tasks_do_first():
    names = ("red box", "blue sphere")
    meta = ShardMeta("rooms", 2, ("forward",), (None,), names, {})
    codes = ActionCodes.of(meta, None, goals=True).first_only
    found = codes.pick(np.array([[-1, 2]]), np.random.default_rng(0))
    torch.testing.assert_close(found[0, 1], embed_phrases(["go to the blue sphere"])[0])
    assert len(ActionCodes.of(meta, None).first) == 1


def test_goals_need_to_know_what_was_found():
    meta = ShardMeta("mine", 2, ("forward",), (None,), ("red box",), {}, labels=())
    with pytest.raises(ValueError, match=r"`slow.mix.goal` needs .* know what was"):
        ActionCodes.of(meta, None, goals=True)


def test_goals_follow_the_actions_those_of_the_vocabulary_before_objects():
    arm = ("pick up the red cube", "place it at row 2, column 5")
    told = "put the red cube at row 2, column 5", "go to the ball"
    for phrases, words, goal in (
        (arm, ARM, told[0]),
        (("forward", "turn left"), MOTIONS, told[1]),
    ):
        meta = ShardMeta("any", 2, phrases, (None, None), ("ball",), {})
        codes = ActionCodes.of(meta, None, goals=True).first_only
        ids = np.array([[-1, 0, len(phrases)]])
        found = codes.pick(ids, np.random.default_rng(0))[0, 1:]
        torch.testing.assert_close(found, embed_phrases([phrases[0], goal], words))
