"""Configuration -> the objective of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from eval.build_world_model import encoder_of, weights
from eval.make_part import instantiate_node, make_part
from world_model.api import WorldModel, device_of
from world_model.policy_api import Objective

if TYPE_CHECKING:
    from world_model.classifier import GoalClassifier

# Networks are imported where they are loaded: a run that is refused need not wait.
READS_WORDS = "planners.objectives.SuccessClassifier"
"""The objective that is made from a classifier and takes no goal image."""
READS_PLACES = "planners.arrangement.Arrangement"
"""The objective that is made from a position probe."""


def reads_image(cfg: DictConfig) -> bool:
    """Whether the objective looks at a goal image that the task shows."""
    from envs.tasks import find_task

    if cfg.objective["_target_"] == READS_PLACES:
        # What a cup hides is asked in words, which it reads alone.
        return bool(getattr(find_task(cfg.task.kind), "recalls_starts", True))
    return bool(cfg.objective["_target_"] != READS_WORDS)


def build_objective(cfg: DictConfig, model: WorldModel) -> Objective:
    """The objective of `cfg.objective`."""
    if cfg.objective["_target_"] == READS_WORDS:
        from world_model.classifier import load_classifier

        folder = weights(cfg, cfg.task.domain) / "classifier"
        classifier = load_classifier(folder, device=device_of(model))
        _check_latents(classifier, model, cfg)
        return instantiate_node(cfg.objective, classifier)
    if cfg.objective["_target_"] == READS_PLACES:
        from world_model.position_probe import load_position_probe

        folder = weights(cfg, cfg.task.domain) / "position_probe"
        probe = load_position_probe(
            folder, encoder=encoder_of(model) or None, device=device_of(model)
        )
        return instantiate_node(cfg.objective, model, probe, probe.config["objects"])
    return make_part("objective", cfg.objective, Objective, model)


def _check_latents(
    classifier: GoalClassifier, model: WorldModel, cfg: DictConfig
) -> None:
    """Refuses a classifier of other latents than the model's."""
    import torch

    from envs.domains import any_domain_class

    height, width, channels = any_domain_class(cfg.task.domain).frame_shape
    blank = torch.zeros(1, channels, height, width, device=device_of(model))
    latents = model.encode(blank)
    size = classifier.config["latent_size"]
    wanted = (classifier.config["latent_channels"], size, size)
    if tuple(latents.shape[1:]) != wanted:
        raise ValueError(
            f"`objective=success_classifier` must be trained on the latents of the "
            f"world model, {tuple(latents.shape[1:])}, got {wanted}: use another "
            "objective or let `world_model.weights` name a folder with a classifier."
        )
