"""The laws of world models, tried on noise in the form of the task's images."""

from __future__ import annotations

from omegaconf import DictConfig

from envs.domains import any_domain_class
from eval.build_world_model import build_world_model
from eval.laws.example import Example
from world_model.testing import WORLD_MODEL_LAWS, random_chunks

LAWS = WORLD_MODEL_LAWS


def examples(cfg: DictConfig) -> list[Example]:
    """Contexts for the world model of `cfg.world_model`.

    Raises:
        ValueError: If the model reads simulator states, which noise has none of.
    """
    model = build_world_model(cfg)
    if model.privileged:
        raise ValueError(
            f"`world_model={cfg.world_model.name}` must not read simulator states to "
            "be checked, got privileged = True: test it in an environment."
        )
    height, width, channels = any_domain_class(cfg.task.domain).frame_shape
    found = []
    for b in (1, 2):
        shape = (channels, height, width)
        chunks = random_chunks(model, image_shape=shape, num_episodes=b, num_chunks=b)
        text = f"noise of {cfg.task.domain}, B={b}, N=3, T=2, {b} context frames"
        found.append(Example(text, (model, chunks[-1].context)))
    return found
