"""`RidgeMemory`: fast weights in closed form, from (view, action) to the next view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Reading
from world_model.errors import at_least, positive, within
from world_model.memory.keyframes import chunk_ends
from world_model.memory.ridge_weights import RidgeWeights
from world_model.phrase_space import NO_ACTION, phrase_space_of

_SEED = 0


class RidgeMemory(Memory):
    """Ridge regression, updated chunk by chunk, as an associative memory.

    For a chunk that led from view v by action a to view z, the key is
    k = phi(v) * s_a: random Fourier features of the view (Rahimi and Recht 2007, the
    Gaussian kernel exp(-d / (2 width)) of the mean squared latent difference d), bound
    to the action by a random sign vector, so that keys of different actions are
    nearly orthogonal. Writing and reading are those of
    `RidgeWeights`; the way back is written, too, with the inverse action, unless the
    chunk was blocked. Where less than `min_known` of a key is known the memory is
    silent, elsewhere the view enters the extra-frame slot as the recalled end of the
    chunk. Of fixed size, without frames, gradients or
    training; the order of writes does not matter and nothing is overwritten.

    Args:
        world_model: Encodes the frames and names the actions.
        dim: D, number of features.
        width: Of the kernel, in mean squared latent difference.
        penalty: Of the regression.
        min_known: Least known share of a key.
    """

    stores_frames: ClassVar[bool] = False

    def __init__(
        self,
        world_model: WorldModel,
        *,
        dim: int = 112,
        width: float = 0.15,
        penalty: float = 0.05,
        min_known: float = 0.5,
    ) -> None:
        at_least(1, dim=dim)
        positive(width=width, penalty=penalty)
        within(0, 1, min_known=min_known)
        space = phrase_space_of(
            world_model.action_space, "ridge", instead="use memory=temp_lora_paper"
        )
        self.world_model = world_model
        self.dim = dim
        self.width = width
        self.penalty = penalty
        self.min_known = min_known
        self._inverses = space.inverse_indices
        self._projection: Tensor | None = None
        self._weights: dict[int, RidgeWeights] = {}

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Zero weights."""
        self._weights = {}

    def write(self, chunk: Chunk) -> None:
        """Adds each active slot's chunk, forwards and backwards."""
        before, after = chunk_ends(self.world_model, chunk)
        change = (after - before).square().mean(dim=(1, 2, 3))
        moved = change >= self.world_model.min_change
        for slot in chunk.active.nonzero()[:, 0].tolist():
            action = int(chunk.actions[slot])
            self._add(slot, before[slot], action, after[slot])
            undo = self._inverses[action]
            if moved[slot] and undo != NO_ACTION:
                self._add(slot, after[slot], undo, before[slot])

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The recalled end of every candidate's next chunk, where it is known."""
        asked = [self._weights.get(slot) for slot in context.memory_slots]
        if not any(asked):
            return None
        assert context.latents is not None
        views = context.latents[:, :, -1]
        recalled = torch.zeros_like(views)
        known = torch.zeros(actions.shape, dtype=torch.float64, device=views.device)
        for row, weights in enumerate(asked):
            if weights is not None:
                # A goal in words is no action: nothing is known of it.
                is_action = actions[row].cpu() < len(self._inverses)
                asked_for = actions[row].cpu() * is_action
                keys = self._keys(views[row], asked_for)
                recalled[row], found = weights.read(keys, self.penalty)
                known[row] = found * is_action.to(found.device)
        return Reading(
            frames=recalled[:, :, None],
            frames_valid=(known >= self.min_known).cpu(),
            frames_recalled=True,
        )

    def snapshot(self) -> dict[int, RidgeWeights]:
        """See `Memory.snapshot`; weights are replaced, never changed in place."""
        return dict(self._weights)

    def restore(self, state: dict[int, RidgeWeights]) -> None:
        """See `Memory.restore`."""
        self._weights = dict(state)

    @property
    def num_bytes(self) -> int:
        """Bytes of one slot's weights."""
        return max((w.num_bytes for w in self._weights.values()), default=0)

    def _add(self, slot: int, before: Tensor, action: int, after: Tensor) -> None:
        old = self._weights.get(slot) or RidgeWeights.blank(self.dim, after)
        keys = self._keys(before[None], torch.tensor([action]))
        self._weights[slot] = old.written(keys, after[None])

    def _keys(self, views: Tensor, actions: Tensor) -> Tensor:
        """Keys (M, D) of views (M, c, h, w) and actions (M,), of about unit length."""
        flat = views.flatten(1)
        projection, phases, signs = self._random(flat.shape[1], flat.device)
        scale = math.sqrt(1 / (self.width * flat.shape[1]))
        waves = torch.cos(scale * flat @ projection + phases)
        bound = signs[actions.to(signs.device)]
        return math.sqrt(2 / self.dim) * waves * bound

    def _random(self, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Frequencies (size, D), phases (D,) and action signs (P, D), always equal."""
        generator = torch.Generator().manual_seed(_SEED)
        if self._projection is None:
            self._projection = torch.randn(size, self.dim, generator=generator)
            self._phases = 2 * math.pi * torch.rand(self.dim, generator=generator)
            shape = (len(self._inverses), self.dim)
            self._signs = torch.randint(2, shape, generator=generator) * 2.0 - 1
        return (
            self._projection.to(device),
            self._phases.to(device),
            self._signs.to(device),
        )
