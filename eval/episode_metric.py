"""`EpisodeMetric`: a column of one's own beside the standard ones."""

from __future__ import annotations

import abc
from dataclasses import dataclass

from eval.evaluate import Episode
from eval.metric import Metric


@dataclass(frozen=True)
class EpisodeMetric(Metric, abc.ABC):
    """A metric that is computed from a finished episode, e.g. `metric=my_metric`.

    A subclass gives its attributes as defaults of dataclass fields and writes
    `measure`. Its name must not be that of a standard column.
    """

    @abc.abstractmethod
    def measure(self, episode: Episode) -> float | None:
        """The value of an episode, None where it is missing."""
