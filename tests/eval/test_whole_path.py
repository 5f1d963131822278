"""From nothing to a row, by the documented commands: collect, train, loop, plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGES = "[fit,slow,classifier,matcher,probe,export]"
TINY = (
    "threads=1",
    "denoiser.width=32",
    "denoiser.num_layers=1",
    "slow.num_steps=2",
    "slow.batch_size=4",
    "slow.evaluate_every=2",
    "slow.compile=false",
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


def python(module: str, *arguments: str, cwd: Path) -> str:
    """What a command prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_toy_is_collected_trained_looped_and_planned_in(tmp_path: Path) -> None:
    data = ("episodes=6", "actions=8", "shard_size=6", "workers=1")
    python("envs.collect", "domain=scroll", *data, cwd=tmp_path)
    first = f"weights={tmp_path}/first"
    toy = ("domain=scroll", *TINY)
    python("world_model.train", f"stage={STAGES}", first, *toy, cwd=tmp_path)
    looped = (*LOOP, first, "output=loop", "memory=pose_weights")
    said = python("world_model.train", *looped, *toy, cwd=tmp_path)
    assert "weights: loop/weights" in said
    card = json.loads((tmp_path / "loop/weights/card.json").read_text())
    assert {"slow", "matcher", "probe", "slow_fast"} <= set(card["training"])
    row = ("task=scroll_find_seen", "memory=pose_weights", "episodes=1", "paired=null")
    ours = f"world_model.weights={tmp_path}/loop/weights"
    said = python("eval.run", *row, ours, "video=false", cwd=tmp_path)
    assert "pose_weights" in said
    assert len(list(tmp_path.glob("outputs/*/episodes.csv"))) == 1


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
