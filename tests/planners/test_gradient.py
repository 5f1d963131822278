"""Descent through a differentiable world model."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.gradient import GradientPlanner
from planners.icem import ICEMPlanner
from world_model.policy_api import Plan
from world_model.toy import PointWorldModel, point_distance

coordinates = st.integers(-18, 18).map(lambda x: x / 20)
points = st.tuples(coordinates, coordinates)


@settings(max_examples=10, deadline=None)
@given(start=points, goal=points, seed=st.integers(0, 1000))
def test_the_goal_is_reached_about_as_soon_as_it_can_be(point, start, goal, seed):
    found = point.ask(point.make(GradientPlanner), [start], [goal], seed=seed)
    fewest = int(point_distance(*point.images([start, goal])))
    if not 1 <= fewest <= 6:
        return
    assert fewest - 1 <= int(found.lengths[0])
    assert float(found.costs[0]) <= 0.02 * fewest + 0.1


def test_more_steps_downhill_come_closer(point):
    costs = [
        float(
            point.ask(
                point.make(GradientPlanner, population=1, iterations=n),
                [(-0.8, -0.8)],
                [(0.7, 0.2)],
            ).costs[0]
        )
        for n in (1, 5, 25)
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.3 < costs[0]


def test_the_rest_of_the_last_plan_is_where_descent_begins(point):
    actions = torch.tensor([[[1.0, 0.5]] * 4])
    last = Plan(actions, torch.tensor([4]), torch.zeros(1))
    planner = point.make(GradientPlanner, population=1, iterations=1, horizon=4)
    found = point.ask(planner, [(-0.8, 0.0)], [(0.2, 0.5)], warm_start=last)
    assert torch.equal(found.actions, actions)
    assert float(found.costs[0]) == pytest.approx(0.08, abs=1e-6)


@pytest.mark.parametrize("high", [0.125, 0.1, 0.4, 0.7])
def test_what_lies_on_a_bound_comes_back_whatever_the_bound(point, high):
    # Half the width plus the middle rounds to above some of these bounds.
    class Lopsided(PointWorldModel):
        def __init__(self):
            super().__init__()
            low, top = np.float32([-0.7] * 2), np.float32([high] * 2)
            self.action_space = gymnasium.spaces.Box(low, top)

    last = Plan(torch.full((1, 4, 2), high), torch.tensor([4]), torch.zeros(1))
    planner = GradientPlanner(
        Lopsided(), point.objective, population=1, iterations=40, horizon=4
    )
    found = point.ask(planner, [(0.0, 0.0)], [(-0.5, -0.5)], warm_start=last)
    assert float(found.costs[0]) < 0.15


def test_actions_keep_their_bounds_even_where_these_meet(point):
    class Narrow(PointWorldModel):
        def __init__(self):
            super().__init__()
            low, high = np.float32([0.1, 0.3]), np.float32([0.7, 0.3])
            self.action_space = gymnasium.spaces.Box(low, high)

    for planner in (GradientPlanner, ICEMPlanner):
        model = Narrow()
        found = point.ask(planner(model, point.objective), [(0.0, 0.0)], [(0.9, 0.2)])
        assert all(model.action_space.contains(a.numpy()) for a in found.actions[0])


def test_gradients_of_the_models_own_weights_are_left_alone(point):
    class Learned(PointWorldModel):
        def __init__(self):
            super().__init__()
            self.gain = torch.ones((), requires_grad=True)

        def predict(self, context, actions, **options):
            return super().predict(context, actions * self.gain, **options)

    model = Learned()
    GradientPlanner(model, point.objective).plan(
        point.context([(0.0, 0.0)]),
        point.goal([(0.5, 0.5)]),
        generator=[torch.Generator()],
        horizon=2,
    )
    assert model.gain.grad is None


def test_a_model_without_a_slope_is_refused_and_others_plan_with_it(point):
    class Frozen(PointWorldModel):
        @torch.no_grad()
        def predict(self, context, actions, **options):
            return super().predict(context, actions, **options)

    text = (
        "`gradient` needs costs that torch can differentiate in the actions, got none "
        "from Frozen and Distance: use planner/optimizer=icem."
    )
    question = [(0.0, 0.0)], [(0.5, 0.5)]
    with pytest.raises(ValueError, match=text):
        point.ask(GradientPlanner(Frozen(), point.objective), *question)
    point.ask(ICEMPlanner(Frozen(), point.objective), *question)
