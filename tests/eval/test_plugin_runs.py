"""Runs with plug-ins of every kind; a broken one is named and harms nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.check import check
from eval.record import RunRecord

ROOT = Path(__file__).parents[2]
IMAGINE = "self.world_model.rollout(context, actions[:, None], generator=generator)"


@pytest.fixture
def run(run, scroll_weights, tmp_path):
    """A short run, with untrained weights where it brings no world model."""
    small = ["task=scroll_find_seen", "episodes=1", "num_envs=1", "threads=1"]
    rest = [f"outputs={tmp_path}/outputs", "video=false", "memory=none"]

    def run_with(*words: str) -> str | None:
        if not any(word.startswith("world_model=") for word in words):
            words = (*words, f"world_model.weights={scroll_weights}")
        return run(*small, *rest, *words)

    return run_with


@pytest.mark.parametrize(
    ("fault", "top", "problem"),
    [
        (
            "pass",
            "import no_such_thing",
            "ModuleNotFoundError: No module named 'no_such_",
        ),
        ("costs = costs / 0", "", "Broken law: `costs` is finite, got [nan]."),
        (
            "actions = actions[:, 0]",
            "",
            "Broken law: `actions` is (B, T) or (B, T, A) ",
        ),
        ("1 / 0", "", "ZeroDivisionError: division by zero (at __init__.py:14)"),
    ],
)
def test_a_run_names_the_broken_planner(install, run, fault, top, problem):
    name = install("planner", fault=fault, top=top)
    error = run(f"planner={name}")
    rule = f"`planner={name}` ({name}.Part) must work without an error, got {problem}"
    assert error.startswith(f"error: {rule}")
    remedy = f"correct that plug-in; `python -m eval.check planner {name}` says more."
    assert error.endswith(remedy)


def test_a_worker_names_the_broken_planner(install, run):
    name = install("planner", fault="1 / 0")
    error = run(f"planner={name}", "episodes=2", "workers=2")
    rule = f"error: `planner={name}` ({name}.Part) must work without an error, got "
    assert error.startswith(f"{rule}ZeroDivisionError: division by zero")


def test_a_run_names_the_broken_objective_not_the_planner(install, run):
    name = install("objective", costs="costs * torch.nan")
    own = install("planner", fault=f"self.objective({IMAGINE}, goal)")
    error = run(f"objective={name}", f"planner={own}")
    assert error.startswith(f"error: `objective={name}.Part` ({name}.Part) must work")
    assert "Broken law: costs are finite, got [nan" in error


@pytest.mark.parametrize(
    ("holes", "problem"),
    [
        ({"fault": "frames = frames[:, 0]"}, "Broken law: `frames` have the shape (B,"),
        ({"fault": "frames = frames / 0"}, "Broken law: `frames` are finite."),
        ({"fault": "return frames"}, "Broken law: `read` returns a `Reading` or None,"),
        ({"fault": "1 / 0"}, "ZeroDivisionError: division by zero"),
        ({"size": "None"}, "Broken law: `num_bytes` is a whole number, at least 0, go"),
    ],
)
def test_a_run_and_a_check_name_what_is_wrong_with_a_memory(
    install, run, holes, problem
):
    name = install("memory", **holes)
    error = run(f"memory={name}", "paired=null")
    rule = f"`memory={name}` ({name}.Part) must work without an error, got {problem}"
    assert error.startswith(f"error: {rule}")
    broken = [v for v in check("memory", name) if v.problem]
    assert broken[0].problem.startswith(problem)
    assert broken[0].law.startswith("`read` returns None or a `Reading` of the right")


@pytest.mark.parametrize(
    ("actions", "problem"),
    [
        ("actions.tolist()", "Broken law: `act` returns an array, got list."),
        ("actions + 100", "Broken law: actions are whole numbers from 0 to "),
        ("{}['no']", "KeyError: 'no' (at __init__.py:8)"),
    ],
)
def test_a_run_names_the_broken_policy(install, run, actions, problem):
    name = install("policy", actions=actions)
    error = run(f"planner={name}")
    rule = f"`planner={name}` ({name}.Part) must work without an error, got {problem}"
    assert error.startswith(f"error: {rule}")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("self.predict = lambda *a, **o: {}['no']", "KeyError: 'no' (at __init__"),
        ("self.predict = lambda *a, **o: None", "Broken law: `predict` returns a `P"),
        (
            "real = self.predict; self.predict = lambda *a, **o: "
            "Prediction(real(*a, **o).latents / 0)",
            "Broken law: `latents` are finite.",
        ),
        (
            "self.predict = lambda c, a, **o: Prediction(c.latents[:, :, -1])",
            "Broken law: `latents` have the shape (B, N, F, c, h, w) = (1, ",
        ),
        ("self.encode = lambda x: x / 0", "Broken law: `encode` returns finite laten"),
        ("self.encode = lambda x: x[0]", "Broken law: `encode` returns finite latents"),
    ],
)
def test_a_run_names_the_broken_world_model(install, run, fault, problem):
    name = install("world_model", fault=fault)
    error = run(f"world_model={name}", "task=scroll_return_home")
    rule = f"`world_model={name}` ({name}.Part) must work without an error, got "
    assert error.startswith(f"error: {rule}{problem}")


def test_a_memory_of_ones_own_is_run(install, run, tmp_path):
    name = install("memory")
    assert run(f"memory={name}", "paired=null", "planner.planner.depth=1") is None
    (path,) = (tmp_path / "outputs").glob("[!.]*")
    assert RunRecord(path).run()["stores_frames"]
    assert float(RunRecord(path).rows()[0]["memory_bytes"]) > 0


def test_a_part_that_derives_from_nothing_is_refused(install, run):
    name = install("planner", base="object")
    assert "derive from world_model.policy_api.Planner" in run(f"planner={name}")


def test_a_task_an_objective_and_a_metric_of_ones_own_are_run(
    install, run, tmp_path, capsys
):
    task = install("task")
    objective = install("objective")
    column = install("metric")
    words = [f"task={task}", f"objective={objective}", f"metric={column}"]
    assert run(*words, "planner.planner.depth=1") is None
    (path,) = (tmp_path / "outputs").glob("[!.]*")
    record = RunRecord(path)
    assert record.run()["task"] == task
    assert record.columns[-1] == column
    (row,) = record.rows()
    assert row[column] >= 0
    assert record.run()["provenance"]["plugins"].keys() == {task, objective, column}
    assert (
        f"{column} of none, Part: {row[column]:.3g} actions" in capsys.readouterr().out
    )


def test_a_broken_column_stops_the_run_and_is_named(install, run):
    name = install("metric", fault="return float('inf')")
    error = run(f"metric=[{name}]", "planner=random")
    assert error.startswith(
        f"error: `metric={name}` ({name}.Part) must work without an"
    )


def test_a_world_model_of_ones_own_is_run(install, run, tmp_path):
    name = install("world_model")
    assert [v for v in check("world_model", name) if v.problem] == []
    assert run(f"world_model={name}", "task=scroll_return_home") is None
    (path,) = (tmp_path / "outputs").glob("[!.]*")
    assert RunRecord(path).run()["world_model"] == name


def test_a_world_model_of_another_domain_is_refused(install, run):
    name = install("world_model", fault="self.chunk_length += 1")
    error = run(f"world_model={name}", "task=scroll_return_home")
    assert error.startswith(f"error: `world_model={name}` must have the actions of scr")
    assert error.endswith("choose another task or correct the model.")


def test_the_shipped_classifier_is_not_shown_strange_latents(
    install, run, scroll_weights
):
    name = install("world_model", fault="self.encode = lambda frames: frames[:, :1]")
    error = run(f"world_model={name}", f"world_model.weights={scroll_weights}")
    assert error.startswith("error: `objective=success_classifier` must be trained on")
    assert "(1, 8, 8), got (3, 8, 8)" in error


@pytest.mark.parametrize(
    ("kind", "config", "missing"),
    [
        ("planner", "x: 1", "name"),
        ("planner", "name: x", "_target_"),
        ("task", "# @package _global_\ntask: {name: x, domain: scroll}", "kind"),
    ],
)
def test_what_every_configuration_must_give(
    install, run, tmp_path, kind, config, missing
):
    name = install(kind)
    (tmp_path / name / "configs" / kind / f"{name}.yaml").write_text(config)
    error = run(f"{kind}={name}")
    rule = f"error: Every configuration of `{kind}` must give `{missing}`, got only"
    assert error.startswith(rule)
    assert error.endswith("add it to the YAML file.")


def test_a_plugin_that_cannot_be_imported_harms_nobody_else(install, tmp_path):
    name = install("planner", top="raise SystemExit('I take you with me')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    for words in (["--help"], ["--cfg", "job", "planner=mpc"]):
        done = subprocess.run(
            [sys.executable, "-m", "eval.run", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert name in done.stdout or words[0] != "--help"
