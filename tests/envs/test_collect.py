"""`envs.collect`: resumable, reproducible, answers fast."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from envs.collect import collect
from envs.recording import BESIDE_DISTANCE, BESIDE_TURN, _shift
from envs.scroll.domain import ScrollDomain
from world_model.shards import read_meta, read_shards, shard_path

NUMBERS = {"episodes": 5, "actions": 6, "shard_size": 2, "workers": 1}


@pytest.fixture
def data(tmp_path):
    collect("scroll", tmp_path / "data", **NUMBERS)
    return tmp_path / "data"


def test_shards_have_the_stated_shapes(data):
    shards = list(read_shards(data))
    assert len(shards) == 3  # five episodes, rounded up to whole shards
    for shard in shards:
        assert shard["frames"].shape == (2, 1 + 6 * 2, 8, 8, 3)
        assert shard["actions"].shape == shard["moved"].shape == (2, 6)
        assert shard["visible"].shape == shard["found"].shape == (2, 7, 10)
    assert read_meta(data).phrases == ScrollDomain.action_space.phrases
    assert read_meta(data).provenance["split"] == "train"


def test_only_what_is_missing_is_collected_again(data):
    before = {path: path.stat().st_mtime_ns for path in data.iterdir()}
    lost = shard_path(data, 1)
    arrays = dict(np.load(lost))
    lost.unlink()
    collect("scroll", data, **NUMBERS)
    made = [path for path in data.iterdir() if path.stat().st_mtime_ns != before[path]]
    assert made == [lost]
    for name, array in np.load(lost).items():
        assert np.array_equal(array, arrays[name])


def test_a_complete_data_set_is_left_alone(data, capsys):
    collect("scroll", data, **NUMBERS)
    assert "All 3 shards are there, nothing to do" in capsys.readouterr().out


def test_shards_do_not_depend_on_the_number_of_workers(data, tmp_path):
    collect("scroll", tmp_path / "two", **NUMBERS | {"workers": 2})
    for one, two in zip(read_shards(data), read_shards(tmp_path / "two"), strict=True):
        for name, array in one.items():
            assert np.array_equal(array, two[name])


def test_splits_hold_different_episodes(data, tmp_path):
    collect("scroll", tmp_path / "val", split="val", **NUMBERS)
    train, val = next(read_shards(data)), next(read_shards(tmp_path / "val"))
    assert not np.array_equal(train["frames"], val["frames"])


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_below_one_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        collect("scroll", tmp_path / "data", **NUMBERS | {name: 0})
    assert not (tmp_path / "data").exists()


def test_unknown_names_are_answered_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="Unknown domain 'scrol'. Did you mean 'scro"):
        collect("scrol", tmp_path / "data", **NUMBERS)
    with pytest.raises(ValueError, match="Unknown split 'vall'. Did you mean 'val'"):
        collect("scroll", tmp_path / "data", split="vall", **NUMBERS)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": 7}, "data set with actions=6, got 7: collect into another"),
        ({"shard_size": 3}, "data set with shard_size=2, got 3"),
        ({"split": "val"}, "data set with split=train, got val"),
    ],
)
def test_other_settings_are_not_mixed_in(data, change, message):
    with pytest.raises(ValueError, match=message):
        collect("scroll", data, **NUMBERS | change)


def test_views_from_beside_come_with_the_same_episodes(tmp_path):
    few = {"episodes": 2, "actions": 3, "shard_size": 2, "workers": 1}
    collect("rooms", tmp_path / "plain", **few)
    collect("rooms", tmp_path / "beside", **few, beside=True)
    (plain,), (both,) = (list(read_shards(tmp_path / x)) for x in ("plain", "beside"))
    views = both.pop("beside")
    assert plain.keys() == both.keys()
    for name, array in plain.items():
        assert np.array_equal(array, both[name])
    ends = both["frames"][:, ::4]
    assert views.shape == ends.shape
    assert views.dtype == np.uint8
    # Every view is another one, but of the same place.
    away = np.abs(views.astype(float) - ends).mean(axis=(2, 3, 4))
    other = np.abs(ends[0, None, 0].astype(float) - ends[1]).mean(axis=(1, 2, 3))
    assert (away > 0).all()
    assert away.mean() < other.mean() / 2


def test_shifts_from_the_path_are_bounded_and_one_an_episode():
    rngs = [np.random.default_rng(i) for i in range(200)]
    shifts = np.array([_shift(rng) for rng in rngs])
    distance = np.hypot(shifts[:, 0], shifts[:, 1])
    assert distance.max() <= BESIDE_DISTANCE
    assert np.abs(shifts[:, 2]).max() <= BESIDE_TURN
    # Uniform in the disc: three quarters lie beyond half of the radius.
    assert np.mean(distance > BESIDE_DISTANCE / 2) == pytest.approx(0.75, abs=0.1)


def test_views_from_beside_are_refused_where_views_cannot_be_shifted(tmp_path):
    with pytest.raises(ValueError, match="`beside=true` needs a domain whose views"):
        collect("scroll", tmp_path / "data", **NUMBERS, beside=True)
    assert not (tmp_path / "data").exists()


def test_plain_episodes_are_not_mixed_with_others(tmp_path):
    few = {"episodes": 1, "actions": 2, "shard_size": 1, "workers": 1}
    collect("rooms", tmp_path / "data", **few)
    with pytest.raises(ValueError, match="with beside=None, got true: collect into"):
        collect("rooms", tmp_path / "data", **few, beside=True)


def test_help_does_not_load_torch():
    code = "import sys, envs.collect; print('torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
