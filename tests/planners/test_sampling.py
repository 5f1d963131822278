"""Sampling planners: how near the optimum they come, and what they draw from."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.categorical import Categorical
from planners.cem import CEMPlanner
from planners.coloured_noise import coloured_noise
from planners.gaussian import Gaussian
from planners.icem import ICEMPlanner
from planners.mppi import MPPIPlanner
from planners.population import Population
from planners.random_shooting import RandomShootingPlanner
from world_model.core import Goal, Rollout
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Plan
from world_model.toy import PointWorldModel

REFITTING = [CEMPlanner, ICEMPlanner, MPPIPlanner]
CELL, STEP, ACTION = 1 / 14, PointWorldModel.STEP, 0.02
cells = st.tuples(st.integers(0, 7), st.integers(0, 7))
coordinates = st.integers(-18, 18).map(lambda x: x / 20)
points = st.tuples(coordinates, coordinates)
seeds = st.integers(0, 1000)
SPACE = PhraseSpace(("up", "down", "left", "right"), (1, 0, 3, 2))


def least_cost(distance: float, step: float, horizon: int = 7) -> float:
    """Of the best of all plans: each action brings the goal nearer by `step`."""
    return min(
        max(0.0, distance - step * k) + ACTION * k for k in range(1, horizon + 1)
    )


@pytest.mark.parametrize("planner", REFITTING)
@settings(max_examples=10, deadline=None)
@given(start=cells, goal=cells, seed=seeds)
def test_64_x_4_sequences_of_phrases_end_within_a_cell_of_the_optimum(
    dot, planner, start, goal, seed
):
    steps = abs(start[0] - goal[0]) + abs(start[1] - goal[1])
    if steps == 0:
        return
    found = dot.ask(dot.make(planner), [start], [goal], seed=seed)
    optimum = least_cost(steps * CELL, CELL)
    assert optimum - 1e-5 <= float(found.costs[0]) <= optimum + CELL


@pytest.mark.parametrize("planner", REFITTING)
@settings(max_examples=10, deadline=None)
@given(start=points, goal=points, seed=seeds)
def test_64_x_4_sequences_of_vectors_end_within_two_actions_of_the_optimum(
    point, planner, start, goal, seed
):
    distance = max(abs(start[0] - goal[0]), abs(start[1] - goal[1]))
    found = point.ask(point.make(planner), [start], [goal], seed=seed)
    optimum = least_cost(distance, STEP)
    assert optimum - 1e-5 <= float(found.costs[0]) <= optimum + 2 * STEP


def test_256_random_sequences_of_phrases_end_within_two_cells_on_average(dot):
    rng = np.random.default_rng(0)
    starts, goals = rng.integers(0, 8, (2, 40, 2)).tolist()
    steps = [
        max(1, abs(a - c) + abs(b - d))
        for (a, b), (c, d) in zip(starts, goals, strict=True)
    ]
    costs = dot.ask(dot.make(RandomShootingPlanner), starts, goals).costs
    optimum = torch.tensor([least_cost(n * CELL, CELL) for n in steps])
    assert float((costs - optimum).mean()) <= 2 * CELL


@pytest.mark.parametrize("planner", REFITTING)
def test_refitting_comes_near_and_beats_guessing_at_the_same_budget(point, planner):
    rng = np.random.default_rng(0)
    starts, goals = rng.uniform(-0.9, 0.9, (2, 40, 2)).tolist()
    random = point.make(RandomShootingPlanner, population=4 * 64 + 1)
    guessed = point.ask(random, starts, goals).costs
    refitted = point.ask(point.make(planner), starts, goals).costs
    assert float(refitted.mean()) < float(guessed.mean()) - 0.05
    distances = np.abs(np.array(starts) - np.array(goals)).max(axis=1)
    optimum = np.mean([least_cost(distance, STEP) for distance in distances])
    assert float(refitted.mean()) < optimum + 0.06


@pytest.mark.parametrize("planner", REFITTING)
@pytest.mark.parametrize("scene", ["dot", "point"])
def test_one_sequence_at_a_time_is_enough_to_plan(scene, planner, request):
    scene = request.getfixturevalue(scene)
    options = {"population": 1, "iterations": 2, "horizon": 1}
    elites = {} if planner is MPPIPlanner else {"elites": 1}
    found = scene.ask(scene.make(planner, **options, **elites), [(0, 0)], [(1, 1)])
    assert found.actions.shape[:2] == (1, 1)


def test_icem_never_loses_the_plan_it_was_given(dot):
    # Seven steps that one random sequence of a population of two would not find.
    last = Plan(torch.tensor([[1, 1, 1, 3, 3, 3, 3]]), torch.tensor([7]), torch.ones(1))
    planner = dot.make(ICEMPlanner, population=2, elites=1, iterations=1)
    for seed in range(5):
        found = dot.ask(planner, [(0, 0)], [(3, 4)], warm_start=last, seed=seed)
        assert float(found.costs[0]) == pytest.approx(7 * ACTION)


def test_actions_that_no_one_can_sample_are_refused(dot, point):
    class Unbounded(PointWorldModel):
        def __init__(self):
            super().__init__()
            self.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))

    text = (
        r"`cem` needs a `Box` of vectors with finite bounds, got .*: bound it, or name"
    )
    with pytest.raises(ValueError, match=text):
        CEMPlanner(Unbounded(), point.objective)


@given(seeds, st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_sampled_phrases_never_undo_themselves_and_repeat_with_their_source(
    seed, steps
):
    draws = [
        Categorical.uniform(SPACE, 1, steps).sample(
            30, [torch.Generator().manual_seed(seed)]
        )
        for _ in range(2)
    ]
    assert torch.equal(*draws)
    inverses = torch.tensor(SPACE.inverses)
    assert (inverses[draws[0][..., :-1]] != draws[0][..., 1:]).all()


def test_an_action_that_only_its_inverse_may_follow_may_be_undone():
    space = PhraseSpace(("wait",), (0,))
    drawn = Categorical.uniform(space, 1, 3).sample(2, [torch.Generator()])
    assert drawn.tolist() == [[[0, 0, 0], [0, 0, 0]]]


def test_phrases_follow_the_weighted_frequencies_but_none_is_ruled_out():
    actions = torch.tensor([[[0, 1], [2, 1], [2, 3]]])
    weights = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]]])
    old = Categorical.uniform(SPACE, 1, 2)
    new = old.refit(actions, weights, momentum=0.0)
    expected = 0.9 * torch.tensor([0.25, 0.0, 0.75, 0.0]) + 0.1 / 4
    assert torch.allclose(new.probabilities[0, 0], expected)
    # Nothing weighed in the second step: it stays as it was.
    assert torch.allclose(new.probabilities[0, 1], old.probabilities[0, 1])
    assert new.centre()[0, 0] == 2
    slow = old.refit(actions, weights, momentum=0.5)
    assert torch.allclose(slow.probabilities[0, 0], 0.5 * (expected + 0.25))


def test_vectors_follow_the_weighted_mean_and_spread():
    space = gymnasium.spaces.Box(np.float32([-1, 0]), np.float32([1, 4]))
    old = Gaussian.over(space, 1, 2)
    assert old.mean[0, 0].tolist() == [0, 2]
    assert old.std[0, 0].tolist() == [1, 2]
    actions = torch.tensor([[[[0.0, 1.0]] * 2, [[0.4, 3.0]] * 2]])
    weights = torch.tensor([[[3.0, 0.0], [1.0, 0.0]]])
    new = old.refit(actions, weights, momentum=0.0)
    assert torch.allclose(new.mean[0, 0], torch.tensor([0.1, 1.5]))
    variance = torch.tensor([0.75 * 0.1**2 + 0.25 * 0.3**2, 0.75 * 0.25 + 0.25 * 2.25])
    assert torch.allclose(new.std[0, 0], variance.sqrt())
    assert torch.equal(new.mean[0, 1], old.mean[0, 1])
    assert torch.equal(new.std[0, 1], old.std[0, 1])
    rigid = Gaussian.over(space, 1, 2, is_rigid=True).refit(actions, weights, 0.0)
    assert torch.equal(rigid.mean, new.mean)
    assert torch.equal(rigid.std, old.std)
    drawn = old.sample(200, [torch.Generator()])
    assert (drawn >= old.low).all()
    assert (drawn <= old.high).all()


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("num_steps", [1, 2, 7, 8])
def test_coloured_noise_has_unit_variance_and_its_spectrum(exponent, num_steps):
    noise = coloured_noise(
        8000, num_steps, 2, exponent=exponent, source=torch.Generator().manual_seed(0)
    )
    assert noise.shape == (8000, num_steps, 2)
    assert torch.allclose(noise.mean(dim=0), torch.zeros(()), atol=0.06)
    assert torch.allclose(noise.var(dim=0), torch.ones(()), atol=0.08)
    if num_steps == 8:
        power = torch.fft.rfft(noise, dim=1).abs().square().mean(dim=(0, 2))
        ratio = float(power[1] / power[4])  # frequencies 1/8 and 4/8
        assert ratio == pytest.approx(4.0**exponent, rel=0.1)


def test_a_population_is_judged_by_its_best_prefixes(dot):
    costs = torch.tensor([[[0.5, 0.4, 0.6], [0.3, 0.3, 0.1]]])
    latents = torch.zeros(1, 2, 3, 1, 3, 8, 8)
    actions, recalled = torch.zeros(2, 1, 2, 3).long()
    rollout = Rollout(
        dot.context([(0, 0)]), actions, latents, lambda x: x, recalled.bool()
    )
    found = Population.judged(rollout, Goal(("",)), lambda *_: costs, 0.15)
    assert found.lengths.tolist() == [[1, 1]]
    assert torch.allclose(found.costs, torch.tensor([[0.65, 0.45]]))
    assert found.elites(1).tolist() == [[1]]
    cheap = Population.judged(rollout, Goal(("",)), lambda *_: costs, 0.01)
    assert cheap.lengths.tolist() == [[2, 3]]
    weights = cheap.weights_of_actions(torch.tensor([[1.0, 2.0]]))
    assert weights.tolist() == [[[1, 1, 0], [2, 2, 2]]]
