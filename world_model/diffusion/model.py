"""`VideoDiffusionWorldModel`: autoencoder + denoiser + vocabulary as a `WorldModel`."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading
from world_model.diffusion import adapters
from world_model.diffusion.assemble import columns, with_extra
from world_model.diffusion.autoencoder import FrameAutoencoder
from world_model.diffusion.denoiser import (
    Clip,
    VideoDenoiser,
    add_noise,
    denoising_loss,
)
from world_model.diffusion.sampler import sample_future
from world_model.errors import at_least, unknown_name
from world_model.phrase_space import Motion, PhraseSpace, phrase_space_of
from world_model.pretrained import read_net
from world_model.shards import Bounds, ShardMeta
from world_model.text.phrase_code import PhraseCode
from world_model.vector_code import VectorCode
from world_model.whole_file import write_text

ADAPTED_LAYERS = (
    "attn1.to_q",
    "attn1.to_k",
    "attn1.to_v",
    "attn1.to_out.0",
    "attn2.to_q",
    "attn2.to_k",
    "attn2.to_v",
    "attn2.to_out.0",
    "ffn.net.0.proj",
    "ffn.net.2",
)

CONFIG_FILE = "world_model.json"
"""In the folder of its weights."""
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class ModelConfig:
    """What a checkpoint says besides weights (`world_model.json`).

    Attributes:
        phrases: Canonical phrase of each action.
        inverses: Index of the action that undoes each action, or None.
        chunk_length: F.
        domain: Domain it was trained on.
        motions: How each action moves, or None; see `PhraseSpace`.
        min_change: See `WorldModel`.
        bounds: Of actions that are vectors, which have no phrases; else None.
    """

    phrases: tuple[str, ...]
    inverses: tuple[int | None, ...]
    chunk_length: int
    domain: str
    motions: tuple[Motion, ...] | None = None
    min_change: float = WorldModel.min_change
    bounds: Bounds | None = None

    @property
    def action_space(self) -> PhraseSpace | gymnasium.spaces.Box:
        """Phrases, or a box of vectors."""
        if self.bounds is None:
            return PhraseSpace(self.phrases, self.inverses, motions=self.motions)
        low, high = np.asarray(self.bounds, np.float32).T
        return gymnasium.spaces.Box(low, high)

    @classmethod
    def of(cls, meta: ShardMeta, min_change: float) -> ModelConfig:
        """That of a model trained on a data set."""
        return cls(
            phrases=meta.phrases,
            inverses=meta.inverses,
            chunk_length=meta.chunk_length,
            domain=meta.domain,
            motions=meta.motions,
            min_change=min_change,
            bounds=meta.bounds,
        )


class VideoDiffusionWorldModel(WorldModel):
    """Masked conditional latent video diffusion (SlowFast-VGen section 3.1).

    Past latents stay clean, future ones are denoised from pure noise in a few Euler
    steps; latents are handed from chunk to chunk without decoding.

    Args:
        autoencoder: Frames <-> latents.
        denoiser: The video network.
        config: Vocabulary and chunk length.
        num_context_frames: K.
        num_sampling_steps: Euler steps per chunk.
        max_batch: Clips per forward pass; larger batches are split by candidates.
        precision: "float32", or "bfloat16" for the network's matrix products, which
            is faster where the hardware has it and slower where it has not.
        recall_strength: Noise level in (0, 1] at which denoising begins where a
            memory recalls the frame; 1 for pure noise, as without recall.
    """

    def __init__(
        self,
        autoencoder: FrameAutoencoder,
        denoiser: VideoDenoiser,
        config: ModelConfig,
        *,
        num_context_frames: int = 2,
        num_sampling_steps: int = 2,
        max_batch: int = 128,
        precision: str = "float32",
        recall_strength: float = 0.15,
    ) -> None:
        if not 0 < recall_strength <= 1:
            raise ValueError(
                f"`recall_strength` must be in (0, 1], got {recall_strength}."
            )
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
        at_least(1, num_context_frames=num_context_frames, max_batch=max_batch)
        at_least(1, num_sampling_steps=num_sampling_steps)
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.denoiser = denoiser.eval().requires_grad_(False)
        self.config = config
        self.action_space = config.action_space
        self.chunk_length = config.chunk_length
        self.min_change = config.min_change
        self.num_context_frames = num_context_frames
        self.num_sampling_steps = num_sampling_steps
        self.max_batch = max_batch
        self.precision = precision
        self.recall_strength = recall_strength
        self._code: PhraseCode | VectorCode
        if config.bounds is None:
            self._code = PhraseCode(config.phrases, self.device)
        else:
            self._code = VectorCode(config.bounds)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.denoiser.parameters()).device

    def with_phrases(self, phrases: Sequence[str]) -> VideoDiffusionWorldModel:
        """The same model told the same actions in other words, one per action.

        Raises:
            ValueError: If its actions are vectors.
        """
        phrase_space_of(self.action_space, "with_phrases", instead="leave it out")
        assert isinstance(self._code, PhraseCode)
        told = copy.copy(self)
        told.config = replace(self.config, phrases=tuple(phrases))
        told.action_space = told.config.action_space
        # Other words are embedded as those were that the network has learned from.
        words = self._code.vocabulary
        told._code = PhraseCode(told.config.phrases, self.device, words)
        return told

    def goal_numbers(self, goals: Sequence[str]) -> Tensor:
        """See `GoalTold.goal_numbers`.

        Raises:
            ValueError: If the slow weights were never told goals.
        """
        told_goals = self.denoiser.config["told_goals"]
        if not isinstance(self._code, PhraseCode) or not told_goals:
            raise ValueError(
                "A video of a goal in words needs slow weights that were told goals, "
                f"got others (domain {self.config.domain}): train them with "
                "`slow.mix.goal=0.3`, or use planner=mpc."
            )
        return self._code.numbers(goals)

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """See `WorldModel.encode`."""
        return self.autoencoder.encode(frames.to(self.device))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """See `WorldModel.decode`."""
        return self.autoencoder.decode(latents.to(self.device))

    @torch.no_grad()
    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """See `WorldModel.predict`."""
        reading = reading or Reading()
        past = reading.past or context
        assert past.latents is not None
        num_frames = self.chunk_length if all_frames else 1
        shape = past.latents.shape
        noise = self._shared_noise(num_frames, shape[-3:], generator)
        noise = noise.expand(-1, shape[1], -1, -1, -1, -1)
        clip = self._clip(past, actions, noise, reading)
        parts = []
        width = max(1, self.max_batch // shape[0])
        for first in range(0, shape[1], width):
            part = columns(clip, shape[0], shape[1], first, width)
            out = self._sample(part, reading.adapter, reading.guidance)
            parts.append(out.reshape(shape[0], -1, *out.shape[1:]))
        return Prediction(torch.cat(parts, dim=1))

    def attach_adapter(self) -> dict[str, tuple[int, int]]:
        """See `Adaptable.attach_adapter`."""
        adapters.attach(self.denoiser, ADAPTED_LAYERS)
        return adapters.layer_shapes(self.denoiser)

    def write_loss(
        self,
        latents: Tensor,
        actions: Tensor | None,
        times: Tensor,
        noise_levels: Tensor,
        noise: Tensor,
        adapter: dict[str, Tensor],
        num_past: int,
    ) -> Tensor:
        """See `Adaptable.write_loss`."""
        num_slots, num_clips, length = latents.shape[:3]

        def flat(x: Tensor) -> Tensor:
            return x.reshape(num_slots * num_clips, *x.shape[2:])

        clean, eps, levels = flat(latents), flat(noise), flat(noise_levels)
        clip = Clip(
            latents=add_noise(clean, eps, levels),
            noise_levels=levels,
            actions=self._codes(
                None if actions is None else flat(actions), len(clean), length
            ),
            times=flat(times),
            num_extra=0,
            num_past=num_past,
        )
        with adapters.using(self.denoiser, adapter), self._autocast():
            loss = denoising_loss(self.denoiser, clip, clean, eps)
        return loss.reshape(num_slots, num_clips, length)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes autoencoder, denoiser and `world_model.json`."""
        folder = Path(folder)
        self.autoencoder.save_pretrained(folder / "autoencoder")
        self.denoiser.save_pretrained(folder / "denoiser")
        text = json.dumps(vars(self.config), indent=2)
        # Last: a folder without it is no world model, whatever else it holds.
        write_text(folder / CONFIG_FILE, text)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str = "cpu", **options: Any
    ) -> VideoDiffusionWorldModel:
        """Loads what `save_pretrained` wrote; nothing is ever downloaded.

        Args:
            folder: The folder.
            device: Where the weights go.
            **options: Keyword arguments of the class.

        Raises:
            FileNotFoundError: If the folder holds no world model.
            ValueError: If a file is damaged or does not fit its configuration.
        """
        folder = Path(folder)
        path = folder / CONFIG_FILE
        if not path.exists():
            raise FileNotFoundError(
                f"`weights` must be a folder with {CONFIG_FILE}, got {folder}: "
                "train one with `python -m world_model.train`, or name another."
            )
        try:
            config = _read_config(path)
            autoencoder = read_net(FrameAutoencoder, folder / "autoencoder")
            denoiser = read_net(VideoDenoiser, folder / "denoiser")
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"The weights in {folder} are missing, damaged or do not fit their "
                f"configuration ({error}): restore the folder."
            ) from error
        return cls(autoencoder.to(device), denoiser.to(device), config, **options)

    def _sample(
        self, clip: Clip, adapter: dict[str, Tensor] | None, guidance: float
    ) -> Tensor:
        def flow(c: Clip) -> Tensor:
            with adapters.using(self.denoiser, adapter), self._autocast():
                on = self.denoiser.flow(c).float()
            if not guidance:
                return on
            with self._autocast():
                off = self.denoiser.flow(c).float()
            return on + guidance * (on - off)

        return sample_future(flow, clip, num_steps=self.num_sampling_steps)

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        half = self.precision == "bfloat16"
        with warnings.catch_warnings():
            # A hint that RMS norms stay in single precision, as they should.
            warnings.filterwarnings("ignore", "Mismatch dtype between input and weight")
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                yield

    def _shared_noise(
        self, num_frames: int, shape: Sequence[int], generator: Generators
    ) -> Tensor:
        """Noise (B, 1, F, c, h, w), the same for all candidates of an episode."""
        size = (len(generator), 1, num_frames, *shape)
        return randn_tensor(size, generator=list(generator), device=self.device)

    def _clip(
        self, past: Context, actions: Tensor, noise: Tensor, reading: Reading
    ) -> Clip:
        """The denoiser's input for B x N contexts, flattened slot-major."""
        assert past.latents is not None
        num_past, num_future = past.latents.shape[2], noise.shape[2]
        led_to = actions.unsqueeze(2).expand(-1, -1, num_future, *actions.shape[2:])
        done = torch.cat([past.actions, led_to], dim=2).flatten(0, 1)
        times = torch.zeros(num_past + num_future, device=self.device)
        times[num_past:] = torch.arange(1, num_future + 1) / num_future
        clip = Clip(
            latents=torch.cat([past.latents, noise], dim=2).flatten(0, 1),
            noise_levels=(times > 0).float().expand(len(done), -1),
            actions=self._codes(done, len(done), len(times)),
            times=times.expand(len(done), -1),
            num_extra=0,
            num_past=num_past,
        )
        if reading.frames is None:
            return clip
        return with_extra(clip, reading, noise, self.recall_strength)

    def _codes(self, actions: Tensor | None, num_clips: int, length: int) -> Tensor:
        """Codes (M, L, E) of actions (M, L-1[, A]); zeros for the first frame."""
        width = self.denoiser.config["text_dim"]
        out = torch.zeros(num_clips, length, width, device=self.device)
        if actions is not None:
            out[:, 1:] = self._code(actions.to(self.device))
        return out


def _read_config(path: Path) -> ModelConfig:
    fields = json.loads(path.read_text())
    for name in ("phrases", "inverses"):
        fields[name] = tuple(fields[name])
    for name in ("motions", "bounds"):
        if fields.get(name):
            fields[name] = tuple(map(tuple, fields[name]))
    return ModelConfig(**fields)
