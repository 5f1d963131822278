"""`CachedFeatures`: a slow extractor that sees every clip once."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from eval.video.features import VideoFeatures
from world_model.whole_file import write_whole


class CachedFeatures:
    """Keeps features on disk, one file per clip.

    Rows of one task share their real clips, and a run that is reported again shares
    all of them.

    Args:
        features: The extractor.
        folder: Where the files are; may be deleted at any time.
    """

    def __init__(self, features: VideoFeatures, folder: Path) -> None:
        self.name = features.name
        self.dim = features.dim
        self.min_frames = features.min_frames
        self.fingerprint = features.fingerprint
        self.sha256 = features.sha256
        self._features = features
        self._folder = folder

    def __call__(self, clips: Tensor) -> np.ndarray:
        """See `VideoFeatures.__call__`."""
        paths = [self._path(clip) for clip in clips]
        missing = [i for i, path in enumerate(paths) if not path.exists()]
        self._folder.mkdir(parents=True, exist_ok=True)
        # A bar for a handful of clips would only blink.
        steps = torch.tensor(missing).split(4) if missing else ()
        for rows in track(steps, description=self.name, disable=len(missing) < 5):
            for row, values in zip(rows, self._features(clips[rows]), strict=True):
                write_whole(paths[int(row)], partial(_save, values))
        return np.stack([np.load(path) for path in paths])

    def _path(self, clip: Tensor) -> Path:
        digest = hashlib.sha256(f"{self.fingerprint} {self.sha256}".encode())
        digest.update(np.ascontiguousarray(clip.cpu().numpy()).tobytes())
        return self._folder / f"{self.name}-{digest.hexdigest()[:24]}.npy"


def _save(values: np.ndarray, file: BinaryIO) -> None:
    np.save(file, values)
