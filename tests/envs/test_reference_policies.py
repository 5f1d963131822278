"""Reference policies: floors that use nothing they should not."""

from __future__ import annotations

import itertools
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from envs.domains import DOMAINS
from envs.lattice import path_to
from envs.memory_task_env import MemoryTaskEnv
from envs.reference.expert_no_memory import ExpertNoMemoryPolicy
from envs.reference.exploration import Explorer, Hypothesis
from envs.reference.noop import NoopPolicy
from envs.reference.open_loop import LENGTH, LatticeEpisodes, OpenLoopPolicy, search
from envs.reference.random_actions import RandomPolicy
from envs.reference.reverse_log import ReverseLogPolicy
from envs.scroll.domain import Cell, ScrollDomain
from envs.tasks import OPTIMA, TASKS, FindSeen, ReturnHome
from eval.evaluate import run_episodes
from world_model.core import Chunk, Context, Goal
from world_model.frames import to_model
from world_model.policy_api import Observation

BLIND = (NoopPolicy, RandomPolicy, OpenLoopPolicy, ReverseLogPolicy)
IMAGES = np.zeros((2, 8, 8, 3), np.uint8)
TRAVELLING = sorted({*DOMAINS} - {"tabletop"})
SCROLL = {"domain": "scroll", "task": "find_seen"}


def observation(active=(True, True)) -> Observation:
    goal = Goal(("go to the red blob",) * 2)
    return Observation(IMAGES, goal, np.array(active), np.array([6, 6]))


def chunk(actions, active=(True, True)) -> Chunk:
    context = Context(torch.zeros((2, 0)), frames=torch.zeros((2, 1, 3, 8, 8)))
    frames = torch.zeros((2, 2, 3, 8, 8))
    return Chunk(context, torch.tensor(actions), frames, torch.tensor(active))


def acts(policy, steps: int) -> np.ndarray:
    return np.stack([policy.act(observation()) for _ in range(steps)])


@pytest.mark.parametrize("cls", BLIND)
@pytest.mark.parametrize("key", list(itertools.product(TRAVELLING, TASKS)))
def test_every_blind_policy_can_be_made_for_every_task(cls, key):
    if key[0] == "miniworld" and find_spec("miniworld") is None:
        pytest.skip("needs the extra `miniworld`")
    policy = cls(domain=key[0], task=key[1])
    policy.reset(IMAGES, [0, 1])
    policy.observe(chunk([0, 1]))
    policy.relocate(IMAGES)
    actions = acts(policy, LENGTH + 1)
    assert actions.shape == (LENGTH + 1, 2)
    assert set(actions.flat) <= set(range(int(policy.action_space.n)))
    assert not policy.privileged


def test_noop_turns_to_and_fro():
    policy = NoopPolicy(domain="rooms", task="find_seen")
    policy.reset(IMAGES, [0, 1])
    phrases = [policy.action_space.phrases[a] for a in acts(policy, 3)[:, 0]]
    assert phrases == ["turn left", "turn right", "turn left"]


def test_random_depends_on_the_episode_only():
    policy = RandomPolicy(**SCROLL)
    policy.reset(IMAGES, [3, 4])
    first = acts(policy, 20)
    policy.reset(IMAGES, [4, 3])
    assert np.array_equal(first, acts(policy, 20)[:, ::-1])
    assert not np.array_equal(first[:, 0], first[:, 1])


def test_reverse_log_undoes_the_tour_and_nothing_else():
    policy = ReverseLogPolicy(**SCROLL)
    policy.reset(IMAGES, [0, 1])
    policy.observe(chunk([0, 2]))
    policy.observe(chunk([3, 1], active=(True, False)))
    policy.relocate(IMAGES)
    policy.observe(chunk([1, 1]))
    assert acts(policy, 3).tolist() == [[2, 3], [1, 3], [2, 3]]


def test_reverse_log_needs_a_tour():
    policy = ReverseLogPolicy(**SCROLL)
    policy.reset(IMAGES, [0, 1])
    with pytest.raises(RuntimeError, match="needs a tour to undo, got none: call"):
        policy.act(observation())


def test_the_search_for_a_sequence_finds_the_best():
    episodes = LatticeEpisodes(ScrollDomain(), "find_seen", 6)
    actions, success = search(episodes, width=400)
    _, greedy = search(episodes, width=1)
    solved = [replay(episodes, e, actions) for e in range(6)]
    assert np.mean(solved) == success >= greedy


def replay(episodes: LatticeEpisodes, episode: int, actions: list[int]) -> bool:
    node = 0
    for action in actions[: episodes.budget[episode]]:
        node = episodes.following[episode, node, action]
        if episodes.distance[episode, node] == 0:
            return True
    return False


def explorer(targets: list[Cell], truth: int, seen_from: list[Cell]) -> Explorer:
    hypotheses = [Hypothesis(frozenset([t]), frozenset(seen_from)) for t in targets]
    start = Cell(0, 0)
    return Explorer(
        ScrollDomain(), start, hypotheses, truth, distances=OPTIMA, extra_steps=2
    )


def drive(explorer: Explorer, target: Cell) -> int:
    """Actions until the target is reached."""
    domain, node = ScrollDomain(), Cell(0, 0)
    for step in range(30):
        if node == target:
            return step
        node = domain.successor(node, explorer.act(node))
    raise AssertionError("never reached")


def test_an_explorer_that_sees_the_goal_goes_straight():
    targets = [Cell(4, 0), Cell(8, 0)]
    for truth, target in enumerate(targets):
        assert drive(explorer(targets, truth, [Cell(0, 0)]), target) == 4


def test_an_explorer_that_sees_nothing_cannot_guess():
    targets = [Cell(4, 0), Cell(8, 0)]
    steps = [drive(explorer(targets, t, []), targets[t]) for t in (0, 1)]
    assert sorted(steps) == [4, 8]  # the first one is a miss, the way round is 8


def test_an_explorer_first_goes_and_looks_if_that_solves_both():
    targets = [Cell(4, 2), Cell(4, 10)]
    sight = [Cell(4, 0)]
    for truth, target in enumerate(targets):
        # In time; a miss would cost four more than the six to either.
        assert drive(explorer(targets, truth, sight), target) <= 8


def test_goals_at_impossible_distances_are_ruled_out():
    targets = [Cell(1, 0), Cell(8, 0)]
    assert drive(explorer(targets, 1, []), targets[1]) == 4


def test_the_expert_needs_states():
    policy = ExpertNoMemoryPolicy(**SCROLL)
    policy.reset(IMAGES, [0, 1])
    assert policy.privileged
    with pytest.raises(ValueError, match="reads simulator states, got none: fill"):
        policy.act(observation())


def observe(env: MemoryTaskEnv, obs, steps_left: int) -> Observation:
    image = obs.get("goal_image")
    images = None if image is None else to_model(image)[None]
    goal = Goal((obs["instruction"],), images)
    active, steps = np.array([True]), np.array([steps_left])
    state = env.domain.get_state()
    return Observation(obs["image"][None], goal, active, steps, (state,))


@pytest.mark.parametrize("cls", [OpenLoopPolicy, ReverseLogPolicy])
def test_policies_of_phrases_refuse_vectors(cls):
    rule = "needs actions that are phrases, got Box.*: leave it out"
    with pytest.raises(ValueError, match=rule):
        cls(domain="point", task="reach")


def test_the_expert_goes_straight_to_what_is_in_view():
    env = MemoryTaskEnv("scroll", "find_seen")
    policy = ExpertNoMemoryPolicy(domain="scroll", task="find_seen")
    moves = 0
    for seed in range(3, 9):  # before, none comes into view
        obs, _ = env.reset(seed=seed)
        policy.reset(obs["image"][None], [seed])
        policy.relocate(obs["image"][None])
        seen = False
        for left in range(env.budget, 0, -1):
            goals = env.challenge.goal_nodes(env.domain)
            path = path_to(env.domain, env.domain.node, goals)
            seen = seen or not env.challenge.hidden(env.domain)
            action = policy.act(observe(env, obs, left))[0]
            obs, _, terminated, _, _ = env.step(action)
            if seen and path is not None:
                rest = path_to(env.domain, env.domain.node, goals)
                assert rest is not None
                assert len(rest) == len(path) - 1
                moves += 1
            if terminated:
                break
    assert moves


class Near(FindSeen):
    name = "near"
    optima = range(2, 4)


def test_the_expert_searches_as_far_as_a_task_of_ones_own_allows():
    task = f"{__name__}.Near"
    env = MemoryTaskEnv("scroll", task)
    policy = ExpertNoMemoryPolicy(domain="scroll", task=task)
    (episode,) = run_episodes(policy, [env], [0])
    assert 1 <= episode.steps <= Near.optima[-1] + Near.extra_steps


def test_the_expert_says_which_tasks_it_knows_nothing_of(monkeypatch):
    monkeypatch.setattr("envs.reference.expert_no_memory.FindSeen", ReturnHome)
    env = MemoryTaskEnv("scroll", "find_seen")
    policy = ExpertNoMemoryPolicy(domain="scroll", task="find_seen")
    with pytest.raises(ValueError, match="is no FindSeen and shows no image: give the"):
        run_episodes(policy, [env], [0])
