"""Anyone's gymnasium policy on our environments, and our environments under others."""

from __future__ import annotations

from collections import deque

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401 - registers the environments
from envs.goal_info import GoalInfo
from envs.goal_task_env import GoalTaskEnv
from envs.memory_task_env import MemoryTaskEnv
from envs.phrase_scores import PhraseScores
from eval.evaluate import run_episodes
from planners.interop.gymnasium_policy import GymnasiumPolicy

SCROLL = ["SlowFast/ScrollFindSeen-v0", "SlowFast/ScrollReturnHome-v0"]
ROOMS = [
    pytest.param(x.replace("Scroll", "Rooms"), marks=pytest.mark.sim) for x in SCROLL
]
# What stable-worldmodel's wrappers put there themselves.
RESERVED = {
    "action", "reward", "terminated", "truncated", "step_idx", "id", "render_time",
    "pixels", "observation",
}  # fmt: skip


def way_to_goal(env: MemoryTaskEnv) -> list[int]:
    """The shortest actions from here to the goal."""
    domain = env.domain
    goals = set(env.challenge.goal_nodes(domain))
    queue, seen = deque([(domain.node, [])]), {domain.node}
    while queue:
        node, actions = queue.popleft()
        if node in goals:
            return actions
        for action in range(int(env.action_space.n)):
            after = domain.successor(node, action)
            if after not in seen:
                seen.add(after)
                queue.append((after, [*actions, action]))
    raise AssertionError("The goal cannot be reached.")


@pytest.mark.parametrize("name", [*SCROLL, *ROOMS])
def test_terminated_is_success_and_info_keys_never_change(name):
    env = gymnasium.make(name)
    obs, info = env.reset(seed=3)
    keys = set(info)
    assert keys.isdisjoint(obs)
    assert keys.isdisjoint(RESERVED)
    assert not info["success"]
    for action in way_to_goal(env.unwrapped):
        obs, reward, terminated, truncated, info = env.step(action)
        assert set(info) == keys
        assert terminated == info["success"] == (reward == 1)
        assert not truncated
    assert terminated
    assert set(env.reset(seed=4)[1]) == keys
    env.close()


@pytest.mark.parametrize(
    ("name", "mode"), [(SCROLL[0], "sync"), (SCROLL[1], "sync"), (SCROLL[1], "async")]
)
def test_vector_environments_show_what_single_ones_do(name, mode):
    options = {} if mode == "sync" else {"shared_memory": False, "context": "spawn"}
    many = gymnasium.make_vec(
        name, num_envs=2, vectorization_mode=mode, vector_kwargs=options
    )
    singles = [gymnasium.make(name) for _ in range(2)]
    observed, infos = many.reset(seed=[5, 6])
    alone = [env.reset(seed=seed) for env, seed in zip(singles, (5, 6), strict=True)]
    actions = np.array([way_to_goal(env.unwrapped)[0] for env in singles])
    for _ in range(2):
        for row, (obs, info) in enumerate(alone):
            for key, value in obs.items():
                assert np.array_equal(observed[key][row], value)
            for key, value in info.items():
                assert np.array_equal(infos[key][row], value)
        observed, _, terminated, _, infos = many.step(actions)
        steps = [env.step(a) for env, a in zip(singles, actions, strict=True)]
        assert terminated.tolist() == [step[2] for step in steps]
        alone = [(step[0], step[4]) for step in steps]
    many.close()


def test_shared_memory_would_garble_instructions_and_is_refused():
    with pytest.raises(TypeError, match="cannot be shared .*'shared_memory': False"):
        gymnasium.make_vec(SCROLL[0], num_envs=2, vectorization_mode="async")


def test_scores_of_phrases_are_a_box():
    plain, env = (gymnasium.make(SCROLL[0]) for _ in range(2))
    env = PhraseScores(env)
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (4,))
    env.reset(seed=0)
    plain.reset(seed=0)
    for action in way_to_goal(plain.unwrapped):
        scores = np.full(4, -0.5, np.float32)
        scores[action] = 0.1
        assert np.array_equal(
            env.step(scores)[0]["image"], plain.step(action)[0]["image"]
        )
    with pytest.raises(
        ValueError, match="`PhraseScores` needs actions that are phrases"
    ):
        PhraseScores(gymnasium.make("CartPole-v1"))


def test_the_goal_image_is_in_the_info_where_others_look_for_it():
    env = GoalInfo(gymnasium.make(SCROLL[1]))
    obs, info = env.reset(seed=0)
    assert np.array_equal(info["goal"], obs["goal_image"])
    obs, *_, info = env.step(0)
    assert np.array_equal(info["goal"], obs["goal_image"])
    with pytest.raises(
        ValueError, match="observes 'goal_image', got SlowFast/ScrollFind"
    ):
        GoalInfo(gymnasium.make(SCROLL[0]))


class Follower:
    """Acts by the simulator's own way; notes what it is told."""

    made: list[Follower] = []

    def __init__(self) -> None:
        self.told, self.images = [], []
        Follower.made.append(self)

    def reset(self, seed) -> None:
        env = MemoryTaskEnv("scroll", "return_home")
        env.reset(seed=seed)
        self.way, self.tour = way_to_goal(env), env.tour

    def observe(self, action, frames) -> None:
        self.told.append((int(action), frames))

    def __call__(self, obs):
        assert obs["instruction"] == "return to where the tour began"
        self.images.append(obs["image"])
        return self.way.pop(0)


def test_a_policy_for_gymnasium_plays_our_suite():
    Follower.made.clear()
    policy = GymnasiumPolicy(make=Follower, domain="scroll", task="return_home")
    tasks = [MemoryTaskEnv("scroll", "return_home") for _ in range(2)]
    episodes = run_episodes(policy, tasks, [0, 1])
    assert [e.measures.success for e in episodes] == [True, True]
    assert [e.steps for e in episodes] == [e.measures.optimum for e in episodes]
    for player, episode in zip(Follower.made, episodes, strict=True):
        tour, test = player.told[: len(player.tour)], player.told[len(player.tour) :]
        for (action, frames), step in zip(tour, player.tour, strict=True):
            assert action == step.action
            assert np.array_equal(frames, step.frames)
        assert [action for action, _ in test] == episode.actions
        assert np.array_equal(player.images, episode.frames[:-1])


def test_environments_do_not_share_their_random_actions():
    one, other = (gymnasium.make("SlowFast/ScrollFindSeen-v0") for _ in range(2))
    one.action_space.seed(0)
    alone = [int(one.action_space.sample()) for _ in range(8)]
    one.action_space.seed(0)
    other.action_space.seed(7)
    assert [int(one.action_space.sample()) for _ in range(8)] == alone


@pytest.mark.parametrize("action", [4, -1, 0.9, np.nan])
def test_what_is_no_action_is_refused(action):
    env = MemoryTaskEnv("scroll", "find_seen")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"`action` must be one of .* got {action}"):
        env.step(action)


@pytest.mark.parametrize("action", [[0.0, np.nan], [0.0]])
def test_what_is_no_vector_is_refused(action):
    env = GoalTaskEnv("point")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`action` must be one of Box"):
        env.step(np.array(action))
