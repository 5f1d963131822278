"""Data of the table: purposeful, with object states, the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest

from envs.collect import collect
from envs.tabletop.domain import TabletopDomain
from envs.tabletop.grid import OBJECTS
from world_model.shards import read_meta, read_shards

pytestmark = pytest.mark.sim
NUMBERS = {"episodes": 1, "actions": 4, "shard_size": 1, "workers": 1}


def test_shards_hold_frames_labels_and_positions(tmp_path):
    collect("tabletop", tmp_path / "data", **NUMBERS)
    (shard,) = read_shards(tmp_path / "data")
    assert shard["frames"].shape == (1, 1 + 4 * 6, 64, 64, 3)
    assert shard["actions"].shape == shard["moved"].shape == (1, 4)
    assert shard["visible"].shape == shard["found"].shape == (1, 5, 3)
    assert shard["positions"].shape == (1, 5, len(OBJECTS) + 1, 3)
    assert shard["positions"].dtype == np.float32
    assert read_meta(tmp_path / "data").phrases == TabletopDomain.action_space.phrases
    steps = np.abs(np.diff(shard["positions"][0, :, :-1], axis=0)).max((1, 2))
    # What is counted as moved has been moved: at least half a cell, or lifted.
    assert (steps[shard["moved"][0]] > 0.03).all()
    assert shard["moved"].any()
