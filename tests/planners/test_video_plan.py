"""A video of the goal, and the actions read from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from planners.mpc import MPCPolicy
from planners.video_plan import VideoPlanPlanner
from world_model.frames import to_env
from world_model.memory.none import NoMemory
from world_model.policy_api import Observation
from world_model.toy import DotWorldModel, PointWorldModel

MIDDLE = DotWorldModel.MIDDLE
UP, DOWN, LEFT, RIGHT = range(4)


def make(dot, reads_dots, **options):
    return VideoPlanPlanner(DotWorldModel(), dot.objective, reads_dots, **options)


def test_the_plan_is_what_is_seen_in_the_video(dot, reads_dots):
    planner = make(dot, reads_dots, horizon=3)
    found = dot.ask(planner, [(2, 3), (6, 5)], [MIDDLE, MIDDLE])
    assert found.actions.tolist() == [[DOWN, DOWN, RIGHT], [UP, UP, LEFT]]
    assert found.lengths.tolist() == [3, 3]
    assert found.predicted_success.tolist() == [1.0, 1.0]


def test_no_video_is_longer_than_what_is_left_of_the_budget(dot, reads_dots):
    found = dot.ask(make(dot, reads_dots), [(0, 4)], [MIDDLE], horizon=2)
    assert found.actions.tolist() == [[DOWN, DOWN]]
    assert found.predicted_success.tolist() == [0.0]


@pytest.mark.parametrize("replan_every", [1, 7])
def test_it_is_followed_to_its_end_or_for_one_action(dot, reads_dots, replan_every):
    planner, asked = make(dot, reads_dots, horizon=3), []
    model = planner.world_model
    rollout = model.rollout
    model.rollout = lambda *a, **k: asked.append(1) or rollout(*a, **k)
    policy = MPCPolicy(model, NoMemory(), planner, replan_every=replan_every)
    images = to_env(dot.images([(2, 3)]))
    policy.reset(images, [0])
    policy.relocate(images)
    obs = Observation(images, dot.goal([MIDDLE]), np.array([True]), np.full(1, 9))
    done = [int(policy.act(obs)[0]) for _ in range(3)]
    # What it sees does not change here: closed loop begins the same video again.
    assert done == ([DOWN] * 3 if replan_every == 1 else [DOWN, DOWN, RIGHT])
    assert len(asked) == (3 if replan_every == 1 else 1)


def test_models_that_cannot_be_told_a_goal_are_refused(dot, reads_dots):
    class Deaf(DotWorldModel):
        goal_numbers = property()

    with pytest.raises(ValueError, match="can be told a goal in words, got Deaf: use"):
        VideoPlanPlanner(Deaf(), dot.objective, reads_dots)
    with pytest.raises(ValueError, match="`video_plan` needs actions that are phrases"):
        VideoPlanPlanner(PointWorldModel(), dot.objective, reads_dots)


def test_a_dot_that_is_told_a_goal_gets_to_the_middle_and_leaves_it():
    model = DotWorldModel()
    number = model.goal_numbers(["wherever"])
    from_middle = torch.tensor([MIDDLE])
    assert model._homing(from_middle).tolist() == [UP]
    assert number.tolist() == [4]
