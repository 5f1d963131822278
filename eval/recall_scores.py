"""Scores of imagined paths: LPIPS-vgg, PSNR and scene cuts."""

from __future__ import annotations

from functools import lru_cache

import torch

from eval.calibrate import cut_threshold
from eval.imagine import Imagined
from eval.video.cuts import scene_cuts
from eval.video.images import psnr
from eval.video.lpips import Lpips
from world_model.frames import to_model

MAX_PSNR = 60.0
"""Equal images have no finite PSNR; above this they are equal to the eye [dB]."""


@torch.no_grad()
def recall_scores(path: Imagined, domain: str) -> dict[str, float | None]:
    """The record's recall columns of one path.

    LPIPS needs images of at least 32 px and cuts a calibrated threshold: on toy
    domains both stay empty.
    """
    real, imagined = to_model(path.real_chunk_ends), to_model(path.key_frames)
    scores: dict[str, float | None] = {
        "recall_psnr": float(psnr(imagined, real).clamp(max=MAX_PSNR).mean()),
        "recall_lpips": None,
        "cuts_per_100": None,
        "real_cuts_per_100": None,
        "motion": None,
    }
    if real.shape[-1] >= 32:
        scores["recall_lpips"] = float(lpips_vgg()(imagined, real).mean())
    threshold = cut_threshold(domain)
    if threshold is not None:
        cuts = scene_cuts(path.imagined, threshold=threshold)
        floor = scene_cuts(path.real, threshold=threshold)
        scores["cuts_per_100"] = float(cuts.cuts_per_100_frames)
        scores["real_cuts_per_100"] = float(floor.cuts_per_100_frames)
        scores["motion"] = cuts.motion / floor.motion if floor.motion else None
    return scores


@lru_cache
def lpips_vgg() -> Lpips:
    """The LPIPS-vgg network, loaded once."""
    return Lpips("vgg").eval()
