"""Models, memories and planners give on another device what they give on the CPU.

The device is one made of the CPU (`tests.another_device`) that refuses what a GPU does.
Torch keeps it once it is there: `test_devices.py` runs these in a process of their own.
"""

import hydra
import numpy as np
import pytest
import torch

from eval.build_objective import build_objective
from eval.build_planner import build_planner
from eval.build_world_model import build_world_model, encoder_of, weights
from planners.subgoals import ALL_AS_SHOWN
from tests.another_device import DEVICE
from world_model.api import device_of
from world_model.core import Chunk, Context, Goal
from world_model.memory.build import build_memory
from world_model.names import CONFIGS
from world_model.plain import plain
from world_model.shards import ShardMeta
from world_model.toy import DotWorldModel
from world_model.training.episodes import LatentEpisodes
from world_model.training.queries import ask, latent_model

CPU = torch.device("cpu")


def composed(device, *overrides):
    """The configuration of a run on a device."""
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra.compose("eval", [*overrides, f"world_model.device={device}"])


def memory_of(cfg, model):
    folder = weights(cfg, cfg.task.domain)
    return build_memory(plain(cfg.memory), model, folder, encoder_of(model))


def seen(model, seed=0):
    """Two episodes of one chunk, as environments hand them over: on the CPU."""
    size = 8 if model.config.domain == "scroll" else 64
    rng = torch.Generator().manual_seed(seed)
    frames = torch.rand(2, 1 + model.chunk_length, 3, size, size, generator=rng) * 2 - 1
    context = Context(actions=torch.zeros(2, 0).long(), frames=frames[:, :1])
    return Chunk(
        context=context,
        actions=torch.zeros(2).long(),
        frames=frames[:, 1:],
        active=torch.ones(2, dtype=torch.bool),
    )


def noise():
    return [torch.Generator().manual_seed(i) for i in range(2)]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([there, here]),
        lambda here, there: here[there.long()],
        lambda here, there: torch.where(here > 0, there, there),
        lambda here, there: torch.randn(2, generator=noise()[0], device=DEVICE),
        lambda here, there: there.numpy(),
    ],
)
def test_what_a_gpu_refuses_the_device_refuses(mixed):
    with pytest.raises(RuntimeError, match=r"same device|device type|not supported"):
        mixed(torch.ones(3), torch.ones(3, device=DEVICE))


def test_what_a_gpu_takes_the_device_takes():
    there = torch.arange(3.0, device=DEVICE)
    there[torch.tensor([0, 1])] = 5  # indices may lie on the CPU
    there += torch.tensor(1.0)  # and so may scalars
    assert there.device == DEVICE
    assert there.tolist() == there.cpu().tolist() == [6, 6, 3]


@pytest.mark.parametrize(
    ("task", "name", "net"),
    [
        ("scroll_find_seen", "pose_weights", "matcher"),
        ("tabletop_shell_game", "predictive_state", "net"),
    ],
)
def test_nets_of_memories_go_where_the_model_is(task, name, net):
    cfg = composed(DEVICE, f"task={task}", f"memory={name}")
    memory = memory_of(cfg, build_world_model(cfg))
    assert {p.device for p in getattr(memory, net).parameters()} == {DEVICE}


def test_a_model_that_does_not_say_where_it_is_stays_on_the_cpu():
    assert device_of(DotWorldModel()) == CPU


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
    "temp_lora_sequence",
    "temp_lora_text",
)


def imagined(device, task, name):
    """What a model imagines with a memory that has been written twice."""
    cfg = composed(device, f"task={task}", f"memory={name}")
    if "num_steps" in cfg.memory:
        cfg.memory.num_steps = 2
    model = build_world_model(cfg)
    memory = memory_of(cfg, model)
    memory.reset(2, seeds=[0, 1])
    chunk = seen(model)
    memory.write(chunk)
    memory.write(seen(model, seed=1))
    actions = torch.arange(3)[None, :, None].expand(2, 3, 2)
    rollout = model.rollout(chunk.context, actions, memory=memory, generator=noise())
    assert rollout.frames.device == device
    return rollout.frames.cpu()


@pytest.mark.parametrize(
    ("task", "name"),
    [
        *(("scroll_find_seen", name) for name in MEMORIES),
        ("rooms_find_seen", "pose_weights"),
        ("tabletop_shell_game", "predictive_state"),
        ("tabletop_shell_game", "predictive_state_retrieval"),
    ],
)
def test_memories_give_the_same_on_another_device(task, name):
    assert torch.equal(imagined(DEVICE, task, name), imagined(CPU, task, name))


def asked(device, name):
    """What a memory answers in the slow-fast loop."""
    cfg = composed(device, "task=scroll_find_seen", f"memory={name}")
    model = build_world_model(cfg)
    meta = ShardMeta(
        domain="scroll",
        chunk_length=model.chunk_length,
        phrases=model.config.phrases,
        inverses=model.config.inverses,
        motions=model.config.motions,
        objects=(),
        provenance={},
    )
    rng = torch.Generator().manual_seed(0)
    frames = 1 + 8 * meta.chunk_length
    data = LatentEpisodes(
        latents=torch.rand(2, frames, 3, 8, 8, generator=rng).half(),
        actions=np.zeros((2, 8), np.int64),
        moved=np.ones((2, 8), bool),
        chunk_length=meta.chunk_length,
        inverses=np.array(meta.inverses),
    )
    latents = latent_model(model.denoiser, meta, 0.5)
    folder = weights(cfg, cfg.task.domain)
    memory = build_memory(plain(cfg.memory), latents, folder, encoder_of(model))
    rng = np.random.default_rng(0)
    return ask(
        memory, data, [0, 1], snapshots=[7], per_snapshot=2, rng=rng, device=device
    )


@pytest.mark.parametrize("name", ["retrieval", "ridge", "pose_weights"])
def test_the_loop_asks_memories_where_they_are(name):
    here, there = asked(CPU, name), asked(DEVICE, name)
    assert there.past.device == there.recalled.device == CPU
    assert torch.equal(here.past, there.past)
    assert torch.equal(here.recalled, there.recalled)


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


def planned(device, *overrides, goal=None):
    """The plan of a first decision."""
    cfg = composed(device, "memory=none", *overrides)
    model = build_world_model(cfg)
    objective = build_objective(cfg, model)
    planner = build_planner(cfg, model, objective)
    if goal is None:
        words = f"go to the {objective.classifier.config['objects'][0]}"
        goal = Goal((words, words))
    plan = planner.plan(seen(model).context, goal, generator=noise(), horizon=3)
    assert plan.actions.device == plan.costs.device == CPU
    return plan


def assert_same_plan(here, there):
    assert torch.equal(here.actions, there.actions)
    assert torch.equal(here.lengths, there.lengths)
    assert torch.equal(here.costs, there.costs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_planners_plan_the_same_on_another_device(name):
    chosen = ("task=scroll_find_seen", f"planner/optimizer={name}")
    assert_same_plan(planned(CPU, *chosen), planned(DEVICE, *chosen))


@pytest.mark.parametrize(
    "planner",
    [("planner=mpc_table", "planner.planner.width=2"), ("planner=video_plan_table",)],
)
def test_the_table_is_planned_the_same_on_another_device(planner):
    rng = torch.Generator().manual_seed(2)
    image = torch.rand(16, 8, 8, generator=rng)
    plans = [
        planned(
            device,
            "task=tabletop_swap_back",
            *planner,
            goal=Goal((ALL_AS_SHOWN,) * 2, None, (image.to(device),) * 2),
        )
        for device in (CPU, DEVICE)
    ]
    assert_same_plan(*plans)
