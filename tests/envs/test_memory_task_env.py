"""`MemoryTaskEnv`: hidden goals, tight budgets, nothing that replaces memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401 - registers the environments
from envs.lattice import path_to
from envs.memory_task_env import (
    MIN_RIVALS,
    MemoryTaskEnv,
    tour_arrays,
)
from envs.tasks import EXTRA_STEPS, MIN_SHOWN_FRAMES, OPTIMA

NEEDS_MINIWORLD = pytest.mark.skipif(
    find_spec("miniworld") is None, reason="needs the extra `miniworld`"
)
DOMAINS = [
    pytest.param("rooms", marks=pytest.mark.sim),
    pytest.param("miniworld", marks=[pytest.mark.sim, NEEDS_MINIWORLD]),
    "scroll",
]
TASKS = ("find_seen", "return_home")
SEEDS = range(3)
MAY_BE_SEEN = {"image", "instruction", "goal_image", "chunk", "success"}


@pytest.fixture(scope="module", params=DOMAINS)
def domain(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=TASKS)
def env(request, domain) -> Iterator[MemoryTaskEnv]:
    env = MemoryTaskEnv(domain, request.param)
    yield env
    env.close()


def solution(env: MemoryTaskEnv) -> list[int]:
    goals = env.challenge.goal_nodes(env.domain)
    path = path_to(env.domain, env.domain.node, goals)
    assert path is not None
    return path


def rival_goals(env: MemoryTaskEnv) -> list[Any]:
    domain = env.domain
    if env.task.name == "find_seen":
        return [domain.found_nodes(name) for name in domain.objects]
    return [[home] for home in domain.home_nodes()]


def keys(value: Any) -> Iterator[str]:
    """Names of all entries and attributes, however deep."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield name
            yield from keys(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from keys(entry)
    elif not isinstance(value, np.ndarray | str | bool | int | float):
        yield f"{type(value).__name__}"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("RoomsFindSeen", marks=pytest.mark.sim),
        pytest.param("RoomsReturnHome", marks=pytest.mark.sim),
        pytest.param("MiniWorldFindSeen", marks=[pytest.mark.sim, NEEDS_MINIWORLD]),
        "ScrollFindSeen",
        "ScrollReturnHome",
    ],
)
def test_gymnasium_has_nothing_to_complain_about(name):
    env = gymnasium.make(f"SlowFast/{name}-v0", split="val", render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_episode_is_fair(env, seed):
    env.reset(seed=seed)
    path = solution(env)
    assert len(path) in OPTIMA
    assert env.budget == len(path) + EXTRA_STEPS
    assert env.challenge.hidden(env.domain)
    assert not env.challenge.solved(env.domain)
    rivals = [path_to(env.domain, env.domain.node, g) for g in rival_goals(env)]
    assert sum(len(p or []) in OPTIMA for p in rivals) >= MIN_RIVALS
    if env.task.name == "find_seen":
        target = env.challenge.target
        assert env.tour_summary.num_shown[target] >= MIN_SHOWN_FRAMES
        assert env.measure().delay == env.tour_summary.unseen_for[target] >= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shortest_path_succeeds_in_the_real_simulator(env, seed):
    env.reset(seed=seed)
    *path, last = solution(env)
    for action in path:
        _, reward, terminated, truncated, _ = env.step(action)
        assert (reward, terminated, truncated) == (0.0, False, False)
    _, reward, terminated, truncated, info = env.step(last)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["success"]
    assert env.measure().distance == 0


def test_what_was_asked_for_was_large_in_the_frames_themselves(env):
    """Independent of the count kept on the way: the tour is driven again."""
    if env.task.name != "find_seen":
        pytest.skip("has no target")
    env.reset(seed=0)
    domain, target = env.domain, env.challenge.target
    domain.place(env.tour_summary.nodes[0])
    large = domain.segment_objects()[target] >= domain.min_visible_pixels
    last = []
    for transition in env.tour:
        domain.execute(transition.action)
        last = [frame[target] for frame in domain.segment_chunk()]
        large += sum(n >= domain.min_visible_pixels for n in last)
    assert large >= MIN_SHOWN_FRAMES
    assert not any(last)


def test_the_budget_ends_the_episode(env):
    env.reset(seed=0)
    undo = env.action_space.inverses
    # To and fro: never at the goal, which is at least four actions away.
    ends = [env.step(a)[2:4] for a in [2, undo[2]] * env.budget][: env.budget]
    assert ends == [(False, False)] * (env.budget - 1) + [(False, True)]


def test_the_steps_that_policies_are_told_do_not_depend_on_the_goal(env):
    told = []
    for seed in SEEDS:
        env.reset(seed=seed)
        told.append(env.steps_left)
        assert env.steps_left >= env.budget
    env.step(0)
    assert set(told) == {OPTIMA[-1] + EXTRA_STEPS} == {env.steps_left + 1}


def test_nothing_that_stands_for_memory_is_shown(env):
    shown = [*env.reset(seed=0)]
    obs, _, _, _, info = env.step(0)
    shown += [obs, info]
    assert set(keys(shown)) <= MAY_BE_SEEN
    assert shown[0].keys() == obs.keys()
    assert shown[1].keys() == info.keys()
    assert ("goal_image" in obs) == (env.task.name == "return_home")


def test_a_given_image_is_the_view_at_the_goal_and_changes_nothing_else():
    plain = MemoryTaskEnv("scroll", "find_seen", "val")
    given = MemoryTaskEnv("scroll", "find_seen", "val", "given_image")
    for seed in SEEDS:
        before, _ = plain.reset(seed=seed)
        obs, _ = given.reset(seed=seed)
        assert given.observation_space.contains(obs)
        shown = obs.pop("goal_image")
        assert obs["instruction"] == before["instruction"]
        assert np.array_equal(obs["image"], before["image"])
        goals = given.challenge.goal_nodes(given.domain)
        views = []
        for node in goals:
            given.domain.place(node)
            views.append(given.domain.render())
        assert any(np.array_equal(shown, view) for view in views)


def test_the_first_chunk_is_still(env):
    obs, info = env.reset(seed=0)
    assert info["chunk"].shape == (env.domain.chunk_length, *env.domain.frame_shape)
    assert (info["chunk"] == obs["image"]).all()


def test_a_seed_fixes_the_episode(env):
    first, _ = env.reset(seed=1)
    tour = tour_arrays(env.tour)
    env.reset(seed=2)
    second, _ = env.reset(seed=1)
    assert first["instruction"] == second["instruction"]
    assert np.array_equal(first["image"], second["image"])
    for a, b in zip(tour, tour_arrays(env.tour), strict=True):
        assert np.array_equal(a, b)


def test_splits_share_no_episode(domain):
    views = []
    for split in ("train", "val", "test"):
        env = MemoryTaskEnv(domain, "return_home", split=split)
        views.append(env.reset(seed=0)[0]["image"].tobytes())
        env.close()
    assert len(set(views)) == 3


@pytest.mark.sim
def test_a_tour_takes_at_most_2500_steps_of_physics(monkeypatch):
    step, taken = mujoco.mj_step, []
    monkeypatch.setattr(mujoco, "mj_step", lambda *world: taken.append(step(*world)))
    env = MemoryTaskEnv("rooms", "return_home")
    env.reset(seed=1)
    env.close()
    assert 0 < len(taken) <= 2500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "room"}, "Unknown domain 'room'. Did you mean 'rooms'"),
        ({"task": "find"}, "Unknown task 'find'"),
        ({"render_mode": "human"}, "Unknown render_mode 'human'"),
        ({"split": "tests"}, "Unknown split 'tests'. Did you mean 'test'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MemoryTaskEnv(**{"domain": "scroll", **arguments}).reset(seed=0)
