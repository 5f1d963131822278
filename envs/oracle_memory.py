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
from world_model.core import Chunk, Context, Moment, Reading
from world_model.frames import to_model


class OracleMemory(Memory):
    """Knows where each candidate is and hands over the true frame of that place.

    Only for places that the episode has really visited, and for actions that uncover
    what was covered (`Domain.uncovers`), whose true end it simulates; elsewhere it is
    silent. It also recalls the true view at every moment of the episode.

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
        self._seen: list[tuple[Tensor, ...]] = [()] * num_episodes

    def write(self, chunk: Chunk) -> None:
        """Remembers where each active episode is, came from, and what is seen there."""
        assert chunk.state is not None
        after = self.world_model.encode(chunk.frames[:, -1])
        before = with_latents(self.world_model, chunk.context.last(1)).latents
        assert before is not None
        for slot in chunk.active.nonzero()[:, 0].tolist():
            self.simulator.set_state(chunk.state[slot])
            node, visited = self.simulator.node, self._visited[slot]
            visited[node] = view = after[slot]
            first = before[slot, 0]
            # States are those after actions: of the first place only the view is told.
            if not self._is_blocked(chunk, slot):
                origin = self._origin(node, int(chunk.actions[slot]))
                visited.setdefault(origin, first)
            self._seen[slot] = (*(self._seen[slot] or (first,)), view)

    def _is_blocked(self, chunk: Chunk, slot: int) -> bool:
        """Whether a robot that travels has stayed where it was, by what it saw.

        What a blocked move undoes would lead to another place, which this view does
        not show. Views of two places differ by ten times as much as two of one.
        """
        before = chunk.context.frames
        if before is None or not self.simulator.travels:
            return False
        change = chunk.frames[slot, -1] - before[slot, -1]
        return bool(change.square().mean() < 0.05)

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
            self._true_ends(slot, state, candidates)
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

    def recall(self, slot: int, moment: Moment) -> Tensor | None:
        """See `Memory.recall`."""
        seen = self._seen[slot]
        return seen[moment.step] if moment.step < len(seen) else None

    def snapshot(self) -> tuple[list[dict[Node, Tensor]], list[tuple[Tensor, ...]]]:
        """See `Memory.snapshot`."""
        return [dict(v) for v in self._visited], list(self._seen)

    def restore(
        self, state: tuple[list[dict[Node, Tensor]], list[tuple[Tensor, ...]]]
    ) -> None:
        """See `Memory.restore`."""
        visited, seen = state
        self._visited, self._seen = [dict(v) for v in visited], list(seen)

    @property
    def num_bytes(self) -> int:
        """Bytes of the frames of the fullest slot."""
        kept = zip(self._visited, self._seen, strict=True)
        frames = [{id(x): x.nbytes for x in (*v.values(), *seen)} for v, seen in kept]
        return max((sum(sizes.values()) for sizes in frames), default=0)

    def _true_ends(
        self, slot: int, state: Any, paths: list[list[int]]
    ) -> list[Tensor | None]:
        """What is seen after each path from a state; None if it is not to be told."""
        self.simulator.set_state(state)
        start, count = self.simulator.node, int(self.simulator.action_space.n)

        def true_end(path: list[int]) -> Tensor | None:
            if max(path) >= count:
                return None  # a goal in words leads anywhere
            if self.simulator.uncovers(path[-1]):
                return self._simulate(state, path)
            return self._visited[slot].get(end_of(self.simulator, start, path))

        return [true_end(path) for path in paths]

    def _simulate(self, state: Any, path: list[int]) -> Tensor:
        self.simulator.set_state(state)
        for action in path:
            self.simulator.execute(action, render=False)
        return self.world_model.encode(to_model(self.simulator.render()[None]))[0]
