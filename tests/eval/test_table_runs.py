"""The table's weights that ship, planned in by the documented command."""

from pathlib import Path

import pytest

from eval.record import RunRecord

RUNS = [
    ("tabletop_shell_game", "mpc_table"),
    ("tabletop_restore_cubes", "video_plan_table"),
    pytest.param("tabletop_restore_cubes", "mpc_table", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("task", "planner"), RUNS)
def test_told_the_past_the_shipped_model_solves_an_episode(
    task, planner, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = ["paired=null", "episodes=1", "threads=1", "video=false"]
    words = [f"task={task}", f"planner={planner}", "memory=oracle"]
    assert run(*words, *options) is None
    (folder,) = Path("outputs").glob(f"{task}-oracle-*")
    (row,) = RunRecord(folder).rows()
    assert row["success"] == 1.0
