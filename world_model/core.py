"""Data that travels between environments, world models, memories and planners.

Shape legend, used everywhere in the project:

| letter | meaning |
|---|---|
| B | episodes in parallel (memory slots) |
| N | candidates per episode |
| T | future actions of a candidate |
| F | frames per chunk (1 in the key-frame form, see `WorldModel.predict`) |
| K | context frames (the last frame of each of the last K chunks) |
| A | action dimension (vector actions only) |
| C H W | image |
| c h w | latent |

Images are float32 in [-1, 1] with shape (C, H, W); environments speak uint8
(H, W, C); `world_model.frames` is the only place that converts.
Phrase actions are int64 indices into `PhraseSpace.phrases`; vector actions are
float32 with a trailing axis A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium
import torch
from torch import Tensor


@dataclass(frozen=True)
class Context:
    """The recent past a prediction starts from.

    Tensors share leading batch axes: (B,) when observed, (B, N) when imagined;
    they are written `*` below. Either `frames` or `latents` may be missing:
    imagined contexts hold latents only (no decode and re-encode between chunks,
    SlowFast-VGen Algorithm 1a).

    Attributes:
        actions: Actions between the context frames, (*, K-1) or (*, K-1, A).
        frames: Observed images (*, K, C, H, W), oldest first.
        latents: Encoded images (*, K, c, h, w), oldest first.
        imagined: Actions imagined since the last real frame, (*, t) or (*, t, A).
        state: Simulator state per episode; filled only for privileged models
            and memories.
        slots: Memory slot of each episode; None where episode b has slot b.
        root: Latents of the last real frame, (B, c, h, w), where the context is
            imagined.
    """

    actions: Tensor
    frames: Tensor | None = None
    latents: Tensor | None = None
    imagined: Tensor | None = None
    state: tuple[Any, ...] | None = None
    slots: tuple[int, ...] | None = None
    root: Tensor | None = None

    @classmethod
    def first(
        cls,
        images: Tensor,
        space: gymnasium.Space,
        *,
        slots: tuple[int, ...] | None = None,
    ) -> Context:
        """One view (B, C, H, W) of each episode, and no action of the space yet."""
        dtype = torch.float32 if space.shape else torch.int64
        actions = torch.zeros((len(images), 0, *(space.shape or ())), dtype=dtype)
        return cls(actions=actions, frames=images[:, None], slots=slots)

    @property
    def num_frames(self) -> int:
        """K, the number of context frames."""
        return self.actions.shape[self.batch_ndim] + 1

    @property
    def batch_ndim(self) -> int:
        """Number of leading batch axes: 1 when observed, 2 when imagined."""
        images = self.latents if self.latents is not None else self.frames
        if images is None:
            raise ValueError(
                "A Context needs `frames` or `latents`, got neither: pass one."
            )
        return images.ndim - 4

    @property
    def memory_slots(self) -> tuple[int, ...]:
        """The memory slot of each episode."""
        return self.slots or tuple(range(len(self.actions)))

    def rows(self, index: Sequence[int]) -> Context:
        """Episodes `index` of the batch, each with the slot it had."""
        index = list(index)

        def pick(x: Tensor | None) -> Tensor | None:
            return None if x is None else x[index]

        slots = self.memory_slots
        return Context(
            actions=self.actions[index],
            frames=pick(self.frames),
            latents=pick(self.latents),
            imagined=pick(self.imagined),
            state=self.state and tuple(self.state[i] for i in index),
            slots=tuple(slots[i] for i in index),
            root=pick(self.root),
        )

    def last(self, num_frames: int) -> Context:
        """The same context cut to its last `num_frames` frames."""
        d = self.batch_ndim
        drop = max(0, self.num_frames - num_frames)

        def cut(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.narrow(d, drop, x.shape[d] - drop)

        actions = self.actions.narrow(d, drop, self.actions.shape[d] - drop)
        return replace(
            self, actions=actions, frames=cut(self.frames), latents=cut(self.latents)
        )


@dataclass(frozen=True)
class Chunk:
    """One executed action per episode and the frames it produced.

    Attributes:
        context: What was seen before the action, batch (B,).
        actions: The executed actions, (B,) or (B, A).
        frames: The frames that followed, (B, F, C, H, W), oldest first.
        active: (B,) bool; rows that really happened. Others must be ignored.
        state: Simulator state after the chunk, only for privileged readers.
    """

    context: Context
    actions: Tensor
    frames: Tensor
    active: Tensor
    state: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Reading:
    """What a memory hands to the world model for one imagined chunk.

    Attributes:
        frames: Latents of extra frames from elsewhere, (B, N, S, c, h, w).
        frames_valid: (B, N) bool; False where the extra frames must be ignored.
        frames_recalled: The extra frames claim to show the end of the imagined
            chunk, not just something else of the episode.
        past: Longer context that replaces the given one, batch (B, N).
        adapter: Fast weights, one set per episode: parameter name -> (B, ...).
        guidance: Contrastive weight g: prediction = on + g * (on - off).
    """

    frames: Tensor | None = None
    frames_valid: Tensor | None = None
    frames_recalled: bool = False
    past: Context | None = None
    adapter: dict[str, Tensor] | None = None
    guidance: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """One imagined chunk for every candidate.

    Attributes:
        latents: (B, N, F, c, h, w).
        states: B rows of N simulator states; only from privileged models.
    """

    latents: Tensor
    states: tuple[tuple[Any, ...], ...] | None = None


@dataclass(frozen=True)
class Rollout:
    """Imagined futures of N candidates per episode.

    Attributes:
        context: The real context all candidates start from, batch (B,), with
            latents.
        actions: (B, N, T) or (B, N, T, A).
        latents: (B, N, T, F, c, h, w).
        decode: Maps latents (..., c, h, w) to frames (..., C, H, W).
        states: Simulator states after the last action, B rows of N; only from
            privileged models.
        recalled: (B, N, T) bool; which chunk ends the memory claimed to know.
    """

    context: Context
    actions: Tensor
    latents: Tensor
    decode: Callable[[Tensor], Tensor] = field(repr=False)
    recalled: Tensor
    states: tuple[tuple[Any, ...], ...] | None = None

    @property
    def frames(self) -> Tensor:
        """Decoded images (B, N, T, F, C, H, W), float32 in [-1, 1]."""
        return self.decode(self.latents)

    @property
    def num_steps(self) -> int:
        """T, the number of imagined chunks."""
        return self.latents.shape[2]

    def last_chunk(self) -> Rollout:
        """The same candidates with their last imagined chunk only."""
        return replace(
            self,
            actions=self.actions[:, :, -1:],
            latents=self.latents[:, :, -1:],
            recalled=self.recalled[:, :, -1:],
        )

    def select(self, index: Tensor) -> Rollout:
        """Candidates `index` (B, M) of each episode, in that order."""
        index = index.cpu()  # actions and latents may lie on different devices
        rows = torch.arange(len(index))[:, None]
        states = self.states
        if states is not None:
            states = tuple(
                tuple(row[i] for i in picks.tolist())
                for row, picks in zip(states, index, strict=True)
            )
        return replace(
            self,
            actions=self.actions[rows, index],
            latents=self.latents[rows, index],
            recalled=self.recalled[rows, index],
            states=states,
        )


@dataclass(frozen=True)
class Moment:
    """When something was seen: a question to `Memory.recall`.

    Attributes:
        step: Chunks of the episode that had happened; at 0 is its first view.
    """

    step: int


@dataclass(frozen=True)
class Goal:
    """What an episode asks for, as a policy may know it; one entry per episode.

    Attributes:
        instructions: Language goals, e.g. "go to the yellow cylinder".
        images: Goal images (B, C, H, W) where the task shows one, else None.
        recalled: Per episode the latents (c, h, w) of a goal image that memory
            brought back, None where it did not; () where none was asked.
    """

    instructions: tuple[str, ...]
    images: Tensor | None = None
    recalled: tuple[Tensor | None, ...] = ()

    def rows(self, index: Sequence[int]) -> Goal:
        """What episodes `index` of the batch ask for."""
        index = list(index)
        return Goal(
            tuple(self.instructions[i] for i in index),
            None if self.images is None else self.images[index],
            tuple(self.recalled[i] for i in index) if self.recalled else (),
        )
