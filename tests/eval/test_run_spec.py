import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.run_spec import (
    WEIGHTS,
    RunSpec,
    canonical_json,
    code_name,
    provenance,
    slug,
)
from world_model.provenance import weights_digests

SPEC = RunSpec(
    config={"planner": {"horizon": 4}, "seed": 0},
    task="FindSeen-v0",
    planner="mpc",
    memory="temp_lora",
    world_model="tiny",
    split="val",
    seeds=(0, 1, 2),
    protocol_version="1",
)
CHANGES = {
    "config": {"planner": {"horizon": 5}, "seed": 0},
    "task": "FindSeen-v1",
    "planner": "cem",
    "memory": "none",
    "world_model": "base",
    "split": "test",
    "seeds": (0, 1),
    "protocol_version": "2",
}


def test_the_run_id_is_readable_and_fixed():
    assert SPEC.run_id == "FindSeen-v0-temp_lora-mpc-tiny-val-" + SPEC.run_id[-8:]
    config = {"seed": 0, "planner": {"horizon": 4}}
    assert dataclasses.replace(SPEC, config=config).run_id == SPEC.run_id


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RunSpec)])
def test_every_field_changes_the_run_id(field):
    changed = dataclasses.replace(SPEC, **{field: CHANGES[field]})
    assert changed.run_id != SPEC.run_id


def test_a_spec_does_not_follow_later_changes_of_the_config():
    config = {"planner": {"horizon": 4}, "seed": 0}
    spec = dataclasses.replace(SPEC, config=config)
    config["planner"]["horizon"] = 9
    assert spec == SPEC


@pytest.mark.parametrize("seeds", [(), (3, 3)])
def test_seeds_must_be_distinct_and_some(seeds):
    with pytest.raises(ValueError, match="each episode once and at least one, got"):
        dataclasses.replace(SPEC, seeds=seeds)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_a_config_must_be_plain_json(value):
    with pytest.raises(ValueError, match="must hold only JSON values, got one that"):
        dataclasses.replace(SPEC, config={"x": value})


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()))
def test_canonical_json_ignores_the_order_of_keys(config):
    backwards = dict(reversed(config.items()))
    assert canonical_json(config) == canonical_json(backwards)
    assert json.loads(canonical_json(config)) == config


@given(st.text())
def test_a_slug_is_one_visible_file_name(name):
    assert slug(name)
    assert "/" not in slug(name)
    assert not slug(name).startswith(".")


def test_provenance_names_code_libraries_machine_and_command():
    made = provenance(device="cpu", overrides=["planner=mpc", "note=a b"])
    assert made["command"] == "python -m eval.run planner=mpc 'note=a b'"
    assert made["libraries"]["numpy"]
    assert made["device"].startswith("cpu (")
    assert made["threads"] >= 1
    assert {"revision", "dirty", "changes", "python"} <= set(made)
    json.dumps(made)


def test_other_weights_are_another_run(tmp_path):
    names = []
    for text in ("x", "y", "x"):
        (tmp_path / "denoiser").mkdir(exist_ok=True)
        (tmp_path / "denoiser" / "model.bin").write_text(text)
        (tmp_path / "card.json").write_text("{}")
        made = provenance(device="cpu", weights=[tmp_path])
        parts = {f"{tmp_path}/{part}" for part in ("card.json", "denoiser")}
        assert made["weights"].keys() == parts
        names.append(code_name(made))
    assert names[0] == names[2] != names[1]
    assert names[0].startswith(code_name(provenance(device="cpu")))


def test_weights_of_several_folders_stand_beside_each_other(tmp_path):
    folders = [tmp_path / arm / "weights" for arm in ("memory-0", "none-0")]
    for folder in folders:
        (folder / "denoiser").mkdir(parents=True)
        (folder / "denoiser" / "model.bin").write_text(str(folder))
    made = provenance(device="cpu", weights=folders)
    assert made["weights"].keys() == {f"{folder}/denoiser" for folder in folders}
    assert len(set(made["weights"].values())) == 2


def test_what_ships_is_named_by_its_domain_and_a_file_by_itself(tmp_path):
    made = provenance(device="cpu", weights=[WEIGHTS / "scroll"])
    assert "scroll/denoiser" in made["weights"]
    (tmp_path / "model.pt").write_text("x")
    assert list(weights_digests(tmp_path / "model.pt")) == ["model.pt"]


def test_provenance_holds_the_state_of_others_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "a_strangers_module.py"
    config = {"planner": {"_target_": "a_strangers_module.Planner"}}
    names = []
    for text in ("x = 1", "x = 2", "x = 1"):
        file.write_text(text)
        made = provenance(device="cpu", config=config)
        assert made["plugins"].keys() == {"a_strangers_module"}
        names.append(code_name(made))
    assert names[0] == names[2] != names[1]
    plain = provenance(device="cpu", config={"planner": {"_target_": "planners.mpc.X"}})
    assert plain["plugins"] == {}
    assert names[0].startswith(code_name(plain))


def test_a_checkpoint_that_was_trained_on_is_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_package").mkdir()  # where one works, a folder has its name
    checkpoint, folder = tmp_path / "last.pt", tmp_path / "nets"
    folder.mkdir()
    theirs = {"_target_": "my_package.Memory", "name": "my_package"}
    options = {"checkpoint": "last.pt", "nets": [str(folder)], "of": "no/file"}
    config = {"memory": theirs | options, "outputs": str(tmp_path)}
    names = set()
    for text in ("one", "two"):
        checkpoint.write_text(text)
        made = provenance(device="cpu", config=config)
        said = {"my_package", "checkpoint=last.pt", f"nets={folder}"}
        assert made["plugins"].keys() == said
        names.add(code_name(made))
    (folder / "net.pt").write_text("x")
    names.add(code_name(provenance(device="cpu", config=config)))
    assert len(names) == 3
    ours = {"memory": {"_target_": "planners.mpc.X", "checkpoint": "last.pt"}}
    assert provenance(device="cpu", config=ours)["plugins"] == {}


def test_what_a_package_ships_beside_its_code_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "a_strangers_package"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1")
    config = {"planner": {"_target_": "a_strangers_package.Planner"}}
    before = code_name(provenance(device="cpu", config=config))
    (package / "policy.zip").write_text("weights")
    assert code_name(provenance(device="cpu", config=config)) != before
