"""Planners that enumerate: exact within the model, and how they spend their budget."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from planners.exhaustive import ExhaustivePlanner
from planners.tree_search import TreeSearchPlanner
from world_model.core import Goal, Rollout
from world_model.policy_api import Objective

DEPTH = 4
NUM_SEQUENCES = 4 + 12 + 36 + 108
cells = st.tuples(st.integers(0, 7), st.integers(0, 7))


class Hashed(Objective):
    """A cost that says nothing until it is asked: no search can be guided by it."""

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        steps = rollout.actions.shape[2]
        images = rollout.latents[:, :, :, -1].flatten(3)
        weights = torch.linspace(1, 9, images.shape[-1])
        return (images @ weights * 7.31 + rollout.num_steps * steps).sin()


@settings(max_examples=15, deadline=None)
@given(pairs=st.lists(st.tuples(cells, cells), min_size=1, max_size=3))
def test_every_shortest_way_is_found_by_trying_everything(dot, pairs):
    starts, goals = zip(*pairs, strict=True)
    found = dot.ask(dot.make(ExhaustivePlanner, depth=DEPTH), starts, goals)
    for b, (start, goal) in enumerate(pairs):
        steps = abs(start[0] - goal[0]) + abs(start[1] - goal[1])
        if 1 <= steps <= DEPTH:
            assert int(found.lengths[b]) == steps
            assert float(found.costs[b]) == pytest.approx(0.02 * steps)


@pytest.mark.parametrize(("width", "waves"), [(1000, DEPTH), (5, 13), (1, 53)])
@settings(max_examples=8, deadline=None)
@given(start=cells)
def test_tree_search_is_exact_with_enough_waves(dot, width, waves, start):
    # Open sequences of length 0 to 3: 1 + 4 + 12 + 36 = 53.
    model, goal = dot.world_model(), [(0, 0)]
    tree = TreeSearchPlanner(model, Hashed(), depth=DEPTH, width=width, waves=waves)
    all_of_them = ExhaustivePlanner(model, Hashed(), depth=DEPTH)
    found, best = (dot.ask(p, [start], goal) for p in (tree, all_of_them))
    assert float(found.costs[0]) == pytest.approx(float(best.costs[0]))


class Batches(list):
    """The number of steps and candidates of every batch that was imagined."""

    def of(self, model):
        extend = model.extend

        def counting(rollout, actions, **options):
            self.append((rollout.num_steps, actions.shape[1]))
            return extend(rollout, actions, **options)

        model.extend = counting


def test_a_wave_is_one_batch_and_the_lengths_take_turns(dot):
    planner, batches = dot.make(TreeSearchPlanner, depth=3, width=2, waves=6), Batches()
    batches.of(planner.world_model)
    dot.ask(planner, [(0, 0), (5, 5)], [(7, 7), (4, 4)])
    # One root, then two of each length; the root is grown once.
    assert batches == [(0, 4), (1, 6), (2, 6), (1, 6), (2, 6), (2, 6)]


def test_no_sequence_is_imagined_twice_and_the_search_ends_with_the_tree(dot):
    planner = dot.make(TreeSearchPlanner, depth=DEPTH, width=7, waves=999)
    batches = Batches()
    batches.of(planner.world_model)
    dot.ask(planner, [(3, 3)], [(7, 7)])
    assert sum(size for _, size in batches) == NUM_SEQUENCES


def test_more_waves_never_make_a_plan_worse(dot):
    starts = [(r, c) for r in range(0, 8, 2) for c in range(0, 8, 2)]
    model = dot.world_model()
    planners = [
        TreeSearchPlanner(model, Hashed(), width=2, waves=waves)
        for waves in (1, 3, 7, 14, 28)
    ]
    costs = torch.stack([dot.ask(p, starts, starts).costs for p in planners])
    assert (costs.diff(dim=0) <= 0).all()
    assert (costs.mean(dim=1).diff() < 0).all()
