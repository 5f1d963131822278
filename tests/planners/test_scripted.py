"""A script, executed in order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from planners.mpc import MPCPolicy
from planners.scripted import ScriptedPlanner
from world_model.frames import to_env
from world_model.memory.none import NoMemory
from world_model.policy_api import Observation, Plan


@pytest.mark.parametrize("replan_every", [1, 2])
def test_the_script_is_executed_in_order_and_begins_again(dot, replan_every):
    planner = dot.make(ScriptedPlanner, phrases=["up", "right", "right"])
    policy = MPCPolicy(
        planner.world_model, NoMemory(), planner, replan_every=replan_every
    )
    images = to_env(dot.images([(4, 4), (1, 1)]))
    policy.reset(images, [0, 1])
    policy.relocate(images)
    obs = Observation(
        images, dot.goal([(0, 0), (7, 7)]), np.array([True, True]), np.full(2, 9)
    )
    done = [policy.act(obs).tolist() for _ in range(6)]
    assert done == [[a, a] for a in (0, 3, 3, 0, 3, 3)]


def test_every_episode_goes_on_where_it_stood(dot):
    planner = dot.make(ScriptedPlanner, phrases=["up", "right", "down"])
    # What was planned beyond a plan's end means nothing: one and two were left.
    actions = torch.tensor([[1, 0, 0], [3, 1, 0], [2, 2, 2]])
    rest = Plan(actions, torch.tensor([1, 2, 0]), torch.zeros(3))
    places = [(4, 4)] * 3
    found = dot.ask(planner, places, places, warm_start=rest)
    assert found.actions.tolist() == [[1, 0], [3, 1], [0, 3]]
    rest = Plan(actions, torch.zeros(3, dtype=torch.int64), torch.zeros(3))
    found = dot.ask(planner, places, places, warm_start=rest)
    assert found.actions.tolist() == [[0, 3, 1]] * 3
