import re

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import ListConfig

from world_model.errors import list_of, told_in_one_line, unknown_name


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


@pytest.mark.parametrize(
    ("kind", "values", "rule"),
    [
        (int, [1.5], "a list of whole numbers, got [1.5]"),
        (int, [True], "a list of whole numbers, got [True]"),
        (float, ["a"], "a list of numbers, got ['a']"),
        (str, "none", "a list of words, got 'none'"),
        (str, None, "a list of words, got None"),
        (str, 3, "a list of words, got 3"),
    ],
)
def test_an_option_that_is_no_such_list_is_refused(kind, values, rule):
    with pytest.raises(ValueError, match=re.escape(f"`x` must be {rule}: write 'x=")):
        list_of(kind, "x", values)


def test_lists_are_taken_as_they_are():
    assert list_of(float, "x", [1, 2.5]) == [1, 2.5]
    assert list_of(str, "x", ListConfig(["a"])) == ["a"]
    assert list_of(int, "x", ()) == []


def test_what_hydra_wraps_is_told_in_one_line():
    broken = {"_target_": "world_model.errors.at_least", "_args_": [1], "rank": 0}
    with pytest.raises(SystemExit, match="^error: `rank` must be at least 1, got 0.$"):
        with told_in_one_line():
            instantiate(broken)
    with pytest.raises(InstantiationException), told_in_one_line():
        instantiate({"_target_": "math.sqrt", "_args_": ["a"]})  # a bug stays one
