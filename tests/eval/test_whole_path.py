"""From nothing to a row, by the documented commands: collect, train, loop, plan."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
NAME = "elsewhere"
STAGES = "[fit,slow,classifier,matcher,probe,export]"
TINY = (
    "threads=1",
    "denoiser.width=32",
    "denoiser.num_layers=1",
    "slow.num_steps=2",
    "slow.batch_size=4",
    "slow.evaluate_every=2",
    "slow.compile=false",
    "slow.mixed_precision=no",
    "classifier.num_steps=2",
    "classifier.imagined=32",
    "matcher.num_steps=2",
    "probe.num_steps=2",
)
LOOP = (
    "stage=slow_fast",
    "slow_fast.num_steps=2",
    "slow_fast.episodes=4",
    "slow_fast.parallel=2",
    "slow_fast.snapshots=[6,7]",
    "slow_fast.evaluate_every=2",
    "slow_fast.batch_size=8",
    "slow_fast.groups=2",
    "slow_fast.mixed_precision=no",
)


def python(module: str, *arguments: str, cwd: Path, elsewhere: bool = False) -> str:
    """What a command prints, on the CPU or on `tests.another_device`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    how = [str(ROOT / "tests" / "another_device.py")] if elsewhere else ["-m"]
    command = [sys.executable, *how, module, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def whole_path(folder: Path, *, elsewhere: bool = False) -> None:
    """Data, weights, weights of the loop below `loop`, and a row below `outputs`."""
    ours = functools.partial(python, cwd=folder, elsewhere=elsewhere)
    data = ("episodes=6", "actions=8", "shard_size=6", "workers=1")
    ours("envs.collect", "domain=scroll", *data)
    first = f"weights={folder}/first"
    toy = ("domain=scroll", *TINY)
    ours("world_model.train", f"stage={STAGES}", first, *toy)
    looped = (*LOOP, first, "output=loop", "memory=pose_weights")
    said = ours("world_model.train", *looped, *toy)
    assert "weights: loop/weights" in said
    row = ("task=scroll_find_seen", "memory=pose_weights", "episodes=1", "paired=null")
    weights = f"world_model.weights={folder}/loop/weights"
    said = ours("eval.run", *row, weights, "video=false")
    assert "pose_weights" in said


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole path."""
    folder = tmp_path_factory.mktemp("cpu")
    whole_path(folder)
    return folder


def test_the_toy_is_collected_trained_looped_and_planned_in(on_cpu: Path) -> None:
    card = json.loads((on_cpu / "loop/weights/card.json").read_text())
    assert {"slow", "matcher", "probe", "slow_fast"} <= set(card["training"])
    assert len(list(on_cpu.glob("outputs/*/episodes.csv"))) == 1


def test_the_path_is_the_same_on_another_device(on_cpu: Path, tmp_path: Path) -> None:
    whole_path(tmp_path, elsewhere=True)
    (record,) = tmp_path.glob("outputs/*/run.json")
    assert json.loads(record.read_text())["provenance"]["device"].startswith(NAME)
    assert _weights(tmp_path) == _weights(on_cpu)
    pd.testing.assert_frame_equal(_episodes(tmp_path), _episodes(on_cpu))


def _weights(folder: Path) -> dict[str, bytes]:
    found = (folder / "loop" / "weights").rglob("*.safetensors")
    return {path.parent.name: path.read_bytes() for path in found}


def _episodes(folder: Path) -> pd.DataFrame:
    """What happened, without how long it took."""
    (path,) = folder.glob("outputs/*/episodes.csv")
    table = pd.read_csv(path)
    return table[[name for name in table if "seconds" not in name]]


def test_vectors_are_collected_trained_and_planned_in(tmp_path: Path) -> None:
    data = ("episodes=6", "actions=8", "shard_size=6", "workers=1")
    python("envs.collect", "domain=point", *data, cwd=tmp_path)
    trained = ("domain=point", f"weights={tmp_path}/weights", *TINY)
    python("world_model.train", "stage=[fit,slow,export]", *trained, cwd=tmp_path)
    row = ("task=point_reach", "planner/optimizer=icem", "planner.planner.population=8")
    ours = f"world_model.weights={tmp_path}/weights"
    few = ("memory=temp_lora_paper", "paired=none", "episodes=1")
    said = python("eval.run", *row, *few, ours, cwd=tmp_path)
    assert "temp_lora_paper" in said
    assert len(list(tmp_path.glob("outputs/*/episodes.csv"))) == 2
    assert len(list(tmp_path.glob("outputs/*/imagined-0.npz"))) == 2
