"""Splits share no source of randomness."""

import pytest

from envs.splits import SPLITS, episode_rng


def test_no_two_episodes_of_any_splits_draw_alike():
    draws = {
        (split, seed, attempt): episode_rng(split, seed, attempt).integers(2**62)
        for split in SPLITS
        for seed in range(1500)
        for attempt in range(2)
    }
    assert len(set(draws.values())) == len(draws)


def test_an_episode_is_a_function_of_its_numbers():
    one, two = (episode_rng("val", 3, 1).integers(2**62) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("split", ["validation", "Val", ""])
def test_an_unknown_split_is_refused(split):
    with pytest.raises(ValueError, match=f"Unknown split '{split}'"):
        episode_rng(split, 0)
