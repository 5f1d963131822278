"""Scores of long videos: against the truth, against themselves, and scene cuts."""

from __future__ import annotations

import numpy as np
import torch

from eval.generation.long_walk import LongWalk
from eval.image_scores import ImageScores, revisit_similarity
from eval.video.cuts import cut_threshold, scene_cuts
from eval.video.lpips import MIN_SIZE
from world_model.frames import to_model

AGAINST_TRUTH = ("psnr", "lpips")
SCORES = (*AGAINST_TRUTH, "src", "cuts_per_100", "motion")


@torch.no_grad()
def generation_scores(
    walk: LongWalk, frames: np.ndarray, domain: str
) -> dict[str, float | None]:
    """The columns `SCORES` of one video.

    - psnr [dB], lpips: chunk ends against the truth, mean over the walk.
    - src: cosine of VGG16 features of a place's revisit and of its first visit, both in
      this video, mean over `walk.revisits`: what the paper calls scene revisit
      consistency. A video that stands still has the best: read `motion` beside it.
    - cuts_per_100: scene cuts per 100 frames; motion: that of the frames [grey levels].

    LPIPS and SRC need images of at least 32 px and cuts a calibrated threshold: on toy
    domains they stay empty.

    Args:
        walk: What was driven.
        frames: The video, like `walk.real`.
        domain: Whose threshold of cuts is used.
    """
    length = len(frames) // len(walk.actions)
    ends = to_model(frames[length - 1 :: length])
    found = ImageScores(to_model(walk.real[length - 1 :: length]))(ends)
    scores: dict[str, float | None] = dict.fromkeys(SCORES)
    scores["psnr"] = float(found["psnr"].mean())
    if ends.shape[-1] >= MIN_SIZE:
        scores["lpips"] = float(found["lpips"].mean())
        if walk.revisits:
            first, again = (list(x) for x in zip(*walk.revisits, strict=True))
            scores["src"] = float(revisit_similarity(ends[first], ends[again]).mean())
    threshold = cut_threshold(domain)
    if threshold is not None:
        cuts = scene_cuts(frames, threshold=threshold)
        scores["cuts_per_100"] = float(cuts.cuts_per_100_frames)
        scores["motion"] = cuts.motion
    return scores
