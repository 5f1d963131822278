"""Configuration -> objects: the parts of one run, checked before any long work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from eval.build_objective import READS_PLACES, build_objective, reads_image
from eval.build_planner import READS_ACTIONS, budgeted_planner
from eval.build_world_model import build_world_model, encoder_of, weights
from eval.checked_memory import CheckedMemory
from eval.checked_objective import CheckedObjective
from eval.checked_planner import CheckedPlanner
from eval.checked_policy import checked_policy
from eval.checked_world_model import CheckedWorldModel
from eval.decision_limit import check_limit
from eval.make_part import checked, expect, is_ours, make_part, naming
from eval.meter import MeteredWorldModel
from world_model.api import Memory, WorldModel, device_of
from world_model.errors import at_least, true_or_false, unknown_name
from world_model.plain import plain
from world_model.policy_api import Objective, Planner, Policy

if TYPE_CHECKING:
    from envs.memory_task_env import MemoryTaskEnv
    from envs.task_env import TaskEnv
    from eval.episode_metric import EpisodeMetric
    from eval.planner_suite.budget import Budget

_NEEDED = {
    "planner": "name _target_",
    "memory": "name _target_",
    "world_model": "name",
    "objective": "_target_",
    "task": "name domain kind",
}
"""What the configuration of a group must give."""
JUDGES_SUBGOALS = "planners.subgoal_policy.SubgoalPolicy"
"""The policy that is also given the objective."""


@dataclass(frozen=True)
class Parts:
    """What a run is made of.

    Attributes:
        policy: Acts.
        make_env: Makes one environment.
        memory: The policy's memory, or None.
        world_model: The metered model, or None.
        objective: The planner's objective, or None.
        metrics: Columns of one's own.
        device: Where the world model runs, or None.
    """

    policy: Policy
    make_env: Callable[[], TaskEnv]
    memory: Memory | None = None
    world_model: MeteredWorldModel | None = None
    objective: Objective | None = None
    device: str | None = None
    metrics: tuple[EpisodeMetric, ...] = ()


def check(cfg: DictConfig) -> None:
    """Refuses impossible values before anything is built.

    Raises:
        ValueError: With the rule, the value and the remedy.
    """
    from envs.tasks import GOALS

    at_least(1, episodes=cfg.episodes, num_envs=cfg.num_envs, workers=cfg.workers)
    at_least(0, first_seed=cfg.first_seed)
    true_or_false(video=cfg.video)
    if not isinstance(cfg.outputs, str):
        raise ValueError(f"`outputs` must be a folder, got {cfg.outputs}.")
    if cfg.split not in ("val", "test"):
        raise ValueError(
            f"`split` must be val or test, got {cfg.split}: training seeds are "
            "never evaluated."
        )
    if cfg.goal not in GOALS:
        raise unknown_name("goal", cfg.goal, GOALS)
    if cfg.workers > 1 and cfg.suite != "tasks":
        raise ValueError(
            f"`workers` above 1 share the episodes of suite=tasks, got {cfg.workers} "
            f"with suite={cfg.suite}: leave the option away."
        )
    _check_groups(cfg)
    check_limit(cfg)
    if cfg.goal == "given_image" and not reads_image(cfg):
        raise ValueError(
            "`goal=given_image` needs an objective that reads it, got "
            f"{cfg.objective['_target_'].split('.')[-1]} for task={cfg.task.name}: add "
            "objective=goal_image."
        )
    _check_words(cfg)
    is_simulated = "planner" in cfg.planner and cfg.world_model.name == "simulator"
    if is_simulated and cfg.memory.name not in ("none", "oracle"):
        raise ValueError(
            f"`world_model=simulator` takes no memory, got memory={cfg.memory.name}: "
            "the true simulator has nothing to remember. Use memory=none, or "
            "memory=oracle where the goal itself must be recalled."
        )


def _check_words(cfg: DictConfig) -> None:
    """Refuses our planners on tables whose instructions mean nothing to them.

    Raises:
        ValueError: If one would pass on words that nobody understands.
    """
    inner = cfg.planner.get("planner")
    if cfg.objective["_target_"] != READS_PLACES or not inner or not is_ours(inner):
        return
    if reads_image(cfg) and cfg.planner["_target_"] != JUDGES_SUBGOALS:
        raise ValueError(
            f"`task={cfg.task.name}` asks for what was before, which only subgoals "
            f"say, got planner={cfg.planner.name}: use planner=mpc_table or "
            "planner=video_plan_table."
        )
    if not reads_image(cfg) and inner["_target_"] == READS_ACTIONS:
        raise ValueError(
            f"`planner={cfg.planner.name}` must be told goals in words that a model "
            f"was told in training, got task={cfg.task.name}, which asks for cups: use "
            "planner=mpc_table."
        )


def other_memory(overrides: Sequence[str], name: str) -> tuple[DictConfig, list[str]]:
    """The same command line with another memory: its configuration and overrides."""
    own = ("memory=", "memory.", "memory@")
    kept = [o for o in overrides if not o.lstrip("+~").startswith(own)]
    changed = [*kept, f"memory={name}"]
    return hydra.compose("eval", changed), changed


def build(cfg: DictConfig, budget: Budget | None = None) -> Parts:
    """Makes the parts of a run.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        budget: What the planner may spend per decision; None sets no limit.

    Raises:
        ValueError: If a part cannot be made; a plug-in's error names the plug-in.
    """
    from envs.make_task_env import make_task_env

    def make_env() -> TaskEnv:
        kept = Path(cfg.outputs) / ".actions"
        task = cfg.task
        return make_task_env(task.domain, task.kind, cfg.split, cfg.goal, kept)

    metrics = build_metrics(cfg)
    if "planner" not in cfg.planner:
        return Parts(build_policy(cfg), make_env, metrics=metrics)
    imagines = build_world_model(cfg)
    model = MeteredWorldModel(
        checked("world_model", cfg.world_model, imagines, CheckedWorldModel)
    )
    judges = build_objective(cfg, model)
    objective = checked("objective", cfg.objective, judges, CheckedObjective)
    memory = checked("memory", cfg.memory, make_memory(cfg, model), CheckedMemory)
    planner = checked(
        "planner",
        cfg.planner,
        budgeted_planner(cfg, model, objective, budget),
        lambda p, named: CheckedPlanner(p, model.action_space, named),
        inner=cfg.planner.planner,
    )
    policy = planning_policy(cfg, model, memory, planner, objective)
    device = str(device_of(model.inner))
    return Parts(policy, make_env, memory, model, objective, device, metrics)


def require_tour(cfg: DictConfig) -> None:
    """Refuses a suite of tours through a world on a task that has none.

    Raises:
        ValueError: If the task has no tour, or its robot stays where it is.
    """
    from envs.domains import domain_class, has_vectors

    if has_vectors(cfg.task.domain):
        raise ValueError(
            f"`suite={cfg.suite}` needs a task with a tour, got {cfg.task.name}: "
            "choose another task."
        )
    if not domain_class(cfg.task.domain).travels:
        raise ValueError(
            f"`suite={cfg.suite}` needs a robot that travels, got {cfg.task.name}: "
            "choose another task."
        )


def tour_env(cfg: DictConfig) -> MemoryTaskEnv:
    """An environment whose episodes begin with a tour; see `require_tour`."""
    from envs.memory_task_env import MemoryTaskEnv

    return MemoryTaskEnv(cfg.task.domain, cfg.task.kind, cfg.split, cfg.goal)


def build_policy(cfg: DictConfig) -> Policy:
    """The policy of a `cfg.planner` that plans nothing."""
    domain, task = cfg.task.domain, cfg.task.kind
    policy = make_part("planner", cfg.planner, Policy, domain=domain, task=task)
    return _checked_policy(cfg, policy)


def planning_policy(
    cfg: DictConfig,
    model: WorldModel,
    memory: Memory,
    planner: Planner,
    objective: Objective,
) -> Policy:
    """The policy of a `cfg.planner` around what it plans with."""
    parts: list[object] = [model, memory, planner]
    if cfg.planner["_target_"] == JUDGES_SUBGOALS:
        parts.append(objective)
    policy = make_part("planner", cfg.planner, Policy, *parts)
    return _checked_policy(cfg, policy, model)


def _checked_policy(
    cfg: DictConfig, policy: Policy, model: WorldModel | None = None
) -> Policy:
    """The policy; if it is a plug-in's, one whose actions are checked."""
    from envs.domains import any_domain_class

    space = (model or any_domain_class(cfg.task.domain)).action_space
    return checked(
        "planner", cfg.planner, policy, lambda p, named: checked_policy(p, space, named)
    )


def make_memory(cfg: DictConfig, model: MeteredWorldModel) -> Memory:
    """The memory of `cfg.memory`."""
    from world_model.memory.build import build_memory

    folder = weights(cfg, cfg.task.domain)
    with naming("memory", cfg.memory):
        memory = build_memory(plain(cfg.memory), model, folder, encoder_of(model))
        return expect(memory, Memory)


def build_metrics(cfg: DictConfig) -> tuple[EpisodeMetric, ...]:
    """The metrics of `cfg.metric`, if any were chosen.

    Raises:
        ValueError: If one has the name of a standard column.
    """
    from eval.metric import METRICS

    chosen = cfg.get("metric") or {}
    for name in chosen:
        if name in METRICS:
            raise ValueError(
                f"`metric` must have a name of its own, got {name}, a standard column: "
                "rename it in its YAML file and its class."
            )
    return tuple(build_metric(name, node) for name, node in chosen.items())


def build_metric(name: str, node: DictConfig) -> EpisodeMetric:
    """One metric; `name` is its key in the configuration and its column.

    Raises:
        ValueError: If the metric calls itself otherwise.
    """
    from eval.episode_metric import EpisodeMetric

    if not isinstance(node, DictConfig):
        raise ValueError(
            f"A metric's YAML file must name it, `my_metric: {{_target_: ...}}`, got "
            f"`{name}: {node}` at its top: put its name there."
        )
    metric = make_part("metric", node, EpisodeMetric, name=name)
    if metric.name != name:
        raise ValueError(
            f"`metric={name}` must be a metric of that name, got {metric.name}: use "
            "one name in its class and its YAML file."
        )
    return metric


def _check_groups(cfg: DictConfig) -> None:
    """Refuses configurations, of plug-ins say, that lack what every one has."""
    for group, keys in _NEEDED.items():
        for key in keys.split():
            if key not in cfg[group]:
                raise ValueError(
                    f"Every configuration of `{group}` must give `{key}`, got only "
                    f"{', '.join(map(str, cfg[group])) or 'nothing'}: add it to the "
                    "YAML file."
                )
