"""The laws of metrics of one's own, tried on made-up episodes."""

from __future__ import annotations

import copy
from dataclasses import fields

import numpy as np
from omegaconf import DictConfig

from envs.task_env import Measures
from eval.build import build_metrics
from eval.episode_metric import EpisodeMetric
from eval.evaluate import Episode
from eval.laws.example import Example
from world_model.testing import require


def examples(cfg: DictConfig) -> list[Example]:
    """Episodes of one step that failed, and of four steps that succeeded."""
    # Of a pair, the one measures other episodes first.
    return [
        Example(
            f"{steps} {'step' if steps == 1 else 'steps'}, success={success}",
            (metric, _episode(steps, success), used),
        )
        for metric, used in zip(build_metrics(cfg), build_metrics(cfg), strict=True)
        for steps, success in ((1, False), (4, True))
    ]


def values_fit_their_column(
    metric: EpisodeMetric, episode: Episode, used: EpisodeMetric
) -> None:
    """A value is a finite number or None, and 0 or 1 for proportions."""
    value = metric.measure(episode)
    try:
        metric.check(value)
    except (TypeError, ValueError) as error:
        require(False, "a value fits its column", f"{value!r} ({error})")


def episodes_are_measured_alone(
    metric: EpisodeMetric, episode: Episode, used: EpisodeMetric
) -> None:
    """An episode's value does not depend on the episodes measured before it."""
    for steps, success in ((3, True), (7, False)):
        used.measure(_episode(steps, success))
    law = "episodes are measured alone"
    values = metric.measure(episode), used.measure(episode)
    require(values[0] == values[1], law, f"{values[0]}, and {values[1]} after others")


def measuring_changes_nothing(
    metric: EpisodeMetric, episode: Episode, used: EpisodeMetric
) -> None:
    """The same episode has the same value again, and stays as it is."""
    before = copy.deepcopy(episode)
    values = [metric.measure(episode) for _ in range(2)]
    require(values[0] == values[1], "same episode, same value", values)
    for field in fields(episode):
        old, new = getattr(before, field.name), getattr(episode, field.name)
        same = np.array_equal(old, new) if field.name == "frames" else old == new
        require(same, "measuring changes nothing", f"another `{field.name}`")


def columns_are_described(
    metric: EpisodeMetric, episode: Episode, used: EpisodeMetric
) -> None:
    """A column has a unit (empty for pure numbers), a direction and a description."""
    require(bool(metric.description), "a metric has a description")
    require(isinstance(metric.unit, str), "a unit is text", repr(metric.unit))
    law = "`higher_is_better` is True, False or None"
    direction = metric.higher_is_better
    require(direction in (True, False, None), law, repr(direction))


LAWS = (
    measuring_changes_nothing,  # first: the others use the same episodes
    values_fit_their_column,
    episodes_are_measured_alone,
    columns_are_described,
)


def _episode(steps: int, success: bool) -> Episode:
    frames = [np.full((8, 8, 3), 10 * i, np.uint8) for i in range(steps + 1)]
    return Episode(
        seed=0,
        instruction="go to the yellow sphere",
        measures=Measures(optimum=4, distance=0.5, success=success, delay=2),
        steps=steps,
        actions=[i % 2 for i in range(steps)],
        frames=frames,
        plan_seconds=[0.1] * steps,
        predicted=[0.5] * steps,
        write_seconds=0.2,
        denoiser_calls=8.0 * steps,
        memory_bytes=100,
    )
