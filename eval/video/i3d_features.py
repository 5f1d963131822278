"""The features of canonical FVD: I3D logits (Unterthiner et al. 2018)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eval.video import i3d, weights
from eval.video.checks import check_images


class I3dFeatures:
    """400 Kinetics logits per clip.

    Frames are squashed to 224 x 224 as TensorFlow 1 does it (the original FVD):
    bilinear, no antialiasing, and output pixel i samples input position
    i * in / out. torch's own bilinear resize samples half a pixel further, which
    moved distances of 64 px clips by about 1 %.

    Args:
        device: Where the network runs.
        batch_size: Clips per forward pass; about 0.2 GB each.
    """

    name = "i3d_k400_logits"
    dim = i3d.NUM_CLASSES
    min_frames = i3d.MIN_FRAMES
    fingerprint = (
        "float32 in [-1, 1]; squash to 224x224, bilinear, align_corners=False, "
        "no half-pixel shift, no antialias (TF1); logits before softmax"
    )
    sha256: str | None = weights.I3D.sha256

    def __init__(
        self, *, device: str | torch.device = "cpu", batch_size: int = 4
    ) -> None:
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.network = i3d.I3d().eval().to(self.device)

    @torch.no_grad()
    def __call__(self, clips: Tensor) -> np.ndarray:
        """Clips (N, T, 3, H, W) in [-1, 1], T >= 9 -> logits (N, 400)."""
        check_images("clips", clips, "(N, T, C, H, W)")
        # TF32 would move the distance in its fourth digit.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            batches = torch.split(clips, self.batch_size)
            return torch.cat([self._logits(batch) for batch in batches]).numpy()

    def _logits(self, clips: Tensor) -> Tensor:
        resized = resize_tf1(clips.to(self.device), i3d.SIZE)
        logits: Tensor = self.network(resized.transpose(1, 2))
        return logits.cpu()


def resize_tf1(images: Tensor, size: int) -> Tensor:
    """Images (..., H, W) -> (..., size, size), as TF1's `resize_bilinear`."""
    rows = _bilinear_matrix(images.shape[-2], size).to(images)
    columns = _bilinear_matrix(images.shape[-1], size).to(images)
    return rows @ images @ columns.T


def _bilinear_matrix(size_in: int, size_out: int) -> Tensor:
    """Interpolation weights (size_out, size_in); every row sums to 1."""
    position = torch.arange(size_out, dtype=torch.float64) * size_in / size_out
    low = position.floor().long()
    high = (low + 1).clamp(max=size_in - 1)
    fraction = (position - low)[:, None]
    eye = torch.eye(size_in, dtype=torch.float64)
    return eye[low] * (1 - fraction) + eye[high] * fraction
