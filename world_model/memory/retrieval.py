"""`RetrievalMemory`: looks up what followed when this was done here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Moment, Reading
from world_model.errors import positive
from world_model.memory.keyframes import Keyframes, append_chunk
from world_model.phrase_space import NO_ACTION, phrase_space_of


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
    _recalls_chunk_end: ClassVar[bool] = True

    def __init__(self, world_model: WorldModel, *, max_distance: float = 0.5) -> None:
        positive(max_distance=max_distance)
        space = phrase_space_of(
            world_model.action_space,
            type(self).__name__,
            instead="use memory=anchor",
        )
        self.world_model = world_model
        self.max_distance = max_distance
        self._inverses = torch.tensor(space.inverse_indices)
        self._keys: dict[int, Keyframes] = {}

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Drops everything."""
        self._keys = {}

    def write(self, chunk: Chunk) -> None:
        """Appends each active slot's chunk end."""
        append_chunk(self._keys, self.world_model, chunk)

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """What is stored for every candidate's view and action, where there is any."""
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
            frames_recalled=self._recalls_chunk_end,
        )

    def recall(self, slot: int, moment: Moment) -> Tensor | None:
        """See `Memory.recall`."""
        keys = self._keys.get(slot)
        return None if keys is None else keys.seen_at(moment.step)

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
        """The nearest answers (N, c, h, w) and their distances (N,)."""
        if keys is None:
            return torch.zeros_like(views), views.new_full((len(views),), torch.inf)
        stored, answers, fits = self._answers(keys, actions)
        count = views[0].numel()
        distances = torch.cdist(views.flatten(1), stored.flatten(1)).square() / count
        distances = distances.masked_fill(~fits.to(distances.device), torch.inf)
        nearest = distances.min(dim=1)
        return answers[nearest.indices], nearest.values

    def _answers(
        self, keys: Keyframes, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Stored views (M, c, h, w), what each answers, and to which actions (N, M)."""
        before, done, after = self._links(keys)
        return before, after, actions.cpu()[:, None] == done

    def _links(self, keys: Keyframes) -> tuple[Tensor, Tensor, Tensor]:
        """All (view, action, next view), forwards and backwards."""
        starts = keys.starts(1)
        before, after = keys.latents[starts], keys.latents[starts + 1]
        done = keys.actions[starts + 1]
        undo = self._inverses[done]
        change = (after - before).square().mean(dim=(1, 2, 3)).cpu()
        moved = change >= self.world_model.min_change
        back = moved & (undo != NO_ACTION)
        return (
            torch.cat([before, after[back]]),
            torch.cat([done, undo[back]]),
            torch.cat([after, before[back]]),
        )
