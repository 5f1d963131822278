"""Costs of stable-worldmodel under our planners, our memory under its policies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from planners.cem import CEMPlanner
from planners.exhaustive import ExhaustivePlanner
from planners.icem import ICEMPlanner
from planners.interop.action_log_model import ActionLogModel
from planners.interop.cost_objective import CostObjective
from planners.interop.episode_slots import EpisodeSlots
from planners.interop.remembering_policy import RememberingPolicy
from world_model.core import Context, Goal
from world_model.phrase_space import PhraseSpace
from world_model.toy import DotWorldModel, PointWorldModel

PHRASES = DotWorldModel().action_space
VECTORS = PointWorldModel().action_space


class WorldModelCost(nn.Module):
    """As their world models: caches in the info, `criterion`, parameters."""

    def __init__(self, step) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.as_tensor(step).float())
        self.lengths: list[int] = []
        self.sizes: set[int] = set()

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels[..., 0, 0]

    def get_cost(self, info_dict: dict, action_candidates: Tensor) -> Tensor:
        assert "goal" in info_dict
        assert torch.is_tensor(info_dict["action"])
        samples, steps = action_candidates.shape[1:3]
        assert info_dict["pixels"].shape[1:3] == (samples, 1)
        self.lengths.append(steps)
        self.sizes.add(len(action_candidates))
        info_dict["emb"] = self.encode(info_dict["pixels"])[:, :, -1]
        info_dict["predicted_emb"] = info_dict["emb"] + (
            action_candidates @ self.step
        ).sum(dim=2)
        return self.criterion(info_dict)

    def criterion(self, info_dict: dict) -> Tensor:
        goal = self.encode(info_dict["goal"])[:, :, -1]
        return (info_dict["predicted_emb"] - goal).abs().amax(dim=2).detach()


def situation(starts, goals, space):
    """Views whose first pixel says (red, green) where things are, in [-1, 1]."""

    def images(places):
        image = torch.zeros(len(places), 3, 4, 4)
        image[:, :2] = torch.tensor(places)[:, :, None, None]
        return image

    dtype = torch.int64 if isinstance(space, PhraseSpace) else torch.float32
    actions = torch.zeros(len(starts), 0, *space.shape, dtype=dtype)
    context = Context(actions, frames=images(starts)[:, None])
    return context, Goal(("reach it",) * len(starts), images(goals))


def ask(planner, context, goal, horizon=4):
    source = [torch.Generator().manual_seed(i) for i in range(len(goal.instructions))]
    return planner.plan(context, goal, generator=source, horizon=horizon)


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}])
def test_our_exhaustive_search_solves_their_cost_over_phrases(options):
    step = torch.zeros(4, 3)
    step[:, :2] = torch.tensor([[-0.1, 0], [0.1, 0], [0, -0.1], [0, 0.1]]) / 2
    cost = WorldModelCost(step)
    model, objective = ActionLogModel(PHRASES), CostObjective(cost, PHRASES, **options)
    planner = ExhaustivePlanner(model, objective, depth=4)
    context, goal = situation([[0, 0], [0.3, 0.3]], [[0.2, 0.1], [0.3, 0.1]], PHRASES)
    plan = ask(planner, context, goal)
    assert plan.lengths.tolist() == [3, 2]
    assert sorted(plan.actions[0, :3].tolist()) == [1, 1, 3]
    assert plan.actions[1, :2].tolist() == [2, 2]
    assert set(cost.lengths) == {1, 2, 3, 4}
    assert cost.sizes == {options.get("batch_size", 1)}


@pytest.mark.parametrize("planner", [CEMPlanner, ICEMPlanner])
def test_our_sampling_planners_solve_their_cost_over_vectors(planner):
    step = torch.zeros(2, 3)
    step[0, 0] = step[1, 1] = 0.125
    objective = CostObjective(WorldModelCost(step), VECTORS)
    made = planner(ActionLogModel(VECTORS), objective, horizon=3, population=64)
    context, goal = situation([[0, 0]], [[0.5, -0.25]], VECTORS)
    plan = ask(made, context, goal)
    # Views are in [0, 1] there: half the way, 0.25 of 0.125 a step.
    assert plan.lengths.tolist() == [2]
    assert plan.costs[0] < 0.04 + 0.03


def test_vectors_can_be_normalised_as_the_cost_was_trained():
    step = torch.zeros(2, 3)
    step[0, 0] = 1.0
    context, goal = situation([[0, 0]], [[1, 0]], VECTORS)
    costs = []
    for scale in (1.0, 0.25):
        objective = CostObjective(
            WorldModelCost(step), VECTORS, normalise=lambda x, scale=scale: x * scale
        )
        model = ActionLogModel(VECTORS)
        actions = torch.tensor([[[[0.5, 0.0]]]])
        rollout = model.rollout(context, actions, generator=[torch.Generator()])
        costs.append(float(objective(rollout, goal)))
    assert costs == pytest.approx([0.0, 0.375])


def test_logs_of_shared_prefixes_hold_each_candidates_own_actions():
    model = ActionLogModel(PHRASES, max_steps=3)
    context, _ = situation([[0, 0], [0, 0]], [[0, 0], [0, 0]], PHRASES)
    actions = torch.tensor([[[0, 1, 2], [0, 1, 3]], [[3, 3, 3], [0, 0, 1]]])
    source = [torch.Generator() for _ in range(2)]
    logs = model.rollout(context, actions, generator=source).latents[
        :, :, -1, 0, :, 0, 0
    ]
    assert (logs[..., 0] == 3).all()
    assert torch.equal(logs[..., 1:].long(), actions)


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (
            lambda n: torch.zeros(1, n + 1),
            r"tensor of shape \(1, 2\), one cost per .* 3",
        ),
        (
            lambda n: np.zeros((1, n)),
            "one cost per candidate, got ndarray: correct Cost",
        ),
        (
            lambda n: torch.full((1, n), torch.nan),
            "finite costs, got NaN .* correct Cost",
        ),
    ],
)
def test_a_cost_that_breaks_the_contract_is_named(cost, message):
    class Cost:
        def get_cost(self, info_dict, action_candidates):
            return cost(action_candidates.shape[1])

    model, objective = ActionLogModel(PHRASES), CostObjective(Cost(), PHRASES)
    context, goal = situation([[0, 0]], [[0, 0]], PHRASES)
    source = [torch.Generator()]
    rollout = model.rollout(context, torch.tensor([[[0], [1]]]), generator=source)
    with pytest.raises(ValueError, match=message):
        objective(rollout, goal)


def test_a_log_has_no_pictures_and_an_end():
    model = ActionLogModel(PHRASES, max_steps=1)
    context, _ = situation([[0, 0]], [[0, 0]], PHRASES)
    source = [torch.Generator()]
    rollout = model.rollout(context, torch.tensor([[[0]]]), generator=source)
    with pytest.raises(
        ValueError, match="Costs of others show no frames, got a request"
    ):
        _ = rollout.frames
    with pytest.raises(
        ValueError, match="`max_steps` must cover .* got 1 and one more"
    ):
        model.rollout(context, torch.tensor([[[0, 0]]]), generator=source)


class NotingMemory:
    """Keeps the chunks it is told of."""

    def __init__(self) -> None:
        self.chunks = []

    def reset(self, num_episodes, *, seeds):
        self.chunks.clear()

    def write(self, chunk):
        self.chunks.append(chunk)


class FixedPolicy:
    """As theirs: one action per environment; NaN for finished ones."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.env = None

    def set_env(self, env) -> None:
        self.env = env

    def get_action(self, info_dict, **kwargs):
        return np.array(self.answers.pop(0), np.float32)


def view(*levels):
    """Views (N, 1, 2, 2, 3) of the given brightness."""
    return np.array(levels, np.uint8)[:, None, None, None, None] * np.ones(
        (1, 2, 2, 3), np.uint8
    )


def info(ids, views, chunk=None):
    found = {"id": np.array(ids)[:, None], "pixels": view(*views)}
    return found if chunk is None else found | {"chunk": chunk}


def test_every_real_step_is_written_once_in_its_episodes_slot():
    memory = NotingMemory()
    slots = EpisodeSlots(memory, 3)
    up, left = [1.0, 0, 0, 0], [0, 0, 1.0, 0]
    inner = FixedPolicy([up, left], [left, [np.nan] * 4], [up, up], [up, up])
    policy = RememberingPolicy(inner, slots, PHRASES)
    policy.set_env("pool")
    assert inner.env == policy.env == "pool"  # what it does not have is the policy's
    policy.get_action(info([70, 50], [10, 20]))
    policy.get_action(info([70, 50], [11, 21]))  # both moved
    policy.get_action(info([70, 90], [12, 30]))  # the second finished, and a new began
    policy.get_action(info([70, 90], [13, 31]))
    told = [(c.active.tolist(), c.actions.tolist()) for c in memory.chunks]
    assert told == [
        ([True, True, False], [0, 2, 0]),
        ([True, False, False], [2, 0, 0]),
        ([True, False, True], [0, 0, 0]),
    ]
    last = memory.chunks[-1]
    levels = (last.frames[[0, 2], 0, 0, 0, 0] + 1) * 127.5
    assert levels.tolist() == pytest.approx([13, 31], abs=1e-3)
    before = (last.context.frames[[0, 2], 0, 0, 0, 0] + 1) * 127.5
    assert before.tolist() == pytest.approx([12, 30], abs=1e-3)


@pytest.mark.parametrize(
    ("space", "chosen", "told"),
    [
        (Box(-1, 1, (2,)), [[1.7, -0.5]], [[1.0, -0.5]]),  # as environments clip it
        (PHRASES, [3], [3]),
        (PHRASES, [[3]], [3]),
        (PHRASES, [[0.1, 0.2, 0.9, 0.3]], [2]),
    ],
)
def test_memory_is_told_what_was_done_of_an_action(space, chosen, told):
    memory = NotingMemory()
    inner = FixedPolicy(chosen, chosen)
    policy = RememberingPolicy(inner, EpisodeSlots(memory, 1), space)
    policy.get_action(info([7], [0]))
    policy.get_action(info([7], [1]))
    (written,) = memory.chunks
    assert written.actions.tolist() == [pytest.approx(x) for x in told]


def test_scores_of_other_phrases_are_refused():
    inner = FixedPolicy([[0.1, 0.2]], [[0.1, 0.2]])
    policy = RememberingPolicy(inner, EpisodeSlots(NotingMemory(), 1), PHRASES)
    policy.get_action(info([7], [0]))
    with pytest.raises(ValueError, match="numbers of phrases, or scores of all 4, got"):
        policy.get_action(info([7], [1]))


def test_all_frames_of_an_action_are_written_where_the_environment_shows_them():
    memory = NotingMemory()
    policy = RememberingPolicy(
        FixedPolicy([[0.5, 0.0]], [[0.0, 0.0]]),
        EpisodeSlots(memory, 1),
        Box(-1, 1, (2,)),
    )
    chunk = np.stack([view(1), view(2)], axis=2)
    policy.get_action(info([7], [0], chunk))
    policy.get_action(info([7], [2], chunk))
    (written,) = memory.chunks
    assert written.frames.shape == (1, 2, 3, 2, 2)
    assert torch.equal(written.actions, torch.tensor([[0.5, 0.0]]))


def test_the_tour_of_a_new_episode_is_written_first():
    memory = NotingMemory()
    tours = {0: (view(1)[0, 0], [(3, view(2)[0]), (1, view(3)[0])])}
    policy = RememberingPolicy(
        FixedPolicy([[1.0, 0, 0, 0]], [[1.0, 0, 0, 0]]),
        EpisodeSlots(memory, 1),
        PHRASES,
        tour_of=tours.__getitem__,
    )
    policy.get_action(info([7], [9]))
    assert [int(c.actions) for c in memory.chunks] == [3, 1]
    policy.get_action(info([7], [9]))
    assert [int(c.actions) for c in memory.chunks] == [3, 1, 0]
