"""`eval.compare`: paired differences, exact tests, Holm's correction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.compare import compare, holm, main, mcnemar
from eval.record import RunRecord
from eval.run_spec import RunSpec

MADE = {"revision": "0" * 40, "dirty": False, "device": "cpu", "command": "x"}
SPEC = RunSpec(
    config={},
    task="FindSeen-v0",
    planner="mpc",
    memory="none",
    world_model="tiny",
    split="val",
    seeds=tuple(range(10)),
)


def run(root: Path, memory: str, solved: str, **changes) -> RunRecord:
    """A run that solved the episodes marked "x"; ends where the marks end."""
    spec = replace(SPEC, memory=memory, **changes)
    record = RunRecord(root / memory)
    record.start(spec, MADE, stores_frames=False)
    # Written in another order than the seeds'.
    for seed, mark in reversed(list(zip(spec.seeds, solved, strict=False))):
        record.append({"seed": seed, "success": int(mark == "x")})
    return record


def test_differences_are_taken_episode_by_episode(tmp_path):
    base = run(tmp_path, "none", "xx........")
    other = run(tmp_path, "anchor", ".xxxxx....")
    top = run(tmp_path, "oracle", "xxxxxxxxxx")
    (line,) = compare(base, [other], top).to_dict("records")
    assert (line["row"], line["n"]) == ("anchor", 10)
    assert (line["success"], line["base_success"]) == (0.5, 0.2)
    assert line["gain"] == pytest.approx(0.3)
    assert line["gain_low"] < 0.3 < line["gain_high"]
    assert (line["higher"], line["lower"]) == (4, 1)
    assert line["gap_closed"] == pytest.approx(3 / 8)
    # Two sides of a fair coin that shows 4 of 5 or more: 2 * 6 / 32.
    assert line["p"] == line["p_holm"] == pytest.approx(12 / 32)


def test_equal_runs_differ_by_nothing(tmp_path):
    base, other = (run(tmp_path, m, "xx.x......") for m in ("none", "anchor"))
    (line,) = compare(base, [other]).to_dict("records")
    assert line["gain"] == 0
    assert line["gain_low"] == pytest.approx(-line["gain_high"])
    assert line["p"] == 1
    assert "gap_closed" not in line


def test_mcnemar_is_the_sign_test_of_the_episodes_that_differ():
    assert mcnemar(0, 0) == 1
    assert mcnemar(10, 0) == pytest.approx(2 / 2**10)
    assert mcnemar(9, 1) == mcnemar(1, 9) == pytest.approx(22 / 2**10)


def test_holm_in_closed_form():
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_lies_between_no_correction_and_bonferroni(values):
    found = holm(values)
    for p, corrected in zip(values, found, strict=True):
        assert p <= corrected <= min(1.0, p * len(values)) + 1e-12
    ranks = sorted(range(len(values)), key=values.__getitem__)
    assert [found[i] for i in ranks] == sorted(found)


def test_other_episodes_and_unfinished_runs_are_refused(tmp_path):
    base = run(tmp_path, "none", "x" * 10)
    unfinished = run(tmp_path, "anchor", "x" * 7)
    moved = run(tmp_path, "window", "x" * 10, seeds=tuple(range(5, 15)))
    other = run(tmp_path, "oracle", "x" * 10, task="ReturnHome-v0")
    with pytest.raises(ValueError, match="needs the same episodes, got") as error:
        compare(base, [unfinished, moved, other])
    text = str(error.value)
    assert "anchor: 3 episodes are missing" in text
    assert "window: its seeds are 5-14, theirs 0-9" in text
    assert "oracle: its task is ReturnHome-v0, theirs FindSeen-v0" in text
    assert "Run what is missing with the same task, split, episodes" in text


def test_rows_of_one_name_are_told_apart_by_their_folders(tmp_path):
    base = run(tmp_path, "none", "x" * 10)
    one, two = (run(tmp_path / x, "anchor", "x" * 10) for x in "ab")
    assert list(compare(base, [one])["row"]) == ["anchor"]
    names = ["anchor (a/anchor)", "anchor (b/anchor)"]
    assert list(compare(base, [one, two])["row"]) == names


def test_a_ceiling_must_be_above_the_floor(tmp_path):
    base, other = (run(tmp_path, m, "xx........") for m in ("none", "oracle"))
    with pytest.raises(ValueError, match="`--ceiling` must be better than the first"):
        compare(base, [other], other)


def test_a_ceiling_that_is_hardly_above_leaves_a_share_without_bounds(tmp_path, capsys):
    # Some resamples of a gap of one episode in ten are empty.
    run(tmp_path, "none", "x.........")
    run(tmp_path, "oracle", "xx........")
    folder = str(tmp_path / "oracle")
    assert main([str(tmp_path / "none"), folder, "--ceiling", folder]) == 0
    assert "100.0   " in capsys.readouterr().out


def test_the_command_prints_and_writes_the_table(tmp_path, capsys):
    run(tmp_path, "none", "..........")
    run(tmp_path, "temp_lora", "xxxxxxxx..")
    run(tmp_path, "oracle", "xxxxxxxxxx")
    folder, table = str(tmp_path / "temp_lora"), tmp_path / "table.csv"
    ceiling = ["--ceiling", str(tmp_path / "oracle"), "--csv", str(table)]
    assert main([str(tmp_path / "none"), folder, *ceiling]) == 0
    out = capsys.readouterr().out
    assert "FindSeen-v0, n=10, against none (0.0 %)" in out
    assert "80.0 [50.0, 100.0]" in out
    assert f"results: {table}" in out
    assert pd.read_csv(table)["p_holm"].tolist() == pytest.approx([2 / 2**8])


def test_a_narrow_terminal_breaks_names_and_no_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    memory = "predictive_state_retrieval_and_more_of_it"
    run(tmp_path, "none", "." * 10)
    run(tmp_path, memory, "x" * 10)
    folder = str(tmp_path / memory)
    assert main([str(tmp_path / "none"), folder, "--ceiling", folder]) == 0
    out = capsys.readouterr().out
    assert "100.0 [100.0, 100.0]" in out
    assert "…" not in out


def test_without_a_ceiling_there_is_no_gap_to_close(tmp_path, capsys):
    run(tmp_path, "none", "x.........")
    run(tmp_path, "anchor", "xx........")
    assert main([str(tmp_path / "none"), str(tmp_path / "anchor")]) == 0
    out = capsys.readouterr().out
    assert "gap closed" not in out
    assert "10.0 [-20.2, 40.0]" in out


def columns(
    root: Path, memory: str, values: list[float | None], column="steps", num_envs=1
) -> RunRecord:
    record = RunRecord(root / memory)
    seeds = tuple(range(len(values)))
    spec = replace(SPEC, memory=memory, seeds=seeds, config={"num_envs": num_envs})
    record.start(spec, MADE, stores_frames=False)
    for seed, value in enumerate(values):
        record.append({"seed": seed, "success": 1, column: value})
    return record


def test_any_column_is_compared_where_all_have_a_value(tmp_path, capsys):
    base = columns(tmp_path, "none", [4, 6, None, 8])
    other = columns(tmp_path, "anchor", [2, 6, 5, 5])
    (line,) = compare(base, [other], metric="steps").to_dict("records")
    assert (line["n"], line["steps"], line["base_steps"]) == (3, 13 / 3, 6)
    assert line["gain"] == pytest.approx(-5 / 3)
    assert (line["higher"], line["lower"], line["p"]) == (0, 2, 0.5)
    folders = [str(tmp_path / x) for x in ("none", "anchor")]
    assert main([*folders, "--metric", "steps"]) == 0
    assert "steps, n=3, against none (6)" in capsys.readouterr().out
    assert main([*folders, "--metric", "stepps"]) == 1
    assert "Unknown metric 'stepps'. Did you mean 'steps'?" in capsys.readouterr().err
    assert main([*folders, "--metric", "spl"]) == 1
    assert "got spl, which has none: compare another" in capsys.readouterr().err


def test_of_what_a_batch_shares_batches_are_drawn_and_counted(tmp_path):
    base = columns(tmp_path, "none", [8.0] * 12, "memory_bytes", num_envs=4)
    other = columns(tmp_path, "anchor", [9.0] * 12, "memory_bytes", num_envs=4)
    (line,) = compare(base, [other], metric="memory_bytes").to_dict("records")
    # Three batches say so, not twelve episodes.
    assert (line["n"], line["higher"], line["p"]) == (12, 3, pytest.approx(2 / 2**3))
    alone = columns(tmp_path / "1", "window", [9.0] * 12, "memory_bytes")
    with pytest.raises(ValueError, match="compared at the same `num_envs`: run one"):
        compare(base, [alone], metric="memory_bytes")


def test_the_interval_of_a_column_does_not_depend_on_its_values(tmp_path):
    # By chance no value but 0 and 1: counts of steps are no proportions.
    base = columns(tmp_path, "none", [0.0, 1.0, 0.0, 0.0])
    other = columns(tmp_path, "anchor", [0.0, 1.0, 0.0, 0.0])
    (line,) = compare(base, [other], metric="steps").to_dict("records")
    assert (line["gain_low"], line["gain_high"]) == (0, 0)


def test_a_ceiling_is_better_whichever_way_is_up(tmp_path):
    low, high = (
        columns(tmp_path, name, [value, value + 1], "recall_lpips")
        for name, value in (("oracle", 0.1), ("none", 0.5))
    )
    (line,) = compare(high, [low], low, metric="recall_lpips").to_dict("records")
    assert line["gap_closed"] == 1
    with pytest.raises(ValueError, match="better than the first run in recall_lpips"):
        compare(low, [high], high, metric="recall_lpips")


def test_a_folder_without_a_record_is_named(tmp_path, capsys):
    run(tmp_path, "none", "x" * 10)
    assert main([str(tmp_path / "none"), str(tmp_path / "nothing")]) == 1
    assert "nothing must hold the record of a run" in capsys.readouterr().err
