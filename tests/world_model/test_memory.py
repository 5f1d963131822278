"""What the laws of `world_model.testing` cannot see: anchors, retrieval, replay."""

from dataclasses import replace

import pytest
import torch
from gymnasium.spaces import Box

from world_model.core import Context
from world_model.memory.anchor import AnchorMemory
from world_model.memory.conditional_rule import ConditionalRule
from world_model.memory.keyed_replay_rule import KeyedReplayRule
from world_model.memory.keyframes import append
from world_model.memory.paper_rule import PaperRule
from world_model.memory.retrieval import RetrievalMemory
from world_model.memory.retrieval_view import RetrievalViewMemory
from world_model.memory.ridge import RidgeMemory
from world_model.memory.sequence_rule import SequenceRule
from world_model.memory.temp_lora import TempLoraMemory
from world_model.phrase_space import NO_ACTION
from world_model.testing import random_chunks
from world_model.toy import DotWorldModel

UP, DOWN, LEFT, RIGHT = range(4)


def view(value):
    """A latent that can be recognised."""
    return torch.full((3, 8, 8), float(value))


def walk(*steps):
    """Keyframes of (before, action, after, is_fresh)."""
    keys = None
    for before, action, after, is_fresh in steps:
        keys = append(
            keys, view(before), torch.tensor(action), view(after), is_fresh=is_fresh
        )
    return keys


def rule_with(keys, **options):
    rule = KeyedReplayRule(DotWorldModel(), **options)
    rule.load({0: keys})
    return rule


def batch_of(rule, step=0, seed=0):
    return rule.batch(step, [0], [torch.Generator().manual_seed(seed)])


def clips_of(rule, step=0):
    """(views, actions) of every clip."""
    batch = batch_of(rule, step)
    views = batch.latents[0, :, :, 0, 0, 0].tolist()
    return list(
        zip(map(tuple, views), map(tuple, batch.actions[0].tolist()), strict=True)
    )


def test_a_relocation_begins_a_segment():
    keys = walk((0, UP, 1, True), (1, LEFT, 2, False), (7, RIGHT, 8, True))
    assert keys.latents[:, 0, 0, 0].tolist() == [0, 1, 2, 7, 8]
    assert keys.actions.tolist() == [NO_ACTION, UP, LEFT, NO_ACTION, RIGHT]
    assert keys.starts(1).tolist() == [0, 1, 3]
    assert keys.starts(2).tolist() == [0]
    assert keys.starts(9).tolist() == []


def test_a_context_of_one_frame_that_was_seen_last_goes_on():
    keys = walk((0, UP, 1, True), (1, LEFT, 2, True))
    assert keys.actions.tolist() == [NO_ACTION, UP, LEFT]


def test_segments_are_never_joined_in_a_clip():
    keys = walk(
        (0, UP, 1, True), (1, UP, 2, False), (7, UP, 8, True), (8, UP, 9, False)
    )
    rule = rule_with(keys, batch_size=64, num_new=0, reverse=0.5)
    for views, _ in clips_of(rule, 0) + clips_of(rule, 1):
        assert {x >= 7 for x in views} in ({True}, {False})


def test_clips_played_backwards_take_the_inverse_actions():
    keys = walk((0, UP, 1, True), (1, LEFT, 2, False))
    rule = rule_with(keys, batch_size=32, reverse=1.0)
    assert set(clips_of(rule, 0)) == {((1, 0), (DOWN,)), ((2, 1), (RIGHT,))}
    assert set(clips_of(rule, 1)) == {((2, 1, 0), (RIGHT, DOWN))}
    rule = rule_with(keys, batch_size=32, reverse=0.0)
    assert set(clips_of(rule, 1)) == {((0, 1, 2), (UP, LEFT))}


def test_blocked_moves_are_never_played_backwards():
    keys = walk((0, UP, 1, True), (1, LEFT, 1, False))
    rule = rule_with(keys, batch_size=32, reverse=1.0)
    assert ((1, 1), (LEFT,)) in clips_of(rule, 0)
    assert set(clips_of(rule, 1)) == {((0, 1, 1), (UP, LEFT))}


def test_the_newest_chunk_comes_first_and_older_ones_are_replayed():
    keys = walk(*((i, UP, i + 1, i == 0) for i in range(9)))
    rule = rule_with(keys, batch_size=64, num_new=5, reverse=0.0)
    starts = [views[0] for views, _ in clips_of(rule)]
    assert starts[:5] == [8] * 5
    assert len(set(starts[5:])) == 9


def test_the_newest_chunk_counts_even_where_it_has_no_long_past():
    keys = walk((0, UP, 1, True), (1, UP, 2, False), (7, UP, 8, True))
    rule = rule_with(keys, num_new=2, reverse=0.0)
    assert batch_of(rule, step=1).num_past == 1
    assert clips_of(rule, step=1)[0] == ((7, 8), (UP,))


def test_slots_with_other_pasts_do_not_share_a_batch():
    rule = KeyedReplayRule(DotWorldModel())
    long, short = walk((0, UP, 1, True), (1, UP, 2, False)), walk((0, UP, 1, True))
    rule.load({0: long, 1: short, 2: long})
    assert rule.groups(0, [0, 1, 2]) == [[0, 1, 2]]
    assert rule.groups(1, [0, 1, 2]) == [[0, 2], [1]]


def test_the_past_is_clean_and_half_of_the_futures_are_high():
    rule = rule_with(walk((0, UP, 1, True)), batch_size=4000, high_noise=0.5)
    batch = batch_of(rule)
    assert not batch.noise_levels[..., :-1].any()
    assert batch.loss_frames.tolist() == [0, 1]
    high = (batch.noise_levels[..., -1] >= 0.8).float().mean()
    assert high == pytest.approx(0.5 + 0.5 * 0.2, abs=0.03)


@pytest.mark.parametrize(
    "rule", [PaperRule, ConditionalRule, SequenceRule, KeyedReplayRule]
)
def test_an_adapter_does_not_depend_on_its_neighbours(tiny, rule):
    def adapter(chunks):
        memory = TempLoraMemory(tiny, rule(tiny), rank=2, num_steps=3)
        memory.reset(len(chunks[0].active), seeds=range(len(chunks[0].active)))
        for chunk in chunks:
            memory.write(chunk)
        return memory.read(chunks[-1].context, chunks[-1].actions[:, None]).adapter

    chunks = random_chunks(tiny)
    alone = [
        replace(
            x,
            context=Context(x.context.actions[:1], x.context.frames[:1]),
            actions=x.actions[:1],
            frames=x.frames[:1],
            active=x.active[:1],
        )
        for x in chunks
    ]
    a, b = adapter(alone), adapter(chunks)
    assert any(x.abs().max() > 1e-3 for name, x in a.items() if name.endswith(".B"))
    for name in a:
        torch.testing.assert_close(a[name][0], b[name][0], atol=1e-4, rtol=0)


def test_a_write_lowers_the_loss_of_what_was_written(tiny):
    rule = KeyedReplayRule(tiny, batch_size=8)
    memory = TempLoraMemory(tiny, rule, rank=4, num_steps=20, learning_rate=1e-2)
    chunks = random_chunks(tiny, num_episodes=2)
    memory.reset(2, seeds=(0, 1))

    def loss(adapter):
        noise = [torch.Generator().manual_seed(9) for _ in range(2)]
        b = rule.batch(0, [0, 1], noise)
        eps = torch.randn(b.latents.shape, generator=noise[0])
        args = (b.latents, b.actions, b.times, b.noise_levels, eps, adapter, b.num_past)
        with torch.no_grad():
            return float((tiny.write_loss(*args) * b.loss_frames).mean())

    memory.write(chunks[0])
    reading = memory.read(chunks[0].context, chunks[0].actions[:, None])
    assert loss(reading.adapter) < 0.9 * loss({})


def test_nothing_active_is_nothing_written(tiny):
    memory = TempLoraMemory(tiny, KeyedReplayRule(tiny), rank=1, num_steps=1)
    memory.reset(4, seeds=range(4))
    chunk = random_chunks(tiny)[0]
    memory.write(replace(chunk, active=torch.zeros(4, dtype=torch.bool)))
    assert memory.read(chunk.context, chunk.actions[:, None]) is None


def test_anchors_are_the_first_frame_and_the_first_chunk_ends():
    model = DotWorldModel()
    memory = AnchorMemory(model, num_frames=2)
    chunks = random_chunks(model, num_episodes=2)
    memory.reset(2, seeds=(0, 1))
    for chunk in chunks:
        memory.write(chunk)
    reading = memory.read(chunks[-1].context, torch.zeros(2, 3))
    first = torch.stack([chunks[0].context.frames[:, 0], chunks[0].frames[:, -1]], 1)
    assert torch.equal(reading.frames[:, 2], first)


def test_a_slot_without_an_anchor_says_so():
    model = DotWorldModel()
    memory = AnchorMemory(model)
    memory.reset(2, seeds=(0, 1))
    chunk = random_chunks(model, num_episodes=2)[0]
    memory.write(replace(chunk, active=torch.tensor([False, True])))
    reading = memory.read(chunk.context, torch.zeros(2, 3))
    assert reading.frames_valid.tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize(
    ("at", "action", "recalled"),
    [
        (0, UP, 1),  # as it was
        (1.05, DOWN, 0),  # backwards, from almost the same view
        (1, LEFT, 1.2),  # blocked: hardly anything changed ...
        (1.2, RIGHT, None),  # ... so there is nothing to undo
        (2, UP, 3),  # after the relocation
        (1, UP, None),  # no action joins the segments
        (0, RIGHT, None),  # never done here
        (5, UP, None),  # never been here
    ],
)
def test_retrieval_answers_with_the_successor_or_not_at_all(at, action, recalled):
    reading = asked(RetrievalMemory, at, action)
    assert reading.frames_recalled
    assert reading.frames_valid.tolist() == [[recalled is not None]]
    if recalled is not None:
        assert torch.equal(reading.frames[0, 0, 0], view(recalled))


@pytest.mark.parametrize("action", [UP, DOWN, LEFT, RIGHT])
@pytest.mark.parametrize(("at", "nearest"), [(0, 0), (1.05, 1), (2.95, 3), (5, None)])
def test_retrieval_view_answers_with_the_nearest_view_whatever_the_action(
    at, nearest, action
):
    reading = asked(RetrievalViewMemory, at, action)
    assert not reading.frames_recalled
    assert reading.frames_valid.tolist() == [[nearest is not None]]
    if nearest is not None:
        assert torch.equal(reading.frames[0, 0, 0], view(nearest))


def asked(kind, at, action):
    """What a memory of two segments, one of them with a blocked move, says."""
    memory = kind(DotWorldModel(), max_distance=0.01)
    keys = walk((0, UP, 1, True), (1, LEFT, 1.2, False), (2, UP, 3, True))
    memory.restore({1: keys})
    context = Context(torch.zeros(1, 1, 0), latents=view(at)[None, None, None])
    return memory.read(replace(context, slots=(1,)), torch.tensor([[action]]))


@pytest.mark.parametrize("kind", [RetrievalMemory, RetrievalViewMemory])
def test_only_the_successor_is_claimed_to_be_the_end_of_the_chunk(tiny, kind):
    memory, chunks = kind(tiny, max_distance=9.0), random_chunks(tiny)
    memory.reset(4, seeds=range(4))
    for chunk in chunks:
        memory.write(chunk)
    rollout = tiny.rollout(
        chunks[-1].context,
        chunks[-1].actions[:, None, None],
        memory=memory,
        generator=[torch.Generator().manual_seed(i) for i in range(4)],
    )
    assert bool(rollout.recalled.all()) == (kind is RetrievalMemory)
    assert bool(rollout.recalled.any()) == (kind is RetrievalMemory)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (RetrievalMemory, "`RetrievalMemory` needs .* got Box.*: use memory=anchor"),
        (RetrievalViewMemory, "`RetrievalViewMemory` needs actions that are phrases"),
        (RidgeMemory, "`ridge` needs .* phrases, got Box.*: use memory=temp_lora_pap"),
        (KeyedReplayRule, "`KeyedReplayRule` needs .* got Box.*: use `PaperRule`"),
    ],
)
def test_actions_without_inverses_are_refused(make, text):
    model = DotWorldModel()
    model.action_space = Box(-1.0, 1.0, (2,))
    with pytest.raises(ValueError, match=text):
        make(model)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda m: RetrievalMemory(m, max_distance=0), "`max_distance` must be posit"),
        (lambda m: RetrievalViewMemory(m, max_distance=0), "`max_distance` must be p"),
        (lambda m: AnchorMemory(m, num_frames=0), "`num_frames` must be at least 1"),
        *(
            (lambda m, rule=rule: rule(m, batch_size=0), "`batch_size` .* 1, got 0")
            for rule in (PaperRule, ConditionalRule, SequenceRule, KeyedReplayRule)
        ),
        (lambda m: KeyedReplayRule(m, num_new=13), r"in \[0, batch_size=12\], got 13"),
        (
            lambda m: TempLoraMemory(m, PaperRule(m), rank=0),
            "`rank` must be at least 1",
        ),
        (
            lambda m: TempLoraMemory(m, PaperRule(m), layers=["conv"]),
            r"`layers` must be parts of layer names, got \['conv'\] and none fits",
        ),
    ],
)
def test_impossible_options_are_refused(tiny, make, text):
    with pytest.raises(ValueError, match=text):
        make(tiny)
