"""Frames <-> latents: an image autoencoder applied per frame, frozen after training."""

from __future__ import annotations

from typing import Literal

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.autoencoder_dc import Decoder
from torch import Tensor, nn
from torch.nn import functional

# Principal components keep their order of importance: dividing each by the whole of
# its standard deviation would give invisible detail the same weight as walls in the
# diffusion loss.
WHITENING = 0.55


class FrameAutoencoder(ModelMixin, ConfigMixin):
    """Deterministic autoencoder.

    `kind="pca"` encodes patches by their principal components (closed form, exact to
    repeat, nearly free) and decodes by the transposed projection plus a trained
    convolutional correction (`diffusers` DC decoder, ResBlocks only), which restores
    edges across patches. `kind="identity"` is for toy domains whose images are small
    enough to be the latents themselves.

    Args:
        kind: "pca" or "identity".
        latent_channels: c.
        patch: Side of a patch [px]; h = H / patch. A power of two.
        channels: Width of the decoder's stages, the full-resolution one first.
        layers: ResBlocks per stage.
    """

    @register_to_config
    def __init__(
        self,
        kind: Literal["pca", "identity"] = "pca",
        latent_channels: int = 16,
        patch: int = 8,
        channels: tuple[int, ...] = (16, 32, 64, 128),
        layers: tuple[int, ...] = (0, 2, 2, 2),
    ) -> None:
        super().__init__()
        if kind not in ("pca", "identity"):
            raise ValueError(f"`kind` must be 'pca' or 'identity', got {kind!r}.")
        if kind == "pca" and patch != 2 ** (len(channels) - 1):
            raise ValueError(
                f"`patch` must be 2**(stages - 1) = {2 ** (len(channels) - 1)}, "
                f"got {patch}: change `patch` or `channels`."
            )
        self.identity = kind == "identity"
        self.register_buffer("scale", torch.ones(latent_channels))
        if self.identity:
            return
        size = 3 * patch * patch
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(size, latent_channels))
        self.correction = Decoder(
            in_channels=3,
            latent_channels=latent_channels,
            attention_head_dim=32,
            block_type="ResBlock",
            block_out_channels=tuple(channels),
            layers_per_block=tuple(layers),
            qkv_multiscales=tuple(() for _ in channels),
            norm_type="rms_norm",
            act_fn="silu",
            upsample_block_type="pixel_shuffle",
        )
        self.gate = nn.Parameter(torch.zeros(1))  # starts as the plain projection

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (..., 3, H, W) in [-1, 1] -> latents (..., c, h, w)."""
        if self.identity:
            return frames
        coefficients = (self._patches(frames) - self.mean) @ self.basis / self.scale
        return coefficients.movedim(-1, -3)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (..., c, h, w) -> frames (..., 3, H, W), clipped to [-1, 1]."""
        frames = latents if self.identity else self.raw_decode(latents)
        return frames.clamp(-1, 1)

    def raw_decode(self, latents: Tensor) -> Tensor:
        """`decode` without clipping, for training the correction."""
        flat = latents.reshape(-1, *latents.shape[-3:])
        coefficients = flat.movedim(-3, -1) * self.scale
        patches = (coefficients @ self.basis.T + self.mean).movedim(-1, -3)
        linear = functional.pixel_shuffle(patches, self.config.patch)
        frames = linear + self.gate * self.correction(flat)
        return frames.reshape(*latents.shape[:-3], *frames.shape[1:])

    @torch.no_grad()
    def fit(self, frames: Tensor) -> None:
        """Sets the projection from a sample of frames (M, 3, H, W), if there is one."""
        if self.identity:
            return
        patches = self._patches(frames).flatten(0, -2).double()
        self.mean.copy_(patches.mean(dim=0))
        centred = patches - patches.mean(dim=0)
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        kept = self.config.latent_channels
        values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
        # The sign of an eigenvector is arbitrary: fix it, so that a refit is the same.
        largest = vectors.abs().argmax(dim=0, keepdim=True)
        vectors = vectors * vectors.gather(0, largest).sign()
        scale = values.sqrt() ** WHITENING
        rms = (values / scale.square()).mean().sqrt()
        self.basis.copy_(vectors)
        self.scale.copy_(scale * rms)

    def _patches(self, frames: Tensor) -> Tensor:
        """(..., 3, H, W) -> (..., h, w, 3 * patch * patch)."""
        return functional.pixel_unshuffle(frames, self.config.patch).movedim(-3, -1)
