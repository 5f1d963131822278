"""Configuration -> the planner inside a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from eval.build_world_model import encoder_of, weights
from eval.make_part import expect, instantiate_node, naming
from world_model.api import WorldModel
from world_model.policy_api import Objective, Planner

if TYPE_CHECKING:
    from eval.meter import MeteredWorldModel
    from eval.planner_suite.budget import Budget
    from planners.goal_words import GoalWords
    from world_model.probe import ActionProbe

READS_ACTIONS = "planners.video_plan.VideoPlanPlanner"
"""The planner that is given what reads actions from views."""


def budgeted_planner(
    cfg: DictConfig,
    model: MeteredWorldModel,
    objective: Objective,
    budget: Budget | None,
) -> Planner:
    """The planner inside `cfg.planner`, within its budget if there is one."""
    if budget is None:
        return build_planner(cfg, model, objective)
    from eval.planner_suite.budgeted_model import BudgetedWorldModel
    from eval.planner_suite.budgeted_planner import BudgetedPlanner

    limited = BudgetedWorldModel(model, budget)
    return BudgetedPlanner(build_planner(cfg, limited, objective), limited)


def build_planner(cfg: DictConfig, model: WorldModel, objective: Objective) -> Planner:
    """The planner inside `cfg.planner`."""
    node = cfg.planner.planner
    parts: list[object] = [model, objective]
    if node["_target_"] == READS_ACTIONS:
        parts += [_inverse_dynamics(cfg, model), _goal_words(objective)]
    with naming("planner", cfg.planner, node):
        return expect(instantiate_node(node, *parts), Planner)


def _inverse_dynamics(cfg: DictConfig, model: WorldModel) -> ActionProbe:
    """What reads actions from imagined views; it ships beside the weights.

    Raises:
        FileNotFoundError: If it does not.
        ValueError: If it reads other actions or other latents.
    """
    from world_model.phrase_space import phrase_space_of
    from world_model.probe import load_probe

    space = phrase_space_of(
        model.action_space, "video_plan", instead="use planner/optimizer=icem"
    )
    folder = weights(cfg, cfg.task.domain) / "probe"
    encoder = encoder_of(model) or None
    return load_probe(folder, phrases=space.phrases, encoder=encoder)


def _goal_words(objective: Objective) -> GoalWords | None:
    """What puts goals that images explain into words, if the objective reads images."""
    from planners.arrangement import Arrangement
    from planners.goal_words import GoalWords

    if not isinstance(objective, Arrangement):
        return None
    return GoalWords(objective, objective.reader.config["goals"])  # type: ignore[attr-defined]
