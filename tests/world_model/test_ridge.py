"""Closed-form fast weights: what they answer, and when they are silent."""

import pytest
import torch

from world_model.core import Chunk, Context
from world_model.memory.ridge import RidgeMemory
from world_model.toy import DotWorldModel

UP, DOWN, LEFT, RIGHT = range(4)


def view(name):
    """A view unlike all others."""
    seed = int.from_bytes(str(name).encode(), "big") % 2**31
    return torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(seed))


def chunk(*steps):
    """One chunk per slot: (before, action, after), or None for a resting slot."""
    filled = [step or ("a", UP, "a") for step in steps]
    before, actions, after = zip(*filled, strict=True)
    frames = torch.stack([view(x) for x in before])[:, None]
    return Chunk(
        context=Context(torch.zeros(len(steps), 0, dtype=torch.long), frames=frames),
        actions=torch.tensor(actions),
        frames=torch.stack([view(x) for x in after])[:, None].expand(-1, 2, -1, -1, -1),
        active=torch.tensor([step is not None for step in steps]),
    )


def written(*chunks, **options):
    memory = RidgeMemory(DotWorldModel(), **options)
    memory.reset(len(chunks[0].active), seeds=range(len(chunks[0].active)))
    for x in chunks:
        memory.write(x)
    return memory


def ask(memory, at, action, slot=0):
    """(known?, recalled view)."""
    context = Context(torch.zeros(1, 1, 0), latents=at[None, None, None], slots=(slot,))
    reading = memory.read(context, torch.tensor([[action]]))
    return bool(reading.frames_valid), reading.frames[0, 0, 0]


def error(a, b):
    return float((a - b).square().mean())


WALK = [(i, [UP, LEFT, RIGHT, DOWN][i % 4], i + 1) for i in range(12)]


def test_what_was_done_is_recalled_forwards_and_backwards():
    memory = written(*(chunk(step) for step in WALK))
    undo = {UP: DOWN, DOWN: UP, LEFT: RIGHT, RIGHT: LEFT}
    for before, action, after in WALK:
        for at, done, expected in (
            (before, action, after),
            (after, undo[action], before),
        ):
            known, recalled = ask(memory, view(at), done)
            assert known
            assert error(recalled, view(expected)) < 0.3 * error(view(0), view(99))


def test_it_is_silent_about_other_views_and_other_actions():
    memory = written(*(chunk(step) for step in WALK))
    for before, action, _ in WALK:
        others = {UP, DOWN, LEFT, RIGHT} - {action, WALK[before - 1][1] ^ 1}
        assert not any(ask(memory, view(before), other)[0] for other in others)
    assert not any(ask(memory, view(-i), UP)[0] for i in range(1, 20))


def test_a_slightly_different_view_is_the_same_place():
    memory = written(*(chunk(step) for step in WALK))
    known, recalled = ask(memory, view(0) + 0.2 * view("noise"), UP)
    assert known
    assert error(recalled, view(1)) < error(recalled, view(2))


def test_the_order_of_writes_does_not_matter():
    one = written(*(chunk(step) for step in WALK))
    two = written(*(chunk(step) for step in reversed(WALK)))
    a, b = (ask(memory, view(3), DOWN)[1] for memory in (one, two))
    torch.testing.assert_close(a, b, atol=0.05, rtol=0)


def test_a_blocked_action_is_not_undone():
    memory = written(chunk((0, UP, 0)))
    assert ask(memory, view(0), UP)[0]
    assert not ask(memory, view(0), DOWN)[0]


def test_it_does_not_grow():
    short = written(chunk(WALK[0]), dim=16)
    long = written(*(chunk(step) for step in WALK), dim=16)
    assert short.num_bytes == long.num_bytes == 2 * 16 * (16 + 3 * 8 * 8)


@pytest.mark.parametrize(
    ("name", "rule"),
    [("dim", "at least 1"), ("width", "positive"), ("penalty", "positive")],
)
def test_impossible_values_are_refused(name, rule):
    with pytest.raises(ValueError, match=f"`{name}` must be {rule}, got 0"):
        RidgeMemory(DotWorldModel(), **{name: 0})
