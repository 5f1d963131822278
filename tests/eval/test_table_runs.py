"""The table's weights that ship, planned in by the documented command."""

from pathlib import Path

import pytest

from eval.record import RunRecord

TASKS = [
    "tabletop_shell_game",
    pytest.param("tabletop_restore_cubes", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("task", TASKS)
def test_told_the_past_the_shipped_model_solves_an_episode(
    task, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = ["paired=null", "episodes=1", "threads=1", "video=false"]
    assert run(f"task={task}", "planner=mpc_table", "memory=oracle", *options) is None
    (folder,) = Path("outputs").glob(f"{task}-oracle-*")
    (row,) = RunRecord(folder).rows()
    assert row["success"] == 1.0
