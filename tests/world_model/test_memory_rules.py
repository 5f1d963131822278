"""What the forms of Temp-LoRA that are published train on, and what they keep."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_model.core import Chunk, Context
from world_model.memory.conditional_rule import ConditionalRule
from world_model.memory.paper_rule import PaperRule
from world_model.memory.sequence_rule import SequenceRule
from world_model.memory.temp_lora import TempLoraMemory
from world_model.testing import random_chunks
from world_model.toy import DotWorldModel

NEWEST_ONLY = (PaperRule, ConditionalRule)
NUM_FUTURE = 2
"""Frames per chunk."""


def episode(num_chunks, num_slots=1, num_context_frames=2, active=None):
    """Chunks of frames that show 100 x slot + time; action t led to chunk t."""
    times = torch.arange(1 + num_chunks * NUM_FUTURE)
    values = 100 * torch.arange(num_slots)[:, None] + times
    frames = values[..., None, None, None].float().expand(-1, -1, 3, 8, 8)
    ends = frames[:, ::NUM_FUTURE]
    actions = torch.arange(num_chunks).expand(num_slots, -1)
    return [
        Chunk(
            context=Context(actions[:, :t], ends[:, : t + 1]).last(num_context_frames),
            actions=actions[:, t],
            frames=frames[:, t * NUM_FUTURE + 1 : (t + 1) * NUM_FUTURE + 1],
            active=torch.tensor(active[t] if active else [True] * num_slots),
        )
        for t in range(num_chunks)
    ]


def told(rule, chunks):
    for chunk in chunks:
        rule.add(chunk)
    return rule


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def shown(batch):
    """What the frames of every clip show, (S, M, L)."""
    return batch.latents[..., 0, 0, 0].tolist()


@pytest.mark.parametrize("kind", NEWEST_ONLY)
def test_only_the_newest_chunk_is_trained_on(kind):
    rule = told(kind(DotWorldModel(), batch_size=2), episode(4, num_slots=3))
    assert rule.groups(0, [2, 0]) == [[2, 0]]
    batch = rule.batch(0, [2, 0], generators(0, 1))
    assert shown(batch) == [[[204, 206, 207, 208]] * 2, [[4, 6, 7, 8]] * 2]
    assert batch.num_past == 2
    assert batch.times.tolist() == [[[0, 0, 0.5, 1]] * 2] * 2


def test_the_papers_form_noises_all_at_one_level_and_tells_no_action():
    rule = told(PaperRule(DotWorldModel(), batch_size=3), episode(2, num_slots=2))
    batch = rule.batch(0, [0, 1], generators(0, 1))
    assert batch.actions is None
    assert (batch.noise_levels == batch.noise_levels[..., :1]).all()
    assert batch.noise_levels[..., 0].unique().numel() == 6
    assert batch.loss_frames.tolist() == [1, 1, 1, 1]


def test_the_conditional_form_keeps_the_past_clean_and_tells_the_action():
    rule = told(ConditionalRule(DotWorldModel(), batch_size=3), episode(3, num_slots=2))
    batch = rule.batch(0, [0, 1], generators(0, 1))
    assert batch.actions.tolist() == [[[1, 2, 2]] * 3] * 2
    assert not batch.noise_levels[..., :2].any()
    assert (batch.noise_levels[..., 2] == batch.noise_levels[..., 3]).all()
    assert batch.noise_levels[..., 2].unique().numel() == 6
    assert batch.loss_frames.tolist() == [0, 0, 1, 1]


def test_the_two_forms_differ_in_action_past_and_loss_alone():
    chunks = episode(3)
    joint, conditional = (
        told(kind(DotWorldModel(), batch_size=5), chunks).batch(0, [0], generators(7))
        for kind in NEWEST_ONLY
    )
    assert torch.equal(joint.latents, conditional.latents)
    assert torch.equal(joint.times, conditional.times)
    assert torch.equal(joint.noise_levels[..., 2:], conditional.noise_levels[..., 2:])


def test_the_conditional_form_tells_actions_that_are_vectors():
    rule = ConditionalRule(DotWorldModel(), batch_size=2)
    frames = torch.zeros(1, NUM_FUTURE, 3, 8, 8)
    context = Context(torch.tensor([[[0.1, 0.2]]]), frames)
    rule.add(Chunk(context, torch.tensor([[0.3, 0.4]]), frames, torch.tensor([True])))
    (slot,) = rule.batch(0, [0], generators(0)).actions
    expected = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.3, 0.4]])
    assert torch.equal(slot, expected.expand(2, -1, -1))


def test_where_the_model_sees_one_frame_the_write_does_too():
    rule = told(PaperRule(DotWorldModel()), episode(4, num_context_frames=1))
    batch = rule.batch(0, [0], generators(0))
    assert shown(batch) == [[[6, 7, 8]]]
    assert (batch.num_past, batch.times.tolist()) == (1, [[[0, 0.5, 1]]])
    assert batch.loss_frames.tolist() == [1, 1, 1]


def test_a_sequence_is_drawn_from_in_equal_parts_each_chunk_with_its_context():
    rule = told(SequenceRule(DotWorldModel()), episode(3, num_slots=2))
    noise = generators(0)
    drawn = [tuple(shown(rule.batch(0, [1], noise))[0][0]) for _ in range(900)]
    clips = {(100, 101, 102), (100, 102, 103, 104), (102, 104, 105, 106)}
    assert set(drawn) == clips
    for clip in clips:
        assert drawn.count(clip) == pytest.approx(300, abs=60)  # 4 deviations


def test_a_sequence_is_trained_on_in_the_papers_form():
    sequence, paper = (
        told(kind(DotWorldModel(), batch_size=3), episode(1))
        for kind in (SequenceRule, PaperRule)
    )
    noise = generators(5)
    torch.randint(1, (), generator=noise[0])  # the choice among one
    a, b = sequence.batch(0, [0], generators(5)), paper.batch(0, [0], noise)
    for name, value in vars(b).items():
        same = torch.equal if torch.is_tensor(value) else lambda x, y: x == y
        assert same(getattr(a, name), value), name


def test_slots_of_a_sequence_are_drawn_one_by_one():
    rule = told(SequenceRule(DotWorldModel()), episode(2, num_slots=3))
    assert rule.groups(0, [0, 2]) == [[0], [2]]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_a_sequence_keeps_every_chunk_of_its_active_slots_and_says_so(active):
    chunks = episode(len(active), num_slots=2, active=active)
    rule = told(SequenceRule(DotWorldModel()), chunks)
    sizes = [0]
    for slot in range(2):
        kept = [
            torch.cat(pair)[:, 0, 0, 0].tolist() for pair in rule.state().get(slot, ())
        ]
        happened = [c for c, flags in zip(chunks, active, strict=True) if flags[slot]]
        frames = [torch.cat([c.context.frames, c.frames], 1)[slot] for c in happened]
        assert kept == [x[:, 0, 0, 0].tolist() for x in frames]
        sizes.append(sum(map(len, kept)) * 3 * 8 * 8 * 4)
    assert rule.num_bytes == max(sizes)


def test_a_sequence_keeps_its_own_frames_alone():
    rule = told(SequenceRule(DotWorldModel()), episode(2, num_slots=5))
    pairs = [pair for pairs in rule.state().values() for pair in pairs]
    assert all(x.untyped_storage().nbytes() == x.nbytes for pair in pairs for x in pair)


def test_what_a_sequence_holds_can_be_put_back():
    rule = told(SequenceRule(DotWorldModel()), episode(2))
    state = rule.state()
    rule.add(episode(3)[2])
    assert [len(x[0]) for x in (state, rule.state())] == [2, 3]
    rule.load(state)
    assert len(rule.state()[0]) == 2
    rule.load({})
    assert (rule.state(), rule.num_bytes) == ({}, 0)


@pytest.mark.parametrize("kind", NEWEST_ONLY)
def test_forms_of_the_newest_chunk_keep_nothing_between_writes(tiny, kind):
    memory = TempLoraMemory(tiny, kind(tiny), rank=1, num_steps=1)
    memory.reset(4, seeds=range(4))
    sizes = set()
    for chunk in random_chunks(tiny):
        memory.write(chunk)
        sizes.add(memory.num_bytes)
        kept = {k: v for k, v in vars(memory.rule).items() if k.startswith("_")}
        assert set(kept.values()) <= {None}
        assert (memory.rule.state(), memory.rule.num_bytes) == ({}, 0)
    assert len(sizes) == 1
    assert not memory.stores_frames


def test_a_sequence_grows_by_the_frames_it_keeps(tiny):
    memory = TempLoraMemory(tiny, SequenceRule(tiny), rank=1, num_steps=1)
    memory.reset(4, seeds=range(4))
    sizes = [memory.num_bytes]
    for chunk in random_chunks(tiny):
        memory.write(chunk)
        sizes.append(memory.num_bytes)
    frame = 3 * 8 * 8 * 4
    grown = [b - a for a, b in zip(sizes, sizes[1:], strict=False)]
    assert grown == [3 * frame, 4 * frame, 4 * frame]  # context and chunk
    assert memory.stores_frames


class Ruler(DotWorldModel):
    """Fast weights of one layer; the loss of a frame is what it shows times their sum.

    So the gradient of a write is the mean of what the frames in the loss show.
    """

    device = torch.device("cpu")

    def attach_adapter(self):
        return {"layer": (1, 1)}

    def write_loss(self, latents, actions, times, levels, noise, adapter, num_past):
        weight = sum(x.sum(dim=(1, 2)) for x in adapter.values())
        return 1e-6 * latents[..., 0, 0, 0] * weight[:, None, None]


@pytest.mark.parametrize(
    ("kind", "means"),
    [
        (PaperRule, {(2 + 4 + 5 + 6) / 4}),
        (ConditionalRule, {(5 + 6) / 2}),
        (SequenceRule, {(0 + 1 + 2) / 3, (0 + 2 + 3 + 4) / 4, (2 + 4 + 5 + 6) / 4}),
    ],
)
def test_a_write_is_a_step_down_the_mean_loss_of_its_frames(kind, means):
    *before, newest = episode(3)
    found = set()
    for seed in range(20):
        rule = kind(Ruler())
        memory = TempLoraMemory(Ruler(), rule, rank=1, num_steps=1, learning_rate=0.1)
        memory.reset(1, seeds=[seed])
        told(rule, before)
        memory.write(newest)
        latents = newest.context.frames[:, None]
        context = Context(newest.context.actions[:, None], latents=latents)
        reading = memory.read(context, newest.actions[:, None])
        step = -float(reading.adapter["layer.B"]) / 0.1  # Adam's first: g / (|g| + eps)
        found.add(round(1e-5 * step / (1 - step) / 1e-6, 3))
    assert found == {round(mean, 3) for mean in means}


def test_guidance_changes_the_reading_and_not_the_write(tiny):
    def reading(guidance):
        memory = TempLoraMemory(
            tiny, PaperRule(tiny), rank=1, num_steps=1, guidance=guidance
        )
        memory.reset(4, seeds=range(4))
        chunk = random_chunks(tiny)[0]
        memory.write(chunk)
        return memory.read(chunk.context, chunk.actions[:, None])

    plain, guided = reading(0.0), reading(1.0)
    assert (plain.guidance, guided.guidance) == (0.0, 1.0)
    for name, weights in plain.adapter.items():
        assert torch.equal(weights, guided.adapter[name])
