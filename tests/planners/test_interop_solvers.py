"""stable-worldmodel's solvers and ours, by the signatures of its releases.

`Solver` and `NewSolver` below are called, configured and typed as the package's
`CEMSolver` in 0.1.1 and in the generation after it; the package itself is run by
`tests/interop/real_swm.py`.
"""

from __future__ import annotations

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eval.laws.planner import LAWS, Question
from planners.interop.candidates import to_actions
from planners.interop.episode_slots import EpisodeSlots
from planners.interop.solver_cost import SolverCost
from planners.interop.solver_planner import SolverPlanner
from world_model.frames import to_env
from world_model.phrase_space import PhraseSpace


class Solver:
    """Cross-entropy over numbers: `model=`, one environment at a time."""

    def __init__(
        self,
        model,
        batch_size: int = 1,
        num_samples: int = 300,
        var_scale: float = 1,
        n_steps: int = 30,
        topk: int = 30,
        device: str = "cpu",
        seed: int = 1234,
        callbacks=None,
    ) -> None:
        self.cost = model
        self.batch_size = batch_size
        self.num_samples = num_samples
        self.n_steps, self.topk = n_steps, topk
        self.generator = torch.Generator(device).manual_seed(seed)
        assert not hasattr(model, "parameters")  # which would decide the type

    def configure(self, *, action_space, n_envs, config) -> None:
        assert action_space.shape[0] == n_envs
        self.action_dim = int(np.prod(action_space.shape[1:])) * config.action_block
        self.n_envs, self.horizon = n_envs, config.horizon

    def __call__(self, *args, **kwargs) -> dict:
        return self.solve(*args, **kwargs)

    @torch.inference_mode()
    def solve(self, info_dict: dict, init_action: Tensor | None = None) -> dict:
        total = len(next(iter(info_dict.values())))
        mean = torch.zeros(total, self.horizon, self.action_dim)
        if init_action is not None:
            mean[:, : init_action.shape[1]] = init_action
        for row in range(0, total, self.batch_size or total):
            rows = slice(row, row + (self.batch_size or total))
            mean[rows] = self.refined(mean[rows], info_dict, rows)
        return {"actions": mean.detach().cpu(), "costs": []}

    def refined(self, mean, info_dict, rows):
        spread = torch.ones_like(mean)
        infos = {k: self.expanded(v[rows]) for k, v in info_dict.items()}
        for _ in range(self.n_steps):
            size = (len(mean), self.num_samples, *mean.shape[1:])
            noise = torch.randn(size, generator=self.generator)
            candidates = mean[:, None] + spread[:, None] * noise
            candidates[:, 0] = mean
            costs = self.cost.get_cost(infos, candidates)
            assert isinstance(costs, Tensor)
            assert costs.shape == candidates.shape[:2]
            best = costs.topk(self.topk, dim=1, largest=False).indices
            elites = candidates[torch.arange(len(mean))[:, None], best]
            mean, spread = elites.mean(dim=1), elites.std(dim=1)
        return mean

    def expanded(self, value):
        if torch.is_tensor(value):
            return value[:, None].expand(len(value), self.num_samples, *value.shape[1:])
        if isinstance(value, np.ndarray):
            return np.repeat(value[:, None], self.num_samples, axis=1)
        return value


class NewSolver(Solver):
    """The next generation: `cost=`, all environments at once."""

    def __init__(self, cost, batch_size: int | None = None, **options) -> None:
        super().__init__(cost, batch_size, **options)


class CategoricalSolver(Solver):
    """Over phrases: refuses anything but a `Discrete` space, returns indices."""

    def configure(self, *, action_space, n_envs, config) -> None:
        assert isinstance(action_space, gymnasium.spaces.Discrete), "must be Discrete"
        self.size, self.n_envs, self.horizon = (
            int(action_space.n),
            n_envs,
            config.horizon,
        )

    @torch.inference_mode()
    def solve(self, info_dict: dict, init_action: Tensor | None = None) -> dict:
        total = len(next(iter(info_dict.values())))
        size = (total, self.num_samples, self.horizon)
        index = torch.randint(self.size, size, generator=self.generator)
        infos = {k: self.expanded(v) for k, v in info_dict.items()}
        candidates = nn.functional.one_hot(index, self.size).float()
        best = self.cost.get_cost(infos, candidates).argmin(dim=1)
        return {"actions": index[torch.arange(total), best][..., None], "costs": []}


class SlopeSolver(Solver):
    """Follows slopes: not in inference mode, needs `costs.requires_grad`."""

    def solve(self, info_dict: dict, init_action: Tensor | None = None) -> dict:
        total = len(next(iter(info_dict.values())))
        size = (total, self.num_samples, self.horizon, self.action_dim)
        start = torch.randn(size, generator=self.generator)
        candidates = nn.Parameter(start)
        infos = {k: self.expanded(v) for k, v in info_dict.items()}
        for _ in range(self.n_steps):
            costs = self.cost.get_cost(infos, candidates)
            assert costs.requires_grad
            (slope,) = torch.autograd.grad(costs.sum(), candidates)
            candidates.data -= 0.5 * slope
        best = self.cost.get_cost(infos, candidates).argmin(dim=1)
        chosen = candidates.detach()[torch.arange(total), best]
        return {"actions": chosen, "costs": []}


SMALL = {"num_samples": 64, "n_steps": 8, "topk": 8}
PHRASES = ([[1, 1], [6, 2]], [[3, 2], [4, 2]], [3, 2])
VECTORS = ([[-0.5, 0.0], [0.5, 0.5]], [[0.0, 0.25], [0.25, -0.25]], [2, 3])


def searching(scene, solver, **options):
    options = {"horizon": 4, **options}
    return SolverPlanner(
        scene.world_model(), scene.objective, solver=partial(solver, **SMALL), **options
    )


@pytest.mark.parametrize("solver", [Solver, NewSolver, CategoricalSolver])
def test_solvers_of_both_generations_find_the_shortest_way_of_phrases(dot, solver):
    starts, goals, best = PHRASES
    plan = dot.ask(searching(dot, solver), starts, goals, horizon=4)
    assert plan.lengths.tolist() == best
    assert torch.allclose(plan.costs, 0.02 * plan.lengths)
    assert (plan.predicted_success == 1).all()
    model = dot.world_model()
    for place, goal, actions, n in zip(
        starts, goals, plan.actions, plan.lengths, strict=True
    ):
        place = torch.tensor(place) + model.STEPS[actions[:n]].sum(dim=0)
        assert place.tolist() == goal


@pytest.mark.parametrize("solver", [Solver, NewSolver, SlopeSolver])
def test_solvers_over_vectors_come_close(point, solver):
    starts, goals, best = VECTORS
    plan = point.ask(searching(point, solver), starts, goals, horizon=4)
    assert plan.actions.shape == (2, 4, 2)
    assert (plan.actions.abs() <= 1).all()
    gap = plan.costs - 0.02 * torch.tensor(best)
    assert (gap >= -1e-6).all()
    assert (gap < (0.15 if solver is SlopeSolver else 0.03)).all()


def test_the_generator_decides_everything(dot):
    starts, goals, _ = PHRASES
    planner = searching(dot, Solver)
    plans = [
        dot.ask(planner, starts, goals, horizon=4, seed=s).actions for s in (0, 0, 9)
    ]
    assert torch.equal(plans[0], plans[1])
    assert not torch.equal(plans[0], plans[2])


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_solver_keeps_the_laws_of_planners(law):
    tiny = {"num_samples": 8, "n_steps": 2, "topk": 4}

    def make(model, objective):
        solver = partial(CategoricalSolver, **tiny)
        return SolverPlanner(model, objective, solver=solver, horizon=3)

    law(Question(make, 2, 3))


def test_an_episode_does_not_depend_on_the_others(dot):
    starts, goals, _ = PHRASES
    planner = searching(dot, NewSolver)
    both = dot.ask(planner, starts, goals, horizon=4).actions
    alone = dot.ask(planner, starts[1:], goals[1:], horizon=4, seed=1).actions
    assert torch.equal(both[1:], alone)


def test_nothing_made_in_inference_mode_gets_out(dot):
    plan = dot.ask(searching(dot, Solver), *PHRASES[:2], horizon=4)
    for tensor in (plan.actions, plan.lengths, plan.costs, plan.predicted_success):
        assert not tensor.is_inference()


def test_the_horizon_of_the_task_limits_the_plan(dot):
    assert dot.ask(searching(dot, Solver), *PHRASES[:2], horizon=1).actions.shape == (
        2,
        1,
    )


def test_the_rest_of_the_last_plan_is_handed_on(point):
    starts, goals, best = VECTORS
    first = point.ask(searching(point, Solver), starts, goals, horizon=4)

    class Lazy(Solver):
        def refined(self, mean, info_dict, rows):
            return mean

    plan = point.ask(searching(point, Lazy), starts, goals, horizon=4, warm_start=first)
    assert torch.allclose(plan.actions, first.actions, atol=1e-6)


def test_what_a_solver_cannot_search_is_refused(dot, point):
    with pytest.raises(
        ValueError, match="CategoricalSolver searches phrases, got a wor"
    ):
        point.ask(searching(point, CategoricalSolver), *VECTORS[:2])
    with pytest.raises(
        ValueError, match="follow slopes need a world model of vectors, go"
    ):
        dot.ask(searching(dot, SlopeSolver), *PHRASES[:2])


def test_a_solver_without_a_cost_is_refused(dot):
    planner = SolverPlanner(dot.world_model(), dot.objective, solver=lambda x: x)
    with pytest.raises(
        ValueError, match="must take a `cost` .or `model`., .* with x: wra"
    ):
        dot.ask(planner, *PHRASES[:2])


def test_a_plan_of_another_shape_is_refused(dot):
    class Short(Solver):
        def refined(self, mean, info_dict, rows):
            return mean

        def solve(self, info_dict, init_action=None):
            out = super().solve(info_dict, init_action)
            return {"actions": out["actions"][:, :2]}

    with pytest.raises(
        ValueError, match=r"of shape \(1, 4\) and one axis more, got \(1,"
    ):
        dot.ask(searching(dot, Short), *PHRASES[:2], horizon=4)


def info_of(scene, starts, goals, **more):
    """What their policy hands to a solver, before it is expanded: (B, T, ...)."""

    def pixels(places):
        return torch.from_numpy(to_env(scene.images(places)))[:, None]

    size = len(starts)
    info = {
        "pixels": pixels(starts),
        "goal": pixels(goals),
        "id": torch.arange(size)[:, None] + 10,
        "step_idx": torch.zeros(size, 1, dtype=torch.int64),
        "action": torch.full((size, 1, 4), float("nan")),
        "instruction": ["reach it"] * size,
    }
    return info | more


def expanded(info, samples):
    def spread(value):
        if torch.is_tensor(value):
            return value[:, None].expand(len(value), samples, *value.shape[1:])
        return value

    return {key: spread(value) for key, value in info.items()}


def scores(*sequences):
    """Phrases as one-hot candidates (1, S, H, 4)."""
    return nn.functional.one_hot(torch.tensor([sequences]), 4).float()


def test_a_candidate_costs_what_its_best_prefix_costs(dot):
    cost = SolverCost(dot.world_model(), dot.objective, action_cost=0.01)
    info = expanded(info_of(dot, [[4, 4]], [[4, 6]]), 3)
    # right right left | right left left | up up up
    found = cost.get_cost(info, scores([3, 3, 2], [3, 2, 2], [0, 0, 0]))
    truth = torch.tensor([[0.02, 1 / 14 + 0.01, 3 / 14 + 0.01]])
    assert torch.allclose(found, truth)
    assert torch.equal(
        cost.criterion(info, scores([3, 3, 2]).expand(1, 3, 3, 4)),
        found[:, :1].expand(1, 3),
    )


def test_floats_in_our_range_mean_the_same_as_bytes(dot):
    cost = SolverCost(dot.world_model(), dot.objective)
    info = info_of(dot, [[4, 4]], [[4, 6]])
    floats = info | {
        key: dot.images(at)[:, None]
        for key, at in (("pixels", [[4, 4]]), ("goal", [[4, 6]]))
    }
    candidates = scores([3, 3, 2], [3, 2, 2])
    a, b = (cost.get_cost(expanded(x, 2), candidates) for x in (info, floats))
    assert torch.equal(a, b)


def test_blocks_of_actions_are_taken_apart(dot):
    space = dot.world_model().action_space
    blocks = scores([3, 3, 2, 1]).reshape(1, 1, 2, 8)
    assert to_actions(blocks, space).tolist() == [[[3, 3, 2, 1]]]


def test_vectors_are_clipped_and_unnormalised(point):
    cost = SolverCost(
        point.world_model(),
        point.objective,
        unnormalise=lambda x: 0.5 * x,
        action_cost=0,
    )
    info = info_of(point, [[0.0, 0.0]], [[0.0, 0.0]])
    info |= {
        key: point.images([at])[:, None]
        for key, at in (("pixels", [0.0, 0.0]), ("goal", [0.5, 0.0]))
    }
    candidates = torch.tensor([[[[2.0, 0.0]], [[9.0, 0.0]], [[1.0, 0.0]]]])
    # Half of it, at most 1, times a step of 0.25: of 0.5 remain 0.25, 0.25 and 0.375.
    found = cost.get_cost(expanded(info, 3), candidates)
    assert torch.allclose(found, torch.tensor([[0.25, 0.25, 0.375]]))


def test_slopes_lead_downhill(point):
    cost = SolverCost(point.world_model(), point.objective)
    info = info_of(point, [[0.0, 0.0]], [[0.0, 0.0]])
    info |= {
        key: point.images([at])[:, None]
        for key, at in (("pixels", [0.0, 0.0]), ("goal", [0.5, 0.0]))
    }
    candidates = torch.zeros(1, 2, 1, 2, requires_grad=True)
    cost.get_cost(expanded(info, 2), candidates).sum().backward()
    assert torch.allclose(candidates.grad[0, :, 0, 0], torch.tensor([-0.25, -0.25]))


class SlotMemory:
    """Notes which slots are read."""

    def __init__(self) -> None:
        self.slots, self.num_writes = [], 0

    def reset(self, num_episodes, *, seeds):
        self.seeds = list(seeds)

    def write(self, chunk):
        self.num_writes += 1

    def read(self, context, actions):
        self.slots.append(context.memory_slots)


def test_memory_is_read_by_the_number_of_the_episode_and_never_written(dot):
    memory = SlotMemory()
    slots = EpisodeSlots(memory, 3, seed=5)
    assert memory.seeds == [5, 6, 7]
    slots.of([10, 11])
    cost = SolverCost(dot.world_model(), dot.objective, slots=slots)
    info = info_of(dot, [[4, 4], [1, 1]], [[4, 6], [1, 3]])
    backwards = {k: v[[1, 0]] if torch.is_tensor(v) else v for k, v in info.items()}
    one = {k: v[1:] for k, v in info.items()}
    candidates = scores([3, 3]).expand(2, 1, 2, 4)
    cost.get_cost(expanded(info, 1), candidates)
    cost.get_cost(expanded(backwards, 1), candidates)
    cost.get_cost(expanded(one, 1), candidates[:1])
    assert set(memory.slots[:2]) == {(0, 1)}
    assert set(memory.slots[2:4]) == {(1, 0)}
    assert set(memory.slots[4:]) == {(1,)}
    assert memory.num_writes == 0


def test_more_episodes_than_slots_are_refused():
    slots = EpisodeSlots(SlotMemory(), 1)
    slots.of([7, 7])
    with pytest.raises(
        ValueError, match="`num_episodes` must cover all .* got 1 and one"
    ):
        slots.of([8])


def test_infos_that_do_not_fit_are_refused(dot, point):
    cost = SolverCost(dot.world_model(), dot.objective)
    info = expanded(info_of(dot, [[4, 4]], [[4, 6]]), 1)
    without = {k: v for k, v in info.items() if k != "pixels"}
    with pytest.raises(
        ValueError, match="must hold 'pixels', the views, got .'action'"
    ):
        cost.get_cost(without, scores([3]))
    with pytest.raises(
        ValueError, match=r"must be in \[-1, 1\], got .* no `transform`"
    ):
        cost.get_cost(info | {"pixels": info["pixels"].float()}, scores([3]))
    with pytest.raises(ValueError, match=r"must have shape \(B, S, T, H, W, C\), got"):
        cost.get_cost(info | {"pixels": info["pixels"][:, :, 0]}, scores([3]))
    with pytest.raises(
        ValueError, match=r"\(B, S, H, block \* 4\), .* got \(1, 1, 1, 3\)"
    ):
        cost.get_cost(info, torch.zeros(1, 1, 1, 3))


def test_costs_without_a_slope_are_refused(point):
    model = point.world_model()
    model.predict = torch.no_grad()(model.predict)
    info = info_of(point, [[0.0, 0.0]], [[0.0, 0.0]])
    info |= {key: point.images([[0.0, 0.0]])[:, None] for key in ("pixels", "goal")}
    cost = SolverCost(model, point.objective)
    with pytest.raises(
        ValueError, match="torch can differentiate, got none from PointW"
    ):
        cost.get_cost(expanded(info, 1), torch.zeros(1, 1, 1, 2, requires_grad=True))


def test_phrases_have_no_slope():
    space = PhraseSpace(("a", "b"))
    with pytest.raises(ValueError, match="got phrases a, b: use CategoricalCEMSolver"):
        to_actions(torch.zeros(1, 1, 1, 2, requires_grad=True), space)
