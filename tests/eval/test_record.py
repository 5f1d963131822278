import errno
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.record import COLUMNS, RunRecord
from eval.run_spec import RunSpec
from world_model.whole_file import write_text

SPEC = RunSpec(
    config={"planner": {"horizon": 4}},
    task="FindSeen-v0",
    planner="mpc",
    memory="none",
    world_model="tiny",
    split="val",
    seeds=tuple(range(10)),
)
MADE = {"revision": "a" * 40, "dirty": False, "command": "python -m eval.run"}


def started(directory: Path, spec: RunSpec = SPEC, **made) -> RunRecord:
    record = RunRecord(directory)
    record.start(spec, {**MADE, **made}, stores_frames=False)
    return record


def row(seed: int) -> dict:
    return {"seed": seed, "success": seed % 2, "steps": 7, "distance": 0.1 * seed}


def test_rows_come_back_as_they_were_written(tmp_path):
    record = started(tmp_path)
    record.append(row(3))
    record.append({**row(0), "success": True})
    first, second = record.rows()
    assert {k: v for k, v in first.items() if v is not None} == row(3)
    assert list(first) == list(COLUMNS)
    assert second["success"] == 1
    assert record.done_seeds() == (3, 0)
    assert record.remaining_seeds() == (1, 2, 4, 5, 6, 7, 8, 9)


def test_a_missing_value_is_an_empty_cell(tmp_path):
    record = started(tmp_path)
    record.append({"seed": 0, "success": 0})
    line = record.episodes_path.read_text().splitlines()[1]
    assert line == "0,0" + "," * (len(COLUMNS) - 2)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=50)
def test_numbers_survive_exactly(tmp_path_factory, value):
    record = started(tmp_path_factory.mktemp("run"))
    record.append({"seed": 0, "success": 1, "distance": value})
    assert record.rows()[0]["distance"] == value


def test_run_json_says_what_was_run_and_with_what(tmp_path):
    run = started(tmp_path).run()
    assert run["config"] == {"planner": {"horizon": 4}}
    assert run["seeds"] == list(range(10))
    assert run["provenance"] == MADE
    assert run["stores_frames"] is False
    names = {"task", "planner", "memory", "world_model", "split", "protocol_version"}
    assert names <= set(run)


@given(st.data())
@settings(max_examples=60)
def test_a_file_cut_anywhere_loses_only_the_torn_row(tmp_path_factory, data):
    record = started(tmp_path_factory.mktemp("run"))
    for seed in (4, 2, 9):
        record.append(row(seed))
    whole = record.episodes_path.read_bytes()
    header = whole.index(b"\n") + 1
    cut = data.draw(st.integers(header, len(whole)))
    record.episodes_path.write_bytes(whole[:cut])
    kept = (4, 2, 9)[: whole[header:cut].count(b"\n")]
    assert record.done_seeds() == kept
    again = started(record.directory)
    for seed in again.remaining_seeds():
        again.append(row(seed))
    assert sorted(again.done_seeds()) == list(range(10))


WORKER = """
import sys
from eval.record import RunRecord
record = RunRecord(sys.argv[1])
for seed in record.remaining_seeds():
    record.append({"seed": seed, "success": 1, "distance": seed / 7})
"""


def test_a_run_killed_again_and_again_finishes_with_every_row_once(tmp_path):
    run = tmp_path / "run"
    spec = replace(SPEC, seeds=tuple(range(400)))
    started(run, spec)
    command = [sys.executable, "-c", WORKER, str(run)]
    for delay in (0.0, 0.01, 0.03):
        before = len(RunRecord(run).done_seeds())
        process = subprocess.Popen(command)
        while len(RunRecord(run).done_seeds()) == before:
            assert process.poll() is None, "the worker has died by itself"
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    rows = RunRecord(run).rows()
    assert [(x["seed"], x["distance"]) for x in rows] == [
        (i, i / 7) for i in range(400)
    ]


def test_other_workers_and_what_is_no_run_are_named(tmp_path):
    started(tmp_path, threads=2)
    with pytest.raises(
        ValueError, match="threads is 2 there, 1 here.*as many `workers"
    ):
        started(tmp_path, threads=1)
    (tmp_path / "run.json").write_text('{"suite": "recall"}')
    with pytest.raises(
        ValueError, match="must hold the record of suite=tasks, but its"
    ):
        RunRecord(tmp_path).run()
    (tmp_path / "video.json").write_text("{")
    with pytest.raises(ValueError, match="video.json must be readable, got: .* Delete"):
        RunRecord(tmp_path).video()


def test_only_seeds_of_the_run_are_recorded(tmp_path):
    record = started(tmp_path)
    with pytest.raises(ValueError, match="Seed 99 is not part of the run"):
        record.append(row(99))
    assert record.done_seeds() == ()


def test_what_another_process_has_recorded_stands(tmp_path):
    record = started(tmp_path)
    record.append({**row(3), "distance": 1.0})
    RunRecord(record.directory).append({**row(3), "distance": 2.0})
    assert record.done_seeds() == (3,)
    assert record.rows()[0]["distance"] == 1


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"reward": 1.0}, r"got seed=0 and unknown \['reward'\]: known are seed, "),
        ({"seed": None}, "must hold a whole `seed`.* got seed=None"),
        ({"seed": 0.5}, "must hold a whole `seed`.* got seed=0.5"),
        ({"distance": float("nan")}, "`distance` must be a finite number, got nan"),
        ({"success": None}, "`success` must be given for every episode"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(tmp_path, wrong, text):
    record = started(tmp_path)
    with pytest.raises(ValueError, match=text):
        record.append({**row(0), **wrong})
    assert record.done_seeds() == ()


def test_another_runs_directory_is_refused_with_the_keys_that_differ(tmp_path):
    started(tmp_path)
    other = replace(SPEC, config={"planner": {"horizon": 5}}, memory="window")
    with pytest.raises(ValueError, match="holds the record of another run") as caught:
        started(tmp_path, other)
    text = str(caught.value)
    assert "config.planner.horizon is 4 there, 5 here" in text
    assert 'memory is "none" there, "window" here' in text
    assert "task" not in text.replace(str(tmp_path), "")


def test_episodes_of_different_code_do_not_mix(tmp_path):
    started(tmp_path)
    with pytest.raises(ValueError, match="provenance.revision is .* there, "):
        started(tmp_path, revision="b" * 40)


def test_the_same_run_may_be_asked_for_in_other_words(tmp_path):
    started(tmp_path)
    started(tmp_path, command="slowfast")
    assert RunRecord(tmp_path).run()["provenance"]["command"] == MADE["command"]


def test_a_damaged_line_is_named(tmp_path):
    record = started(tmp_path)
    with record.episodes_path.open("a") as file:
        file.write("5,1\n")
    with pytest.raises(ValueError, match=r"Line 2 of .* numbers, got '5,1': delete"):
        started(tmp_path)


def test_columns_of_another_version_are_refused(tmp_path):
    record = started(tmp_path)
    record.episodes_path.write_text("seed,success\n")
    with pytest.raises(ValueError, match="got seed,success: it was made by another"):
        started(tmp_path)


def test_a_directory_without_a_record_is_named(tmp_path):
    with pytest.raises(ValueError, match="must hold the record of a run, but run.json"):
        RunRecord(tmp_path).run()


@contextmanager
def files_limited_to(num_bytes: int):
    """The kernel refuses to let any file grow further, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_record_as_it_was(tmp_path):
    record = started(tmp_path)
    record.append(row(0))
    before = record.episodes_path.read_bytes()
    text = r"episodes\.csv must be writable, got: .* Free disk space"
    with files_limited_to(len(before) + 5), pytest.raises(OSError, match=text):
        record.append(row(1))
    assert record.episodes_path.read_bytes() == before
    record.append(row(1))
    assert record.done_seeds() == (0, 1)


def test_a_full_disk_leaves_no_half_written_json(tmp_path):
    with files_limited_to(10), pytest.raises(OSError, match="must be writable"):
        started(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/run/run\.json must be writable") as caught:
        started(tmp_path / "file" / "run")
    assert caught.value.errno == errno.ENOTDIR


def test_an_atomic_write_replaces_the_old_text(tmp_path):
    path = tmp_path / "a" / "x.json"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["x.json"]
