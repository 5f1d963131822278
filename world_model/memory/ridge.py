"""`RidgeMemory`: fast weights in closed form, from (view, action) to the next view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Memory, PhraseSpace, WorldModel
from world_model.core import Chunk, Context, Reading
from world_model.memory.keyframes import MOVED, chunk_ends

_SEED = 0


@dataclass(frozen=True)
class RidgeState:
    """The fast weights of all slots.

    Attributes:
        keys: Sums of key outer products K'K, (S, D, D) half precision.
        values: Sums of key times next view K'Z, (S, D, c, h, w) half precision.
    """

    keys: Tensor
    values: Tensor


class RidgeMemory(Memory):
    """Ridge regression, updated chunk by chunk, as an associative memory.

    For a chunk that led from view v by action a to view z, the key is
    k = phi(v) * s_a: random Fourier features of the view (Rahimi and Recht 2007, the
    Gaussian kernel exp(-d / (2 width)) of the mean squared latent difference d), bound
    to the action by a random sign vector, so that keys of different actions are
    nearly orthogonal. Writing adds k k' to K'K and k z' to K'Z, and the same for the
    way back with the inverse action unless the chunk was blocked. Reading solves

        z = Z'K (K'K + penalty I)^-1 k

    and says how much of the key is known, c = k'K'K (K'K + penalty I)^-1 k in [0, 1]:
    below `min_known` the memory is silent, above it z enters the extra-frame slot as
    the recalled end of the chunk. Of fixed size, without frames, gradients or
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
        for name, value in (("dim", dim), ("width", width), ("penalty", penalty)):
            if value <= 0:
                raise ValueError(f"`{name}` must be positive, got {value}.")
        if not isinstance(world_model.action_space, PhraseSpace):
            raise ValueError(
                "`ridge` needs actions that are phrases, got "
                f"{world_model.action_space}: use memory=temp_lora."
            )
        self.world_model = world_model
        self.dim = dim
        self.width = width
        self.penalty = penalty
        self.min_known = min_known
        self._inverses = world_model.action_space.inverses
        self._projection: Tensor | None = None
        self._num_slots = 0
        self._state: RidgeState | None = None

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Zero weights."""
        self._num_slots = num_episodes
        self._state = None

    def write(self, chunk: Chunk) -> None:
        """Adds each active slot's chunk, forwards and backwards."""
        views, after = chunk_ends(self.world_model, chunk)
        active = chunk.active.to(views.device)
        moved = (after - views).square().mean(dim=(1, 2, 3)) > MOVED
        undo = torch.tensor(
            [
                -1 if self._inverses[a] is None else self._inverses[a]
                for a in chunk.actions.tolist()
            ]
        )
        back = active & moved & (undo >= 0).to(views.device)
        self._add(views, chunk.actions, after, active)
        self._add(after, undo.clamp(min=0), views, back)

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The recalled end of every candidate's next chunk, where it is known."""
        if self._state is None:
            return None
        assert context.latents is not None
        slots = list(context.memory_slots)
        views = context.latents[:, :, -1]
        keys = self._keys(views.flatten(0, 1), actions.flatten())
        keys = keys.unflatten(0, views.shape[:2]).double()  # (B, N, D)
        gram = self._state.keys[slots].double()
        damped = gram + self.penalty * torch.eye(self.dim, device=gram.device).double()
        solved = torch.linalg.solve(damped, keys.transpose(1, 2)).transpose(1, 2)
        known = (solved * (keys @ gram)).sum(dim=-1)
        values = self._state.values[slots].flatten(2).double()
        recalled = (solved @ values).to(views.dtype).reshape(views.shape)
        return Reading(
            frames=recalled[:, :, None],
            frames_valid=(known >= self.min_known).cpu(),
            frames_recalled=True,
        )

    def snapshot(self) -> tuple[int, RidgeState | None]:
        """See `Memory.snapshot`; weights are replaced, never changed in place."""
        return self._num_slots, self._state

    def restore(self, state: tuple[int, RidgeState | None]) -> None:
        """See `Memory.restore`."""
        self._num_slots, self._state = state

    @property
    def num_bytes(self) -> int:
        """Bytes of one slot's weights."""
        if self._state is None:
            return 0
        return self._state.keys[0].nbytes + self._state.values[0].nbytes

    def _add(self, views: Tensor, actions: Tensor, after: Tensor, rows: Tensor) -> None:
        """Adds pairs of the slots `rows` (B,) bool; the others stay as they are."""
        if self._state is None:
            size = (self._num_slots, self.dim)
            blank = torch.zeros(1, dtype=torch.float16, device=views.device)
            self._state = RidgeState(
                blank.new_zeros(*size, self.dim),
                blank.new_zeros(*size, *views.shape[1:]),
            )
        keys = self._keys(views, actions) * rows[:, None]
        old = self._state
        grown = old.keys.float() + keys[:, :, None] * keys[:, None, :]
        filled = old.values.float() + keys[:, :, None, None, None] * after[:, None]
        self._state = replace(old, keys=grown.half(), values=filled.half())

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
