"""Receding horizon: when is planned, and for whom."""

import numpy as np
import pytest
import torch

from planners.mpc import MPCPolicy
from world_model.core import Goal
from world_model.memory.none import NoMemory
from world_model.policy_api import Observation, Plan, Planner
from world_model.toy import DotWorldModel


class Scripted(Planner):
    """Plans 1, 2, 3, ... and notes what it was asked."""

    def __init__(self, lengths):
        self.lengths = torch.tensor(lengths)
        self.asked = []

    def plan(self, context, goal, *, memory=None, warm_start=None, generator, horizon):
        slots = list(context.memory_slots)
        self.asked.append((slots, goal.instructions, warm_start))
        actions = torch.arange(1, 5).expand(len(slots), -1)
        return Plan(actions, self.lengths[slots], torch.zeros(len(slots)))


def observe(active):
    active = np.array(active)
    images = np.zeros((len(active), 16, 16, 3), np.uint8)
    words = tuple(f"goal {i}" for i in range(len(active)))
    return Observation(images, Goal(words), active, np.full(len(active), 9))


def make(lengths, replan_every):
    planner = Scripted(lengths)
    policy = MPCPolicy(DotWorldModel(), NoMemory(), planner, replan_every=replan_every)
    policy.reset(np.zeros((len(lengths), 16, 16, 3), np.uint8), range(len(lengths)))
    return policy, planner


@pytest.mark.parametrize(
    ("lengths", "replan_every", "plans"),
    [
        ([4, 4], 1, (4, 4)),
        ([4, 4], 2, (2, 2)),
        ([4, 4], 4, (1, 1)),
        ([4, 1], 4, (1, 4)),
        ([0, 3], 4, (4, 2)),
    ],
)
def test_a_plan_is_executed_as_far_as_it_goes(lengths, replan_every, plans):
    policy, planner = make(lengths, replan_every)
    for _ in range(4):
        policy.act(observe([True, True]))
    slots = [slot for asked, _, _ in planner.asked for slot in asked]
    assert tuple(map(slots.count, (0, 1))) == plans


def test_an_episode_acts_alike_whatever_the_others_do():
    alone, _ = make([3], 4)
    beside, _ = make([3, 1, 4], 4)
    for _ in range(7):
        (action,) = alone.act(observe([True]))
        assert beside.act(observe([True, True, True]))[0] == action
        assert beside.decided[0] == alone.decided[0]


def test_it_says_for_whom_it_has_decided():
    policy, _ = make([4, 1, 4], 2)
    said = []
    for active in ([True, True, True], [True, True, True], [True, True, False]):
        policy.act(observe(active))
        said.append(policy.decided.tolist())
    assert said == [[True, True, True], [False, True, False], [True, True, False]]


def test_rests_of_several_lengths_are_handed_on_together():
    policy, planner = make([4, 1], 2)
    for _ in range(3):
        policy.act(observe([True, True]))
    slots, _, rest = planner.asked[-1]
    assert slots == [0, 1]
    assert rest.actions.tolist() == [[3, 4, 0], [2, 3, 4]]
    assert rest.lengths.tolist() == [2, 0]


def test_only_running_episodes_are_planned_for_each_with_its_own_slot():
    policy, planner = make([4, 4, 4], 1)
    actions = policy.act(observe([False, True, True]))
    assert planner.asked[0][0] == [1, 2]
    assert planner.asked[0][1] == ("goal 1", "goal 2")
    assert actions.tolist() == [0, 1, 1]
    policy.act(observe([False, False, True]))
    slots, _, rest = planner.asked[1]
    assert slots == [2]
    assert rest.actions.tolist() == [[2, 3, 4]]
    assert rest.lengths.tolist() == [3]
