"""Which proposal fits which actions, and where a search begins."""

from __future__ import annotations

import gymnasium
import torch

from planners.categorical import Categorical
from planners.checks import box_of
from planners.gaussian import Gaussian
from planners.proposal import Proposal
from world_model.phrase_space import PhraseSpace
from world_model.policy_api import Plan


def check_space(space: gymnasium.Space, asker: str) -> None:
    """Refuses actions that are neither phrases nor bounded vectors.

    Raises:
        ValueError: Names the space and what to do.
    """
    if not isinstance(space, PhraseSpace):
        box_of(space, asker, instead="bound it, or name the actions in a `PhraseSpace`")


def first_proposal(
    space: gymnasium.Space,
    num_episodes: int,
    num_steps: int,
    *,
    colour: float = 0.0,
    is_rigid: bool = False,
) -> Proposal:
    """The widest distribution over the actions of `space`.

    Args:
        space: One that `check_space` accepts.
        num_episodes: B.
        num_steps: T.
        colour: Of the noise on vectors, see `Gaussian`.
        is_rigid: Whether vectors keep their spread, see `Gaussian`.
    """
    if isinstance(space, PhraseSpace):
        return Categorical.uniform(space, num_episodes, num_steps)
    assert isinstance(space, gymnasium.spaces.Box)
    return Gaussian.over(
        space, num_episodes, num_steps, colour=colour, is_rigid=is_rigid
    )


def around_plan(proposal: Proposal, plan: Plan) -> Proposal:
    """The proposal moved to what is left of a plan; steps beyond it stay."""
    actions = proposal.centre().clone()
    num_steps = min(actions.shape[1], plan.actions.shape[1])
    actions[:, :num_steps] = plan.actions[:, :num_steps]
    known = torch.arange(actions.shape[1]) < plan.lengths[:, None].clamp(max=num_steps)
    return proposal.around(actions, known)
