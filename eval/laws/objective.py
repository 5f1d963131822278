"""The laws of objectives, tried on what the toy world imagines."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from omegaconf import DictConfig
from torch import Tensor

from eval.build_objective import build_objective
from eval.checked_objective import check_costs, check_probabilities
from eval.laws.example import Example
from eval.laws.toy import DOTS
from eval.meter import MeteredWorldModel
from world_model.api import generators
from world_model.core import Goal, Rollout
from world_model.policy_api import Objective
from world_model.testing import ACROSS_LAYOUTS, equal, random_actions, require


@dataclass(frozen=True)
class Question:
    """What an objective is asked to score.

    Attributes:
        make: Makes a fresh one.
        objective: One that has answered other questions.
        rollout: What was imagined.
        goal: What for.
    """

    make: Callable[[], Objective]
    objective: Objective
    rollout: Rollout
    goal: Goal

    def costs(self) -> Tensor:
        """Its answer (B, N, T)."""
        return self.objective(self.rollout, self.goal)


def examples(cfg: DictConfig) -> list[Example]:
    """Rollouts of N candidates of T actions in B episodes, random actions."""
    model = DOTS.model()

    def make() -> Objective:
        return build_objective(cfg, MeteredWorldModel(model))

    objective = make()
    found = []
    for b, n, t in ((1, 1, 1), (2, 3, 2)):
        actions = random_actions(model, b, n, t)
        noise = generators(range(b))
        rollout = model.rollout(DOTS.context(b), actions, generator=noise)
        text = f"rollout of the toy world, B={b}, N={n}, T={t}"
        question = Question(make, objective, rollout, DOTS.goal(b))
        found.append(Example(text, (question,)))
    return found


def costs_have_the_promised_shape(question: Question) -> None:
    """Every imagined chunk has one finite cost, (B, N, T)."""
    check_costs(question.costs(), question.rollout)


def probabilities_are_probabilities(question: Question) -> None:
    """`success_probability` is None, or (B, N, T) in [0, 1]."""
    rollout = question.rollout
    likely = question.objective.success_probability(rollout, question.goal)
    if likely is not None:
        check_probabilities(likely, rollout)


def scoring_changes_nothing(question: Question) -> None:
    """The same rollout has the same cost again, and stays bit-identical."""
    rollout, goal = question.rollout, question.goal
    before = copy.deepcopy([rollout.latents, rollout.actions, goal])
    first, again = question.costs(), question.costs()
    require(equal(first, again), "the same rollout has the same cost again")
    after = [rollout.latents, rollout.actions, goal]
    require(equal(before, after), "scoring changes neither rollout nor goal")


def scores_forget(question: Question) -> None:
    """A cost does not depend on what was scored before."""
    used = question.make()
    for seed in range(2, 6):
        used(question.rollout, DOTS.goal(len(question.rollout.actions), seed=seed))
    same = equal(question.costs(), used(question.rollout, question.goal))
    require(same, "a cost does not depend on what was scored before", "another one")


def episodes_are_scored_alone(question: Question) -> None:
    """An episode's cost does not depend on the other episodes of the batch."""
    together = question.costs()
    for row in range(len(together)):
        alone = question.objective(
            _episode(question.rollout, row), question.goal.rows([row])
        )
        same = equal(alone[0], together[row], ACROSS_LAYOUTS)
        require(same, "episodes are scored alone", f"another cost of episode {row}")


def candidates_are_scored_alone(question: Question) -> None:
    """A candidate's cost does not depend on the other candidates."""
    together = question.costs()
    for n in range(together.shape[1]):
        index = torch.full((len(together), 1), n)
        alone = question.objective(question.rollout.select(index), question.goal)
        same = equal(alone[:, 0], together[:, n], ACROSS_LAYOUTS)
        require(same, "candidates are scored alone", f"another cost of candidate {n}")


def chunks_are_scored_alone(question: Question) -> None:
    """A chunk's cost does not depend on the chunks before it."""
    alone = question.objective(question.rollout.last_chunk(), question.goal)
    same = equal(alone, question.costs()[:, :, -1:], ACROSS_LAYOUTS)
    require(same, "chunks are scored alone", "another cost of the last chunk")


LAWS = (
    scoring_changes_nothing,  # first: the others use the same rollouts
    costs_have_the_promised_shape,
    probabilities_are_probabilities,
    scores_forget,
    episodes_are_scored_alone,
    candidates_are_scored_alone,
    chunks_are_scored_alone,
)


def _episode(rollout: Rollout, row: int) -> Rollout:
    """One episode of a rollout."""
    rows = slice(row, row + 1)
    return replace(
        rollout,
        context=rollout.context.rows([row]),
        actions=rollout.actions[rows],
        latents=rollout.latents[rows],
        recalled=rollout.recalled[rows],
    )
