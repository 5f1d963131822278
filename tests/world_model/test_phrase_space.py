"""Actions that are phrases: what undoes them, and who insists on them."""

import pytest
from gymnasium.spaces import Box

from world_model.phrase_space import NO_ACTION, PhraseSpace, phrase_space_of


def test_what_nothing_undoes_has_an_index_of_its_own():
    space = PhraseSpace(("left", "right", "open"), (1, 0, None))
    assert space.inverse_indices == (1, 0, NO_ACTION)
    assert NO_ACTION not in range(int(space.n))
    assert PhraseSpace(("wave",)).inverse_indices == (NO_ACTION,)


def test_a_space_of_phrases_is_handed_through():
    space = PhraseSpace(("left",))
    assert phrase_space_of(space, "mine", instead="use another") is space


def test_another_space_is_refused_with_the_remedy():
    text = r"`mine` needs actions that are phrases, got Box.*: use memory=anchor\.$"
    with pytest.raises(ValueError, match=text):
        phrase_space_of(Box(-1.0, 1.0, (2,)), "mine", instead="use memory=anchor")
