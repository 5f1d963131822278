"""Beam search on the toy world, whose optimum is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from planners.beam import BeamPlanner
from planners.mpc import MPCPolicy
from planners.objectives import GoalImage, SuccessClassifier
from world_model.core import Chunk, Context, Goal, Rollout
from world_model.frames import to_env
from world_model.memory.none import NoMemory
from world_model.policy_api import Objective, Observation
from world_model.toy import DotWorldModel, dot_position, draw_dot

positions = st.tuples(st.integers(0, 7), st.integers(0, 7))


class ReachDot(Objective):
    """Cost 0 where the imagined image equals the goal image, else 1."""

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        assert goal.images is not None
        error = rollout.latents[:, :, :, -1] - goal.images[:, None, None]
        return (error.abs().amax(dim=(3, 4, 5)) > 0.1).float()


def context_at(*where: tuple[int, int]) -> Context:
    frames = torch.stack([draw_dot(torch.tensor(w)) for w in where])[:, None]
    return Context(actions=torch.zeros(len(where), 0, dtype=torch.int64), frames=frames)


def goal_at(*where: tuple[int, int]) -> Goal:
    images = torch.stack([draw_dot(torch.tensor(w)) for w in where])
    return Goal(tuple("reach the dot" for _ in where), images)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(count)]


@settings(max_examples=25)
@given(start=positions, goal=positions)
def test_a_wide_beam_finds_a_shortest_plan(
    start: tuple[int, int], goal: tuple[int, int]
) -> None:
    model = DotWorldModel()
    optimum = abs(start[0] - goal[0]) + abs(start[1] - goal[1])
    if not 1 <= optimum <= 4:
        return
    planner = BeamPlanner(model, ReachDot(), width=200, depth=5)
    plan = planner.plan(
        context_at(start), goal_at(goal), generator=generators(1), horizon=5
    )
    assert int(plan.lengths[0]) == optimum
    rollout = model.rollout(
        context_at(start),
        plan.actions[:, None, :optimum],
        generator=generators(1),
    )
    assert float(ReachDot()(rollout, goal_at(goal))[0, 0, -1]) == 0


def test_episodes_in_one_batch_get_the_plans_they_get_alone() -> None:
    starts, goals = [(0, 0), (5, 5)], [(2, 1), (5, 3)]
    planner = BeamPlanner(DotWorldModel(), ReachDot(), width=200, depth=4)
    together = planner.plan(
        context_at(*starts), goal_at(*goals), generator=generators(2), horizon=4
    )
    for i in range(2):
        alone = planner.plan(
            context_at(starts[i]), goal_at(goals[i]), generator=generators(1), horizon=4
        )
        length = int(alone.lengths[0])
        assert int(together.lengths[i]) == length
        assert torch.equal(together.actions[i, :length], alone.actions[0, :length])


def test_the_horizon_bounds_the_plan() -> None:
    planner = BeamPlanner(DotWorldModel(), ReachDot(), width=8, depth=6)
    plan = planner.plan(
        context_at((0, 0)), goal_at((7, 7)), generator=generators(1), horizon=2
    )
    assert plan.actions.shape[1] <= 2


class Detour(Objective):
    """A place near the goal from which every step is uphill."""

    COSTS = {(0, 0): 0.5, (0, 2): 0.0}

    def __call__(self, rollout: Rollout, goal: Goal) -> Tensor:
        places = dot_position(rollout.latents[:, :, :, -1])
        costs = [self.COSTS.get(tuple(x), 0.9) for x in places.flatten(0, 2).tolist()]
        return torch.tensor(costs).reshape(places.shape[:3])


def test_what_changes_nothing_is_not_continued_so_that_a_detour_is_found() -> None:
    model, asked = DotWorldModel(), []
    extend = model.extend
    model.extend = lambda beam, actions, **options: (
        asked.append(actions.shape[1]) or extend(beam, actions, **options)
    )

    def ends(**options: float) -> float:
        planner = BeamPlanner(model, Detour(), width=2, depth=2, **options)
        start, goal = context_at((0, 0)), goal_at((0, 2))
        plan = planner.plan(start, goal, generator=generators(1), horizon=2)
        return float(plan.costs[0])

    # Up and left lead nowhere, and are better than any step: the beam is full.
    assert ends(novelty=0.0) == pytest.approx(0.5 + 0.02)
    assert ends(novelty=0.0, min_change=0.01) == pytest.approx(0.0 + 0.04)
    assert asked == [4, 6, 4, 6]


def test_ways_to_one_view_are_continued_once() -> None:
    planner = BeamPlanner(
        DotWorldModel(), ReachDot(), width=9, depth=3, novelty=0.0, min_change=0.01
    )
    views = goal_at((0, 0), (1, 1), (0, 0), (2, 2)).images
    assert views is not None
    kept, exist = planner._keep(views[None], torch.tensor([[0.3, 0.2, 0.1, torch.inf]]))
    assert kept.tolist() == [[2, 1]]
    assert exist.all()


def test_an_episode_with_little_to_continue_gets_nothing_from_the_others() -> None:
    planner = BeamPlanner(
        DotWorldModel(), ReachDot(), width=3, novelty=0.0, min_change=0.01
    )
    images = goal_at((0, 0), (1, 1), (2, 2)).images
    assert images is not None
    costs = torch.tensor([[torch.inf, 0.2, torch.inf], [0.3, 0.2, 0.1]])
    kept, exist = planner._keep(torch.stack([images, images]), costs)
    assert exist.tolist() == [[True, False, False], [True] * 3]
    assert kept[exist].tolist() == [1, 2, 1, 0]


def test_a_search_ends_where_nothing_new_is_seen() -> None:
    model = DotWorldModel()
    planner = BeamPlanner(model, ReachDot(), width=9, depth=9, min_change=9.0)
    found = planner.search(
        context_at((4, 4)), goal_at((0, 0)), generator=generators(1), horizon=9
    )
    assert [int(plan.lengths[0]) for plan in found] == [1]


@pytest.mark.parametrize("name", ["width", "depth"])
def test_impossible_sizes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be at least 1, got 0"):
        BeamPlanner(DotWorldModel(), ReachDot(), **{name: 0})


def test_mpc_reaches_the_goal_in_the_optimum_and_writes_each_chunk_once() -> None:
    model = DotWorldModel()
    written: list[Chunk] = []

    class Spy(NoMemory):
        def write(self, chunk: Chunk) -> None:
            written.append(chunk)

    policy = MPCPolicy(model, Spy(), BeamPlanner(model, ReachDot(), width=64, depth=5))
    start, goal = (1, 1), (3, 2)
    frames = to_env(context_at(start).frames[:, 0])
    policy.reset(frames, [0])
    policy.relocate(frames)
    context = context_at(start)
    for step in range(3):
        obs = Observation(frames, goal_at(goal), np.array([True]), np.array([5]))
        action = torch.from_numpy(policy.act(obs))
        assert len(written) == step
        rollout = model.rollout(
            context, action[:, None, None], generator=generators(1), all_frames=True
        )
        chunk = rollout.latents[:, 0, 0]
        policy.observe(Chunk(context, action, chunk, torch.tensor([True])))
        context = Context(actions=action[:, None][:, :0], frames=chunk[:, -1:])
        frames = to_env(chunk[:, -1])
    target = goal_at(goal).images
    assert target is not None
    assert (chunk[:, -1] - target).abs().max() < 0.1
    assert len(written) == 3


def test_goal_image_costs_nothing_at_the_goal_and_grows_with_distance() -> None:
    model = DotWorldModel()
    objective = GoalImage(model, temperature=0.3)
    goal = goal_at((4, 4))
    rollout = model.rollout(
        context_at((3, 4)),
        torch.tensor([[[0], [1], [2], [3]]]),
        generator=generators(1),
    )
    costs = objective(rollout, goal)[0, :, 0]
    assert costs.min() == pytest.approx(0, abs=1e-6)
    assert (costs > 1e-3).sum() == 3
    with pytest.raises(ValueError, match="needs a task that shows a goal image"):
        objective(rollout, Goal(("go to the red blob",)))


def test_goal_images_may_be_recalled() -> None:
    model, words = DotWorldModel(), ("go there",) * 2
    images = draw_dot(torch.tensor([(4, 4), (2, 3)]))
    rollout = model.rollout(
        context_at((4, 3), (4, 3)),
        torch.arange(4)[None, :, None].expand(2, -1, -1),
        generator=generators(2),
    )
    objective = GoalImage(model)
    shown = objective(rollout, Goal(words, images))
    assert torch.equal(objective(rollout, Goal(words, None, tuple(images))), shown)
    # A memory that does not know leaves all futures alike.
    known = objective(rollout, Goal(words, None, (images[0], None)))
    assert torch.equal(known[0], shown[0])
    assert known[1].eq(1).all()


def test_success_classifier_turns_logits_into_cost_and_probability() -> None:
    def classifier(latents: Tensor, words: list[str]) -> tuple[Tensor, Tensor]:
        assert words == ["a"] * 4 + ["b"] * 4
        return torch.zeros(len(latents)), torch.full((len(latents),), 0.5)

    model = DotWorldModel()
    rollout = model.rollout(
        context_at((3, 4), (1, 1)),
        torch.arange(4)[None, :, None].expand(2, -1, -1),
        generator=generators(2),
    )
    objective = SuccessClassifier(classifier, visibility_weight=0.2)
    goal = Goal(("a", "b"))
    assert torch.allclose(objective(rollout, goal), torch.tensor(0.4))
    assert torch.allclose(
        objective.success_probability(rollout, goal), torch.tensor(0.5)
    )
