"""What holds of every planner, on a world of phrases and on one of vectors."""

from __future__ import annotations

import pytest
import torch

from planners.beam import BeamPlanner
from planners.cem import CEMPlanner
from planners.exhaustive import ExhaustivePlanner
from planners.gradient import GradientPlanner
from planners.graph_search import GraphSearchPlanner
from planners.icem import ICEMPlanner
from planners.mppi import MPPIPlanner
from planners.random_shooting import RandomShootingPlanner
from planners.scripted import ScriptedPlanner
from planners.tree_search import TreeSearchPlanner
from world_model.memory.none import NoMemory

SAMPLED = {"population": 12, "horizon": 4}
REFIT = {**SAMPLED, "iterations": 3}
ELITE = {**REFIT, "elites": 4}
CASES = [
    ("dot", GraphSearchPlanner, {"depth": 4, "min_change": 1e-3}),
    ("dot", BeamPlanner, {"depth": 4, "width": 6}),
    ("dot", BeamPlanner, {"depth": 4, "width": 6, "min_change": 1e-3}),
    ("dot", ExhaustivePlanner, {"depth": 4}),
    ("dot", TreeSearchPlanner, {"depth": 4, "width": 2, "waves": 10}),
    ("dot", ScriptedPlanner, {"phrases": ["up", "left", "down", "left"]}),
    *(
        (scene, planner, options)
        for scene in ("dot", "point")
        for planner, options in (
            (RandomShootingPlanner, SAMPLED),
            (CEMPlanner, ELITE),
            (ICEMPlanner, ELITE),
            (MPPIPlanner, REFIT),
        )
    ),
    ("point", GradientPlanner, {"population": 3, "iterations": 4, "horizon": 4}),
]
PLACES = {
    "dot": ([(1, 1), (6, 2), (4, 4)], [(3, 2), (6, 3), (0, 0)]),
    "point": ([(-0.5, 0.2), (0.9, 0.9), (0.0, 0.0)], [(0.1, 0.0), (0.5, 0.9), (1, -1)]),
}
# Chunks per episode that the docstrings and docs/planners.md state, for the above.
BUDGETS = {
    GraphSearchPlanner: 4 * 64 * 4,
    BeamPlanner: 4 + 3 * 6 * 3,
    ExhaustivePlanner: 4 + 12 + 36 + 108,
    TreeSearchPlanner: 10 * 2 * 4,
    ScriptedPlanner: 4,
    RandomShootingPlanner: 12 * 4,
    CEMPlanner: (12 * 3 + 1) * 4,
    ICEMPlanner: (12 + 9 + 8 + 1) * 4,
    MPPIPlanner: (12 * 3 + 1) * 4,
    GradientPlanner: 3 * (4 + 1) * 4,
}


SEARCHES_OF_PHRASES = [
    case for case in CASES if case[0] == "dot" and case[1] is not ScriptedPlanner
]


def label(case):
    return f"{case[1].__name__}-{case[0]}"


@pytest.fixture(params=CASES, ids=label)
def case(request):
    """A scene, one of its planners, starts and goals."""
    name, planner, options = request.param
    scene = request.getfixturevalue(name)
    return scene, scene.make(planner, **options), *PLACES[name]


def assert_equal(a, b):
    assert torch.equal(a.actions, b.actions)
    assert torch.equal(a.lengths, b.lengths)
    assert torch.equal(a.costs, b.costs)


def test_same_generators_give_the_same_plan_whatever_was_planned_before(case):
    scene, planner, starts, goals = case
    first = scene.ask(planner, starts, goals)
    scene.ask(planner, goals, starts, seed=7)
    assert_equal(first, scene.ask(planner, starts, goals))


def test_a_plan_is_one_sequence_per_episode_that_can_be_executed(case):
    scene, planner, starts, goals = case
    plan = scene.ask(planner, starts, goals)
    space = planner.world_model.action_space
    num_steps = plan.actions.shape[1]
    assert plan.actions.shape == (3, num_steps, *space.shape)
    assert (
        plan.lengths.shape == plan.costs.shape == plan.predicted_success.shape == (3,)
    )
    assert num_steps <= 4
    assert ((plan.lengths >= 1) & (plan.lengths <= num_steps)).all()
    assert not plan.actions.requires_grad
    for action in plan.actions.flatten(0, 1):
        assert space.contains(action.numpy() if space.shape else int(action))


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_the_horizon_bounds_the_plan(case, horizon):
    scene, planner, starts, goals = case
    plan = scene.ask(planner, starts, goals, horizon=horizon)
    assert plan.actions.shape[1] <= max(1, horizon)


def test_the_cost_of_a_plan_is_that_of_what_the_model_imagines_of_it(case):
    scene, planner, starts, goals = case
    plan = scene.ask(planner, starts, goals)
    for b, length in enumerate(plan.lengths.tolist()):
        rollout = planner.world_model.rollout(
            scene.context(starts[b : b + 1]),
            plan.actions[b : b + 1, None, :length],
            generator=[torch.Generator()],
        )
        end = scene.objective(rollout, scene.goal(goals[b : b + 1]))[0, 0, -1]
        assert float(plan.costs[b]) == pytest.approx(float(end) + 0.02 * length)
        assert float(plan.predicted_success[b]) == float(end < 0.01)


def test_episodes_in_one_batch_get_the_plans_they_get_alone(case):
    scene, planner, starts, goals = case
    together = scene.ask(planner, starts, goals)
    for b in range(3):
        alone = scene.ask(planner, starts[b : b + 1], goals[b : b + 1], seed=b)
        length = int(alone.lengths[0])
        assert int(together.lengths[b]) == length
        found, expected = together.actions[b, :length], alone.actions[0, :length]
        assert torch.allclose(found.float(), expected.float(), atol=1e-5)
        assert torch.allclose(together.costs[b], alone.costs[0], atol=1e-5)


def test_planning_reads_memory_and_never_writes_it(case):
    class ReadOnly(NoMemory):
        num_reads = 0

        def read(self, context, actions):
            self.num_reads += 1

        def write(self, chunk):
            raise AssertionError("planning wrote memory")

        reset = restore = write

    scene, planner, starts, goals = case
    memory = ReadOnly()
    assert_equal(
        scene.ask(planner, starts, goals, memory=memory),
        scene.ask(planner, starts, goals),
    )
    assert memory.num_reads


def test_no_more_is_imagined_than_is_stated(case, monkeypatch):
    scene, planner, starts, goals = case
    model, calls = planner.world_model, []
    predict = model.predict

    def counting(context, actions, **options):
        calls.append(actions.shape[1])
        return predict(context, actions, **options)

    monkeypatch.setattr(model, "predict", counting)
    scene.ask(planner, starts, goals)
    assert 0 < sum(calls) <= BUDGETS[type(planner)]


def test_the_rest_of_the_last_plan_may_have_any_length(case):
    scene, planner, starts, goals = case
    last = scene.ask(planner, starts, goals)
    for horizon in (1, 2, 9):
        plan = scene.ask(planner, starts, goals, warm_start=last, horizon=horizon)
        assert plan.actions.shape[1] <= horizon


@pytest.mark.parametrize("case", SEARCHES_OF_PHRASES, ids=label, indirect=True)
def test_phrases_never_directly_undo_themselves(case):
    scene, planner, starts, goals = case
    space = planner.world_model.action_space
    plan = scene.ask(planner, starts, goals)
    for row, length in zip(plan.actions.tolist(), plan.lengths.tolist(), strict=True):
        steps = row[:length]
        assert all(
            space.inverses[a] != b for a, b in zip(steps, steps[1:], strict=False)
        )


@pytest.mark.parametrize(
    ("scene", "planner", "options", "text"),
    [
        ("dot", BeamPlanner, {"width": 0}, "`width` must be at least 1, got 0."),
        ("dot", GraphSearchPlanner, {"depth": 0}, "`depth` must be at least 1, got 0."),
        ("dot", TreeSearchPlanner, {"waves": 0}, "`waves` must be at least 1, got 0."),
        ("dot", CEMPlanner, {"population": 0}, "`population` must be at least 1, got"),
        ("dot", CEMPlanner, {"elites": 0}, "`elites` must be at least 1, got 0."),
        (
            "dot",
            CEMPlanner,
            {"elites": 65},
            "`elites` must be at most population=64, got 65: lower it.",
        ),
        (
            "dot",
            CEMPlanner,
            {"momentum": 1.0},
            r"`momentum` must be in \[0, 1\), got 1",
        ),
        ("dot", ICEMPlanner, {"iterations": 0}, "`iterations` must be at least 1, got"),
        ("dot", ICEMPlanner, {"decay": 0.9}, "`decay` must be at least 1, got 0.9."),
        ("dot", ICEMPlanner, {"kept": 1.5}, r"`kept` must be in \[0, 1\], got 1.5."),
        ("dot", ICEMPlanner, {"colour": -1}, "`colour` must be at least 0, got -1."),
        ("dot", ICEMPlanner, {"colour": float("nan")}, "must be at least 0, got nan."),
        ("dot", MPPIPlanner, {"temperature": 0}, "`temperature` must be positive, got"),
        ("dot", RandomShootingPlanner, {"horizon": 0}, "`horizon` must be at least 1,"),
        (
            "dot",
            ExhaustivePlanner,
            {"depth": 9},
            "`depth` must leave at most limit=4096 sequences, got 9 with 26244: plan "
            "less far or use planner/optimizer=tree_search.",
        ),
        (
            "dot",
            GradientPlanner,
            {},
            r"`gradient` needs a `Box` of vectors with finite bounds, got a world "
            r"model with action space PhraseSpace\(.*\): phrases have no slope, use "
            r"planner/optimizer=tree_search or icem.",
        ),
        ("point", GradientPlanner, {"learning_rate": 0}, "must be positive, got 0."),
        (
            "point",
            TreeSearchPlanner,
            {},
            r"`tree_search` needs actions that are phrases, got Box\("
            r".*\): use planner/optimizer=icem, which takes vectors too.",
        ),
        ("point", BeamPlanner, {}, "`beam` needs actions that are phrases"),
        ("point", ExhaustivePlanner, {}, "`exhaustive` needs actions that are phrases"),
        (
            "point",
            ScriptedPlanner,
            {"phrases": ["up"]},
            "`scripted` needs actions that",
        ),
        (
            "dot",
            ScriptedPlanner,
            {"phrases": []},
            "`phrases` must name an action, got none: choose from up, down, left, ri",
        ),
        (
            "dot",
            ScriptedPlanner,
            {"phrases": ["up", "lefft"]},
            "Unknown phrase 'lefft'. Did you mean 'left'? Available: down, left",
        ),
    ],
)
def test_impossible_values_are_refused(scene, planner, options, text, request):
    with pytest.raises(ValueError, match=text.replace("?", r"\?")):
        request.getfixturevalue(scene).make(planner, **options)
