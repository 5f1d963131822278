"""Scores of imagined images and paths: LPIPS-vgg, PSNR, SSIM, SRC, scene cuts."""

from __future__ import annotations

from functools import lru_cache
from math import nan

import torch
from torch import Tensor

from eval.calibrate import cut_threshold
from eval.imagine import Imagined
from eval.video.cuts import scene_cuts
from eval.video.images import psnr, ssim
from eval.video.lpips import Lpips
from eval.video.src import SceneRevisitConsistency
from eval.video.vgg16_conv5 import Vgg16Conv5
from world_model.frames import to_model

MIN_SIZE = 32
"""Of smaller images [px] perceptual measures say nothing."""
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
    if real.shape[-1] >= MIN_SIZE:
        scores["recall_lpips"] = float(lpips_vgg()(imagined, real).mean())
    threshold = cut_threshold(domain)
    if threshold is not None:
        cuts = scene_cuts(path.imagined, threshold=threshold)
        floor = scene_cuts(path.real, threshold=threshold)
        scores["cuts_per_100"] = float(cuts.cuts_per_100_frames)
        scores["real_cuts_per_100"] = float(floor.cuts_per_100_frames)
        scores["motion"] = cuts.motion / floor.motion if floor.motion else None
    return scores


@torch.no_grad()
def image_scores(images: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """LPIPS, PSNR, SSIM, SRC and MSE of images (N, C, H, W) in [-1, 1], (N,) each.

    SRC is the cosine of VGG16 features of the imagined and of the true revisit
    (`eval.video.src`). Of images below 32 px, LPIPS, SSIM and SRC are NaN.
    """
    scores = {
        "psnr": psnr(images, truth).clamp(max=MAX_PSNR),
        "mse": (images - truth).square().mean(dim=(1, 2, 3)),
    }
    if images.shape[-1] < MIN_SIZE:
        return scores | dict.fromkeys(("lpips", "ssim", "src"), scores["mse"] * nan)
    return scores | {
        "lpips": lpips_vgg()(images, truth),
        "ssim": ssim(images, truth),
        "src": _src().similarity(truth, images),
    }


@lru_cache
def _src() -> SceneRevisitConsistency:
    return SceneRevisitConsistency(Vgg16Conv5())


@lru_cache
def lpips_vgg() -> Lpips:
    """The LPIPS-vgg network, loaded once."""
    return Lpips("vgg").eval()
