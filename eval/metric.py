"""What is measured per episode: the columns of `episodes.csv` and their meaning.

A missing value is empty, never a number: it is left out of the aggregate, and the
row's interval widens accordingly. Only `success` can never be missing: an episode
that failed in any way is a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from eval.intervals import Estimate, bootstrap_interval, wilson_interval

_BOOTSTRAP_SEED = 0
"""Fixed, so that the leaderboard is a function of the records alone."""


@dataclass(frozen=True)
class Metric:
    """One column of an episode record.

    Attributes:
        name: The column's name.
        unit: e.g. "s"; empty for pure numbers.
        higher_is_better: None where neither direction is better.
        description: One sentence for a reader of the table.
        aggregation: "proportion" for values that are 0 or 1, else "mean".
        required: True if no episode may leave it empty.
        shared: True if episodes in lockstep share what it costs: they are one draw.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    description: str
    aggregation: Literal["proportion", "mean"] = "mean"
    required: bool = False
    shared: bool = False

    def aggregate(
        self,
        values: Sequence[float | None],
        batches: Sequence[int] | None = None,
    ) -> Estimate | None:
        """The metric over episodes with a 95 % interval, None if all are missing.

        Args:
            values: One per episode; None or NaN where missing.
            batches: Which episodes ran in lockstep, a number per episode; None if
                each ran alone.
        """
        column = np.array(values, dtype=float)
        known = ~np.isnan(column)
        if not known.any():
            return None
        if self.aggregation == "proportion":
            return wilson_interval(int(column[known].sum()), int(known.sum()))
        rng = np.random.default_rng(_BOOTSTRAP_SEED)
        drawn = self.shared and batches is not None
        clusters = np.asarray(batches)[known] if drawn else None
        return bootstrap_interval(column[known], rng=rng, clusters=clusters)

    def check(self, value: Any) -> None:
        """Refuses a value that cannot stand in this column.

        Raises:
            ValueError: With the rule, the value and the remedy.
        """
        if value is None:
            if self.required:
                raise ValueError(
                    f"`{self.name}` must be given for every episode, got None: "
                    "an episode that broke off is a failure."
                )
            return
        if not np.isfinite(value):
            raise ValueError(
                f"`{self.name}` must be a finite number, got {value}: leave it "
                "empty (None) where it is missing."
            )
        if self.aggregation == "proportion" and value not in (0, 1):
            raise ValueError(f"`{self.name}` must be 0 or 1, got {value}.")


_ALL = (
    Metric(
        "success",
        "",
        True,
        "1 if the simulator's state meets the goal in time.",
        aggregation="proportion",
        required=True,
    ),
    Metric(
        "recall_lpips",
        "",
        False,
        "LPIPS-vgg to the truth at the chunk ends of the shortest path, imagined open "
        "loop when the test begins.",
    ),
    Metric("recall_psnr", "dB", True, "The same frames, PSNR."),
    Metric(
        "cuts_per_100",
        "cuts",
        False,
        "Scene cuts per 100 frames of that imagined path.",
    ),
    Metric(
        "real_cuts_per_100",
        "cuts",
        None,
        "Scene cuts per 100 frames of the real path: the floor.",
    ),
    Metric(
        "motion",
        "",
        None,
        "Change between neighbouring imagined frames / between real ones; a frozen "
        "video has 0, and no cuts either.",
    ),
    Metric(
        "delay",
        "actions",
        None,
        "Actions between the last sight of the target on the tour and the test.",
    ),
    Metric("spl", "", True, "Success weighted by optimum / max(steps, optimum)."),
    Metric("steps", "actions", False, "Actions executed in the test phase."),
    Metric("optimum", "actions", None, "Fewest actions that reach the goal."),
    Metric("distance", "m", False, "Distance to the goal when the episode ended."),
    Metric(
        "optimism_gap",
        "",
        False,
        "Predicted minus realised success, averaged over decisions.",
    ),
    Metric("plan_seconds_p50", "s", False, "Time per decision, median.", shared=True),
    Metric(
        "plan_seconds_p95",
        "s",
        False,
        "Time per decision, 95th percentile.",
        shared=True,
    ),
    Metric(
        "denoiser_calls",
        "calls",
        False,
        "One call = one candidate chunk x one denoising step x one guidance branch.",
        shared=True,
    ),
    Metric(
        "decisions",
        "decisions",
        None,
        "How often the policy decided: planned, if it does.",
    ),
    Metric(
        "write_seconds",
        "s",
        False,
        "Time spent writing memory, tour included.",
        shared=True,
    ),
    Metric(
        "memory_bytes",
        "B",
        False,
        "What the memory kept between writes when the episode ended.",
        shared=True,
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""The metrics of an episode, in the order of the record's columns."""
