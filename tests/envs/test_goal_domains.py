"""Domains whose actions are vectors: what `GoalDomain` and `GoalTaskEnv` promise."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.arm.domain import STEP as REACH
from envs.arm.domain import ArmDomain
from envs.collect import collect
from envs.domains import (
    GOAL_DOMAINS,
    any_domain_class,
    domain_class,
    goal_domain_class,
)
from envs.formats.shards import ShardsFormat
from envs.goal_task_env import GoalTaskEnv
from envs.make_task_env import make_task_env
from envs.point.domain import REACHED, STEP, PointDomain
from envs.recording import record_vectors
from envs.tasks import EXTRA_STEPS
from world_model.errors import MachineError
from world_model.shards import read_meta, read_shards


@pytest.fixture(params=sorted(GOAL_DOMAINS))
def domain(request):
    if request.param == "fetch":
        pytest.importorskip("gymnasium_robotics")
    made = goal_domain_class(request.param)()
    yield made
    made.close()


def actions_of(domain, count, seed=0):
    space = domain.action_space
    shape = (count, *space.shape)
    return np.random.default_rng(seed).uniform(space.low, space.high, shape)


def test_the_same_seed_gives_the_same_episode(domain):
    seen = []
    for _ in range(2):
        domain.reset(np.random.default_rng(5))
        frames = [domain.execute(action) for action in actions_of(domain, 3)]
        seen.append((domain.goal_image, *frames))
    for a, b in zip(*seen, strict=True):
        assert np.array_equal(a, b)
    domain.reset(np.random.default_rng(6))
    assert not np.array_equal(domain.goal_image, seen[0][0])


def test_chunks_have_the_stated_shape_and_end_with_the_present_view(domain):
    frames = domain.execute(actions_of(domain, 1)[0])
    assert frames.shape == (domain.chunk_length, *domain.frame_shape)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames[-1], domain.render())
    unseen = domain.execute(actions_of(domain, 1)[0], render=False)
    assert unseen.shape == (0, *domain.frame_shape)


def test_a_state_is_all_that_is_needed_to_go_on(domain):
    domain.reset(np.random.default_rng(1))
    domain.execute(actions_of(domain, 1)[0])
    state = domain.get_state()
    ends = []
    for _ in range(2):
        frames = [domain.execute(action) for action in actions_of(domain, 3, seed=2)]
        ends.append((np.concatenate(frames), domain.distance()))
        domain.draw_goal(np.random.default_rng(9))
        domain.set_state(state)
    assert np.array_equal(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


def test_looking_at_the_goal_changes_nothing(domain):
    before, distance = domain.render(), domain.distance()
    assert np.array_equal(domain.goal_image, domain.goal_image)
    assert np.array_equal(domain.render(), before)
    assert domain.distance() == distance


def test_the_controller_gets_to_what_the_goal_image_shows(domain):
    domain.reset(np.random.default_rng(3))
    goal, start = domain.goal_image.astype(float), domain.render()
    assert not domain.solved()
    for _ in range(2 * domain.optima[-1]):
        domain.execute(domain.control(), render=False)
    assert domain.solved()
    left = np.abs(domain.render() - goal).mean()
    assert left < 0.2 * np.abs(start - goal).mean()


def test_actions_beyond_the_bounds_are_clipped(domain):
    state = domain.get_state()
    space = domain.action_space
    frames = []
    for scale in (1, 5):
        domain.set_state(state)
        frames.append(domain.execute(scale * space.high))
    assert np.array_equal(*frames)


def test_the_domains_name_is_its_key(domain):
    assert any_domain_class(domain.id) is type(domain)
    with pytest.raises(ValueError, match=f"got the vectors of domain={domain.id}"):
        domain_class(domain.id)


def test_episodes_keep_to_the_gymnasium_contract(domain):
    env = gymnasium.make(f"SlowFast/{domain.id.title()}Reach-v0").unwrapped
    check_env(env, skip_render_check=True)
    env.close()


def test_the_controllers_way_is_the_optimum_and_the_budget_two_more(domain):
    env = make_task_env(domain.id, "reach")
    assert isinstance(env, GoalTaskEnv)
    for seed in range(4):
        obs, info = env.reset(seed=seed)
        path = env.path()
        assert env.measure().optimum == len(path)
        assert len(path) in domain.optima
        assert env.tour == ()
        assert set(obs) == {"image", "instruction", "goal_image"}
        assert set(info) == {"chunk", "success"}
        for i, action in enumerate(path):
            obs, reward, terminated, truncated, info = env.step(action)
            assert terminated == (i + 1 == len(path)) == bool(reward)
            assert not truncated
        env.reset(seed=seed)
        nothing = np.zeros(domain.action_space.shape)
        ends = [env.step(nothing)[3] for _ in range(len(path) + EXTRA_STEPS)]
        assert ends == [False] * (len(ends) - 1) + [True]
    env.close()


def test_an_unknown_task_is_answered_with_the_known_one():
    with pytest.raises(ValueError, match="Unknown task 'reahc'. Did you mean 'reach'"):
        GoalTaskEnv("point", "reahc")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium_robotics.envs.fetch.reach", None)
    with pytest.raises(MachineError, match=r"install 'slowfast-bench\[fetch\]'"):
        goal_domain_class("fetch")()


def test_the_dot_in_closed_form():
    point = PointDomain()
    point.reset(np.random.default_rng(0))
    state = point.get_state()
    point.execute(np.array([1.0, -0.5]))
    moved = point.get_state().position - state.position
    assert moved == pytest.approx([STEP, -STEP / 2])
    for _ in range(20):
        point.execute(np.array([1.0, 1.0]))
    assert point.get_state().position == pytest.approx([1, 1])
    # Up and right is the upper right corner of the image.
    bright = np.unravel_index(point.render()[..., 0].argmax(), (8, 8))
    assert bright == (0, 7)
    assert point.solved() == (point.distance() <= REACHED)


def test_the_arm_moves_as_told_and_carries_what_it_closes_around():
    arm = ArmDomain()
    arm.reset(np.random.default_rng(0))
    before = arm.hand
    arm.execute(np.array([0.5, -0.25, 0.25, 1.0]), render=False)
    moved = arm.hand - before
    assert moved == pytest.approx(np.array([0.5, -0.25, 0.25]) * REACH, abs=0.003)
    while not arm.holds:
        arm.execute(arm.control(), render=False)
    low = arm.cube
    arm.execute(np.array([0.0, 0.0, 0.5, -1.0]), render=False)
    assert arm.cube - low == pytest.approx([0, 0, 0.5 * REACH], abs=0.004)
    arm.execute(np.array([0.0, 0.0, -0.5, 1.0]), render=False)
    assert not arm.holds
    assert arm.cube == pytest.approx(low, abs=0.004)
    arm.close()


@pytest.mark.sim
def test_an_episode_of_the_arm_says_where_cube_and_hand_were():
    arm = ArmDomain()
    row = record_vectors(arm, np.random.default_rng(0), 6)
    assert row["positions"].shape == (7, 2, 3)
    assert row["positions"].dtype == np.float32
    assert np.array_equal(row["positions"][-1], arm.positions())
    assert arm.positions()[1] == pytest.approx(arm.hand)
    # The controller goes to the cube: the hand moves first, the cube once it is held.
    moved = np.linalg.norm(np.diff(row["positions"], axis=0), axis=-1)
    assert moved[0, 1] > 0.01 > moved[0, 0]
    arm.close()


def test_vectors_are_collected_with_their_bounds(tmp_path):
    collect("point", tmp_path, episodes=3, actions=6, shard_size=3, workers=1)
    meta = read_meta(tmp_path)
    assert (meta.phrases, meta.labels, meta.motions) == ((), (), None)
    assert meta.bounds == ((-1.0, 1.0), (-1.0, 1.0))
    (shard,) = read_shards(tmp_path)
    assert shard["actions"].shape == (3, 6, 2)
    assert shard["actions"].dtype == np.float32
    assert np.abs(shard["actions"]).max() <= 1
    assert shard["frames"].shape == (3, 1 + 6 * 2, 8, 8, 3)
    assert set(shard) == {"frames", "actions"}


def test_vectors_are_not_converted(tmp_path):
    collect("point", tmp_path, episodes=1, actions=4, shard_size=1, workers=1)
    with pytest.raises(ValueError, match="must have actions that are phrases, got"):
        ShardsFormat().meta(tmp_path)
