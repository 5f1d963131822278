"""Does the success classifier, trained on real frames, also read imagined ones?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eval.quality.cases import Cases
from eval.quality.figures import Figure, mean_figure
from world_model.classifier import GoalClassifier
from world_model.training.classifier import placements

MOSTLY = 0.7
"""Share of co-visible pixels above which a view could be known beforehand."""


def auroc_figures(
    classifier: GoalClassifier, cases: Cases, predicted: Tensor, truth: Tensor
) -> list[Figure]:
    """AUROC of "the goal is reached" over all (view, object) pairs.

    Args:
        classifier: The objective's network.
        cases: What was to be predicted, with what holds there.
        predicted: Imagined latents (M, c, h, w).
        truth: Latents of the true frames.
    """
    in_view = cases.visible.float().mean((1, 2)) >= MOSTLY
    everything = torch.ones_like(in_view)
    return [
        _figure(group, _scores(classifier, latents), cases, rows)
        for group, latents, rows in (
            ("real", truth, everything),
            ("imagined", predicted, everything),
            ("imagined, mostly in view before", predicted, in_view),
        )
    ]


@torch.no_grad()
def _scores(classifier: GoalClassifier, latents: Tensor) -> np.ndarray:
    """Logits (M, O) that a view shows object o reached."""
    return classifier(latents.float())[:, 0].numpy()


def _figure(group: str, scores: np.ndarray, cases: Cases, rows: Tensor) -> Figure:
    found = cases.found.numpy()[rows.numpy()]
    scores = scores[rows.numpy()]
    episodes = np.repeat(cases.episodes[rows.numpy()][:, None], found.shape[1], axis=1)
    below = placements(scores[found], scores[~found])
    return mean_figure("auroc", group, "", below, episodes[found])
