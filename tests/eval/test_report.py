"""What a run shows at its end."""

import numpy as np
import pytest

from eval.record import RunRecord
from eval.report import median_seed, write_side_by_side
from eval.run_spec import RunSpec


@pytest.fixture
def make_run(tmp_path):
    """Records of four episodes, of which some kept their imagined paths."""

    def make(memory, kept):
        spec = RunSpec({}, "a-v0", "mpc", memory, "tiny", "val", (0, 1, 2, 3))
        record = RunRecord(tmp_path / memory)
        record.start(spec, {"command": ""}, stores_frames=False)
        for seed in spec.seeds:
            record.append({"seed": seed, "success": 1, "recall_psnr": 10.0 + seed})
        for seed in kept:
            frames = np.zeros((2, 8, 8, 3), np.uint8)
            names = ("real_chunk_ends", "key_frames")
            path = record.directory / f"imagined-{seed}.npz"
            np.savez(path, **dict.fromkeys(names, frames))
        return record.directory

    return make


def test_the_median_episode_is_shown(make_run):
    runs = [make_run("none", range(4)), make_run("anchor", range(4))]
    assert median_seed(runs) == 1


def test_episodes_that_one_run_did_not_keep_are_left_out(make_run):
    runs = [make_run("none", [2, 3]), make_run("anchor", range(4))]
    assert median_seed(runs) == 2
    path = write_side_by_side(runs)
    assert path.name == "side-by-side-2.mp4"
    assert path.exists()


def test_without_kept_paths_there_is_no_video(make_run):
    assert write_side_by_side([make_run("none", []), make_run("anchor", [0])]) is None
