import io
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from eval.leaderboard import build, format_seeds, main, promote, promoted
from eval.metric import METRICS
from eval.record import VIDEO_COLUMNS, RunRecord
from eval.row_name import row_name
from eval.run_spec import PROJECT_ROOT, PROTOCOL_VERSION, RunSpec
from eval.table import print_tables, read_leaderboard

SPEC = RunSpec(
    config={},
    task="FindSeen-v0",
    planner="mpc",
    memory="none",
    world_model="tiny",
    split="val",
    seeds=tuple(range(100)),
)
MADE = {
    "revision": "0123456789" * 4,
    "dirty": False,
    "device": "cpu (x)",
    "command": "python -m eval.run planner=mpc memory=none",
}


def run(root: Path, *, episodes: int | None = None, made=None, **changes) -> Path:
    """A finished run whose first half succeeds."""
    spec = replace(SPEC, **changes)
    record = RunRecord(root / spec.run_id)
    frames = spec.memory == "window"
    record.start(spec, {**MADE, **(made or {})}, stores_frames=frames)
    seeds = spec.seeds[:episodes]
    for index, seed in enumerate(seeds):
        success = int(index < len(seeds) / 2)
        record.append(
            {"seed": seed, "success": success, "denoiser_calls": 60, "decisions": 3}
        )
    return record.directory


def test_a_complete_run_gets_its_place(tmp_path):
    results = tmp_path / "results"
    source = run(tmp_path)
    target = promote(source, results)
    assert target == results / "runs" / "FindSeen-v0" / "none-mpc-tiny"
    assert RunRecord(target).rows() == RunRecord(source).rows()
    assert RunRecord(target).run() == RunRecord(source).run()
    assert [path.name for path in target.parent.iterdir()] == ["none-mpc-tiny"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"episodes": 99}, "it is incomplete: 99 of 100 episodes"),
        ({"seeds": (0, 1, 2)}, "it has 3 episodes, fewer than 100"),
        ({"made": {"dirty": True}}, "it was made with uncommitted changes"),
        ({"made": {"revision": None}}, "it was not made from a git checkout"),
        (
            {"protocol_version": "0"},
            f"its protocol version is 0, today's is {PROTOCOL_VERSION}",
        ),
    ],
)
def test_what_deserves_no_row_is_refused_with_the_reason(tmp_path, changes, reason):
    source = run(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"is refused: .*{reason}.* Run it again"):
        promote(source, tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": tuple(range(1, 101))}, "its seeds are 1-100, theirs 0-99"),
    ],
)
def test_rows_that_do_not_compare_are_refused(tmp_path, changes, reason):
    results = tmp_path / "results"
    promote(run(tmp_path), results)
    source = run(tmp_path, memory="window", **changes)
    with pytest.raises(ValueError, match=rf"{reason} \(none-mpc-tiny\)"):
        promote(source, results)
    promote(run(tmp_path, memory="window", task="Other-v0", **changes), results)


def test_what_else_differs_is_said(tmp_path, capsys):
    results = tmp_path / "results"
    weights = {"weights": {"rooms/denoiser": "aa", "rooms/matcher": "bb"}}
    promote(run(tmp_path, config=settings(1), made=weights), results)
    promote(run(tmp_path, memory="same", config=settings(1), made=weights), results)
    assert "note" not in capsys.readouterr().out
    weights = {"weights": {"rooms/denoiser": "cc", "rooms/matcher": "dd"}}
    promote(run(tmp_path, memory="other", config=settings(2), made=weights), results)
    note = 'note: beside none-mpc-tiny: weights.denoiser is "aa" there, "cc" here; '
    assert f"{note}world_model.num_sampling_steps is 1 there, 2 here" in (
        capsys.readouterr().out
    )


def test_another_objective_is_said(tmp_path, capsys):
    results = tmp_path / "results"
    for memory, weight in (("none", 1), ("same", 1), ("other", 5)):
        config = settings(1) | {"objective": {"visibility_weight": weight}}
        promote(run(tmp_path, memory=memory, config=config), results)
        said = capsys.readouterr().out
        assert ("objective.visibility_weight is 1 there, 5 here" in said) == (
            memory == "other"
        )


def test_an_objective_of_ones_own_is_part_of_a_rows_name(tmp_path):
    results = tmp_path / "results"
    promote(run(tmp_path), results)
    config = {"objective": {"_target_": "my_extras.Colourful"}}
    target = promote(run(tmp_path, config=config), results)
    assert target.name == "none-mpc-tiny-Colourful"
    assert sorted(build(results)["row"]) == ["none", "none, Colourful"]


def test_the_committed_table_says_what_the_committed_records_say():
    results = PROJECT_ROOT / "results"
    table = read_leaderboard(results / "leaderboard.csv").set_index(["task", "row"])
    records = promoted(results)
    assert len(table) == len(records)
    for record in records:
        run = record.run()
        of_task = table.loc[[(run["task"], row_name(run))]]
        (line,) = of_task[of_task["split"] == run["split"]].to_dict("records")
        episodes = pd.DataFrame(record.rows())
        made, video = run["provenance"], record.video()
        assert (line["revision"], line["command"]) == (
            made["revision"],
            made["command"],
        )
        assert (line["n"], line["seeds"]) == (len(episodes), format_seeds(run["seeds"]))
        means = episodes[list(METRICS)].astype(float).mean().to_dict()
        means |= {name: video.get(name, math.nan) for name in VIDEO_COLUMNS}
        for name, value in means.items():
            assert line[name] == pytest.approx(value, abs=1e-6, nan_ok=True), (
                run,
                name,
            )


def test_a_row_that_is_only_in_the_way_need_not_be_run_again(tmp_path):
    results, source = tmp_path / "results", run(tmp_path)
    promote(source, results)
    with pytest.raises(ValueError, match=r"--replace\)\.$"):
        promote(source, results)


def test_two_rows_of_one_name_make_no_table(tmp_path):
    results = tmp_path / "results"
    twins = [run(tmp_path, planner=planner) for planner in ("mpc", "mpc_table")]
    first = promote(twins[0], results)
    with pytest.raises(ValueError, match="none-mpc-tiny is called none, too. Run it"):
        promote(twins[1], results)
    shutil.copytree(twins[1], first.with_name("none-mpc_table-tiny"))
    rule = "none-mpc_table-tiny: its row is called as that of none-mpc-tiny"
    with pytest.raises(ValueError, match=rule):
        build(results)


def settings(num_sampling_steps):
    return {
        "planner": {"name": "mpc"},
        "world_model": {"num_sampling_steps": num_sampling_steps},
    }


def test_the_test_split_has_a_table_of_its_own(tmp_path):
    results = tmp_path / "results"
    promote(run(tmp_path, split="test"), results)
    promote(run(tmp_path), results)
    target = promote(run(tmp_path, memory="window", split="test"), results)
    assert target == results / "runs" / "FindSeen-v0-test" / "window-mpc-tiny"
    rows = build(results)
    assert list(zip(rows["split"], rows["row"], strict=True)) == [
        ("val", "none"),
        ("test", "none"),
        ("test", "window"),
    ]
    text = io.StringIO()
    print_tables(rows, console=Console(file=text, width=160))
    assert text.getvalue().count("FindSeen-v0, n=100") == 2


def test_fewer_episodes_and_replacement_must_be_asked_for(tmp_path):
    results = tmp_path / "results"
    small = {"seeds": (0, 1)}
    promote(run(tmp_path, **small), results, min_episodes=2)
    again = run(tmp_path, config={"new": 1}, **small)
    with pytest.raises(ValueError, match="exists .replace it with --replace"):
        promote(again, results, min_episodes=2)
    target = promote(again, results, min_episodes=2, replace=True)
    assert RunRecord(target).run()["config"] == {"new": 1}


def test_the_leaderboard_holds_means_with_bounds_in_a_fixed_order(tmp_path):
    results = tmp_path / "results"
    rows = [
        {"world_model": "simulator"},
        {"memory": "window"},
        {"planner": "random", "world_model": "none"},
        {"memory": "my_memory"},
        {"planner": "cem", "memory": "oracle"},
        {"planner": "cem"},
        {},
    ]
    for changes in rows:
        promote(run(tmp_path, **changes), results)
    table = build(results)
    names = ["random", "none", "window", "my_memory", "simulator"]
    assert list(table["row"]) == [*names, "none+cem", "oracle+cem"]
    stored = ["no", "no", "yes", "no", "no", "no", "no"]
    assert list(table["stores_frames"]) == stored
    first = table.iloc[0]
    bounds = (first["success"], first["success_low"], first["success_high"])
    assert bounds == pytest.approx((0.5, 0.403832, 0.596168), abs=1e-6)
    assert first["denoiser_calls"] == 60
    assert (first["n"], first["seeds"]) == (100, "0-99")
    assert first["command"] == MADE["command"]
    assert table["optimism_gap"].isna().all()
    assert all({m, f"{m}_low", f"{m}_high"} <= set(table) for m in METRICS)


def test_the_same_records_give_the_same_bytes(tmp_path):
    results = tmp_path / "results"
    for memory in ("none", "window"):
        promote(run(tmp_path, memory=memory), results)
    assert main(["--results", str(results), "build"]) == 0
    first = (results / "leaderboard.csv").read_bytes()
    assert main(["--results", str(results), "build"]) == 0
    assert (results / "leaderboard.csv").read_bytes() == first


def test_records_put_there_by_hand_are_refused(tmp_path):
    results = tmp_path / "results"
    target = promote(run(tmp_path), results)
    target.rename(target.with_name("temp_lora-mpc-tiny"))
    lines = (target.with_name("temp_lora-mpc-tiny") / "episodes.csv").read_text()
    shortened = "\n".join(lines.splitlines()[:-1]) + "\n"
    (target.with_name("temp_lora-mpc-tiny") / "episodes.csv").write_text(shortened)
    with pytest.raises(ValueError, match="Not a leaderboard: ") as caught:
        build(results)
    assert "it is incomplete: 99 of 100 episodes" in str(caught.value)
    assert "it lies under another combination's name" in str(caught.value)


def test_incomparable_records_put_there_by_hand_are_refused(tmp_path):
    results = tmp_path / "results"
    promote(run(tmp_path), results)
    other = promote(run(tmp_path, memory="window", split="test"), tmp_path / "b")
    other.rename(results / "runs" / "FindSeen-v0" / other.name)
    with pytest.raises(ValueError, match="window-mpc-tiny: its split is test, theirs"):
        build(results)


@pytest.mark.parametrize(
    ("planner", "memory", "world_model", "name"),
    [
        ("mpc", "temp_lora", "tiny", "temp_lora"),
        ("mpc", "none", "simulator", "simulator"),
        ("random", "none", "none", "random"),
        ("icem", "none", "tiny", "none+icem"),
        ("icem", "anchor", "tiny", "anchor+icem"),
        ("icem", "none", "simulator", "simulator+icem"),
        ("mpc", "temp_lora", "my_model", "temp_lora, my_model"),
        ("icem", "none", "my_model", "none+icem, my_model"),
    ],
)
def test_a_row_is_called_by_what_sets_it_apart(planner, memory, world_model, name):
    run = {"planner": planner, "memory": memory, "world_model": world_model}
    assert row_name({**run, "config": {"goal": "language"}}) == name
    given = {**run, "config": {"goal": "given_image"}}
    assert row_name(given) == f"{name}, given image"


def test_a_grammar_of_ones_own_is_part_of_the_rows_name():
    run = {"planner": "mpc_table", "memory": "retrieval", "world_model": "tiny"}
    grammar = {"_target_": "hydra.utils.get_method", "path": "my_package.my_grammar"}
    config = {"goal": "language", "planner": {"grammar": grammar}}
    assert row_name({**run, "config": config}) == "retrieval, my_grammar"


def test_a_world_model_of_ones_own_has_rows_of_its_own(tmp_path):
    results = tmp_path / "results"
    for world_model in ("tiny", "my_model"):
        promote(run(tmp_path, world_model=world_model), results)
    assert sorted(build(results)["row"]) == ["none", "none, my_model"]


def test_seeds_are_written_as_ranges():
    assert format_seeds([5, 1, 2, 3]) == "1-3 5"


def test_the_command_line_promotes_builds_and_shows(tmp_path, capsys):
    results = ["--results", str(tmp_path / "results")]
    source = str(run(tmp_path, seeds=(0, 1)))
    assert main([*results, "promote", source, "--min-episodes", "2"]) == 0
    assert main([*results, "build"]) == 0
    assert main([*results, "show"]) == 0
    assert "FindSeen-v0, n=2, seeds 0-1" in capsys.readouterr().out


def test_the_first_episodes_of_a_longer_run_make_the_row_of_a_shorter(tmp_path):
    root = tmp_path / "results"
    size = {"seeds": tuple(range(250)), "config": {"episodes": 250}}
    long = run(tmp_path, episodes=101, **size)
    (long / "video.json").write_text('{"video_n": 250, "fvd": 1.0}')
    arguments = ["--results", str(root), "promote", str(long)]
    assert main([*arguments, "--first", "100"]) == 0
    row = RunRecord(root / "runs" / "FindSeen-v0" / "none-mpc-tiny")
    assert row.rows() == RunRecord(long).rows()[:100]
    assert row.run()["seeds"] == list(range(100))
    assert row.run()["config"] == {"episodes": 100}
    assert row.run()["provenance"]["command"].endswith(" # its first 100 episodes")
    assert row.video() == {}
    promote(run(tmp_path, planner="random"), root)  # they compare


def test_first_episodes_that_are_not_there_are_refused(tmp_path, capsys):
    long = run(tmp_path, seeds=tuple(range(250)), episodes=101)
    arguments = ["--results", str(tmp_path / "results"), "promote", str(long)]
    assert main([*arguments, "--first", "102"]) == 1
    rule = f"error: {long} is refused: it is incomplete: 101 of 102 episodes"
    assert rule in capsys.readouterr().err
    assert main([*arguments, "--first", "300"]) == 1
    error = capsys.readouterr().err
    assert "`first` must lie between 1 and the run's 250 episodes, got 300" in error
    report = tmp_path / "report"
    report.mkdir()
    (report / "run.json").write_text('{"config": {"suite": "recall"}}')
    assert main(["promote", str(report), "--first", "100"]) == 1
    assert "`--first` needs a run of suite=tasks, got " in capsys.readouterr().err


def test_the_command_line_says_why_it_refuses(tmp_path, capsys):
    assert main(["--results", str(tmp_path), "promote", str(tmp_path)]) == 1
    assert "error: " in capsys.readouterr().err
    assert main(["--results", str(tmp_path), "show"]) == 1
    assert "must hold promoted rows, got none: run" in capsys.readouterr().err


def test_the_table_keeps_the_memory_named_none_and_leaves_the_unknown_empty(tmp_path):
    results = tmp_path / "results"
    promote(run(tmp_path), results)
    assert main(["--results", str(results), "build"]) == 0
    rows = read_leaderboard(results / "leaderboard.csv")
    assert rows.iloc[0]["memory"] == "none"
    console = Console(width=200, record=True, file=io.StringIO())
    print_tables(rows, note="demo", console=console)
    text = console.export_text()
    assert "FindSeen-v0, demo, n=100, seeds 0-99, split val" in text
    assert "50.0 [40.4, 59.6]" in text
    assert "nan" not in text.lower()
    line = next(x for x in text.splitlines() if "50.0" in x)
    assert [cell.strip() for cell in line.split("│")][8:11] == ["", "20", ""]


@pytest.mark.parametrize("width", [80, 100, 130])
def test_a_narrow_terminal_shows_whole_cells_of_fewer_columns(width):
    rows = read_leaderboard(PROJECT_ROOT / "results" / "leaderboard.csv")
    console = Console(width=width, record=True, file=io.StringIO())
    print_tables(rows, console=console)
    text = console.export_text()
    assert "\u2026" not in text  # nothing is cut short
    lines = [x for x in text.splitlines() if not x.startswith("Last row: python -m ")]
    assert max(map(len, lines)) <= width
    for _, row in rows.iterrows():
        low, high = 100 * row["success_low"], 100 * row["success_high"]
        assert f"{100 * row['success']:.1f} [{low:.1f}, {high:.1f}]" in text
