"""`OracleMemory`: true frames of places that were visited, the ceiling of memories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from envs.api import Node
from envs.domains import make_domain
from envs.lattice import end_of
from world_model.api import Memory, WorldModel, with_latents
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
        """Remembers where each active episode is, came from, and what is seen there."""
        assert chunk.state is not None
        after = self.world_model.encode(chunk.frames[:, -1])
        before = with_latents(self.world_model, chunk.context.last(1)).latents
        assert before is not None
        for slot in chunk.active.nonzero()[:, 0].tolist():
            self.simulator.set_state(chunk.state[slot])
            node, visited = self.simulator.node, self._visited[slot]
            visited[node] = after[slot]
            # States are those after actions: of the first place only the view is told.
            origin = self._origin(node, int(chunk.actions[slot]))
            visited.setdefault(origin, before[slot, 0])

    def _origin(self, node: Node, action: int) -> Node:
        """Where an action that ended at `node` began; `node` itself if unclear."""
        undo = self.simulator.action_space.inverses[action]
        if undo is None:
            return node
        origin = self.simulator.successor(node, undo)
        return origin if self.simulator.successor(origin, action) == node else node

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The true next frame of every candidate that re-enters a place."""
        assert context.latents is not None
        assert context.imagined is not None
        assert context.state is not None
        blank = torch.zeros_like(context.latents[0, 0, 0])
        paths = torch.cat([context.imagined, actions[..., None]], dim=-1).tolist()
        rows = [
            [
                None if node is None else self._visited[slot].get(node)
                for node in self._ends(state, candidates)
            ]
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

    def _ends(self, state: Any, candidates: list[list[int]]) -> list[Node | None]:
        """Where candidates are; None after a goal in words, which leads anywhere."""
        self.simulator.set_state(state)
        start, count = self.simulator.node, int(self.simulator.action_space.n)
        return [
            end_of(self.simulator, start, path) if max(path) < count else None
            for path in candidates
        ]
