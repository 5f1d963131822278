from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.training.clips import ClipMix, sample_batch
from world_model.training.episodes import LatentEpisodes

INVERSES = np.array([1, 0, 3, -1])
NUM_EPISODES, NUM_ACTIONS = 5, 6


def episodes(length, *, blocked=()):
    """Latents that say episode and frame; action t of episode e is (e + t) % 4."""
    e = torch.arange(NUM_EPISODES)[:, None]
    f = torch.arange(1 + NUM_ACTIONS * length)[None]
    latents = (100 * e + f).half()[..., None, None, None].expand(-1, -1, 1, 2, 2)
    actions = (np.arange(NUM_EPISODES)[:, None] + np.arange(NUM_ACTIONS)) % 4
    moved = np.ones(actions.shape, bool)
    moved[:, list(blocked)] = False
    return LatentEpisodes(latents, actions, moved, length, INVERSES)


def draw(seed, length=3, batch_size=16, blocked=(), **mix):
    rng = np.random.default_rng(seed)
    data = episodes(length, blocked=blocked)
    return data, sample_batch(data, ClipMix(**mix), batch_size, rng)


seeds = st.integers(0, 2**32)


@given(seeds, st.integers(1, 4), st.booleans())
def test_all_parts_of_a_batch_fit_together(seed, length, short):
    _, batch = draw(seed, length, short=float(short))
    clip = batch.clip
    num_future = 1 if short else length
    size = (16, clip.num_extra + clip.num_past + num_future)
    assert batch.clean.shape == batch.noise.shape == (*size, 1, 2, 2)
    for x in (clip.noise_levels, clip.times, batch.action_ids, batch.loss_frames):
        assert x.shape == size
    assert ((clip.noise_levels >= 0) & (clip.noise_levels <= 1)).all()
    first = clip.num_extra + clip.num_past
    assert not clip.times[:, clip.num_extra : first].any()
    assert (clip.times[:, -1] == 1).all()
    t = clip.noise_levels[..., None, None, None]
    torch.testing.assert_close(clip.latents, (1 - t) * batch.clean + t * batch.noise)


@given(seeds)
def test_a_conditional_past_is_clean_where_its_level_says_so(seed):
    _, batch = draw(seed, conditional=1.0, independent=0.0, extra=0.0)
    past = slice(0, batch.clip.num_past)
    levels = batch.clip.noise_levels[:, past]
    assert (levels <= 0.3).all()
    clean = levels == 0
    assert torch.equal(batch.clip.latents[:, past][clean], batch.clean[:, past][clean])
    assert not batch.loss_frames[:, past].any()
    assert batch.loss_frames[:, batch.clip.num_past :].all()
    future = batch.clip.noise_levels[:, batch.clip.num_past :]
    assert (future == future[:, :1]).all()


@given(seeds)
def test_joint_clips_have_one_level_no_action_and_count_everywhere(seed):
    _, batch = draw(seed, conditional=0.0, independent=0.0, extra=0.0)
    assert (batch.clip.noise_levels == batch.clip.noise_levels[:, :1]).all()
    assert (batch.action_ids == -1).all()
    assert batch.loss_frames.all()


@given(seeds, st.booleans())
def test_frames_and_actions_belong_together(seed, backwards):
    """Replays every clip against the episode it was cut from."""
    data, batch = draw(
        seed,
        conditional=1.0,
        independent=0.0,
        extra=0.0,
        reverse=float(backwards),
        blocked=(2,),
    )
    num_past = batch.clip.num_past
    for index, ids in zip(
        batch.clean[:, :, 0, 0, 0].long(), batch.action_ids, strict=True
    ):
        episode, frames = int(index[0]) // 100, index % 100
        is_back = bool(frames[-1] < frames[0])
        assert backwards or not is_back
        assert ids[0] == -1
        assert (ids[num_past:] == ids[-1]).all()
        steps = [*frames[:num_past].tolist(), int(frames[-1])]
        taken = [*ids[1:num_past], ids[-1]]
        for (a, b), action in zip(pairwise(steps), taken, strict=True):
            chunk = min(a, b) // data.chunk_length
            executed = data.actions[episode, chunk]
            assert abs(a - b) == data.chunk_length
            assert int(action) == (INVERSES[executed] if is_back else executed)
            assert not is_back or data.moved[episode, chunk]
            assert int(action) >= 0
        future = frames[num_past - 1 :].diff()
        assert (future == future[0]).all()


@given(seeds)
def test_the_extra_slot_comes_first_and_never_counts(seed):
    _, batch = draw(seed, batch_size=200, extra=1.0, conditional=1.0, independent=0.0)
    assert batch.clip.num_extra == 1
    assert not batch.loss_frames[:, 0].any()
    assert (batch.action_ids[:, 0] == -1).all()
    level = batch.clip.noise_levels[:, 0]
    assert ((level <= 0.5) | (level == 1)).all()
    empty = level == 1
    recalled = (batch.clip.times[:, 0] == 1) & ~empty
    assert 0 < recalled.sum() < 200
    assert torch.equal(batch.clean[recalled, 0], batch.clean[recalled, -1])
    assert (batch.clip.times[~recalled & ~empty, 0] == 0).all()
    assert 0 < empty.sum() < 200
    assert torch.equal(batch.clip.latents[empty, 0], batch.noise[empty, 0])
    episode = (batch.clean[:, :, 0, 0, 0] // 100).long()
    assert (episode == episode[:, :1]).all()


def test_the_same_seed_draws_the_same_batch():
    (_, a), (_, b) = draw(3), draw(3)
    assert torch.equal(a.clip.latents, b.clip.latents)
    assert torch.equal(a.action_ids, b.action_ids)


def test_the_least_change_lies_between_blocked_and_free_actions():
    """The latent grows by `length` an action, so that views change by its square."""
    assert episodes(3).min_change == pytest.approx(9 / 2)
    data = episodes(3, blocked=(2,))
    latents = data.latents.clone()
    latents[:, 3 * 3 :] -= 2
    assert replace(data, latents=latents).min_change == pytest.approx((1 + 9) / 2)


def with_goals(at):
    """Object 1 is found at chunk end `at` of every episode, object 0 one earlier."""
    found = np.zeros((NUM_EPISODES, NUM_ACTIONS + 1, 2), bool)
    found[:, at, 1] = found[:, at - 1, 0] = True
    return replace(episodes(2), found=found)


@given(seeds)
def test_a_goal_is_told_where_it_is_reached_soon_and_first(seed):
    data, rng = with_goals(5), np.random.default_rng(seed)
    mix = ClipMix(goal=1.0, conditional=1.0, independent=0.0, extra=0.0, short=1.0)
    batch = sample_batch(data, mix, 32, rng)
    frames = batch.clean[:, :, 0, 0, 0] % 100
    here = (frames[:, -2] // 2).long()
    forward = frames[:, -1] > frames[:, -2]
    told = batch.action_ids[:, -1]
    # Object 1 is at 5, object 0 at 4; who stands at one is on the way to the other.
    for row in range(32):
        where, ahead = int(here[row]), bool(forward[row])
        goals = {4: 4, 5: 5}  # chunk end -> number of its object
        on_the_way = [e for e in goals if (e > where if ahead else e < where)]
        if on_the_way:
            nearest = min(on_the_way, key=lambda e: abs(e - where))
            assert int(told[row]) == goals[nearest]
        else:
            assert int(told[row]) < 4
    # What was done before is still told as an action.
    assert (batch.action_ids[:, :-1] < 4).all()


def test_goals_out_of_reach_are_not_told():
    data = replace(
        episodes(2), found=np.zeros((NUM_EPISODES, NUM_ACTIONS + 1, 2), bool)
    )
    mix = ClipMix(goal=1.0, conditional=1.0, independent=0.0)
    batch = sample_batch(data, mix, 32, np.random.default_rng(0))
    assert (batch.action_ids < 4).all()


@pytest.mark.parametrize("num_past", [1, 2])
def test_balanced_clips_show_every_free_action_equally_often(num_past):
    data = episodes(2)
    actions = np.zeros((NUM_EPISODES, NUM_ACTIONS), int)  # 0 is nearly everywhere
    actions[0, 2], actions[1, 3], actions[2, 4] = 1, 2, 3
    moved = np.ones(actions.shape, bool)
    moved[2, 4] = False  # and 3 was always blocked
    data = replace(data, actions=actions, moved=moved)
    mix = ClipMix(
        balanced=1.0,
        extra=0.0,
        conditional=1.0,
        independent=0.0,
        reverse=0.0,
        num_past={num_past: 1.0},
    )
    batch = sample_batch(data, mix, 3000, np.random.default_rng(0))
    shares = np.bincount(batch.action_ids[:, -1], minlength=4) / 3000
    # Four standard errors of a share of a third are 0.035.
    assert shares == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=0.035)
