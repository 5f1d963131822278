import pytest
from omegaconf import OmegaConf

from eval.errors import PluginError, described
from eval.make_part import expect, instantiate_node, is_ours, make_part, naming
from world_model.errors import one_line

THEIRS = OmegaConf.create({"name": "mine", "_target_": "collections.Counter", "a": 2})
OURS = OmegaConf.create({"name": "x", "_target_": "planners.mpc.MPCPolicy"})


def test_options_are_passed_on_but_not_the_name():
    assert instantiate_node(THEIRS) == {"a": 2}
    assert make_part("memory", THEIRS, dict, b=1) == {"a": 2, "b": 1}


def test_what_does_not_derive_from_its_contract_is_refused():
    assert expect(3, int) == 3
    with pytest.raises(TypeError, match="an object of int that does not derive from "):
        expect(3, str)
    rule = r"`memory=mine` \(collections.Counter\) must work without an error, got Type"
    with pytest.raises(PluginError, match=rule):
        make_part("memory", THEIRS, list)


def test_only_errors_of_others_get_a_name():
    assert is_ours(OURS)
    assert not is_ours(THEIRS)
    with pytest.raises(KeyError, match="x"), naming("planner", OURS):
        raise KeyError("x")
    with pytest.raises(PluginError) as error, naming("planner", THEIRS):
        raise KeyError("x")
    text = str(error.value)
    assert text.startswith(
        "`planner=mine` (collections.Counter) must work without an error, got "
        "KeyError: 'x' (at test_make_part.py:"
    )
    remedy = "correct that plug-in; `python -m eval.check planner mine` says more."
    assert text.endswith(remedy)


def test_a_part_of_ours_around_one_of_others_is_theirs():
    around = {"_target_": "planners.interop.X", "make": [{"_target_": "their.Y"}]}
    assert not is_ours(OmegaConf.create(around))
    # A planner of others inside our policy is checked by itself.
    policy = {**OURS, "planner": {"_target_": "their.Y"}}
    assert is_ours(OmegaConf.create(policy))
    assert is_ours({"name": "none"})


def test_the_innermost_plugin_is_the_one_that_is_named():
    with (
        pytest.raises(PluginError, match="^`objective=inner`"),
        naming("planner", THEIRS),
        naming("objective", THEIRS, name="inner"),
    ):
        raise KeyError("x")


def test_an_error_is_described_by_what_went_wrong_first():
    error = ValueError("outside")
    error.__cause__ = AssertionError("Broken law: all is well.")
    assert described(error) == "Broken law: all is well."
    assert one_line(ValueError("two\n lines")) == "two lines"


def test_a_cause_that_was_never_raised_is_described_without_a_place():
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("outer") from KeyError("inner")
    assert described(caught.value) == "KeyError: 'inner'"
