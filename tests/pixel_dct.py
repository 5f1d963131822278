"""Video features without weights: distances of toy clips."""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch.nn.functional as F
from torch import Tensor

from eval.video.checks import check_images

_GRID = (8, 16, 16)  # frames, rows, columns after averaging
_KEEP = 4  # lowest frequencies kept along each axis


class PixelDct:
    """The 4 x 4 x 4 lowest cosine coefficients of the grey, averaged clip."""

    name = "pixel_dct"
    dim = _KEEP**3
    min_frames = _GRID[0]
    fingerprint = (
        "float32 in [-1, 1]; mean over channels, average-pooled to 8x16x16; "
        "orthonormal DCT-II, lowest 4x4x4"
    )
    sha256: str | None = None

    def __call__(self, clips: Tensor) -> np.ndarray:
        """Clips (N, T, 3, H, W) in [-1, 1], T >= 8 -> coefficients (N, 64)."""
        check_images("clips", clips, "(N, T, C, H, W)")
        grid = F.adaptive_avg_pool3d(clips.mean(2), _GRID).cpu().numpy()
        waves = scipy.fft.dctn(grid, axes=(1, 2, 3), norm="ortho")
        low = np.asarray(waves[:, :_KEEP, :_KEEP, :_KEEP])
        return low.reshape(len(clips), self.dim)
