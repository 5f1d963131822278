"""Plug-ins as a stranger makes them: generated, installed, listed, run and checked."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval.laws.planner import LAWS, Question
from eval.record import RunRecord
from eval.row_name import row_name
from world_model.plugins import Plugin, config_folder, find_plugins

ROOT = Path(__file__).parents[2]
SMALL = ["task=scroll_find_seen", "episodes=1", "num_envs=1", "threads=1"]
INSTALL = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]


class Bench:
    """A directory with plug-ins installed beside it, and commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.site), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def install(self, package: str) -> None:
        target = ["--target", str(self.site)]
        done = self.python("-m", "pip", "install", *INSTALL, *target, package)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Where the commands of docs/plugins.md are followed, up to the installation."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    for words in tutorial("eval.new"):
        done = bench.python(*words)
        assert done.returncode == 0, done.stderr
    bench.install("./my_planner")
    return bench


def tutorial(module: str) -> list[list[str]]:
    """The commands `python -m <module> ...` of the tutorial, without "python"."""
    text = (ROOT / "docs" / "plugins.md").read_text().split("\n## ")[1]
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [shlex.split(line, comments=True) for b in blocks for line in b.split("\n")]
    return [line[1:] for line in lines if line[:3] == ["python", "-m", module]]


def test_the_tutorial_says_what_it_takes_to_follow_it():
    counts = {f"eval.{name}": 1 for name in ("new", "check", "run")}
    assert {module: len(tutorial(module)) for module in counts} == counts
    text = (ROOT / "docs" / "plugins.md").read_text()
    assert "pip install -e ./my_planner" in text


def test_an_installed_planner_is_listed_at_once_and_not_imported(bench):
    code = (
        "import runpy, sys\n"
        "sys.argv = ['eval.run', '--help']\n"
        "try:\n    runpy.run_module('eval.run', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "found = {'torch', 'my_planner', 'my_planner.planner'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = bench.python("-c", code)
    assert done.returncode == 0, done.stderr
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("planner: "))
    assert {"mpc", "my_planner"} <= set(line.removeprefix("planner: ").split(", "))


def test_a_misspelt_plugin_gets_its_name(bench):
    done = bench.python("-m", "eval.run", "planner=my_planer")
    assert done.returncode == 1
    known = "Did you mean 'my_planner'? Available: controller, expert, "
    assert done.stderr.startswith(f"error: Unknown planner 'my_planer'. {known}")
    assert "my_planner" in done.stderr.partition("Available")[2]


def test_the_generated_planner_keeps_the_laws(bench):
    for words in tutorial("eval.check"):
        done = bench.python(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "BROKEN" not in done.stdout
        assert "planner my_planner: no broken laws" in done.stdout


def test_the_tests_of_the_generated_package_pass(bench):
    done = bench.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "my_planner")
    assert done.returncode == 0, done.stdout


def test_the_generated_planner_gets_its_row(bench, scroll_weights):
    (words,) = tutorial("eval.run")
    weights = f"world_model.weights={scroll_weights}"
    done = bench.python(*words, *SMALL, weights, "paired=null", "video=false")
    assert done.returncode == 0, done.stderr
    (path,) = (bench.folder / "outputs").glob("[!.]*")
    run = RunRecord(path).run()
    assert row_name(run) == "temp_lora+my_planner"
    assert run["provenance"]["plugins"].keys() == {"my_planner"}
    assert "temp_lora+my_planner" in done.stdout


def test_a_plugin_that_is_removed_is_gone(bench, tmp_path):
    elsewhere = Bench(tmp_path)
    shutil.copytree(bench.site, elsewhere.site)
    words = ["-m", "eval.run", "planner=my_planner", "--cfg", "job"]
    assert elsewhere.python(*words).returncode == 0
    shutil.rmtree(elsewhere.site)
    done = elsewhere.python(*words)
    assert done.returncode == 1
    assert "Unknown planner 'my_planner'" in done.stderr


def test_training_finds_plugins_too(bench):
    done = bench.python("-m", "world_model.train", "--help")
    assert done.returncode == 0, done.stderr
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("planner: "))
    assert "my_planner" in line


def test_plugins_are_found_by_their_entry_points(bench, monkeypatch):
    assert "my_planner" not in {plugin.name for plugin in find_plugins()}
    monkeypatch.syspath_prepend(bench.site)
    (found,) = (plugin for plugin in find_plugins() if plugin.name == "my_planner")
    assert found == Plugin("planner", "my_planner", "my_planner", "my-planner 0.1.0")
    assert found.config_folder == bench.site / "my_planner" / "configs"
    assert config_folder("no_such_package") is None
    assert config_folder("shutil") is None  # a module has no folder


def test_a_planner_without_installation_needs_a_config_dir(
    bench, scroll_weights, tmp_path
):
    elsewhere = Bench(tmp_path)
    elsewhere.site = bench.folder / "my_planner" / "src"  # importable, no more
    folder = elsewhere.site / "my_planner" / "configs"
    words = ["-m", "eval.run", "--config-dir", str(folder), "planner=my_planner"]
    weights = f"world_model.weights={scroll_weights}"
    done = elsewhere.python(*words, *SMALL, weights, "memory=none", "video=false")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "outputs").glob("[!.]*")
    assert row_name(RunRecord(path).run()) == "none+my_planner"


def test_the_planner_of_the_readme_keeps_the_laws():
    readme = (ROOT / "README.md").read_text().partition("## A planner of your own")[2]
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    found = {}
    exec(code, found)
    question = Question(found["GreedyPlanner"], num_episodes=2, horizon=3)
    for law in LAWS:
        law(question)
