import pytest

from world_model.errors import unknown_name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cemm", "Unknown planner 'cemm'. Did you mean 'cem'? Available: cem, icem."),
        ("CEM", "Unknown planner 'CEM'. Did you mean 'cem'? Available: cem, icem."),
        ("walk", "Unknown planner 'walk'. Available: cem, icem."),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_and_all_names(name, text):
    assert str(unknown_name("planner", name, ["icem", "cem"])) == text


def test_names_keep_their_own_spelling():
    error = unknown_name("task", "findseen-v0", ["FindSeen-v0"])
    assert "Did you mean 'FindSeen-v0'?" in str(error)


def test_an_empty_registry_is_named_as_such():
    assert str(unknown_name("task", "x", [])) == "Unknown task 'x'. Available: none."
