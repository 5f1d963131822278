"""`OracleMemory`: true frames of places that were visited, the ceiling of memories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from envs.api import Node
from envs.domains import make_domain
from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Reading


class OracleMemory(Memory):
    """Knows where each candidate is and hands over the true frame of that place.

    Only for places that the episode has really visited; elsewhere it is silent.

    Args:
        world_model: Encodes the frames.
        domain: Name of the domain.
    """

    stores_frames: ClassVar[bool] = True
    privileged: ClassVar[bool] = True

    def __init__(self, world_model: WorldModel, *, domain: str) -> None:
        self.world_model = world_model
        self.simulator = make_domain(domain)

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Forgets the visited places."""
        self._visited: list[dict[Node, Tensor]] = [{} for _ in range(num_episodes)]

    def write(self, chunk: Chunk) -> None:
        """Remembers where each active episode now is and what is seen there."""
        assert chunk.state is not None
        latents = self.world_model.encode(chunk.frames[:, -1])
        for visited, state, latent, active in zip(
            self._visited, chunk.state, latents, chunk.active.tolist(), strict=True
        ):
            if active:
                self.simulator.set_state(state)
                visited[self.simulator.node] = latent

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The true next frame of every candidate that re-enters a place."""
        assert context.latents is not None
        assert context.imagined is not None
        assert context.state is not None
        blank = torch.zeros_like(context.latents[0, 0, 0])
        paths = torch.cat([context.imagined, actions[..., None]], dim=-1).tolist()
        rows = [
            [self._visited[slot].get(node) for node in self._ends(state, candidates)]
            for slot, state, candidates in zip(
                context.memory_slots, context.state, paths, strict=True
            )
        ]
        valid = torch.tensor([[x is not None for x in row] for row in rows])
        frames = torch.stack(
            [torch.stack([blank if x is None else x for x in row]) for row in rows]
        )
        return Reading(
            frames=frames[:, :, None], frames_valid=valid, frames_recalled=True
        )

    def snapshot(self) -> list[dict[Node, Tensor]]:
        """See `Memory.snapshot`."""
        return [dict(v) for v in self._visited]

    def restore(self, state: list[dict[Node, Tensor]]) -> None:
        """See `Memory.restore`."""
        self._visited = [dict(v) for v in state]

    @property
    def num_bytes(self) -> int:
        """Bytes of the frames of the fullest slot."""
        sizes = [sum(x.nbytes for x in v.values()) for v in self._visited]
        return max(sizes, default=0)

    def _ends(self, state: Any, candidates: list[list[int]]) -> list[Node]:
        self.simulator.set_state(state)
        start = self.simulator.node
        ends = []
        for path in candidates:
            node = start
            for action in path:
                node = self.simulator.successor(node, action)
            ends.append(node)
        return ends
