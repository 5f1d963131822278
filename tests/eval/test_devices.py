"""Small nets go where the world model's latents are; `meta` stands for a GPU here."""

import contextlib

import hydra
import numpy as np
import pytest
import torch

from eval import build_objective
from eval.build_planner import build_planner
from eval.build_world_model import build_world_model, encoder_of, weights
from planners.subgoals import ALL_AS_SHOWN
from world_model.api import device_of
from world_model.core import Chunk, Context, Goal, Rollout
from world_model.memory.build import build_memory
from world_model.names import CONFIGS
from world_model.plain import plain
from world_model.shards import ShardMeta
from world_model.toy import DotWorldModel
from world_model.training.clips import LatentEpisodes
from world_model.training.queries import ask, latent_model

META = torch.device("meta")


def on_meta(task, memory, *more):
    """The configuration, the shipped model moved to `meta`, and its fingerprint."""
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", [f"task={task}", f"memory={memory}", *more])
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


@pytest.fixture
def values_are_zero(monkeypatch):
    """Values on `meta` can be asked for, and are 0; what mixes devices still fails."""
    tensor = torch.Tensor
    cpu, tolist, item = tensor.cpu, tensor.tolist, tensor.item

    def fetched(x):
        return torch.zeros(x.shape, dtype=x.dtype) if x.device == META else cpu(x)

    monkeypatch.setattr(tensor, "cpu", fetched)
    monkeypatch.setattr(tensor, "tolist", lambda x: tolist(fetched(x)))
    monkeypatch.setattr(tensor, "item", lambda x: item(fetched(x)))
    for name, kind in (("__bool__", bool), ("__float__", float), ("__int__", int)):
        monkeypatch.setattr(tensor, name, lambda x, k=kind: k(item(fetched(x))))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())


def seen(model, shape):
    """Two episodes of one chunk, as environments hand them over: on the CPU."""
    context = Context(
        actions=torch.zeros(2, 0).long(), frames=torch.zeros(2, 1, *shape)
    )
    return Chunk(
        context=context,
        actions=torch.zeros(2).long(),
        frames=torch.zeros(2, model.chunk_length, *shape),
        active=torch.ones(2, dtype=torch.bool),
    )


MEMORIES = (
    "none",
    "anchor",
    "retrieval",
    "retrieval_view",
    "ridge",
    "pose_weights",
    "pose_map",
    "temp_lora",
    "temp_lora_paper",
)


@pytest.mark.parametrize(
    ("task", "name", "shape"),
    [
        *(("scroll_find_seen", name, (3, 8, 8)) for name in MEMORIES),
        ("tabletop_shell_game", "predictive_state", (3, 64, 64)),
        ("tabletop_shell_game", "predictive_state_retrieval", (3, 64, 64)),
    ],
)
@pytest.mark.usefixtures("values_are_zero")
def test_memories_mix_no_devices(task, name, shape):
    cfg, model, encoder = on_meta(task, name)
    folder = weights(cfg, cfg.task.domain)
    memory = build_memory(plain(cfg.memory), model, folder, encoder)
    memory.reset(2, seeds=[0, 1])
    chunk = seen(model, shape)
    memory.write(chunk)
    memory.write(chunk)
    actions = torch.arange(3)[None, :, None].expand(2, 3, 2)
    noise = [torch.Generator().manual_seed(i) for i in range(2)]
    rollout = model.rollout(chunk.context, actions, memory=memory, generator=noise)
    assert rollout.frames.device == META


@pytest.mark.parametrize("name", ["retrieval", "ridge", "pose_weights", "temp_lora"])
@pytest.mark.usefixtures("values_are_zero")
def test_the_loop_asks_memories_where_they_are(name):
    cfg, model, encoder = on_meta("scroll_find_seen", name)
    meta = ShardMeta(
        domain="scroll",
        chunk_length=model.chunk_length,
        phrases=model.config.phrases,
        inverses=model.config.inverses,
        motions=model.config.motions,
        objects=(),
        provenance={},
    )
    data = LatentEpisodes(
        latents=torch.zeros(2, 1 + 8 * meta.chunk_length, 3, 8, 8).half(),
        actions=np.zeros((2, 8), np.int64),
        moved=np.ones((2, 8), bool),
        chunk_length=meta.chunk_length,
        inverses=np.array(meta.inverses),
    )
    latents = latent_model(model.denoiser, meta, 0.5)
    folder = weights(cfg, cfg.task.domain)
    memory = build_memory(plain(cfg.memory), latents, folder, encoder)
    rng = np.random.default_rng(0)
    found = ask(
        memory, data, [0, 1], snapshots=[7], per_snapshot=2, rng=rng, device=META
    )
    assert found.past.device == found.recalled.device == torch.device("cpu")


OPTIMIZERS = (
    "graph_search",
    "tree_search",
    "beam",
    "exhaustive",
    "random_shooting",
    "cem",
    "icem",
    "mppi",
)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.usefixtures("values_are_zero")
def test_planners_mix_no_devices(name):
    cfg, model, _ = on_meta("scroll_find_seen", "none", f"planner/optimizer={name}")
    objective = build_objective.build_objective(cfg, model)
    planner = build_planner(cfg, model, objective)
    words = f"go to the {objective.classifier.config['objects'][0]}"
    plan = planner.plan(
        seen(model, (3, 8, 8)).context,
        Goal((words, words)),
        generator=[torch.Generator().manual_seed(i) for i in range(2)],
        horizon=3,
    )
    assert plan.actions.device.type == plan.costs.device.type == "cpu"


@pytest.mark.usefixtures("values_are_zero")
def test_the_tables_objective_mixes_no_devices(monkeypatch):
    cfg, model, encoder = on_meta(
        "tabletop_shell_game", "none", "planner=mpc_table", "planner.planner.width=2"
    )
    monkeypatch.setattr(build_objective, "encoder_of", lambda _: encoder)
    objective = build_objective.build_objective(cfg, model)
    planner = build_planner(cfg, model, objective)
    context = seen(model, (3, 64, 64)).context.rows([0])
    image = torch.zeros(16, 8, 8, device=META)
    plan = planner.plan(
        context,
        Goal((ALL_AS_SHOWN,), None, (image,)),
        generator=[torch.Generator().manual_seed(0)],
        horizon=2,
    )
    assert plan.costs.device.type == "cpu"
