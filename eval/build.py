"""Configuration -> objects: the parts of one run, checked before any long work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from eval.build_world_model import build_world_model, weights
from eval.decision_limit import check_limit
from eval.make_part import expect, instantiate_node, is_ours, make_part, naming
from eval.meter import MeteredWorldModel
from world_model.api import Memory, WorldModel
from world_model.errors import unknown_name
from world_model.plain import plain
from world_model.policy_api import Objective, Planner, Policy

if TYPE_CHECKING:
    from envs.memory_task_env import MemoryTaskEnv
    from envs.task_env import TaskEnv
    from eval.episode_metric import EpisodeMetric
    from eval.planner_suite.budget import Budget
    from planners.goal_words import GoalWords
    from world_model.classifier import GoalClassifier
    from world_model.probe import ActionProbe

_NEEDED = {
    "planner": "name _target_",
    "memory": "name _target_",
    "world_model": "name",
    "objective": "_target_",
    "task": "name domain kind",
}
"""What the configuration of a group must give."""
READS_WORDS = "planners.objectives.SuccessClassifier"
"""The objective that is made from a classifier and takes no goal image."""
READS_PLACES = "planners.arrangement.Arrangement"
"""The objective that is made from a position probe."""
READS_ACTIONS = "planners.video_plan.VideoPlanPlanner"
"""The planner that is given what reads actions from views."""
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

    for name in ("episodes", "num_envs"):
        if cfg[name] < 1:
            raise ValueError(f"`{name}` must be at least 1, got {cfg[name]}.")
    if cfg.first_seed < 0:
        raise ValueError(f"`first_seed` must be at least 0, got {cfg.first_seed}.")
    if cfg.split not in ("val", "test"):
        raise ValueError(
            f"`split` must be val or test, got {cfg.split}: training seeds are "
            "never evaluated."
        )
    if cfg.goal not in GOALS:
        raise unknown_name("goal", cfg.goal, GOALS)
    _check_groups(cfg)
    check_limit(cfg)
    if cfg.goal == "given_image" and cfg.objective["_target_"] == READS_WORDS:
        raise ValueError(
            "`goal=given_image` needs an objective that reads it, got "
            f"{cfg.objective['_target_'].split('.')[-1]}: add objective=goal_image."
        )
    is_simulated = "planner" in cfg.planner and cfg.world_model.name == "simulator"
    if is_simulated and cfg.memory.name not in ("none", "oracle"):
        raise ValueError(
            f"`world_model=simulator` takes no memory, got memory={cfg.memory.name}: "
            "the true simulator has nothing to remember. Use memory=none, or "
            "memory=oracle where the goal itself must be recalled."
        )


def use_threads(threads: int | None) -> None:
    """Lets torch use so many threads, or as many as it chooses.

    Raises:
        ValueError: If there would be none.
    """
    import torch

    if threads is None:
        return
    if threads < 1:
        raise ValueError(f"`threads` must be at least 1 or null, got {threads}.")
    torch.set_num_threads(threads)


def other_memory(overrides: Sequence[str], name: str) -> tuple[DictConfig, list[str]]:
    """The same command line with another memory: its configuration and overrides."""
    kept = [o for o in overrides if not o.startswith(("memory=", "memory."))]
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
        return make_task_env(cfg.task.domain, cfg.task.kind, cfg.split, cfg.goal)

    metrics = build_metrics(cfg)
    if "planner" not in cfg.planner:
        return Parts(build_policy(cfg), make_env, metrics=metrics)
    model = MeteredWorldModel(build_world_model(cfg))
    objective = _checked_objective(cfg, build_objective(cfg, model))
    memory = make_memory(cfg, model)
    planner = _checked_planner(cfg, model, _planner(cfg, model, objective, budget))
    parts: list[object] = [model, memory, planner]
    if cfg.planner["_target_"] == JUDGES_SUBGOALS:
        parts.append(objective)
    policy = make_part("planner", cfg.planner, Policy, *parts)
    device = str(getattr(model.inner, "device", "cpu"))
    return Parts(policy, make_env, memory, model, objective, device, metrics)


def require_tour(cfg: DictConfig) -> None:
    """Refuses a suite that needs episodes with a tour on a task without one.

    Raises:
        ValueError: If the task has none.
    """
    from envs.domains import GOAL_DOMAINS

    if cfg.task.domain in GOAL_DOMAINS:
        raise ValueError(
            f"`suite={cfg.suite}` needs a task with a tour, got {cfg.task.name}: "
            "choose another task."
        )


def tour_env(cfg: DictConfig) -> MemoryTaskEnv:
    """An environment whose episodes begin with a tour; see `require_tour`."""
    from envs.memory_task_env import MemoryTaskEnv

    return MemoryTaskEnv(cfg.task.domain, cfg.task.kind, cfg.split, cfg.goal)


def build_policy(cfg: DictConfig) -> Policy:
    """The policy of a `cfg.planner` that plans nothing."""
    domain, task = cfg.task.domain, cfg.task.kind
    return make_part("planner", cfg.planner, Policy, domain=domain, task=task)


def make_memory(cfg: DictConfig, model: MeteredWorldModel) -> Memory:
    """The memory of `cfg.memory`."""
    from world_model.memory.build import build_memory

    folder = weights(cfg, cfg.task.domain)
    with naming("memory", cfg.memory):
        memory = build_memory(plain(cfg.memory), model, folder, _encoder(model))
        return expect(memory, Memory)


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
    encoder = _encoder(model) or None
    return load_probe(folder, phrases=space.phrases, encoder=encoder)


def _goal_words(objective: Objective) -> GoalWords | None:
    """What puts goals that images explain into words, if the objective reads images."""
    from planners.arrangement import Arrangement
    from planners.goal_words import GoalWords

    if not isinstance(objective, Arrangement):
        return None
    return GoalWords(objective, objective.reader.config["goals"])  # type: ignore[attr-defined]


def _planner(
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

    metric = make_part("metric", node, EpisodeMetric, name=name)
    if metric.name != name:
        raise ValueError(
            f"`metric={name}` must be a metric of that name, got {metric.name}: use "
            "one name in its class and its YAML file."
        )
    return metric


def build_objective(cfg: DictConfig, model: WorldModel) -> Objective:
    """The objective of `cfg.objective`."""
    if cfg.objective["_target_"] == READS_WORDS:
        folder = weights(cfg, cfg.task.domain) / "classifier"
        classifier = load_classifier(folder)
        _check_latents(classifier, model, cfg)
        return instantiate_node(cfg.objective, classifier)
    if cfg.objective["_target_"] == READS_PLACES:
        from world_model.position_probe import load_position_probe

        folder = weights(cfg, cfg.task.domain) / "position_probe"
        probe = load_position_probe(folder, encoder=_encoder(model) or None)
        return instantiate_node(cfg.objective, model, probe, probe.config["objects"])
    return make_part("objective", cfg.objective, Objective, model)


def load_classifier(folder: Path) -> GoalClassifier:
    """The classifier of `objective=success_classifier`; nothing is downloaded.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If its files are damaged or do not fit.
    """
    from world_model.classifier import GoalClassifier

    # diffusers would look for a missing folder on the internet.
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`objective=success_classifier` needs a classifier in {folder}, got no "
            "such folder: train one with `python -m world_model.train "
            "stage=classifier`."
        )
    try:
        return (
            GoalClassifier.from_pretrained(folder, local_files_only=True).float().eval()
        )
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"The classifier in {folder} is damaged or does not fit its "
            f"configuration ({error}): restore the folder."
        ) from error


def _checked_planner(cfg: DictConfig, model: WorldModel, planner: Planner) -> Planner:
    """The planner; if it is a plug-in's, one whose plans are checked."""
    from eval.checked_planner import CheckedPlanner

    node = cfg.planner.planner
    if is_ours(node):
        return planner
    named = partial(naming, "planner", cfg.planner, node)
    return CheckedPlanner(planner, model.action_space, named)


def _checked_objective(cfg: DictConfig, objective: Objective) -> Objective:
    """The objective; if it is a plug-in's, one whose costs are checked."""
    from eval.checked_objective import CheckedObjective

    if is_ours(cfg.objective):
        return objective
    return CheckedObjective(objective, partial(naming, "objective", cfg.objective))


def _check_latents(
    classifier: GoalClassifier, model: WorldModel, cfg: DictConfig
) -> None:
    """Refuses a classifier of other latents than the model's."""
    import torch

    from envs.domains import any_domain_class

    height, width, channels = any_domain_class(cfg.task.domain).frame_shape
    device = getattr(model, "device", "cpu")
    latents = model.encode(torch.zeros(1, channels, height, width, device=device))
    size = classifier.config["latent_size"]
    wanted = (classifier.config["latent_channels"], size, size)
    if tuple(latents.shape[1:]) != wanted:
        raise ValueError(
            f"`objective=success_classifier` must be trained on the latents of the "
            f"world model, {tuple(latents.shape[1:])}, got {wanted}: use another "
            "objective or let `world_model.weights` name a folder with a classifier."
        )


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


def _encoder(model: WorldModel) -> str:
    """The fingerprint of the model's autoencoder; empty if it has none."""
    from world_model.training.latents import encoder_fingerprint

    autoencoder = getattr(model, "autoencoder", None)
    return "" if autoencoder is None else encoder_fingerprint(autoencoder)
