"""The masked conditional video denoiser: a diffusers backbone plus input planes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from diffusers import ConfigMixin, ModelMixin, WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

NUM_ACTION_PLANES = 4
NUM_PLANES = NUM_ACTION_PLANES + 4  # noise level, time in chunk, is extra, is future


@dataclass(frozen=True)
class Clip:
    """A batch of clips as the denoiser sees them.

    Frames stand in the order: extra frames from elsewhere, past (oldest first),
    future. All clips of a batch have the same layout.

    Attributes:
        latents: (M, L, c, h, w), already noised.
        noise_levels: (M, L) in [0, 1]; 0 is clean, 1 is pure noise.
        actions: Embedding of the action that led to each frame, (M, L, E);
            zeros where there is none.
        times: (M, L) position inside the chunk in (0, 1] for future frames and for
            extra frames that are recalled as such, else 0.
        num_extra: Leading frames that come from elsewhere.
        num_past: Frames of the context.
    """

    latents: Tensor
    noise_levels: Tensor
    actions: Tensor
    times: Tensor
    num_extra: int
    num_past: int

    def to(self, device: torch.device) -> Clip:
        """The same clip on another device."""
        return replace(
            self,
            latents=self.latents.to(device),
            noise_levels=self.noise_levels.to(device),
            actions=self.actions.to(device),
            times=self.times.to(device),
        )


class VideoDenoiser(ModelMixin, ConfigMixin):
    """Predicts the flow (noise - clean) or the noise of every frame of a clip.

    SlowFast-VGen section 3.1 conditions a text-to-video UNet on clean past latents
    (after MCVD) and on a phrase through cross-attention. We keep both and differ in
    the backbone (`WanTransformer3DModel`, joint space-time attention with a noise
    level per token) and in that the action also enters additively, as input planes
    of the frame it leads to: cross-attention alone follows actions less well.

    Args:
        latent_channels: c.
        width: Model width, a multiple of 32 (one attention head each).
        num_layers: Transformer blocks.
        text_dim: E, size of a phrase embedding.
        target: "flow" (velocity of the straight path) or "epsilon" (the paper's).
        told_goals: Whether it was also trained on goals in words instead of actions.
        coordinates: Whether every frame also has planes that say where in the image a
            latent is. The backbone tells positions apart relative to each other only;
            "at row 2, column 5" names one of them.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        width: int = 192,
        num_layers: int = 6,
        text_dim: int = 384,
        target: str = "flow",
        told_goals: bool = False,
        coordinates: bool = False,
    ) -> None:
        super().__init__()
        if width % 32:
            raise ValueError(f"`width` must be a multiple of 32, got {width}.")
        if target not in ("flow", "epsilon"):
            raise ValueError(f"`target` must be 'flow' or 'epsilon', got {target!r}.")
        self.backbone = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=width // 32,
            attention_head_dim=32,
            in_channels=latent_channels + NUM_PLANES + 2 * coordinates,
            out_channels=latent_channels,
            text_dim=text_dim,
            freq_dim=64,
            ffn_dim=4 * width,
            num_layers=num_layers,
            rope_max_seq_len=64,
        )
        self.action_planes = nn.Linear(text_dim, NUM_ACTION_PLANES, bias=False)

    def forward(self, clip: Clip) -> Tensor:
        """Returns the network's target for every frame, (M, L, c, h, w)."""
        x = torch.cat([clip.latents, self._planes(clip)], dim=2)
        h, w = x.shape[-2] // 2, x.shape[-1] // 2
        levels = (1000 * clip.noise_levels).repeat_interleave(h * w, dim=1)
        with _attention(x.device):
            out = self.backbone(
                x.transpose(1, 2), levels, clip.actions, return_dict=False
            )
        return out[0].transpose(1, 2)

    def flow(self, clip: Clip) -> Tensor:
        """The predicted flow (noise - clean), whatever the network's target is."""
        out = self(clip)
        if self.config["target"] == "flow":
            return out
        # x_t = (1 - t) x + t e, so e - x = (e - x_t) / (1 - t); at t = 1 an epsilon
        # network knows nothing of x, hence the bound.
        t = clip.noise_levels[..., None, None, None].clamp(max=0.98)
        return (out - clip.latents) / (1 - t)

    def _planes(self, clip: Clip) -> Tensor:
        num_clips, length, _, h, w = clip.latents.shape
        index = torch.arange(length, device=clip.latents.device)
        is_extra = (index < clip.num_extra).float().expand(num_clips, -1)
        is_future = (index >= clip.num_extra + clip.num_past).float()
        scalars = torch.stack(
            [clip.noise_levels, clip.times, is_extra, is_future.expand(num_clips, -1)],
            dim=-1,
        )
        planes = torch.cat([self.action_planes(clip.actions), scalars], dim=-1)
        planes = planes[..., None, None].expand(-1, -1, -1, h, w)
        if not self.config["coordinates"]:
            return planes
        rows, columns = (torch.linspace(-1, 1, n, device=planes.device) for n in (h, w))
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        places = places.to(planes).expand(num_clips, length, -1, -1, -1)
        return torch.cat([planes, places], dim=2)


def with_coordinates(denoiser: VideoDenoiser) -> VideoDenoiser:
    """The same network with planes of coordinates, which it ignores at first."""
    wider = VideoDenoiser(**{**denoiser.config, "coordinates": True})
    state = denoiser.state_dict()
    name = "backbone.patch_embedding.weight"
    state[name] = nn.functional.pad(state[name], (0, 0) * 3 + (0, 2))
    wider.load_state_dict(state)
    return wider


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """The fastest attention for under 200 tokens.

    On a CPU that is plain matrix products: the fused kernel's backward pass is slow.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def add_noise(latents: Tensor, noise: Tensor, noise_levels: Tensor) -> Tensor:
    """Points of the straight path x_t = (1 - t) x + t e (rectified flow, eq. 1)."""
    t = noise_levels[..., None, None, None]
    return (1 - t) * latents + t * noise


def denoising_loss(
    denoiser: VideoDenoiser, clip: Clip, clean: Tensor, noise: Tensor
) -> Tensor:
    """Squared error of the network's target per frame, (M, L)."""
    target = noise - clean if denoiser.config["target"] == "flow" else noise
    return (denoiser(clip).float() - target).square().mean(dim=(2, 3, 4))
