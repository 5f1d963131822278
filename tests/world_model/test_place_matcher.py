"""`PlaceMatcher`: learns which views show one place, and refuses a strange model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from world_model.odometry import Odometry
from world_model.place_matcher import (
    PlaceMatcher,
    load_matcher,
    num_headings,
    relations,
)
from world_model.training.episodes import LatentEpisodes
from world_model.training.matcher import (
    MatcherConfig,
    Walks,
    fit_matcher,
    scores,
    train_matcher,
    walks,
)
from world_model.training.progress import Log

HEXAGONS = ((0.75, 0.0, 0.0), (-0.75, 0.0, 0.0), (0.0, 0.0, 60.0), (0.0, 0.0, -60.0))
SCROLLS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))


def make_matcher(**options):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return PlaceMatcher(
            **{"motions": HEXAGONS, "latent_channels": 3, "width": 8} | options
        )


def test_headings_are_those_that_turns_can_reach():
    assert num_headings(HEXAGONS) == 6
    assert num_headings(SCROLLS) == 1


def test_relations_in_closed_form():
    poses = torch.tensor([[0, 0, 0], [0, 0, 300], [0.05, 0, 60], [0.75, 0, 0.0]])
    found = relations(poses, poses, HEXAGONS)
    assert found.tolist() == [
        [1, 6, 2, 0],
        [2, 1, 3, 0],
        [6, 5, 1, 0],
        [0, 0, 0, 1],
    ]


def random_episodes(count, length, seed=0):
    rng = np.random.default_rng(seed)
    return LatentEpisodes(
        latents=torch.zeros(count, 2 * length + 1, 3, 8, 8, dtype=torch.float16),
        actions=rng.integers(4, size=(count, length)),
        moved=rng.random((count, length)) > 0.3,
        chunk_length=2,
        inverses=np.array([1, 0, 3, 2]),
    )


def test_walks_are_counted_like_odometry():
    episodes = random_episodes(3, 12)
    found = walks(episodes, HEXAGONS)
    assert found.views.shape[:2] == (3, 13)
    for row in range(3):
        pose = Odometry()
        for t in range(12):
            if episodes.moved[row, t]:
                pose = pose.after(HEXAGONS[episodes.actions[row, t]])
            x, y, heading = found.poses[row, t + 1].tolist()
            assert (x, y) == pytest.approx(pose[:2], abs=1e-5)
            assert heading % 360 == pytest.approx(pose.heading, abs=1e-3)


def synthetic(count, seed):
    """Every place has one of three colours, each of two headings a bright half."""
    rng = torch.Generator().manual_seed(seed)
    place = torch.randint(3, (count, 8), generator=rng)
    heading = torch.randint(2, (count, 8), generator=rng)
    views = torch.zeros(count, 8, 3, 8, 8)
    for k in range(3):
        views[:, :, k] += 2.0 * (place == k)[..., None, None]
        views[:, :, :, 4 * k : 4 * k + 4] += 2.0 * (heading == k)[..., None, None, None]
    zeros = torch.zeros(count, 8)
    return Walks(
        views.half(), torch.stack([place.float(), zeros, heading * 180.0], dim=-1)
    )


def test_places_and_turns_are_learned_and_read_in_unseen_episodes(tmp_path):
    halves = [(1.0, 0.0, 0.0), (0.0, 0.0, 180.0)]
    matcher, held_out = make_matcher(motions=halves, width=16), synthetic(50, seed=1)
    config = MatcherConfig(
        num_steps=500, batch_size=48, learning_rate=1e-2, evaluate_every=500
    )
    log = Log(tmp_path / "matcher.csv")
    fit_matcher(matcher, [synthetic(400, seed=0)], held_out, config, log)
    found = scores(matcher, held_out)
    assert found["same_view"] > 0.9
    assert found["turned"] > 0.8
    assert found["elsewhere"] > 0.8
    header = log.path.read_text().splitlines()[0]
    assert header.startswith("step,loss,same_view,turned,elsewhere")


def test_views_from_beside_are_learned_where_there_are_any(tmp_path):
    halves = [(1.0, 0.0, 0.0), (0.0, 0.0, 180.0)]
    data = [synthetic(count, seed) for count, seed in ((400, 0), (50, 1))]
    # From beside, everything is seen with the opposite sign.
    train, held_out = (replace(d, beside=-d.views) for d in data)
    config = MatcherConfig(
        num_steps=500, batch_size=48, learning_rate=1e-2, evaluate_every=500
    )
    found = {}
    for name, walked in (("path", data[0]), ("beside", train)):
        matcher = make_matcher(motions=halves, width=16)
        log = Log(tmp_path / f"{name}.csv")
        fit_matcher(matcher, [walked], held_out, config, log)
        found[name] = scores(matcher, held_out)["beside_same_view"]
    assert found["path"] < 0.5
    assert found["beside"] > 0.8


def test_a_matcher_of_another_model_is_refused(tmp_path):
    make_matcher(encoder="abc").save_pretrained(tmp_path)
    assert load_matcher(tmp_path, motions=HEXAGONS, encoder="abc").training is False
    with pytest.raises(ValueError, match=r"encoder xyz, got abc: train one with"):
        load_matcher(tmp_path, motions=HEXAGONS, encoder="xyz")
    with pytest.raises(ValueError, match=r"must have the world model's motions"):
        load_matcher(tmp_path, motions=SCROLLS, encoder="abc")
    with pytest.raises(FileNotFoundError, match="`matcher` must be a folder"):
        load_matcher(tmp_path / "nowhere", motions=HEXAGONS, encoder="abc")


def test_data_without_motions_is_refused(tmp_path, tiny):
    from world_model.shards import ShardMeta, write_meta

    meta = ShardMeta("toy", 2, ("a",), (None,), (), {})
    write_meta(tmp_path, meta)
    with pytest.raises(ValueError, match="needs actions that say how they move"):
        train_matcher(tiny.autoencoder, tmp_path, tmp_path, MatcherConfig())
