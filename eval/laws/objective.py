"""The laws of objectives, tried on what the toy world imagines."""

from __future__ import annotations

import copy

import torch
from omegaconf import DictConfig

from eval.build_objective import build_objective
from eval.checked_objective import check_costs, check_probabilities
from eval.laws.example import Example
from eval.laws.toy import DOTS, generators
from eval.meter import MeteredWorldModel
from world_model.core import Goal, Rollout
from world_model.policy_api import Objective
from world_model.testing import ACROSS_LAYOUTS, equal, random_actions, require


def examples(cfg: DictConfig) -> list[Example]:
    """Rollouts of N candidates of T actions in B episodes, random actions."""
    model = DOTS.model()
    objective = build_objective(cfg, MeteredWorldModel(model))
    found = []
    for b, n, t in ((1, 1, 1), (2, 3, 2)):
        actions = random_actions(model, b, n, t)
        rollout = model.rollout(DOTS.context(b), actions, generator=generators(b))
        text = f"rollout of the toy world, B={b}, N={n}, T={t}"
        found.append(Example(text, (objective, rollout, DOTS.goal(b))))
    return found


def costs_have_the_promised_shape(
    objective: Objective, rollout: Rollout, goal: Goal
) -> None:
    """Every imagined chunk has one finite cost, (B, N, T)."""
    check_costs(objective(rollout, goal), rollout)


def probabilities_are_probabilities(
    objective: Objective, rollout: Rollout, goal: Goal
) -> None:
    """`success_probability` is None, or (B, N, T) in [0, 1]."""
    likely = objective.success_probability(rollout, goal)
    if likely is not None:
        check_probabilities(likely, rollout)


def scoring_changes_nothing(objective: Objective, rollout: Rollout, goal: Goal) -> None:
    """The same rollout has the same cost again, and stays bit-identical."""
    before = copy.deepcopy([rollout.latents, rollout.actions, goal])
    first, again = objective(rollout, goal), objective(rollout, goal)
    require(equal(first, again), "the same rollout has the same cost again")
    after = [rollout.latents, rollout.actions, goal]
    require(equal(before, after), "scoring changes neither rollout nor goal")


def candidates_are_scored_alone(
    objective: Objective, rollout: Rollout, goal: Goal
) -> None:
    """A candidate's cost does not depend on the other candidates."""
    together = objective(rollout, goal)
    for n in range(together.shape[1]):
        index = torch.full((len(together), 1), n)
        alone = objective(rollout.select(index), goal)
        same = equal(alone[:, 0], together[:, n], ACROSS_LAYOUTS)
        require(same, "candidates are scored alone", f"another cost of candidate {n}")


def chunks_are_scored_alone(objective: Objective, rollout: Rollout, goal: Goal) -> None:
    """A chunk's cost does not depend on the chunks before it."""
    together = objective(rollout, goal)
    alone = objective(rollout.last_chunk(), goal)
    same = equal(alone, together[:, :, -1:], ACROSS_LAYOUTS)
    require(same, "chunks are scored alone", "another cost of the last chunk")


LAWS = (
    scoring_changes_nothing,  # first: the others use the same rollouts
    costs_have_the_promised_shape,
    probabilities_are_probabilities,
    candidates_are_scored_alone,
    chunks_are_scored_alone,
)
