"""Scores of imagined images and paths: LPIPS-vgg, PSNR, SSIM, SRC, scene cuts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import nan

import torch
from torch import Tensor

from envs.domains import any_domain_class
from eval.imagine import Imagined
from eval.video.cuts import cut_threshold, scene_cuts
from eval.video.images import psnr, ssim
from eval.video.lpips import MIN_SIZE, Lpips
from eval.video.weights import WeightFile, find
from world_model.frames import to_model

MAX_PSNR = 60.0
"""Equal images have no finite PSNR; above this they are equal to the eye [dB]."""


def require_networks(domain: str, *files: WeightFile) -> None:
    """Refuses to begin what cannot be scored in the end.

    Args:
        domain: Whose images are scored; small ones need no networks.
        files: Weights of the networks that score.

    Raises:
        FileNotFoundError: If one is not installed.
    """
    if any_domain_class(domain).frame_shape[0] >= MIN_SIZE:
        for file in files:
            find(file)


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


class ImageScores:
    """Scores imagined images against the same true ones, again and again.

    LPIPS-vgg and SRC read the same VGG16: it sees every image once, and the true ones
    only when this is made.

    Args:
        truth: (N, C, H, W) in [-1, 1].
    """

    @torch.no_grad()
    def __init__(self, truth: Tensor) -> None:
        self.truth = truth
        is_toy = truth.shape[-1] < MIN_SIZE
        self._features = None if is_toy else lpips_vgg().stack(truth)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """LPIPS, PSNR, SSIM, SRC and MSE of images like the true ones, (N,) each.

        Of images below 32 px, LPIPS, SSIM and SRC are NaN.
        """
        truth = self.truth
        scores = {
            "psnr": psnr(images, truth).clamp(max=MAX_PSNR),
            "mse": (images - truth).square().mean(dim=(1, 2, 3)),
        }
        if self._features is None:
            return scores | dict.fromkeys(("lpips", "ssim", "src"), scores["mse"] * nan)
        found = lpips_vgg().stack(images)
        return scores | {
            "lpips": lpips_vgg().distance(found, self._features),
            "ssim": ssim(images, truth),
            "src": _similarity(found, self._features),
        }


@torch.no_grad()
def revisit_similarity(first: Tensor, again: Tensor) -> Tensor:
    """Scene revisit consistency (SRC): does a place look the same when seen again?

    Different places are similar too (.3 to .8), and noise lowers it, most of all on
    untextured renders: compare with what real frames have, and models of like
    sharpness. SlowFast-VGen takes the features of a ResNet-18, whose weights no package
    holds; here it is VGG16 at the images' own size: enlarged, noise becomes texture.

    Args:
        first: Images of first visits (N, 3, H, W) in [-1, 1], at least 32 px a side.
        again: Of the same places, later.

    Returns:
        Cosines (N,) of VGG16's last features.
    """
    return _similarity(lpips_vgg().stack(first), lpips_vgg().stack(again))


def _similarity(first: Sequence[Tensor], again: Sequence[Tensor]) -> Tensor:
    return torch.cosine_similarity(first[-1].flatten(1), again[-1].flatten(1))


@lru_cache
def lpips_vgg() -> Lpips:
    """The LPIPS-vgg network, loaded once."""
    return Lpips("vgg").eval()
