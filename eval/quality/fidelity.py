"""Co-visible PSNR: are pixels that were in view moved to the right place?

Whole-frame PSNR is reported beside it and never judged: it cannot tell a good model
without memory from a bad one, because nobody can know what was not in view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from eval.image_scores import MAX_PSNR
from eval.quality.cases import Cases
from eval.quality.figures import Figure, mean_figure
from eval.video.images import psnr


def fidelity_figures(
    cases: Cases,
    predicted: Tensor,
    autoencoded: Tensor,
    *,
    groups: Mapping[str, Sequence[int]],
    targets: Mapping[str, float],
    min_pixels: int,
) -> list[Figure]:
    """PSNR of predictions beside that of repeating the last frame.

    Args:
        cases: What was to be predicted.
        predicted: Predicted key frames (M, C, H, W).
        autoencoded: The truth, encoded and decoded: the ceiling of any prediction.
        groups: Actions whose cases are taken together, by name.
        targets: Least gain over repeating the last frame, by group [dB].
        min_pixels: Cases with fewer co-visible pixels are left out.
    """
    scores = _scores(cases, predicted, autoencoded, min_pixels)
    figures = []
    for group, actions in groups.items():
        rows = np.isin(cases.actions.numpy(), list(actions))
        for name, values in scores.items():
            target = targets.get(group) if name == "covisible_gain" else None
            unit = "share" if name == "covisible_share" else "dB"
            episodes = cases.episodes[rows]
            figures.append(
                mean_figure(name, group, unit, values[rows], episodes, target=target)
            )
    return figures


def _scores(
    cases: Cases, predicted: Tensor, autoencoded: Tensor, min_pixels: int
) -> dict[str, np.ndarray]:
    """Scores per case, (M,) each."""
    mask = cases.visible
    enough = mask.sum((1, 2)) >= min_pixels

    def seen(images: Tensor) -> np.ndarray:
        values = psnr(images, cases.truth, mask).clamp(max=MAX_PSNR)
        return torch.where(enough, values, torch.nan).numpy()

    def whole(images: Tensor) -> np.ndarray:
        return psnr(images, cases.truth).clamp(max=MAX_PSNR).numpy()

    model, repeat = seen(predicted), seen(cases.last)
    return {
        "covisible_gain": model - repeat,
        "covisible_psnr": model,
        "covisible_psnr_repeat": repeat,
        "covisible_psnr_autoencoder": seen(autoencoded),
        "covisible_share": mask.float().mean((1, 2)).numpy(),
        "psnr": whole(predicted),
        "psnr_repeat": whole(cases.last),
    }
