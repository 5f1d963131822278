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
    [([4, 4], 1, 4), ([4, 4], 2, 2), ([4, 4], 4, 1), ([4, 1], 4, 4), ([0, 4], 4, 4)],
)
def test_a_plan_is_executed_as_far_as_it_goes(lengths, replan_every, plans):
    policy, planner = make(lengths, replan_every)
    for _ in range(4):
        policy.act(observe([True, True]))
    assert len(planner.asked) == plans


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
