"""FVD and KVD beside a run's rows."""

import numpy as np
import pytest

from eval.record import RunRecord
from eval.video.cached import CachedFeatures
from eval.video_distance import NUM_FRAMES, video_distance
from tests.pixel_dct import PixelDct


class Counting(PixelDct):
    """Notes how many clips it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __call__(self, clips):
        self.seen += len(clips)
        return super().__call__(clips)


class Record(RunRecord):
    """A directory with imagined paths and nothing else."""

    def done_seeds(self):
        found = self.directory.glob("imagined-*.npz")
        return tuple(int(path.stem.split("-")[1]) for path in found)


def record(folder, *, num=12, size=32, noise=0.0, seed=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(num):
        shape = (NUM_FRAMES + 4, size, size, 3)
        real = rng.integers(0, 255, shape, dtype=np.uint8)
        other = rng.integers(0, 255, shape, dtype=np.uint8) * (noise > 0)
        mixed = ((1 - noise) * real + noise * other).astype(np.uint8)
        np.savez(folder / f"imagined-{i}.npz", real=real, imagined=mixed)
    return Record(folder)


def test_equal_videos_are_at_no_distance_and_noise_moves_away(tmp_path):
    features = PixelDct()
    same = video_distance(record(tmp_path / "same"), features)
    assert same["kvd"] <= 0  # not 0: both sets show the same ways
    assert same[f"fd_{features.name}"] == pytest.approx(0, abs=1e-3)
    assert same["video_n"] == 12
    assert "fvd" not in same  # only I3D may be called that
    far = video_distance(record(tmp_path / "far", noise=0.5), features)
    assert far["kvd"] > same["kvd"]


def test_what_was_measured_is_kept_until_paths_are_added(tmp_path):
    features, run = Counting(), record(tmp_path / "a", num=3)
    first = video_distance(run, features)
    assert features.seen == 6
    assert video_distance(run, features) == first == run.video()
    assert features.seen == 6
    np.savez(
        tmp_path / "a" / "imagined-9.npz",
        **{
            k: np.full((NUM_FRAMES, 32, 32, 3), v, np.uint8)
            for k, v in {"real": 1, "imagined": 2}.items()
        },
    )
    assert video_distance(run, features)["video_n"] == 4


@pytest.mark.parametrize(("num", "size"), [(1, 32), (4, 8)])
def test_too_few_or_too_small_paths_have_no_distance(tmp_path, num, size):
    assert video_distance(record(tmp_path / "a", num=num, size=size)) is None


def test_a_model_that_imagines_one_thing_for_all_has_no_distance(tmp_path):
    run = record(tmp_path / "a", num=3)
    for i in range(3):
        path = run.directory / f"imagined-{i}.npz"
        real = np.load(path)["real"]
        np.savez(path, real=real, imagined=np.zeros_like(real))
    assert video_distance(run, PixelDct()) is None


def test_a_path_shorter_than_a_clip_has_no_distance(tmp_path):
    run = record(tmp_path / "a")
    short = np.zeros((NUM_FRAMES - 1, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "a" / "imagined-99.npz", real=short, imagined=short)
    assert video_distance(run, PixelDct()) is None


def test_cached_features_are_those_of_the_extractor(tmp_path):
    import torch

    clips = torch.rand(5, NUM_FRAMES, 3, 32, 32) * 2 - 1
    inner = Counting()
    cached = CachedFeatures(inner, tmp_path)
    expected = PixelDct()(clips)
    for _ in range(2):
        np.testing.assert_array_equal(cached(clips), expected)
    assert inner.seen == 5
