"""Every world model and memory keeps the laws; a third party's test looks like this."""

from dataclasses import replace

import pytest
import torch

from world_model.api import Memory
from world_model.memory.anchor import AnchorMemory
from world_model.memory.composed import ComposedMemory
from world_model.memory.conditional_rule import ConditionalRule
from world_model.memory.keyed_replay_rule import KeyedReplayRule
from world_model.memory.none import NoMemory
from world_model.memory.paper_rule import PaperRule
from world_model.memory.pose_map import PoseMapMemory
from world_model.memory.pose_weights import PoseWeightsMemory
from world_model.memory.retrieval import RetrievalMemory
from world_model.memory.retrieval_view import RetrievalViewMemory
from world_model.memory.ridge import RidgeMemory
from world_model.memory.sequence_rule import SequenceRule
from world_model.memory.temp_lora import TempLoraMemory
from world_model.phrase_space import PhraseSpace
from world_model.place_matcher import PlaceMatcher
from world_model.testing import (
    MEMORY_LAWS,
    WORLD_MODEL_LAWS,
    check_memory,
    check_world_model,
    episodes_are_isolated,
    random_chunks,
)
from world_model.toy import DotWorldModel

SCROLLS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))


def by_pose(kind, model):
    """A memory by pose of a model whose actions say how they move."""
    space = model.action_space
    model.action_space = PhraseSpace(space.phrases, space.inverses, motions=SCROLLS)
    matcher = PlaceMatcher(motions=SCROLLS, latent_channels=3, width=8)
    generator = torch.Generator().manual_seed(0)
    for parameter in matcher.parameters():  # every memory of a law gets the same
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return kind(model, matcher)


FAST = {"rank": 2, "num_steps": 2, "learning_rate": 1e-2}
MEMORIES = {
    "none": lambda model: NoMemory(),
    "window": lambda model: NoMemory(),
    "anchor": AnchorMemory,
    "anchor of three": lambda model: AnchorMemory(model, num_frames=3),
    "ridge": lambda model: RidgeMemory(model, width=9.0),
    "retrieval": lambda model: RetrievalMemory(model, max_distance=9.0),
    "retrieval_view": lambda model: RetrievalViewMemory(model, max_distance=9.0),
    "pose_map": lambda model: by_pose(PoseMapMemory, model),
    "pose_weights": lambda model: by_pose(PoseWeightsMemory, model),
    "temp_lora": lambda model: TempLoraMemory(
        model, KeyedReplayRule(model, batch_size=4, num_new=2), **FAST
    ),
    "ridge, then temp_lora_paper": lambda model: ComposedMemory(
        RidgeMemory(model, width=9.0), TempLoraMemory(model, PaperRule(model), **FAST)
    ),
    "temp_lora_paper": lambda model: TempLoraMemory(model, PaperRule(model), **FAST),
    "temp_lora_text": lambda model: TempLoraMemory(
        model, ConditionalRule(model), **FAST
    ),
    "temp_lora_frame": lambda model: TempLoraMemory(model, PaperRule(model), **FAST),
    "temp_lora_sequence": lambda model: TempLoraMemory(
        model, SequenceRule(model), **FAST
    ),
    "temp_lora_guided": lambda model: TempLoraMemory(
        model, KeyedReplayRule(model, batch_size=4, num_new=2), guidance=1.0, **FAST
    ),
}
CONTEXT_FRAMES = {"window": 4, "temp_lora_frame": 1}
"""Of memories that are nothing but another length of context, or partly so."""


@pytest.fixture(
    params=["toy", "diffusion", "diffusion, epsilon", "bfloat16", "one context frame"]
)
def model(request, make_tiny):
    if request.param == "toy":
        return DotWorldModel()
    target = "epsilon" if "epsilon" in request.param else "flow"
    num_context_frames = 1 if "one" in request.param else 2
    precision = "bfloat16" if request.param == "bfloat16" else "float32"
    return make_tiny(
        target=target, num_context_frames=num_context_frames, precision=precision
    )


@pytest.mark.parametrize("law", WORLD_MODEL_LAWS, ids=lambda law: law.__name__)
def test_world_models_keep_the_law(model, law):
    law(model, random_chunks(model)[-1].context)


@pytest.mark.parametrize("law", MEMORY_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", MEMORIES)
def test_memories_keep_the_law(make_tiny, name, law):
    model = make_tiny(num_context_frames=CONTEXT_FRAMES.get(name, 2))
    law(lambda: MEMORIES[name](model), model, random_chunks(model))


class Broken(NoMemory):
    """Breaks one law per switch."""

    stores_frames = False

    def __init__(self, fault):
        self.fault = fault
        self.written = []

    def reset(self, num_episodes, *, seeds):
        if self.fault != "reset":
            self.written = []

    def write(self, chunk):
        self.written.append(chunk.frames.mean())

    def read(self, context, actions):
        if self.fault == "read":
            self.written.append(context.latents.mean())
        return None

    def snapshot(self):
        return self.written if self.fault == "alias" else list(self.written)

    def restore(self, state):
        self.written = list(state)

    @property
    def num_bytes(self):
        return len(self.written)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("reset", "Broken law: `reset` forgets"),
        ("read", "Broken law: planning writes"),
        ("alias", "Broken law: a snapshot is independent of later writes"),
        ("grows", "Broken law: a memory without frames does not grow"),
    ],
)
def test_a_broken_memory_is_told_which_law_it_breaks(fault, text):
    model = DotWorldModel()
    with pytest.raises(AssertionError, match=text):
        check_memory(lambda: Broken(fault), model, random_chunks(model))


class Chatty(DotWorldModel):
    """Lets the second candidate see the first."""

    def predict(self, context, actions, **options):
        return super().predict(context, actions[:, :1].expand_as(actions), **options)


def test_a_broken_world_model_is_told_which_law_it_breaks():
    model = Chatty()
    with pytest.raises(AssertionError, match="forked rollouts are isolated"):
        check_world_model(model, random_chunks(model))


@pytest.mark.parametrize("name", sorted(MEMORIES.keys() - {"none", "window"}))
def test_what_was_written_changes_what_is_imagined(make_tiny, name):
    model = make_tiny(num_context_frames=CONTEXT_FRAMES.get(name, 2))
    chunk = random_chunks(model)[0]
    memory: Memory = MEMORIES[name](model)

    def imagined(memory):
        noise = [torch.Generator().manual_seed(i) for i in range(4)]
        actions = chunk.actions[:, None, None]
        return model.rollout(
            chunk.context, actions, memory=memory, generator=noise
        ).latents

    memory.reset(4, seeds=range(4))
    assert torch.equal(imagined(memory), imagined(None))
    memory.write(chunk)
    assert not torch.equal(imagined(memory), imagined(None))


class Told(DotWorldModel):
    """Takes an extra frame for the present view."""

    def predict(self, context, actions, *, reading=None, **options):
        if reading is not None:
            latents = reading.frames.expand_as(context.latents)
            context = replace(context, latents=latents)
        return super().predict(context, actions, **options)


class Careless(AnchorMemory):
    """Mixes episodes up: within a batch, or with those before a reset."""

    def __init__(self, model, fault):
        super().__init__(model)
        self.fault = fault

    def reset(self, num_episodes, *, seeds):
        if self.fault != "keeps" or len(self._anchors) != num_episodes:
            super().reset(num_episodes, seeds=seeds)

    def write(self, chunk):
        if self.fault == "mixes":
            rows = [0] * len(chunk.active)
            chunk = replace(chunk, context=chunk.context.rows(rows))
        super().write(chunk)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("mixes", "Broken law: slots are independent of each other"),
        ("keeps", "Broken law: `reset` forgets"),
    ],
)
def test_a_memory_that_mixes_episodes_up_is_found(fault, text):
    model = Told()
    check_memory(lambda: Careless(model, "none"), model, random_chunks(model))
    with pytest.raises(AssertionError, match=text):
        check_memory(lambda: Careless(model, fault), model, random_chunks(model))


class Alike(DotWorldModel):
    """Shows all episodes the first one."""

    def predict(self, context, actions, **options):
        latents = context.latents[:1].expand_as(context.latents)
        return super().predict(replace(context, latents=latents), actions, **options)


def test_a_world_model_that_shows_all_episodes_the_first_is_found():
    context = random_chunks(Alike())[-1].context
    with pytest.raises(AssertionError, match="episodes of a batch are independent"):
        episodes_are_isolated(Alike(), context)
