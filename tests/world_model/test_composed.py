"""`ComposedMemory`: who is asked, and what cannot be put together."""

import pytest
import torch

from world_model.core import Context, Moment, Reading
from world_model.memory.anchor import AnchorMemory
from world_model.memory.composed import ComposedMemory
from world_model.memory.none import NoMemory
from world_model.memory.retrieval import RetrievalMemory
from world_model.memory.ridge import RidgeMemory
from world_model.testing import random_chunks
from world_model.toy import DotWorldModel


class Says(NoMemory):
    """Always reads the same, and knows one moment."""

    stores_frames = False

    def __init__(self, reading, *, moment=None):
        self.reading, self.moment = reading, moment

    def read(self, context, actions):
        return self.reading

    def recall(self, slot, moment):
        return torch.full((1,), 7.0) if moment.step == self.moment else None


def frames(value, *valid, recalled=True, count=1):
    """Extra frames of one value for as many candidates as `valid` says."""
    return Reading(
        frames=torch.full((1, len(valid), count, 3, 8, 8), float(value)),
        frames_valid=torch.tensor([valid]),
        frames_recalled=recalled,
    )


def read(*readings):
    context = Context(actions=torch.zeros(1, 3, 0).long())
    memory = ComposedMemory(*(Says(x) for x in readings))
    return memory.read(context, torch.arange(3)[None])


def test_the_second_is_asked_where_the_first_is_silent():
    both = read(frames(1, True, False, False), frames(2, True, True, False))
    assert both.frames_valid.tolist() == [[True, True, False]]
    assert both.frames[0, :2, 0, 0, 0, 0].tolist() == [1, 2]
    assert both.frames_recalled


@pytest.mark.parametrize("first", [True, False])
def test_one_that_says_nothing_leaves_the_other_as_it_is(first):
    known = frames(1, True, False, True)
    assert read(*((known, None) if first else (None, known))) is known
    assert read(None, None) is None


@pytest.mark.parametrize("first", [True, False])
def test_frames_and_weights_are_read_together(first):
    weights = Reading(adapter={"layer.A": torch.ones(1, 2, 3)}, guidance=0.5)
    known = frames(1, True, False, True)
    both = read(*((known, weights) if first else (weights, known)))
    assert both.adapter is weights.adapter
    assert both.guidance == 0.5
    assert both.frames is known.frames
    assert both.frames_valid is known.frames_valid
    assert both.frames_recalled


def test_two_adapters_are_refused():
    weights = Reading(adapter={"layer.A": torch.ones(1, 2, 3)})
    with pytest.raises(ValueError, match="one at most may give `adapter`, got it from"):
        read(weights, weights)


@pytest.mark.parametrize("other", [{"recalled": False}, {"count": 2}])
def test_frames_of_two_kinds_are_refused(other):
    known = frames(1, True, True, True)
    with pytest.raises(ValueError, match="must be of one kind, got .* Says and Says"):
        read(known, frames(2, True, True, True, **other))


def test_moments_are_asked_of_the_first_then_of_the_second():
    memory = ComposedMemory(Says(None, moment=0), Says(None, moment=2))
    known = [memory.recall(0, Moment(step)) is not None for step in range(3)]
    assert known == [True, False, True]


def test_it_is_as_large_and_stores_as_much_as_both():
    model = DotWorldModel()
    ridge, retrieval = RidgeMemory(model, width=9.0), RetrievalMemory(model)
    both = ComposedMemory(ridge, retrieval)
    both.reset(2, seeds=[0, 1])
    for chunk in random_chunks(model):
        both.write(chunk)
    assert both.num_bytes == ridge.num_bytes + retrieval.num_bytes > 0
    assert both.stores_frames
    assert not ComposedMemory(ridge, NoMemory()).stores_frames
    assert not both.privileged


def test_anchor_and_retrieval_cannot_be_composed():
    model = DotWorldModel()
    chunks = random_chunks(model)
    memory = ComposedMemory(AnchorMemory(model), RetrievalMemory(model))
    memory.reset(len(chunks[0].actions), seeds=range(len(chunks[0].actions)))
    for chunk in chunks:
        memory.write(chunk)
    context = chunks[-1].context
    with pytest.raises(ValueError, match="AnchorMemory and RetrievalMemory"):
        model.rollout(
            context,
            torch.zeros(len(context.actions), 1, 1).long(),
            memory=memory,
            generator=[torch.Generator() for _ in context.actions],
        )
