"""The table's weights that ship, planned in by the documented command."""

from pathlib import Path

import pytest

from eval.record import RunRecord

RUNS = [
    ("tabletop_shell_game", "mpc_table", "tiny"),
    ("tabletop_restore_cubes", "video_plan_table", "tiny"),
    ("tabletop_restore_cubes", "video_plan_table", "simulator"),
    pytest.param("tabletop_restore_cubes", "mpc_table", "tiny", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("task", "planner", "model"), RUNS)
def test_told_the_past_a_model_solves_an_episode(
    task, planner, model, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = ["paired=null", "episodes=1", "threads=1", "video=false"]
    words = [f"task={task}", f"planner={planner}", f"world_model={model}"]
    assert run(*words, "memory=oracle", *options) is None
    (folder,) = Path("outputs").glob(f"{task}-oracle-*")
    (row,) = RunRecord(folder).rows()
    assert row["success"] == 1.0
