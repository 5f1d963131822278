"""Columns about parts of the goal and about single objects."""

from __future__ import annotations

import hydra
import pytest

from envs.memory_task_env import Measures
from eval.build import build_metrics
from eval.evaluate import Episode
from world_model.names import CONFIGS

NAMES = ("subgoal_1", "subgoal_2", "subgoal_3")
DISTANCES = tuple(f"object_{i}_distance" for i in (1, 2, 3))


@pytest.fixture(scope="module")
def metrics():
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = hydra.compose("eval", ["metric=rearrangement", "task=scroll_find_seen"])
    return {metric.name: metric for metric in build_metrics(cfg)}


def episode(**changes) -> Episode:
    truth = {"optimum": 6, "distance": 0.1, "success": False, "delay": None}
    return Episode(0, "restore", measures=Measures(**truth | changes))


def test_parts_and_objects_have_a_column_each(metrics):
    assert tuple(metrics) == NAMES + DISTANCES
    found = episode(
        distances={"red cube": 0.01, "blue cube": 0.3}, subgoals=(True, False, False)
    )
    values = [metric.measure(found) for metric in metrics.values()]
    assert values == [1, 0, 0, 0.01, 0.3, None]
    for metric, value in zip(metrics.values(), values, strict=True):
        metric.check(value)


def test_they_are_empty_where_a_task_has_none(metrics):
    assert all(metric.measure(episode()) is None for metric in metrics.values())
