"""Reports of suites on their way into results/."""

import json
from pathlib import Path

import pytest

from eval.leaderboard import main
from eval.suite_results import FILES, suite_of

MADE = {"revision": "0123456789" * 4, "dirty": False}


def report(folder: Path, suite: str, **made) -> Path:
    """A finished report whose every file holds its own name."""
    folder.mkdir(parents=True)
    for name in (*FILES[suite], "raw_lines.csv"):
        (folder / name).write_text(name)
    task = {"name": "rooms_find_seen", "domain": "rooms"}
    config = {"suite": suite, "task": task, "split": "val"}
    config["planners"] = {"world_models": ["tiny"]}
    run = {"config": config, "provenance": {**MADE, **made}}
    (folder / FILES[suite][0]).write_text(json.dumps(run))
    return folder


def promote(folder: Path, *options: str) -> int:
    results = str(folder.parent / "results")
    return main(["--results", results, "promote", str(folder), *options])


@pytest.mark.parametrize("suite", FILES)
def test_a_finished_report_gets_its_place_without_its_raw_lines(tmp_path, suite):
    assert promote(report(tmp_path / "a", suite)) == 0
    mark = "-tiny" if suite == "planners" else ""
    target = tmp_path / "results" / suite / f"rooms_find_seen-val{mark}"
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES[suite])
    last = FILES[suite][-1]
    assert (target / last).read_text() == last


@pytest.mark.parametrize(
    ("made", "removed", "reason"),
    [
        ({"dirty": True}, None, "it was made with uncommitted changes"),
        ({"revision": None}, None, "it was not made from a git checkout"),
        ({}, "recall_pairs.csv", "it is unfinished, recall_pairs.csv missing"),
    ],
)
def test_what_deserves_no_place_is_refused(tmp_path, capsys, made, removed, reason):
    folder = report(tmp_path / "a", "recall", **made)
    if removed:
        (folder / removed).unlink()
    assert promote(folder) == 1
    assert f"{folder} is refused: {reason}" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_replacement_must_be_asked_for(tmp_path, capsys):
    assert promote(report(tmp_path / "a", "recall")) == 0
    newer = report(tmp_path / "b", "recall")
    (newer / "recall_pairs.csv").write_text("newer")
    assert promote(newer) == 1
    assert "exists (replace it with --replace)" in capsys.readouterr().err
    assert promote(newer, "--replace") == 0
    target = tmp_path / "results/recall/rooms_find_seen-val/recall_pairs.csv"
    assert target.read_text() == "newer"


def test_a_run_of_tasks_is_no_suite(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"config": {"suite": "tasks"}}))
    assert suite_of(tmp_path) is None
