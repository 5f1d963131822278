"""Configuration -> objects: the parts of one run, checked before any long work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig

from eval.meter import MeteredWorldModel
from world_model.api import Memory, WorldModel
from world_model.errors import unknown_name
from world_model.plain import plain
from world_model.policy_api import Objective, Policy

if TYPE_CHECKING:
    from envs.memory_task_env import MemoryTaskEnv
    from world_model.classifier import GoalClassifier
    from world_model.diffusion.model import VideoDiffusionWorldModel

WEIGHTS = Path(__file__).parents[1] / "world_model" / "weights"


@dataclass(frozen=True)
class Parts:
    """What a run is made of.

    Attributes:
        policy: Acts.
        make_env: Makes one environment.
        memory: The policy's memory, or None.
        world_model: The metered model, or None.
        objective: The planner's objective, or None.
        device: Where the world model runs, or None.
    """

    policy: Policy
    make_env: Callable[[], MemoryTaskEnv]
    memory: Memory | None = None
    world_model: MeteredWorldModel | None = None
    objective: Objective | None = None
    device: str | None = None


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
    if cfg.goal == "given_image" and not cfg.objective["_target_"].endswith(
        "GoalImage"
    ):
        raise ValueError(
            "`goal=given_image` needs an objective that reads it, got "
            f"{cfg.objective['_target_'].split('.')[-1]}: add objective=goal_image."
        )
    is_simulated = "planner" in cfg.planner and cfg.world_model.name == "simulator"
    if is_simulated and cfg.memory.name != "none":
        raise ValueError(
            f"`world_model=simulator` takes no memory, got memory={cfg.memory.name}: "
            "the true simulator has nothing to remember. Use memory=none."
        )


def other_memory(overrides: Sequence[str], name: str) -> tuple[DictConfig, list[str]]:
    """The same command line with another memory: its configuration and overrides."""
    kept = [o for o in overrides if not o.startswith(("memory=", "memory."))]
    changed = [*kept, f"memory={name}"]
    return hydra.compose("eval", changed), changed


def build(cfg: DictConfig) -> Parts:
    """Makes the parts of a run."""
    from envs.memory_task_env import MemoryTaskEnv
    from world_model.memory.build import build_memory

    def make_env() -> MemoryTaskEnv:
        return MemoryTaskEnv(cfg.task.domain, cfg.task.kind, cfg.split, cfg.goal)

    if "planner" not in cfg.planner:
        policy = _instantiate(cfg.planner, domain=cfg.task.domain, task=cfg.task.kind)
        return Parts(policy, make_env)
    model = MeteredWorldModel(build_world_model(cfg))
    objective = build_objective(cfg, model)
    folder = weights(cfg, cfg.task.domain)
    memory = build_memory(plain(cfg.memory), model, folder, _encoder(model))
    planner = _instantiate(cfg.planner.planner, model, objective)
    policy = instantiate(
        {"_target_": cfg.planner["_target_"], "replan_every": cfg.planner.replan_every},
        model,
        memory,
        planner,
    )
    device = str(getattr(model.inner, "device", "cpu"))
    return Parts(policy, make_env, memory, model, objective, device)


def build_world_model(cfg: DictConfig) -> WorldModel:
    """The world model of `cfg.world_model`."""
    from world_model.diffusion.model import VideoDiffusionWorldModel

    domain = cfg.task.domain
    if cfg.world_model.name == "simulator":
        from envs.simulator_model import SimulatorModel

        codec = VideoDiffusionWorldModel.from_pretrained(weights(cfg, domain))
        _check_domain(codec, cfg)
        return SimulatorModel(domain, codec=codec)
    model = VideoDiffusionWorldModel.from_pretrained(
        weights(cfg, domain),
        device=_device(cfg.world_model.device),
        num_context_frames=cfg.memory.get(
            "context_frames", cfg.world_model.num_context_frames
        ),
        num_sampling_steps=cfg.world_model.num_sampling_steps,
        precision=cfg.world_model.precision,
        recall_strength=cfg.world_model.recall_strength,
    )
    _check_domain(model, cfg)
    return model


def weights(cfg: DictConfig, domain: str) -> Path:
    """The folder with a domain's weights."""
    return Path(cfg.world_model.get("weights") or WEIGHTS / domain)


def build_objective(cfg: DictConfig, model: WorldModel) -> Objective:
    """The objective of `cfg.objective`."""
    target = cfg.objective["_target_"]
    if target.endswith("SuccessClassifier"):
        folder = weights(cfg, cfg.task.domain) / "classifier"
        return _instantiate(cfg.objective, load_classifier(folder))
    return _instantiate(cfg.objective, model)


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


def _check_domain(model: VideoDiffusionWorldModel, cfg: DictConfig) -> None:
    """Refuses weights that were trained on another domain than the task's."""
    if model.config.domain != cfg.task.domain:
        raise ValueError(
            f"`world_model.weights` must be trained on {cfg.task.domain}, got "
            f"{weights(cfg, cfg.task.domain)} of {model.config.domain}: name other "
            "weights or another task."
        )


def _instantiate(node: DictConfig, *args: Any, **kwargs: Any) -> Any:
    options = plain(node)
    options.pop("name", None)
    return instantiate(options, *args, **kwargs)


def _encoder(model: MeteredWorldModel) -> str:
    """The fingerprint of the model's autoencoder; empty if it has none."""
    from world_model.training.latents import encoder_fingerprint

    autoencoder = getattr(model.inner, "autoencoder", None)
    return "" if autoencoder is None else encoder_fingerprint(autoencoder)


def _device(name: str | None) -> str:
    import torch

    return name or ("cuda" if torch.cuda.is_available() else "cpu")
