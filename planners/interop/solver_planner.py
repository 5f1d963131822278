"""`SolverPlanner`: a solver of stable-worldmodel as our planner."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector.utils import batch_space
from torch import Tensor

from planners.interop.candidates import imagine, to_actions
from planners.interop.solver_config import SolverConfig
from planners.population import prefix_costs
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Goal, Rollout
from world_model.errors import at_least, within
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Objective, Plan, Planner

MakeSolver = Callable[..., Any]
"""Called with `cost=` (or `model=`, in their 0.1.1) and `seed=`."""


class SolverPlanner(Planner):
    """Lets one of their solvers search, then judges its plan like ours.

    A solver is made anew for every decision and episode, so that nothing but the
    episode's generator decides what it draws. Over phrases use their
    `CategoricalCEMSolver`, or any other: then it searches scores, one per phrase, of
    which the largest counts. Over vectors, it samples about zero with variances of its
    own, in units of half the bounds.

    Args:
        world_model: Imagines.
        objective: Cost of what it imagines.
        solver: Makes the solver, e.g. `functools.partial(CEMSolver, num_samples=64)`.
        horizon: Actions per plan.
        action_cost: Cost of one action; makes shorter plans win.
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        solver: MakeSolver,
        horizon: int = 7,
        action_cost: float = 0.02,
    ) -> None:
        at_least(1, horizon=horizon)
        self.world_model = world_model
        self.objective = objective
        self.solver = solver
        self.horizon = horizon
        within(-math.inf, math.inf, action_cost=action_cost)
        self.action_cost = action_cost

    def plan(
        self,
        context: Context,
        goal: Goal,
        *,
        memory: Memory | None = None,
        warm_start: Plan | None = None,
        generator: Generators,
        horizon: int,
    ) -> Plan:
        """See `Planner.plan`; `warm_start` is used by solvers over vectors."""
        with torch.no_grad():
            context = self.world_model.start(context).context  # encoded once
        num_episodes, steps = len(goal.instructions), min(self.horizon, max(1, horizon))

        def judge(rows: list[int], actions: Tensor) -> tuple[Rollout, Tensor]:
            part = goal.rows(rows)
            sources = [generator[row] for row in rows]
            found = imagine(
                self.world_model, context.rows(rows), actions, memory, sources
            )
            return found, prefix_costs(found, part, self.objective, self.action_cost)

        cost = _RowCost(self._to_actions, judge)
        actions = torch.cat(
            [
                self._solved(cost, row, source, warm_start, steps)
                for row, source in zip(range(num_episodes), generator, strict=True)
            ]
        )
        with torch.no_grad():
            rollout, costs = judge([*range(num_episodes)], actions[:, None])
        return self._plan(rollout, costs.cpu()[:, 0], goal)

    def _solved(
        self,
        cost: _RowCost,
        row: int,
        source: torch.Generator,
        warm_start: Plan | None,
        steps: int,
    ) -> Tensor:
        """One episode's plan, (1, T) or (1, T, A); others cannot change its draws."""
        seed = int(torch.randint(2**31, (), generator=source))
        solver = make_solver(self.solver, cost, seed=seed)
        self._configure(solver, steps)
        first = self._first(warm_start, row, steps)
        with torch.enable_grad():
            out = solver({"row": torch.tensor([[row]])}, init_action=first)
        # Made in inference mode: a clone is an ordinary tensor again.
        return self._chosen(out["actions"].clone().cpu(), steps)

    def _configure(self, solver: Any, steps: int) -> None:
        """Tells the solver to search numbers about zero, or phrases if it only can."""
        space = self.world_model.action_space
        shape = space.shape
        if isinstance(space, PhraseSpace):
            shape = (len(space.phrases),)
        numbers = batch_space(Box(-1, 1, shape), 1)
        options = {"n_envs": 1, "config": SolverConfig(steps)}
        try:
            solver.configure(action_space=numbers, **options)
        except AssertionError as error:  # how their solvers of phrases refuse numbers
            if not isinstance(space, PhraseSpace):
                raise ValueError(
                    f"{type(solver).__name__} searches phrases, got a world model with "
                    f"action space {space}: use CEMSolver or ICEMSolver."
                ) from error
            solver.configure(action_space=space, **options)

    def _to_actions(self, candidates: Tensor) -> Tensor:
        space = self.world_model.action_space
        if isinstance(space, Box):
            low, high = (torch.as_tensor(x) for x in (space.low, space.high))
            candidates = (high + low) / 2 + (high - low) / 2 * candidates
        return to_actions(candidates, space)

    def _first(self, warm_start: Plan | None, row: int, steps: int) -> Tensor | None:
        """The rest of the last plan in the solver's units, (1, t, A)."""
        space = self.world_model.action_space
        if warm_start is None or not isinstance(space, Box):
            return None
        low, high = (torch.as_tensor(x) for x in (space.low, space.high))
        half = ((high - low) / 2).clamp(min=1e-9)
        return (warm_start.actions[row : row + 1, :steps] - (high + low) / 2) / half

    def _chosen(self, actions: Tensor, steps: int) -> Tensor:
        """The solver's plan as actions (1, T) or (1, T, A)."""
        wanted = (1, steps)
        if actions.shape[:2] != wanted or actions.ndim != 3:
            raise ValueError(
                f"A solver must return 'actions' of shape {wanted} and one axis more, "
                f"got {tuple(actions.shape)}: correct the solver."
            )
        if not actions.is_floating_point():  # phrases, of their categorical solvers
            return actions[..., 0]
        return self._to_actions(actions[:, None])[:, 0]

    def _plan(self, rollout: Rollout, costs: Tensor, goal: Goal) -> Plan:
        """The best prefix of each plan; `costs` are (B, T)."""
        cost, index = costs.min(dim=1)
        likely = self.objective.success_probability(rollout, goal)
        if likely is not None:
            likely = likely[:, 0].cpu().gather(1, index[:, None])[:, 0]
        return Plan(rollout.actions[:, 0].cpu(), index + 1, cost, likely)


class _RowCost:
    """Their cost protocol for one decision: the info only says which rows are meant."""

    def __init__(
        self,
        to_actions: Callable[[Tensor], Tensor],
        judge: Callable[[list[int], Tensor], tuple[Rollout, Tensor]],
    ) -> None:
        self._to_actions = to_actions
        self._judge = judge

    def get_cost(self, info_dict: Mapping[str, Any], candidates: Tensor) -> Tensor:
        """See `SolverCost.get_cost`."""
        rows = np.ravel(torch.as_tensor(info_dict["row"]).cpu().numpy()[:, 0]).tolist()
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(candidates.requires_grad),
        ):
            _, costs = self._judge(rows, self._to_actions(candidates.clone().cpu()))
            return costs.amin(dim=2).to(candidates)

    criterion = get_cost


def make_solver(make: MakeSolver, cost: Any, *, seed: int) -> Any:
    """Makes a solver of either generation of the library.

    Args:
        make: The class or a partial of it.
        cost: Passed as `cost`, or as `model` where there is no such argument.
        seed: Passed on where there is such an argument.

    Raises:
        ValueError: If it takes neither.
    """
    names = inspect.signature(make).parameters
    given = next((name for name in ("cost", "model") if name in names), None)
    if given is None:
        raise ValueError(
            "A solver must take a `cost` (or `model`), as stable-worldmodel's do, got "
            f"{make} with {', '.join(names) or 'nothing'}: wrap it."
        )
    seeds = {"seed": seed} if "seed" in names else {}
    return make(**{given: cost}, **seeds)
