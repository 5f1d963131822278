"""Scene revisit consistency: does a place look the same when it is seen again?

SlowFast-VGen compares features of the first visit with features of the generated
revisit by their cosine. Different places are similar too (cosines of .3 to .8), so
the score stands between a floor (another place) and a ceiling (the true revisit).
Noise lowers it as well, most of all on untextured renders: on flat-coloured test
scenes, noise of 0.02 cost three quarters of the way to the floor. Compare models of
like sharpness, and read the pixel metrics beside it.
"""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from eval.video.checks import check_same_shape
from eval.video.image_features import ImageFeatures
from eval.video.revisit_score import RevisitScore


class SceneRevisitConsistency:
    """Cosine of image features between visits of the same place.

    Args:
        extractor: The image features; `Vgg16Conv5()` is the default of reports.
    """

    def __init__(self, extractor: ImageFeatures) -> None:
        self.extractor = extractor

    @property
    def name(self) -> str:
        """The metric's name, which carries its extractor."""
        return f"src_{self.extractor.name}"

    def similarity(self, first: Tensor, again: Tensor) -> Tensor:
        """Cosine (N,) in [-1, 1] of images (N, 3, H, W) with their partners."""
        check_same_shape("first", first, "again", again)
        return F.cosine_similarity(self.extractor(first), self.extractor(again))

    def score(
        self,
        first: Tensor,
        again: Tensor,
        *,
        elsewhere: Tensor,
        truth: Tensor | None = None,
    ) -> RevisitScore:
        """Scores N revisits.

        Args:
            first: Frames of the first visits, (N, 3, H, W) in [-1, 1].
            again: Generated frames of the revisits, same shape.
            elsewhere: Frames of other places for the floor, same shape; see
                `other_places`.
            truth: True frames of the revisits for the ceiling, same shape.
        """
        ceiling = None
        if truth is not None:
            ceiling = float(self.similarity(first, truth).mean())
        return RevisitScore(
            name=self.name,
            value=float(self.similarity(first, again).mean()),
            floor=float(self.similarity(first, elsewhere).mean()),
            ceiling=ceiling,
            num_revisits=len(first),
        )


def other_places(frames: Tensor, *, rng: np.random.Generator) -> Tensor:
    """Gives every frame (N, 3, H, W) the frame of another, random row.

    The rows must show different places, else the floor is too high.

    Raises:
        ValueError: If there is only one row.
    """
    num_frames = len(frames)
    if num_frames < 2:
        raise ValueError(
            f"A floor needs at least 2 places, got {num_frames}: add revisits."
        )
    # A random cycle through all rows leaves none in its place.
    cycle = rng.permutation(num_frames)
    partner = np.empty(num_frames, dtype=np.int64)
    partner[cycle] = np.roll(cycle, 1)
    return frames[partner]
