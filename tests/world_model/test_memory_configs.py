"""`configs/memory`: what each file makes, and in what the ablations differ."""

import sys
import types
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from world_model.memory.build import build_memory
from world_model.plain import plain

CONFIGS = Path(__file__).parents[2] / "configs"
STORE_FRAMES = {
    "none": False,
    "window": False,
    "anchor": True,
    "retrieval": True,
    "retrieval_view": True,
    "ridge": False,
    "temp_lora": True,
    "temp_lora_guided": True,
    "temp_lora_paper": False,
    "temp_lora_text": False,
    "temp_lora_frame": False,
    "temp_lora_sequence": True,
}
MEMORY = "world_model.memory"


def config(name, *more):
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return plain(compose("eval", [f"memory={name}", *more]).memory)


@pytest.mark.parametrize("name", STORE_FRAMES)
def test_a_file_makes_a_memory_that_says_what_it_stores(tiny, name):
    memory = build_memory(config(name), tiny, CONFIGS, "")
    assert config(name)["name"] == name
    assert memory.stores_frames == STORE_FRAMES[name]
    memory.reset(2, seeds=(0, 1))


@pytest.mark.parametrize("name", ["retrieval", "retrieval_view"])
def test_a_task_says_how_near_views_of_one_place_are(name):
    assert config(name)["max_distance"] == 0.5
    assert config(name, "task=tabletop_swap_back")["max_distance"] == 0.1


@pytest.mark.parametrize("name", ["MyTempLoraMemory", "TempLoraMemory", "MyNoMemory"])
def test_memories_of_others_are_made_from_the_model_whatever_they_are_called(
    tiny, name, monkeypatch
):
    made = types.ModuleType("a_strangers_memories")
    setattr(made, name, lambda model, size: (model, size))
    monkeypatch.setitem(sys.modules, "a_strangers_memories", made)
    theirs = {"name": "mine", "_target_": f"a_strangers_memories.{name}", "size": 3}
    assert build_memory(theirs, tiny, CONFIGS, "") == (tiny, 3)


def test_the_still_predictive_state_differs_in_that_actions_move_nothing():
    still, whole = config("predictive_state_still"), config("predictive_state")
    assert still == whole | {"name": "predictive_state_still", "carries": False}


def test_memories_are_composed_of_files():
    both = config("predictive_state_retrieval", "task=tabletop_shell_game")
    assert both["name"] == "predictive_state_retrieval"
    assert both["first"] == config("predictive_state")
    assert both["second"] == config("retrieval", "task=tabletop_shell_game")


def test_members_are_chosen_on_the_command_line(tiny):
    chosen = ["memory@memory.first=ridge", "memory@memory.second=temp_lora_paper"]
    both = config("predictive_state_retrieval", *chosen)
    memory = build_memory(both, tiny, CONFIGS, "")
    assert both["name"] == "ridge_temp_lora_paper"
    assert type(memory.first).__name__ == "RidgeMemory"
    assert type(memory.second).__name__ == "TempLoraMemory"


def test_a_member_must_not_ask_for_another_context(tiny):
    both = config("predictive_state_retrieval", "memory@memory.first=window")
    with pytest.raises(ValueError, match="`memory.first` must leave the model its"):
        build_memory(both, tiny, CONFIGS, "")


def test_options_of_a_member_are_said_of_the_member(tiny):
    chosen = ["memory@memory.first=ridge", "memory@memory.second=temp_lora_paper"]
    both = config("predictive_state_retrieval", *chosen, "+memory.guidance=1")
    rule = (
        r"first and second only, got memory.guidance: .* memory.first.guidance=\.\.\."
    )
    with pytest.raises(ValueError, match=rule):
        build_memory(both, tiny, CONFIGS, "")


def test_the_papers_values():
    assert config("temp_lora_paper") == {
        "name": "temp_lora_paper",
        "_target_": f"{MEMORY}.temp_lora.TempLoraMemory",
        "rank": 32,
        "learning_rate": 1e-4,
        "num_steps": 1,
        "rule": {"_target_": f"{MEMORY}.paper_rule.PaperRule", "batch_size": 1},
    }


@pytest.mark.parametrize(
    ("name", "base", "difference"),
    [
        (
            "temp_lora_text",
            "temp_lora_paper",
            {"rule": f"{MEMORY}.conditional_rule.ConditionalRule"},
        ),
        (
            "temp_lora_sequence",
            "temp_lora_paper",
            {"rule": f"{MEMORY}.sequence_rule.SequenceRule"},
        ),
        ("temp_lora_frame", "temp_lora_paper", {"context_frames": 1}),
        ("temp_lora_guided", "temp_lora", {"guidance": 1.0}),
    ],
)
def test_an_ablation_differs_in_one_thing(name, base, difference):
    expected = config(base) | {"name": name}
    for key, value in difference.items():
        expected[key] = expected[key] | {"_target_": value} if key == "rule" else value
    assert config(name) == expected
