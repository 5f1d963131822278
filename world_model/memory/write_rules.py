"""What a Temp-LoRA write trains on: the paper's form and ours."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Generators, WorldModel, with_latents
from world_model.core import Chunk, Context
from world_model.memory.keyframes import MOVED, NO_ACTION, Keyframes, append_chunk
from world_model.phrase_space import PhraseSpace


@dataclass(frozen=True)
class WriteBatch:
    """One gradient step's clips; arguments of `Adaptable.write_loss`.

    Attributes:
        latents: (S, M, L, c, h, w).
        actions: (S, M, L-1), or None.
        times: (S, M, L).
        noise_levels: (S, M, L).
        num_past: Past frames among the L.
        loss_frames: (L,) weights.
    """

    latents: Tensor
    actions: Tensor | None
    times: Tensor
    noise_levels: Tensor
    num_past: int
    loss_frames: Tensor

    def to(self, device: torch.device) -> WriteBatch:
        """The same batch on another device."""
        return replace(
            self,
            latents=self.latents.to(device),
            actions=None if self.actions is None else self.actions.to(device),
            times=self.times.to(device),
            noise_levels=self.noise_levels.to(device),
            loss_frames=self.loss_frames.to(device),
        )


class WriteRule(abc.ABC):
    """Turns executed chunks into clips to train fast weights on.

    Attributes:
        stores_latents: True if it replays older chunks.
    """

    stores_latents: ClassVar[bool]

    @abc.abstractmethod
    def add(self, chunk: Chunk) -> None:
        """Takes note of an executed chunk."""

    @abc.abstractmethod
    def groups(self, step: int, slots: Sequence[int]) -> list[list[int]]:
        """Splits slots into those whose clips of gradient step `step` fit together."""

    @abc.abstractmethod
    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """Clips of gradient step `step` of the present write.

        Args:
            step: Counts from 0 in every write.
            slots: One of `groups(step, ...)`; S of them, all active in this write.
            generators: The randomness of these slots.
        """

    @abc.abstractmethod
    def state(self) -> dict[int, Keyframes]:
        """What survives between writes, by slot."""

    @abc.abstractmethod
    def load(self, state: dict[int, Keyframes]) -> None:
        """Returns to a `state()`; an empty one forgets the episodes."""


class PaperRule(WriteRule):
    """SlowFast-VGen section 3.2: [input | output] of the newest chunk, all noised.

    One noise level for the whole sequence, loss on all of it, no action, no replay.

    Args:
        world_model: Encodes frames.
        batch_size: Noise draws per gradient step (not stated in the paper).
    """

    stores_latents = False

    def __init__(self, world_model: WorldModel, *, batch_size: int = 1) -> None:
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
        self.world_model = world_model
        self.batch_size = batch_size
        self._pair: tuple[Tensor, Tensor] | None = None

    def add(self, chunk: Chunk) -> None:
        """Keeps the newest pair for the present write."""
        past = _encoded(self.world_model, chunk.context)
        self._pair = past, self.world_model.encode(chunk.frames)

    def groups(self, step: int, slots: Sequence[int]) -> list[list[int]]:
        """All slots have the same newest pair."""
        return [list(slots)]

    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """The newest pair, under fresh noise."""
        assert self._pair is not None
        past, future = (x[list(slots)] for x in self._pair)
        num_future = future.shape[1]
        clip = torch.cat([past, future], dim=1)
        length = clip.shape[1]
        times = torch.zeros(length)
        times[-num_future:] = torch.arange(1, num_future + 1) / num_future
        level = _uniform((self.batch_size, 1), generators)
        return WriteBatch(
            latents=clip[:, None].expand(-1, self.batch_size, *[-1] * 4),
            actions=None,
            times=times.expand(len(slots), self.batch_size, -1),
            noise_levels=level.expand(-1, -1, length),
            num_past=length - num_future,
            loss_frames=torch.ones(length),
        )

    def state(self) -> dict[int, Keyframes]:
        """Nothing survives a write."""
        return {}

    def load(self, state: dict[int, Keyframes]) -> None:
        """Drops the pair."""
        self._pair = None


class KeyedReplayRule(WriteRule):
    """Clean past -> noised future, with the action, at high noise, with replay.

    Differs from the paper's form in each of these: the action and the clean past are
    the key under which the future is stored; half of the noise levels lie where a
    few-step sampler decides content; older chunks are rehearsed, half of them played
    backwards with the inverse action. Latents of the episode are kept for that.

    Args:
        world_model: Encodes frames and names the actions.
        batch_size: Clips per gradient step.
        num_new: How many of them come from the newest chunk.
        high_noise: Share of noise levels drawn from [0.8, 1].
        reverse: Share of clips played backwards.
        max_past: Longest past of a clip; lengths 1 .. max_past alternate.
    """

    stores_latents = True

    def __init__(
        self,
        world_model: WorldModel,
        *,
        batch_size: int = 12,
        num_new: int = 4,
        high_noise: float = 0.5,
        reverse: float = 0.5,
        max_past: int = 2,
    ) -> None:
        if not 0 <= num_new <= batch_size:
            raise ValueError(
                f"`num_new` must be in [0, batch_size={batch_size}], got {num_new}."
            )
        space = world_model.action_space
        if not isinstance(space, PhraseSpace):
            raise ValueError(
                f"`KeyedReplayRule` needs actions that are phrases, got {space}: "
                "use `PaperRule`."
            )
        self.world_model = world_model
        self.batch_size = batch_size
        self.num_new = num_new
        self.high_noise = high_noise
        self.reverse = reverse
        self.max_past = max_past
        inverses = [NO_ACTION if i is None else i for i in space.inverses]
        self._inverses = torch.tensor([*inverses, NO_ACTION])
        self._keys: dict[int, Keyframes] = {}

    def add(self, chunk: Chunk) -> None:
        """Appends the chunk's last frame to the keyframes of its active slots."""
        append_chunk(self._keys, self.world_model, chunk)

    def groups(self, step: int, slots: Sequence[int]) -> list[list[int]]:
        """Slots whose newest chunk is preceded by as many joined frames."""
        found: dict[int, list[int]] = {}
        for slot in slots:
            found.setdefault(self._num_past(step, slot), []).append(slot)
        return list(found.values())

    def batch(
        self, step: int, slots: Sequence[int], generators: Generators
    ) -> WriteBatch:
        """A mixture of new and replayed clips."""
        num_past = self._num_past(step, slots[0])
        clips = [
            self._clips(self._keys[slot], num_past, generator)
            for slot, generator in zip(slots, generators, strict=True)
        ]
        actions = torch.stack([actions for _, actions in clips])
        size = (len(slots), self.batch_size, num_past + 1)
        levels = torch.zeros(size)
        levels[:, :, -1] = self._levels(generators)
        times = torch.zeros(num_past + 1)
        times[-1] = 1.0
        return WriteBatch(
            latents=torch.stack([latents for latents, _ in clips]),
            actions=actions,
            times=times.expand(size),
            noise_levels=levels,
            num_past=num_past,
            loss_frames=times,
        )

    def state(self) -> dict[int, Keyframes]:
        """All keyframes of the episodes; they are replaced, never changed in place."""
        return dict(self._keys)

    def load(self, state: dict[int, Keyframes]) -> None:
        """Takes keyframes back."""
        self._keys = dict(state)

    def _num_past(self, step: int, slot: int) -> int:
        """Past frames of the clips of a step: in turn 1 .. max_past, if there are."""
        wanted = 1 + step % self.max_past
        newest = self._keys[slot].actions[-wanted:]
        return wanted if bool((newest != NO_ACTION).all()) else 1

    def _clips(
        self, keys: Keyframes, num_past: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Latents (M, P+1, c, h, w) and actions (M, P) of one slot's clips."""
        starts = keys.starts(num_past)
        pick = torch.randint(len(starts), (self.batch_size,), generator=generator)
        pick[: self.num_new] = len(starts) - 1
        frames = starts[pick][:, None] + torch.arange(num_past + 1)
        latents, actions = keys.latents[frames], keys.actions[frames[:, 1:]]
        inverse = self._inverses[actions].flip(-1)
        # A blocked action has no inverse: its view did not change.
        change = latents.diff(dim=1).square().mean(dim=(2, 3, 4)).cpu()
        back = torch.rand(self.batch_size, generator=generator) < self.reverse
        back &= ((inverse != NO_ACTION) & (change.flip(-1) > MOVED)).all(dim=-1)
        latents[back] = latents[back].flip(1)
        return latents, torch.where(back[:, None], inverse, actions)

    def _levels(self, generators: Generators) -> Tensor:
        """Noise levels of the future frames, (S, M)."""
        size = (self.batch_size,)
        low = _uniform(size, generators)
        high = 0.8 + 0.2 * _uniform(size, generators)
        return torch.where(_uniform(size, generators) < self.high_noise, high, low)


def _encoded(world_model: WorldModel, context: Context) -> Tensor:
    """Latents of the context's frames, (S, K, c, h, w)."""
    latents = with_latents(world_model, context).latents
    assert latents is not None
    return latents


def _uniform(shape: Sequence[int], generators: Generators) -> Tensor:
    """Uniform numbers in [0, 1), one row of `shape` per slot."""
    return torch.stack([torch.rand(tuple(shape), generator=g) for g in generators])
