"""`SolverCost`: our world model and objective as a cost of stable-worldmodel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from planners.interop.candidates import imagine, to_actions
from planners.interop.episode_slots import EpisodeSlots
from planners.population import prefix_costs
from world_model.api import WorldModel
from world_model.core import Context, Goal
from world_model.errors import within
from world_model.frames import to_model
from world_model.policy_api import Objective


class SolverCost:
    """What stable-worldmodel's solvers minimise: `cost=` (or `model=`) of any of them.

    `get_cost` and `criterion` map (info, candidates (B, S, H, D)) to costs (B, S), as
    their protocol `Costable` says in 0.1.1 and after. A candidate costs what its best
    prefix costs: what follows is replanned anyway. Planning never writes memory.

    The info dictionary is their policy's, each value (B, S, T, ...), alike for all S:

    | key | meaning |
    |---|---|
    | pixels | views; uint8 (..., H, W, C), or float (..., C, H, W) in [-1, 1] |
    | goal | goal image, likewise; only read if it is there |
    | instruction | goal in words; only read if it is there |
    | id, step_idx | name the episode (its memory) and the decision (its noise) |

    Only the newest view is used: nobody says which actions led to the older ones.

    Args:
        world_model: Imagines; phrases or a bounded `Box`.
        objective: Cost of an imagined chunk.
        slots: The episodes' memory, written elsewhere (`RememberingPolicy`); or None.
        instruction: The goal in words, where the info has none.
        action_cost: Cost of one action; makes shorter plans win.
        seed: Of the noise; one stream per episode and decision, for all candidates.
        unnormalise: Maps vectors as the solver samples them to those of the world
            model (their policy's `process["action"].inverse_transform`).
    """

    def __init__(
        self,
        world_model: WorldModel,
        objective: Objective,
        *,
        slots: EpisodeSlots | None = None,
        instruction: str = "",
        action_cost: float = 0.02,
        seed: int = 0,
        unnormalise: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.world_model = world_model
        self.objective = objective
        self.slots = slots
        self.instruction = instruction
        within(-math.inf, math.inf, action_cost=action_cost)
        self.action_cost = action_cost
        self.seed = seed
        self.unnormalise = unnormalise

    def get_cost(
        self, info_dict: Mapping[str, Any], action_candidates: Tensor
    ) -> Tensor:
        """Costs (B, S), lower is better; differentiable if the candidates are.

        Raises:
            ValueError: If the info or the candidates do not fit the world model, or a
                slope is asked for that there is none of.
        """
        # Solvers run in inference mode. Tensors made there could never be trained on,
        # and world models keep some (embeddings of phrases).
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(action_candidates.requires_grad),
        ):
            return self._costs(info_dict, action_candidates.clone())

    criterion = get_cost

    def _costs(self, info: Mapping[str, Any], candidates: Tensor) -> Tensor:
        needs_slope = candidates.requires_grad
        if self.unnormalise is not None:
            candidates = self.unnormalise(candidates)
        actions = to_actions(candidates.cpu(), self.world_model.action_space)
        goal = self._goal(info)
        rollout = imagine(
            self.world_model,
            self._context(info),
            actions,
            None if self.slots is None else self.slots.memory,
            self._generators(info, len(actions)),
        )
        costs = prefix_costs(rollout, goal, self.objective, self.action_cost)
        if needs_slope and not costs.requires_grad:
            raise ValueError(
                "Solvers that follow slopes need costs that torch can differentiate, "
                f"got none from {type(self.world_model).__name__} and "
                f"{type(self.objective).__name__}: use CEMSolver or ICEMSolver."
            )
        return costs.amin(dim=2).to(candidates)

    def _context(self, info: Mapping[str, Any]) -> Context:
        if "pixels" not in info:
            raise ValueError(
                f"The info must hold 'pixels', the views, got {sorted(info)}: use an "
                "environment that renders."
            )
        images, slots = _images(info["pixels"]), None
        if self.slots is not None:
            slots = self.slots.of(_numbers(info, "id", len(images)))
        return Context.first(images, self.world_model.action_space, slots=slots)

    def _goal(self, info: Mapping[str, Any]) -> Goal:
        count = len(info["pixels"]) if "pixels" in info else 0
        words = [self.instruction] * count
        if "instruction" in info:
            words = [str(np.ravel(row)[0]) for row in info["instruction"]]
        images = _images(info["goal"]) if "goal" in info else None
        return Goal(tuple(words), images)

    def _generators(self, info: Mapping[str, Any], count: int) -> list[torch.Generator]:
        keys = zip(
            _numbers(info, "id", count), _numbers(info, "step_idx", count), strict=True
        )
        return [_generator(self.seed, *key) for key in keys]


def _images(values: Any) -> Tensor:
    """The newest image of every row, (B, C, H, W) in [-1, 1], of (B, S, T, ...)."""
    newest = torch.as_tensor(values)[:, 0, -1].clone()
    if newest.ndim != 4:
        raise ValueError(
            "Images must have shape (B, S, T, H, W, C), got "
            f"{tuple(torch.as_tensor(values).shape)}: pass what the policy hands on."
        )
    if newest.dtype == torch.uint8:
        return to_model(newest.cpu().numpy())
    low, high = float(newest.min()), float(newest.max())
    if low < -1.001 or high > 1.001:
        raise ValueError(
            f"Float images must be in [-1, 1], got {low:.2f} to {high:.2f}: give the "
            "policy no `transform`, uint8 images are scaled here."
        )
    return newest.float().cpu()


def _numbers(info: Mapping[str, Any], key: str, count: int) -> list[int]:
    """One number per row; 0 where the info has none."""
    if key not in info:
        return [0] * count
    return [
        int(np.ravel(row)[0]) for row in np.asarray(torch.as_tensor(info[key]).cpu())
    ]


def _generator(*key: int) -> torch.Generator:
    words = [part % 2**64 for part in key]
    seed = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed) >> 1)
