"""The predictive state learns from images to follow what is moved unseen."""

import csv
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch

from world_model.core import Chunk, Context
from world_model.memory.build import build_memory
from world_model.memory.predictive_state import PredictiveStateMemory
from world_model.predictive_state import (
    GRID,
    PredictiveStateNet,
    cells_of,
    load_predictive_state,
)
from world_model.shards import ShardMeta, write_meta
from world_model.testing import MEMORY_LAWS, random_chunks
from world_model.training.predictive_state import (
    PredictiveStateConfig,
    Sights,
    fit_predictive_state,
    places,
    train_predictive_state,
)

SWAPS = ((0, 1), (0, 2), (1, 2))
PHRASES = (*(f"swap {i} and {j}" for i, j in SWAPS), "lift 0", "lift 1", "lift 2")
COLUMNS = (1, 3, 6)
"""Of the three cups, in images of 8 x 8; they stand in row 4."""
COLOURS = torch.eye(3) * 2 - 1
CONFIG = PredictiveStateConfig(
    num_steps=400,
    num_carry_steps=300,
    num_episodes=48,
    learning_rate=6e-3,
    width=24,
    code_size=4,
)


def image(contents, up):
    """The cups that are up show their colour; the others are white, all else grey."""
    view = torch.zeros(3, 8, 8)
    for i, column in enumerate(COLUMNS):
        view[:, 4, column] = COLOURS[contents[i]] if i in up else 1.0
    return view


def episode(rng, length):
    """Views (T + 1, 3, 8, 8) and actions; cups are closed by the next action."""
    contents = torch.randint(3, (3,), generator=rng).tolist()
    views, actions = [image(contents, {0, 1, 2})], []
    for _ in range(length):
        action = int(torch.randint(len(PHRASES), (), generator=rng))
        if action < len(SWAPS):
            i, j = SWAPS[action]
            contents[i], contents[j] = contents[j], contents[i]
        views.append(image(contents, {action - len(SWAPS)}))
        actions.append(action)
    return torch.stack(views), torch.tensor(actions)


def sights(count, seed, length=12):
    rng = torch.Generator().manual_seed(seed)
    views, actions = zip(*(episode(rng, length) for _ in range(count)), strict=True)
    latents = torch.stack(views)
    cells = cells_of(latents.flatten(0, 1)).unflatten(0, latents.shape[:2])
    return Sights(cells, latents, torch.stack(actions))


def make_net(**options):
    given = {"phrases": PHRASES, "tests": (3, 4, 5), "cells": (0, 1, 2)}
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return PredictiveStateNet(
            **given | {"latent_channels": 3, "code_size": 2, "width": 8} | options
        )


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A net fitted to 160 episodes, and the folder of its log."""
    folder = tmp_path_factory.mktemp("learned")
    net = fit_predictive_state(sights(160, 0), {"phrases": PHRASES}, CONFIG, folder)
    return net, folder


def test_an_action_has_its_place_where_its_ends_differ():
    data = sights(60, 1)
    found = places(data, len(PHRASES), min_count=20)
    for cup, column in enumerate(COLUMNS):
        row, place = divmod(found[3 + cup], GRID)
        assert row // 2 == 4
        assert place // 2 == column
    data.actions[data.actions == 0] = 1
    assert 0 not in places(data, len(PHRASES), min_count=20)


def test_only_what_uncovers_keeps_a_slot(learned):
    net, folder = learned
    assert net.config["tests"] == [3, 4, 5]
    with (folder / "predictive_state.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["tests"]) == int(rows[-1]["kept"]) == 3
    assert float(rows[-1]["gain"]) > 0.9


def test_swaps_are_found_to_be_permutations(learned):
    net, _ = learned
    moves = net.moves.softmax(dim=-1)
    for action, (i, j) in enumerate(SWAPS):
        order = [0, 1, 2]
        order[i], order[j] = j, i
        assert moves[action].argmax(dim=-1).tolist() == order
        assert moves[action].amax(dim=-1).min() > 0.8
    assert (moves[3:].argmax(dim=-1) == torch.arange(3)).all()


def test_the_shipped_state_composes_swaps_of_four_cups():
    folder = Path(__file__).parents[2] / "world_model/weights/tabletop/predictive_state"
    net = PredictiveStateNet.from_pretrained(folder, local_files_only=True).float()
    phrases = net.config["phrases"]
    assert [phrases[i].split()[0] for i in net.config["tests"]] == ["lift"] * 4
    first = phrases.index("swap the first and second cups")
    pairs = list(combinations(range(4), 2))
    rng = torch.Generator().manual_seed(0)
    for _ in range(50):
        state, order = torch.eye(4), [0, 1, 2, 3]
        for swap in torch.randint(6, (12,), generator=rng).tolist():
            state = net.carry(state, torch.tensor(first + swap))
            i, j = pairs[swap]
            order[i], order[j] = order[j], order[i]
        assert state.argmax(dim=-1).tolist() == order
    swaps = net.moves.softmax(dim=-1)[first : first + len(pairs)]
    assert swaps.amax(dim=-1).min() > 0.93


def remembered(net, model, views, actions, **options):
    """The memory after an episode."""
    memory = PredictiveStateMemory(model, net, **options)
    memory.reset(1, seeds=[0])
    for t, action in enumerate(actions):
        context = Context(actions=torch.zeros(1, 0).long(), frames=views[None, t, None])
        memory.write(
            Chunk(
                context=context,
                actions=action[None],
                frames=views[None, t + 1, None],
                active=torch.ones(1, dtype=torch.bool),
            )
        )
    return memory


def asked(memory, view, imagined, actions):
    """What the memory reads for N actions after the same imagined ones."""
    count = len(actions)
    context = Context(
        actions=torch.zeros(1, count, 0).long(),
        latents=view.expand(1, count, 1, 3, 8, 8),
        imagined=torch.tensor(imagined).long().expand(1, count, len(imagined)),
        root=view[None],
    )
    return memory.read(context, torch.tensor([actions]))


def colours(reading):
    """Which colour lies where each cup was lifted, of a reading of all lifts."""
    frames = reading.frames[0, :, 0]
    shown = torch.stack([frames[i, :, 4, column] for i, column in enumerate(COLUMNS)])
    return shown.argmax(dim=-1).tolist()


def test_what_is_hidden_is_followed_through_swaps_in_unseen_episodes(learned, tiny):
    net, _ = learned
    rng = torch.Generator().manual_seed(9)
    right = []
    for _ in range(20):
        contents = torch.randperm(3, generator=rng).tolist()
        views = [image(contents, {0, 1, 2})]
        swaps = torch.randint(3, (4,), generator=rng)
        for swap in swaps.tolist():
            i, j = SWAPS[swap]
            contents[i], contents[j] = contents[j], contents[i]
            views.append(image(contents, set()))
        memory = remembered(net, tiny, torch.stack(views), swaps)
        reading = asked(memory, views[-1], [], [3, 4, 5])
        assert reading.frames_valid.all()
        right.append(colours(reading) == contents)
    assert sum(right) >= 19


def test_imagined_actions_move_what_is_hidden_and_write_nothing(learned, tiny):
    net, _ = learned
    views = torch.stack([image([0, 1, 2], {0, 1, 2}), image([1, 0, 2], set())])
    memory = remembered(net, tiny, views, torch.tensor([0]))
    assert colours(asked(memory, views[-1], [], [3, 4, 5])) == [1, 0, 2]
    assert colours(asked(memory, views[-1], [1], [3, 4, 5])) == [2, 0, 1]
    assert colours(asked(memory, views[-1], [], [3, 4, 5])) == [1, 0, 2]


def test_without_its_moves_it_knows_what_was_last_seen_where(learned, tiny):
    net, _ = learned
    views = torch.stack([image([0, 1, 2], {0, 1, 2}), image([1, 0, 2], set())])
    memory = remembered(net, tiny, views, torch.tensor([0]), carries=False)
    assert colours(asked(memory, views[-1], [], [3, 4, 5])) == [0, 1, 2]


def test_it_is_silent_about_what_it_has_not_seen_and_other_actions(learned, tiny):
    net, _ = learned
    closed = image([0, 1, 2], set())
    views = torch.stack([closed, image([0, 1, 2], {1})])
    memory = remembered(net, tiny, views, torch.tensor([4]))
    reading = asked(memory, views[-1], [], [0, 3, 4, 5])
    assert reading.frames_valid.tolist() == [[False, False, True, False]]
    goal_in_words = len(PHRASES)
    reading = asked(memory, views[-1], [], [goal_in_words])
    assert not reading.frames_valid.any()
    assert not asked(memory, views[-1], [goal_in_words], [4]).frames_valid.any()


def test_a_state_has_one_size(learned, tiny):
    net, _ = learned
    views, actions = episode(torch.Generator().manual_seed(3), 10)
    short = remembered(net, tiny, views[:2], actions[:1])
    long = remembered(net, tiny, views, actions)
    assert short.num_bytes == long.num_bytes == 3 * (4 + 1) * 4
    assert not PredictiveStateMemory.stores_frames


def test_carry_and_see_in_closed_form():
    net = make_net()
    net.moves.data[0] = 100 * torch.eye(3)[[1, 2, 0]]
    state = torch.arange(9.0).view(1, 3, 3)
    assert torch.allclose(net.carry(state, torch.tensor([0])), state[:, [1, 2, 0]])
    seen = torch.rand(1, 3, 27)
    for bias, share in ((-100.0, 0.0), (100.0, 1.0)):
        net.gate[2].weight.data.zero_()
        net.gate[2].bias.data.fill_(bias)
        told = torch.cat([net.code(seen), torch.ones(1, 3, 1)], dim=-1)
        expected = (1 - share) * state + share * told
        assert torch.allclose(net.see(state, seen), expected)
    assert net.blank().shape == (3, 3)
    assert not net.blank().any()


def test_actions_that_uncover_nothing_seen_before_are_refused(tmp_path):
    data = sights(60, 2)
    noise = torch.rand(data.latents.shape, generator=torch.Generator().manual_seed(0))
    cells = cells_of(noise.flatten(0, 1)).unflatten(0, noise.shape[:2])
    random = Sights(cells, noise, data.actions)
    config = replace(CONFIG, num_steps=50)
    with pytest.raises(ValueError, match=r"got none: the best gains .*min_gain=0\.25"):
        fit_predictive_state(random, {"phrases": PHRASES}, config, tmp_path)


def test_too_few_episodes_are_refused():
    with pytest.raises(ValueError, match=r"min_count=99 times, got none in 2 episodes"):
        places(sights(2, 0), len(PHRASES), min_count=99)


def test_vectors_are_refused(tmp_path, tiny):
    meta = ShardMeta("toy", 2, (), (), (), {}, bounds=((-1.0, 1.0),))
    write_meta(tmp_path, meta)
    with pytest.raises(ValueError, match="needs actions that are phrases, got"):
        train_predictive_state(tiny.autoencoder, tmp_path, tmp_path, CONFIG)


def test_a_net_of_another_model_is_refused(tmp_path):
    make_net(encoder="abc").save_pretrained(tmp_path)
    net = load_predictive_state(tmp_path, phrases=PHRASES, encoder="abc")
    assert net.slots.tolist() == [-1, -1, -1, 0, 1, 2]
    with pytest.raises(ValueError, match=r"encoder xyz, got abc: train one with"):
        load_predictive_state(tmp_path, phrases=PHRASES, encoder="xyz")
    with pytest.raises(ValueError, match="must have the world model's phrases"):
        load_predictive_state(tmp_path, phrases=PHRASES[:2], encoder="abc")


def test_a_world_model_without_such_a_net_says_how_to_train_one(tmp_path, tiny):
    config = {
        "name": "predictive_state",
        "_target_": "world_model.memory.predictive_state.PredictiveStateMemory",
    }
    with pytest.raises(FileNotFoundError, match="stage=predictive_state"):
        build_memory(config, tiny, tmp_path, "")
    phrases = tiny.action_space.phrases
    make_net(phrases=phrases, tests=(0, 1), cells=(3, 4)).save_pretrained(
        tmp_path / "predictive_state"
    )
    assert isinstance(build_memory(config, tiny, tmp_path, ""), PredictiveStateMemory)


def test_a_share_that_is_none_is_refused(tiny):
    with pytest.raises(ValueError, match="`min_known` must be between 0 and 1"):
        PredictiveStateMemory(tiny, make_net(), min_known=1.0)


@pytest.mark.parametrize("law", MEMORY_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_memories(tiny, law):
    net = make_net(
        phrases=tiny.action_space.phrases, tests=(0, 1, 2, 3), cells=(9, 40, 99, 200)
    )
    law(lambda: PredictiveStateMemory(tiny, net), tiny, random_chunks(tiny))
