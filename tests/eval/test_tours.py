"""Snapshots of what memories hold after tours."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from eval.evaluate import Episode
from eval.tours import TourCache
from planners.beam import BeamPlanner
from planners.mpc import MPCPolicy
from world_model.core import Chunk
from world_model.frames import to_env
from world_model.memory.anchor import AnchorMemory
from world_model.policy_api import Objective
from world_model.toy import DotWorldModel, draw_dot


class Counting(MPCPolicy):
    """Keeps more than its memory, and cannot stand where tours led."""

    num_seen = 0

    def observe(self, chunk: Chunk) -> None:
        super().observe(chunk)
        self.num_seen += 1


class Resuming(Counting):
    """Can."""

    def observe(self, chunk: Chunk) -> None:
        super().observe(chunk)

    def resume(self, memory_state: Any, num_shown: list[int]) -> None:
        super().resume(memory_state, num_shown)
        self.num_seen = max(num_shown)


class Flat(Objective):
    def __call__(self, rollout, goal):
        return torch.zeros(rollout.latents.shape[:3])


def test_policies_of_others_share_no_snapshots() -> None:
    def identity(**planner: object) -> dict[str, Any]:
        parts = {name: {"name": name} for name in ("memory", "world_model")}
        cfg = {"task": {"domain": "scroll"}, "outputs": "o", "workers": 1, **parts}
        cfg["planner"] = {"_target_": "planners.mpc.MPCPolicy", **planner}
        cfg["world_model"]["weights"] = None
        made = TourCache.of(OmegaConf.create(cfg), "cpu").identity
        return dict(made)

    ours = identity()
    assert identity(replan_every=2, planner={"width": 3}) == ours
    theirs = {"_target_": "tests_of_tours.Policy", "planner": {"width": 3}}
    other = identity(**theirs, every=2)
    assert other["policy"] == {"_target_": "tests_of_tours.Policy", "every": 2}
    assert other["plugins"].keys() - ours["plugins"].keys() == {"tests_of_tours"}


@pytest.mark.parametrize(
    ("kind", "shown"), [(MPCPolicy, 2), (Counting, 4), (Resuming, 2)]
)
def test_only_policies_that_can_resume_skip_the_tour(
    tmp_path: Path, kind: type[MPCPolicy], shown: int
) -> None:
    frames = to_env(draw_dot(torch.tensor([(1, 4)])))
    step = SimpleNamespace(action=0, frames=frames)
    env: Any = SimpleNamespace(first_image=frames[0], tour=(step, step))
    cache, steps = TourCache(tmp_path, {}), []
    ends = []
    for _ in range(2):
        model = DotWorldModel()
        planner = BeamPlanner(model, Flat(), depth=1, width=1)
        policy = kind(model, AnchorMemory(model), planner)
        policy.reset(frames, [0])
        cache.watch(policy, [env], [Episode(0, "fetch")], lambda: steps.append(1))
        held = [anchor.tolist() for anchor in policy.memory.snapshot()]
        ends.append((held, getattr(policy, "num_seen", None)))
    assert len(steps) == shown
    assert ends[1] == ends[0]
