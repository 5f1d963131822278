"""Small nets go where the world model's latents are; `meta` stands for a GPU here."""

import hydra
import pytest
import torch

from eval import build_objective
from eval.build_world_model import build_world_model, encoder_of, weights
from eval.names import CONFIGS
from world_model.api import device_of
from world_model.core import Context, Goal, Rollout
from world_model.memory.build import build_memory
from world_model.plain import plain
from world_model.toy import DotWorldModel

META = torch.device("meta")


def on_meta(task, memory):
    """The configuration, the shipped model moved to `meta`, and its fingerprint."""
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", [f"task={task}", f"memory={memory}"])
    model = build_world_model(cfg)
    encoder = encoder_of(model)
    model.denoiser.to(META)
    model.autoencoder.to(META)
    return cfg, model, encoder


@pytest.mark.parametrize(
    ("task", "name", "net"),
    [
        ("scroll_find_seen", "pose_weights", "matcher"),
        ("tabletop_shell_game", "predictive_state", "net"),
    ],
)
def test_nets_of_memories_go_where_the_model_is(task, name, net):
    cfg, model, encoder = on_meta(task, name)
    folder = weights(cfg, cfg.task.domain)
    memory = build_memory(plain(cfg.memory), model, folder, encoder)
    assert {p.device for p in getattr(memory, net).parameters()} == {META}


def test_the_classifier_judges_latents_where_they_are():
    cfg, model, _ = on_meta("rooms_find_seen", "none")
    objective = build_objective.build_objective(cfg, model)
    latents = torch.zeros(2, 3, 1, 1, 16, 8, 8, device=META)
    context = Context(actions=torch.zeros(2, 0).long(), latents=latents[:, 0, 0])
    rollout = Rollout(
        context=context,
        actions=torch.zeros(2, 3, 1).long(),
        latents=latents,
        decode=model.decode,
        recalled=torch.zeros(2, 3, 1, dtype=torch.bool),
    )
    words = f"go to the {objective.classifier.config['objects'][0]}"
    costs = objective(rollout, Goal((words, words)))
    assert costs.shape == (2, 3, 1)
    assert costs.device == META


def test_the_position_probe_goes_where_the_model_is(monkeypatch):
    cfg, model, encoder = on_meta("tabletop_shell_game", "none")
    monkeypatch.setattr(build_objective, "encoder_of", lambda _: encoder)
    objective = build_objective.build_objective(cfg, model)
    assert {p.device for p in objective.reader.parameters()} == {META}


def test_a_model_that_does_not_say_where_it_is_stays_on_the_cpu():
    assert device_of(DotWorldModel()) == torch.device("cpu")
