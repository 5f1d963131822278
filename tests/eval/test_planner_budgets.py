"""What a budget promises: nothing is spent beyond it, and what it buys is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor

from eval.laws.toy import DOTS
from eval.meter import MeteredWorldModel
from eval.planner_suite import budgeted_model
from eval.planner_suite.budget import CALLS, SECONDS, Budget, BudgetSpent, NoPlanError
from eval.planner_suite.budgeted_model import BudgetedWorldModel, num_chunks
from eval.planner_suite.budgeted_planner import BudgetedPlanner
from eval.planner_suite.sizes import SIZES, Question
from world_model.core import Context, Goal, Reading, Rollout
from world_model.memory.none import NoMemory
from world_model.policy_api import Objective, Plan, Planner
from world_model.toy import draw_dot

CONFIGS = Path(__file__).parents[2] / "configs"
HORIZON = 4
WHOLE_TREE = 4 + 12 + 36 + 108
"""Chunks of all sequences of up to four of four phrases that do not undo the last."""
SPACE = DOTS.model().action_space
SAMPLING = ("random_shooting", "cem", "icem", "mppi")
EXACT = ("exhaustive", "tree_search", "graph_search")


class Hashed(Objective):
    """A cost that says nothing until it is asked: no search can be guided by it."""

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        # In double precision: sums must not depend on the size of the batch.
        images = rollout.latents[:, :, :, -1].flatten(3).double()
        weights = torch.linspace(1, 9, images.shape[-1]).double()
        steps = torch.arange(rollout.num_steps)
        return (images @ weights * 7.31 + steps).sin().float()


class Guided(NoMemory):
    """Says nothing but asks for guidance, which doubles the calls."""

    def read(self, context, actions):
        return Reading(guidance=1.0)


class Bench:
    """A planner on the dot world, stopped by its budget, and what it really asked for.

    Args:
        optimizer: As in `planner/optimizer=...`.
        budget: What a decision may spend.
        objective: The cost.
        options: Of the planner; by default its size for the budget.
    """

    def __init__(self, optimizer, budget, objective=None, **options):
        model = DOTS.model()
        self.asked = 0
        predict = model.predict

        def tally(context, actions, **more):
            self.asked += actions.shape[0] * actions.shape[1]
            return predict(context, actions, **more)

        model.predict = tally
        self.model = BudgetedWorldModel(MeteredWorldModel(model), budget)
        sizes = options or SIZES[optimizer](Question(budget.calls, HORIZON, SPACE))
        made = planner_class(optimizer)(
            self.model, objective or DOTS.objective(), action_cost=0.02, **sizes
        )
        self.planner = BudgetedPlanner(made, self.model)

    def ask(self, starts, goals, *, horizon=9, memory=None) -> Plan:
        self.asked = 0
        return self.planner.plan(
            Context(torch.zeros(len(starts), 0, dtype=torch.int64), images(starts)),
            Goal(("go",) * len(goals), images(goals)[:, 0]),
            memory=memory,
            generator=[torch.Generator().manual_seed(i) for i, _ in enumerate(starts)],
            horizon=horizon,
        )


def images(cells) -> Tensor:
    return torch.stack([draw_dot(torch.tensor(cell))[None] for cell in cells])


@cache
def planner_class(optimizer: str) -> Callable[..., Planner]:
    file = CONFIGS / "planner" / "optimizer" / f"{optimizer}.yaml"
    return get_class(OmegaConf.load(file).planner._target_)


def calls(amount: float) -> Budget:
    return Budget(CALLS, amount)


@pytest.mark.parametrize("optimizer", SIZES)
@pytest.mark.parametrize("amount", [4, 17, 100])
def test_no_planner_spends_more_than_its_budget(optimizer, amount):
    bench = Bench(optimizer, calls(amount))
    for starts, goals in ([(3, 3)], [(7, 7)]), ([(1, 6), (0, 0)], [(2, 2), (5, 5)]):
        plan = bench.ask(starts, goals)
        assert 0 < bench.asked <= amount * len(starts)
        assert ((plan.lengths >= 1) & (plan.lengths <= HORIZON)).all()


@pytest.mark.parametrize("optimizer", SAMPLING)
@pytest.mark.parametrize("amount", [30, 61])
def test_sampling_goes_on_until_no_sequence_fits(optimizer, amount):
    bench = Bench(optimizer, calls(amount))
    bench.ask([(3, 3)], [(7, 7)])
    assert amount - HORIZON < bench.asked <= amount


@pytest.mark.parametrize("optimizer", EXACT)
def test_with_budget_enough_a_search_is_exact(optimizer):
    bench = Bench(optimizer, calls(WHOLE_TREE * 4))
    goals = [(2, 5), (4, 4), (3, 0), (7, 3), (1, 1)]
    plan = bench.ask([(3, 3)] * len(goals), goals)
    steps = torch.tensor([abs(r - 3) + abs(c - 3) for r, c in goals])
    assert torch.equal(plan.lengths, steps)
    assert torch.allclose(plan.costs, 0.02 * steps)
    assert torch.equal(plan.predicted_success, torch.ones(len(goals)))


FIXED = {
    "graph_search": {"depth": HORIZON, "width": 5},
    "tree_search": {"depth": HORIZON, "width": 2, "waves": 99},
    "beam": {"depth": HORIZON, "width": 5},
    "exhaustive": {"depth": HORIZON},
    "random_shooting": {"horizon": HORIZON, "population": 60},
    "cem": {"horizon": HORIZON, "population": 12, "elites": 3},
    "icem": {"horizon": HORIZON, "population": 12, "elites": 3},
    "mppi": {"horizon": HORIZON, "population": 12},
}


@pytest.mark.parametrize("optimizer", SIZES)
def test_more_budget_never_makes_the_plan_of_a_search_worse(optimizer):
    starts = [(r, c) for r in (0, 3, 5) for c in (1, 6)]
    amounts = (4, 20, 60, 170)
    benches = [
        Bench(optimizer, calls(x), Hashed(), **FIXED[optimizer]) for x in amounts
    ]
    costs = torch.stack([bench.ask(starts, starts).costs for bench in benches])
    assert (costs.diff(dim=0) <= 0).all()
    assert costs[-1].mean() < costs[0].mean()


def test_a_deeper_enumeration_is_never_worse():
    amounts = (4, 16, 51, 52, 159, 160)
    benches = [Bench("exhaustive", calls(amount), Hashed()) for amount in amounts]
    plans = [bench.ask([(3, 3)], [(0, 0)]) for bench in benches]
    assert (torch.stack([plan.costs for plan in plans]).diff(dim=0) <= 0).all()
    assert [bench.asked for bench in benches] == [4, 16, 16, 52, 52, 160]


@pytest.mark.parametrize("optimizer", ["beam", "graph_search"])
@pytest.mark.parametrize("amount", [22, 40, 64, 100, 159])
def test_the_widest_search_that_fits_is_chosen(optimizer, amount):
    width = SIZES[optimizer](Question(amount, HORIZON, SPACE))["width"]
    spent = []
    for size in (width, width + 1):
        bench = Bench(optimizer, calls(9999), width=size, depth=HORIZON)
        bench.ask([(3, 3)], [(7, 7)])
        spent.append(bench.asked)
    assert spent[0] <= amount
    if optimizer == "beam":
        assert spent[1] > amount


def test_chunks_are_counted_as_they_are_imagined():
    generator = torch.Generator().manual_seed(0)
    actions = torch.randint(4, (3, 20, 5), generator=generator)
    counted = num_chunks(actions)
    for size in (1, 7, 20):
        bench = Bench("beam", calls(9999))
        context = Context(torch.zeros(3, 0, dtype=torch.int64), images([(3, 3)] * 3))
        bench.model.rollout(context, actions[:, :size], generator=[generator] * 3)
        assert bench.asked == 3 * counted[size - 1]
    vectors = torch.tensor([[[[0.5, 1]], [[0.5, 1]], [[0.5, 2]]]])
    assert np.array_equal(num_chunks(vectors), [1, 1, 2])


def test_a_rollout_is_cut_to_the_first_sequences_that_fit():
    context = Context(torch.zeros(1, 0, dtype=torch.int64), images([(3, 3)]))
    actions = torch.tensor([[[0, 0, 2], [0, 0, 3], [1, 2, 1], [3, 3, 3]]])
    kinds = ((10, (4, 3)), (9, (3, 3)), (7, (3, 3)), (6, (2, 3)), (3, (1, 3)))
    for amount, shape in (*kinds, (2, (1, 2)), (1, (1, 1))):
        bench = Bench("beam", calls(amount))
        found = bench.model.rollout(context, actions, generator=[torch.Generator()])
        assert found.actions.shape[1:] == shape
        assert torch.equal(found.actions, actions[:, : shape[0], : shape[1]])
        whole = DOTS.model().rollout(context, actions, generator=[torch.Generator()])
        assert torch.equal(found.latents, whole.latents[:, : shape[0], : shape[1]])
        assert bench.model.is_spent == (shape != (4, 3))
    with pytest.raises(BudgetSpent):
        bench.model.rollout(context, actions, generator=[torch.Generator()])


@pytest.mark.parametrize("optimizer", SIZES)
def test_guidance_costs_twice_and_is_paid_for(optimizer):
    bench = Bench(optimizer, calls(40))
    plan = bench.ask([(3, 3)], [(4, 5)], memory=Guided())
    assert 0 < 2 * bench.asked <= 40
    assert plan.costs.isfinite().all()


@pytest.mark.parametrize("optimizer", SIZES)
@pytest.mark.parametrize("believed", [0.5, 3.0])
def test_seconds_are_kept_to_whatever_a_call_really_takes(
    optimizer, believed, monkeypatch
):
    budget = Budget(SECONDS, 60.0, calls_per_second=believed)
    bench = Bench(optimizer, budget)
    monkeypatch.setattr(budgeted_model, "now", lambda: bench.asked)
    plan = bench.ask([(3, 3)], [(7, 7)])  # a call takes a second
    assert plan.costs.isfinite().all()
    # What is believed to end in time is begun.
    assert bench.asked <= 60 * max(1.0, believed)


class OneBatch(Planner):
    """Shows its plan only when it is done; counts on getting all it asked for."""

    def __init__(self, world_model, objective, *, action_cost, size):
        self.world_model, self.objective = world_model, objective
        self.size = size

    def plan(self, context, goal, *, memory=None, warm_start=None, generator, horizon):
        source = torch.Generator().manual_seed(0)
        actions = torch.randint(4, (1, self.size, 1), generator=source)
        rollout = self.world_model.rollout(context, actions, generator=generator)
        assert torch.equal(rollout.actions, actions)
        costs, best = self.objective(rollout, goal)[:, :, -1].min(dim=1)
        return Plan(actions[:, best[0]], torch.ones_like(best), costs)


def test_a_planner_that_cannot_be_stopped_must_come_out_with_its_budget(monkeypatch):
    monkeypatch.setitem(globals(), "planner_class", lambda name: OneBatch)
    assert Bench("one", calls(4), size=50).ask([(3, 3)], [(2, 3)]).costs == 0
    text = (
        r"A planner must have a plan within its budget of 3 calls, got none: give "
        r"it more, let it imagine less, or derive it from "
        r"`planners.search_planner.SearchPlanner` and yield plans from `search`."
    )
    with pytest.raises(NoPlanError, match=text):
        Bench("one", calls(3), size=50).ask([(3, 3)], [(2, 3)])
