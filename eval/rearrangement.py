"""Columns of tasks that put things in order: `metric=rearrangement`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eval.episode_metric import EpisodeMetric
from eval.evaluate import Episode


@dataclass(frozen=True)
class SubgoalReached(EpisodeMetric):
    """Whether one part of the goal was reached; missing if the goal has fewer parts.

    Attributes:
        part: Which part, from 1, in the order of `Measures.subgoals`.
    """

    name: str = ""
    unit: str = ""
    higher_is_better: bool | None = True
    description: str = "1 if this part of the goal was reached."
    aggregation: Literal["proportion", "mean"] = "proportion"
    part: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"subgoal_{self.part}")

    def measure(self, episode: Episode) -> float | None:
        """See `EpisodeMetric.measure`."""
        reached = episode.measures.subgoals if episode.measures else ()
        return float(reached[self.part - 1]) if self.part <= len(reached) else None


@dataclass(frozen=True)
class ObjectDistance(EpisodeMetric):
    """How far one object is from where it belongs; missing if the task moves fewer.

    The paper's `Dist` (Hong et al. 2024, Table 2) is its mean over the objects, the
    standard column `distance`.

    Attributes:
        number: Which object, from 1, in the order of `Measures.distances`.
    """

    name: str = ""
    unit: str = "m"
    higher_is_better: bool | None = False
    description: str = "Distance of one object from where it belongs, at the end."
    number: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"object_{self.number}_distance")

    def measure(self, episode: Episode) -> float | None:
        """See `EpisodeMetric.measure`."""
        gaps = list(episode.measures.distances.values()) if episode.measures else []
        return gaps[self.number - 1] if self.number <= len(gaps) else None
