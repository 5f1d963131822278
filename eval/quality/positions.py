"""Are objects of imagined views where they should be? Read by a position probe."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eval.quality.cases import Cases
from eval.quality.figures import Figure, mean_figure
from world_model.position_probe import PositionProbe
from world_model.training.position_probe import MOVED


def position_figures(
    probe: PositionProbe, cases: Cases, predicted: Tensor, truth: Tensor
) -> list[Figure]:
    """Mean distance of visible objects from where they are read [cm].

    Of real views, which is the probe's own error, and of imagined ones; the same of
    objects that the action has moved, beside how far that was: the error of a model
    that thinks nothing moves. And how often visibility is read wrongly.

    Args:
        probe: Reads positions and visibility.
        cases: What was to be predicted, with the places of objects.
        predicted: Imagined latents (M, c, h, w).
        truth: Latents of the true frames.
    """
    assert cases.places is not None
    assert cases.seen is not None
    shifts = 100 * (cases.places[:, 1] - cases.places[:, 0]).norm(dim=-1)
    moved = cases.seen & (shifts > 100 * MOVED)
    figures = [_mean("position_shift", "moved", "cm", shifts, moved, cases)]
    for group, latents in (("real", truth), ("imagined", predicted)):
        gaps, wrong = probe.judge(latents, cases.places[:, 1], cases.seen)
        every = torch.ones_like(cases.seen)
        figures += [
            _mean("position_error", group, "cm", 100 * gaps, cases.seen, cases),
            _mean("position_error", f"{group}, moved", "cm", 100 * gaps, moved, cases),
            _mean("visibility_error", group, "share", wrong.float(), every, cases),
        ]
    return figures


def _mean(
    name: str, group: str, unit: str, values: Tensor, rows: Tensor, cases: Cases
) -> Figure:
    """Over the (case, object) pairs of `rows` (M, O)."""
    kept = rows.numpy()
    episodes = np.repeat(cases.episodes[:, None], kept.shape[1], axis=1)
    return mean_figure(name, group, unit, values.numpy()[kept], episodes[kept])
