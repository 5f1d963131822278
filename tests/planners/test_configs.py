"""`planner=mpc planner/optimizer=...`: every file makes its planner."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[2] / "configs"
OPTIMIZERS = sorted(p.stem for p in (CONFIGS / "planner" / "optimizer").glob("*.yaml"))
NEEDS = {"scripted": ["planner.planner.phrases=[up]"]}
VECTORS = {"gradient"}


def composed(*overrides: str):
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return OmegaConf.to_container(hydra.compose("eval", list(overrides)).planner)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_search_can_be_chosen_and_makes_its_planner(name, request):
    scene = request.getfixturevalue("point" if name in VECTORS else "dot")
    found = composed("planner=mpc", f"planner/optimizer={name}", *NEEDS.get(name, []))
    rows = {"graph_search": "mpc", "beam": "mpc_beam"}
    assert found["name"] == rows.get(name, f"mpc_{name}")
    assert found["_target_"] == "planners.mpc.MPCPolicy"
    model = scene.world_model()
    parts = [model, scene.objective]
    if name == "video_plan":
        parts.append(request.getfixturevalue("reads_dots"))
    planner = instantiate(found["planner"], *parts)
    assert type(planner).__module__ == f"planners.{name}"


def test_the_standard_planner_and_the_beam_are_what_they_were():
    # Identities of runs are made of these values.
    assert composed("planner=mpc") == {
        "name": "mpc",
        "_target_": "planners.mpc.MPCPolicy",
        "replan_every": 1,
        "planner": {
            "_target_": "planners.graph_search.GraphSearchPlanner",
            "depth": 7,
            "width": 64,
            "action_cost": 0.02,
            "min_change": 0.1,
            "unknown_cost": 0.0,
        },
    }
    assert composed("planner=mpc_beam", "planner.planner.width=8") == {
        "name": "mpc_beam",
        "_target_": "planners.mpc.MPCPolicy",
        "replan_every": 1,
        "planner": {
            "_target_": "planners.beam.BeamPlanner",
            "width": 8,
            "depth": 7,
            "action_cost": 0.02,
            "novelty": 1.0,
        },
    }
