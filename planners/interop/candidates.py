"""Action candidates of stable-worldmodel's solvers -> ours."""

from __future__ import annotations

import gymnasium
import torch
from torch import Tensor

from planners.checks import box_of
from planners.differentiable import imagine_apart
from world_model.api import Generators, Memory, WorldModel
from world_model.core import Context, Rollout
from world_model.phrase_space import PhraseSpace


def to_actions(candidates: Tensor, space: gymnasium.Space) -> Tensor:
    """Reads a solver's candidates as actions of a world model.

    Args:
        candidates: (B, S, H, block * D). D is the number of phrases (one score each:
            one-hot, or anything whose largest entry counts) or of a vector's entries;
            `block` actions stand side by side (their `action_block`).
        space: The world model's actions.

    Returns:
        (B, S, H * block) phrases, or (B, S, H * block, A) vectors clipped to the
        bounds: most solvers sample beyond them.

    Raises:
        ValueError: If the last axis is of another size, or phrases are to be
            differentiated.
    """
    if isinstance(space, PhraseSpace):
        if candidates.requires_grad:
            raise ValueError(
                "Solvers that follow slopes need a world model of vectors, got phrases "
                f"{', '.join(space.phrases)}: use CategoricalCEMSolver."
            )
        scores = _unblocked(candidates, len(space.phrases))
        return scores.argmax(dim=-1)
    box = box_of(space, "SolverCost", instead="bound it")
    actions = _unblocked(candidates, box.shape[0])
    low, high = (torch.as_tensor(x).to(actions) for x in (box.low, box.high))
    return actions.clamp(low, high)


def _unblocked(candidates: Tensor, size: int) -> Tensor:
    """(B, S, H, block * size) -> (B, S, H * block, size)."""
    if candidates.ndim != 4 or candidates.shape[-1] % size or not candidates.shape[-1]:
        raise ValueError(
            f"Candidates must have shape (B, S, H, block * {size}), one entry per "
            f"phrase or per number of the action, got {tuple(candidates.shape)}: "
            "configure the solver with the world model's action space."
        )
    return candidates.unflatten(-1, (-1, size)).flatten(2, 3)


def imagine(
    world_model: WorldModel,
    context: Context,
    actions: Tensor,
    memory: Memory | None,
    generator: Generators,
) -> Rollout:
    """Imagines all candidates (B, S, T) or (B, S, T, A); differentiable if they are."""
    if not actions.requires_grad:
        return world_model.rollout(context, actions, memory=memory, generator=generator)
    root = world_model.start(context)
    return imagine_apart(world_model, root, actions, memory, generator)
