"""`KeyedReplayRule`: our form, clean past -> noised future, with replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Generators, WorldModel
from world_model.core import Chunk
from world_model.errors import at_least, within
from world_model.memory.keyframes import Keyframes, append_chunk
from world_model.memory.write_batch import WriteBatch
from world_model.memory.write_rule import WriteRule, uniform
from world_model.phrase_space import NO_ACTION, phrase_space_of


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

    stores_latents: ClassVar[bool] = True

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
        super().__init__(world_model, batch_size=batch_size)
        if not 0 <= num_new <= batch_size:
            raise ValueError(
                f"`num_new` must be in [0, batch_size={batch_size}], got {num_new}."
            )
        at_least(1, max_past=max_past)
        within(0, 1, high_noise=high_noise, reverse=reverse)
        space = phrase_space_of(
            world_model.action_space, "KeyedReplayRule", instead="use `PaperRule`"
        )
        self.num_new = num_new
        self.high_noise = high_noise
        self.reverse = reverse
        self.max_past = max_past
        # One more, so that NO_ACTION finds NO_ACTION.
        self._inverses = torch.tensor([*space.inverse_indices, NO_ACTION])
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

    @property
    def num_bytes(self) -> int:
        """Bytes of the keyframes of the fullest slot."""
        return max((keys.num_bytes for keys in self._keys.values()), default=0)

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
        moved = change.flip(-1) >= self.world_model.min_change
        back &= ((inverse != NO_ACTION) & moved).all(dim=-1)
        latents[back] = latents[back].flip(1)
        return latents, torch.where(back[:, None], inverse, actions)

    def _levels(self, generators: Generators) -> Tensor:
        """Noise levels of the future frames, (S, M)."""
        size = (self.batch_size,)
        low = uniform(size, generators)
        high = 0.8 + 0.2 * uniform(size, generators)
        return torch.where(uniform(size, generators) < self.high_noise, high, low)
