import io
import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from envs.tasks import find_task
from eval import certificate as module
from eval.certificate import certificate, print_certificate
from eval.record import RunRecord
from eval.run_spec import RunSpec

ROWS = find_task("find_seen").floors
SPEC = RunSpec(
    config={},
    task="scroll_find_seen",
    planner="mpc",
    memory="none",
    world_model="simulator",
    split="val",
    seeds=tuple(range(20)),
)
MADE = {"revision": "0" * 40, "dirty": False, "device": "cpu", "command": "x"}


def record(folder: Path, solved: int, done: int = 20, **changes) -> RunRecord:
    """A run of 20 episodes, the first `solved` of them successes."""
    found = RunRecord(folder)
    found.start(replace(SPEC, **changes), MADE, stores_frames=False)
    for seed in range(done):
        found.append({"seed": seed, "success": int(seed < solved)})
    return found


def records(folder: Path, simulator: int = 20, floor: int = 8) -> dict[str, RunRecord]:
    found = {
        name: record(folder / name, floor, planner=name, world_model="none")
        for name in ROWS
    }
    return {**found, "simulator": record(folder / "simulator", simulator)}


@pytest.mark.parametrize(
    ("simulator", "floor", "holds"),
    [(20, 8, True), (19, 7, True), (20, 9, False), (18, 0, False)],
)
def test_it_holds_if_ceiling_and_margins_do(tmp_path, simulator, floor, holds):
    found = certificate(records(tmp_path, simulator, floor))
    assert found["holds"] is holds
    assert found["n"] == 20
    assert found["seeds"] == "0-19"
    assert [row["row"] for row in found["rows"]] == [*ROWS, "simulator"]
    first = found["rows"][0]
    assert first["success"] == floor / 20
    assert first["behind_simulator"] == pytest.approx((simulator - floor) / 20)
    assert first["low"] <= first["success"] <= first["high"]
    json.dumps(found, allow_nan=False)


def test_a_ceiling_alone_certifies_nothing(tmp_path):
    with pytest.raises(ValueError, match="needs memory-less rows, got none: let `fl"):
        certificate({"simulator": record(tmp_path / "simulator", 20)})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": tuple(range(1, 21))}, "its seeds are 1-20, theirs 0-19"),
        ({"split": "test"}, "its split is test, theirs val"),
        ({"task": "scroll_return_home"}, "its task is scroll_return_home, theirs"),
        ({"config": {"goal": "given_image"}}, "its goal is given_image, theirs"),
    ],
)
def test_rows_of_other_episodes_are_refused(tmp_path, changes, reason):
    found = records(tmp_path)
    found["noop"] = record(tmp_path / "other", 0, done=0, **changes)
    message = f"needs rows over the same episodes, got: .*noop: {reason}"
    with pytest.raises(ValueError, match=message):
        certificate(found)


def test_the_simulator_row_must_be_one(tmp_path):
    found = records(tmp_path)
    found["simulator"] = record(tmp_path / "tiny", 20, world_model="tiny")
    with pytest.raises(ValueError, match="simulator: its world model is tiny"):
        certificate(found)


def test_an_unfinished_row_is_refused(tmp_path):
    found = records(tmp_path)
    found["random"] = record(tmp_path / "torn", 3, done=17, planner="random")
    with pytest.raises(ValueError, match="got random with 3 episodes missing: finish"):
        certificate(found)


def test_the_verdict_is_printed(tmp_path):
    out = io.StringIO()
    with redirect_stdout(out):
        print_certificate(certificate(records(tmp_path)))
    assert "40.0 [21.9, 61.3]" in out.getvalue()
    assert "The certificate holds: every memory-less row must be at least 60" in (
        out.getvalue()
    )


@pytest.mark.parametrize("reasons", [[], ["noop: it was made with uncommitted"]])
def test_only_what_can_be_reproduced_goes_into_results(tmp_path, capsys, reasons):
    cfg = module.DictConfig({"results": str(tmp_path / "r"), "outputs": "o"})
    folder = module._path(cfg, reasons)
    assert folder == (Path("o") if reasons else tmp_path / "r") / "certificates"
    assert capsys.readouterr().out.splitlines() == [
        f"not for {tmp_path / 'r'}: {reason}" for reason in reasons
    ]


def test_few_episodes_are_a_reason(tmp_path):
    reasons = module._reasons(records(tmp_path))
    assert f"noop: it has 20 episodes, fewer than {module.MIN_EPISODES}" in reasons


@pytest.mark.parametrize(
    "task",
    [
        "rooms_find_seen",
        "rooms_return_home",
        "scroll_find_seen",
        "tabletop_restore_cubes",
        "tabletop_shell_game",
        "tabletop_swap_back",
    ],
)
def test_every_task_with_a_tour_can_be_asked(task):
    configs = str(module.PROJECT_ROOT / "configs")
    with initialize_config_dir(configs, version_base="1.3"):
        cfg = compose("certificate", [f"task={task}"])
        ceiling = find_task(cfg.task.kind).ceiling
        shared = module._common_overrides(cfg, ceiling)
    assert shared[:3] == [f"task={task}", "paired=null", "video=false"]


def test_a_task_without_a_tour_is_refused_as_such():
    configs = str(module.PROJECT_ROOT / "configs")
    with initialize_config_dir(configs, version_base="1.3"):
        cfg = compose("certificate", ["task=point_reach"])
        with pytest.raises(ValueError, match="got the vectors of domain=point"):
            module._certify(cfg)


def test_the_command_runs_all_rows(tmp_path, monkeypatch, capsys):
    import runpy

    simulator = record(tmp_path / "simulator", 2, done=2, seeds=(0, 1))
    arguments = [
        "task=scroll_find_seen",
        "episodes=2",
        "num_envs=2",
        f"simulator={simulator.directory}",
        f"outputs={tmp_path / 'outputs'}",
        f"results={tmp_path / 'results'}",
    ]
    monkeypatch.setattr(sys, "argv", ["eval.certificate", *arguments])
    monkeypatch.delitem(sys.modules, "eval.certificate")
    with pytest.raises(SystemExit):
        runpy.run_module("eval.certificate", run_name="__main__", alter_sys=True)
    path = tmp_path / "outputs" / "certificates" / "scroll_find_seen.json"
    found = json.loads(path.read_text())
    assert [row["row"] for row in found["rows"]] == [*ROWS, "simulator"]
    assert found["command"].startswith("python -m eval.certificate task=scroll_find")
    assert not (tmp_path / "results").exists()
    assert "expert_no_memory" in capsys.readouterr().out
