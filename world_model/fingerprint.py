"""Names of weights by their values."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping

from torch import Tensor

from world_model.diffusion.autoencoder import FrameAutoencoder


def fingerprint(autoencoder: FrameAutoencoder) -> str:
    """Eight hex digits that change with whatever decides the latents."""
    return digest_of(dict(autoencoder.named_buffers()))


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Eight hex digits that change with any of the tensors."""
    digest = hashlib.sha256()
    for _, tensor in sorted(tensors.items()):
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


def encoder_fingerprint(autoencoder: FrameAutoencoder) -> str:
    """Names the latents an autoencoder makes, also after it has been exported.

    Weights ship in half precision, which changes the latents less than a probe can
    tell, but would change `fingerprint`.
    """
    return fingerprint(copy.deepcopy(autoencoder).half())
