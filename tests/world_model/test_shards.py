import dataclasses
import json

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from world_model.names import CONFIGS
from world_model.shards import (
    ShardMeta,
    read_meta,
    read_shards,
    shard_path,
    write_meta,
    write_shard,
)
from world_model.train import _run
from world_model.whole_file import write_whole

META = ShardMeta("toy", 2, ("up", "down"), (1, None), ("red box",), {"revision": None})


def test_what_is_written_is_read(tmp_path):
    arrays = [{"actions": np.arange(4) + i} for i in range(2)]
    for index, shard in enumerate(arrays):
        write_shard(tmp_path, index, shard)
    write_meta(tmp_path, META)
    assert read_meta(tmp_path) == META
    for shard, expected in zip(read_shards(tmp_path), arrays, strict=True):
        np.testing.assert_array_equal(shard["actions"], expected["actions"])
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "meta.json"
    path.write_text("old")

    def write(file):
        file.write(b"half of the n")
        raise failure

    with pytest.raises(type(failure)):
        write_whole(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path):
    def write(file):
        raise OSError(28, "No space left on device")

    text = r"x\.npz must be writable, got: No space left on device\. Free disk space"
    with pytest.raises(OSError, match=text):
        write_whole(tmp_path / "x.npz", write)


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_damaged_shard_is_named(tmp_path, keep):
    write_shard(tmp_path, 3, {"actions": np.arange(100)})
    path = shard_path(tmp_path, 3)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match="shard-00003.npz is damaged.*delete it and run"
    ):
        list(read_shards(tmp_path))


def test_a_folder_without_a_data_set_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="meta.json, got .*envs.collect` first"):
        read_meta(tmp_path)


@pytest.mark.parametrize("change", [{"chunk_size": 3}, {"phrases": None}])
def test_a_data_set_of_another_version_is_named(tmp_path, change):
    fields = {**dataclasses.asdict(META), **change}
    (tmp_path / "meta.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="not describe a data set of this version"):
        read_meta(tmp_path)


@pytest.mark.parametrize("stage", ["fit", "slow"])
def test_episodes_that_are_there_to_be_judged_on_train_nothing(tmp_path, stage):
    made = {"split": "test"}
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    write_meta(data, ShardMeta("scroll", 2, ("up",), (None,), (), made))
    words = [f"stage={stage}", f"data={data}", f"output={out}"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", ["domain=scroll", *words])
    text = "`data` must hold training episodes, got .* of split=test: collect with"
    with pytest.raises(ValueError, match=text):
        _run(cfg)
    assert not out.exists()
