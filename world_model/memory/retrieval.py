"""`RetrievalMemory`: looks up what followed when this was done here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Reading
from world_model.memory.keyframes import MOVED, NO_ACTION, Keyframes, append_chunk
from world_model.phrase_space import PhraseSpace


class RetrievalMemory(Memory):
    """Hands over the successor of the stored (view, action) nearest to the question.

    Every executed chunk is kept as (view before, action, view after) and, unless it
    was blocked, also backwards with the inverse action. The rival that a memory in
    weights has to beat: it forgets nothing, needs no gradient and says nothing of
    what it does not know, but grows with the episode.

    Args:
        world_model: Encodes the frames and names the actions.
        max_distance: Mean squared latent difference up to which two views are taken
            for one; beyond it the memory is silent.
    """

    stores_frames: ClassVar[bool] = True

    def __init__(self, world_model: WorldModel, *, max_distance: float = 0.5) -> None:
        if max_distance <= 0:
            raise ValueError(f"`max_distance` must be positive, got {max_distance}.")
        space = world_model.action_space
        if not isinstance(space, PhraseSpace):
            raise ValueError(
                f"`retrieval` needs actions that are phrases, got {space}: use "
                "memory=temp_lora."
            )
        self.world_model = world_model
        self.max_distance = max_distance
        inverses = [NO_ACTION if i is None else i for i in space.inverses]
        self._inverses = torch.tensor(inverses)
        self._keys: dict[int, Keyframes] = {}

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Drops everything."""
        self._keys = {}

    def write(self, chunk: Chunk) -> None:
        """Appends each active slot's chunk end."""
        append_chunk(self._keys, self.world_model, chunk)

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The recalled end of every candidate's next chunk, where there is one."""
        asked = [self._keys.get(slot) for slot in context.memory_slots]
        if not any(asked):
            return None
        assert context.latents is not None
        views = context.latents[:, :, -1]
        answers = [
            self._look_up(keys, view, action)
            for keys, view, action in zip(asked, views, actions, strict=True)
        ]
        frames, distances = (torch.stack(x) for x in zip(*answers, strict=True))
        return Reading(
            frames=frames[:, :, None],
            frames_valid=(distances <= self.max_distance).cpu(),
            frames_recalled=True,
        )

    def snapshot(self) -> dict[int, Keyframes]:
        """See `Memory.snapshot`; keyframes are replaced, never changed in place."""
        return dict(self._keys)

    def restore(self, state: dict[int, Keyframes]) -> None:
        """See `Memory.restore`."""
        self._keys = dict(state)

    @property
    def num_bytes(self) -> int:
        """Bytes of the keyframes of the fullest slot."""
        return max((keys.num_bytes for keys in self._keys.values()), default=0)

    def _look_up(
        self, keys: Keyframes | None, views: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Successors (N, c, h, w) of the nearest links and their distances (N,)."""
        if keys is None:
            return torch.zeros_like(views), views.new_full((len(views),), torch.inf)
        before, done, after = self._links(keys)
        count = views[0].numel()
        distances = torch.cdist(views.flatten(1), before.flatten(1)).square() / count
        fits = actions.cpu()[:, None] == done
        distances = distances.masked_fill(~fits.to(distances.device), torch.inf)
        nearest = distances.min(dim=1)
        return after[nearest.indices], nearest.values

    def _links(self, keys: Keyframes) -> tuple[Tensor, Tensor, Tensor]:
        """All (view, action, next view), forwards and backwards."""
        starts = keys.starts(1)
        before, after = keys.latents[starts], keys.latents[starts + 1]
        done = keys.actions[starts + 1]
        undo = self._inverses[done]
        moved = (after - before).square().mean(dim=(1, 2, 3)).cpu() > MOVED
        back = moved & (undo != NO_ACTION)
        return (
            torch.cat([before, after[back]]),
            torch.cat([done, undo[back]]),
            torch.cat([after, before[back]]),
        )
