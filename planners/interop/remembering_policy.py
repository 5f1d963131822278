"""`RememberingPolicy`: writes our memory while a policy of stable-worldmodel acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from planners.interop.episode_slots import EpisodeSlots
from world_model.core import Chunk, Context
from world_model.frames import to_model
from world_model.phrase_space import PhraseSpace

Tour = tuple[np.ndarray, Sequence[tuple[Any, np.ndarray]]]


@dataclass(frozen=True)
class _Step:
    """What was seen and done last.

    Attributes:
        episodes: (N,) numbers that name them.
        views: (N, H, W, C).
        actions: As the policy returned them.
    """

    episodes: np.ndarray
    views: np.ndarray
    actions: np.ndarray


class RememberingPolicy:
    """Any policy of theirs, after each step of which our memory is written once.

    A cost is only ever asked about futures; what really happened is known here: the
    views that `get_action` is shown and the actions it returns.

    Args:
        policy: `WorldModelPolicy` or another one with `set_env` and `get_action`.
        slots: The episodes' memory, shared with `SolverCost`.
        action_space: The world model's; rows of scores become phrases.
        tour_of: Says what was shown before an episode, by the row of its environment:
            the first view (H, W, C) and (action, frames (F, H, W, C)) of every step.
            None where nothing is.
    """

    def __init__(
        self,
        policy: Any,
        slots: EpisodeSlots,
        action_space: gymnasium.Space,
        *,
        tour_of: Callable[[int], Tour] | None = None,
    ) -> None:
        self.policy = policy
        self.slots = slots
        self.action_space = action_space
        self.tour_of = tour_of
        self._last: _Step | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def get_action(self, info_dict: Mapping[str, Any], **kwargs: Any) -> np.ndarray:
        """Writes what the last actions led to, then asks the policy.

        Args:
            info_dict: Theirs: `id`, `pixels` (N, T, H, W, C) uint8 and, from our
                environments, `chunk` (N, T, F, H, W, C), the frames of the action.
            kwargs: Passed on.
        """
        episodes = np.asarray(info_dict["id"])[:, -1].reshape(-1)
        views = np.asarray(info_dict["pixels"])[:, -1]
        before = self._last
        if before is not None:
            frames = views[:, None]
            if "chunk" in info_dict:
                frames = np.asarray(info_dict["chunk"])[:, -1]
            acted = np.isfinite(before.actions).reshape(len(views), -1).all(axis=1)
            # Finished episodes act NaN.
            rows = np.flatnonzero((before.episodes == episodes) & acted)
            self._write(
                episodes[rows], before.views[rows], before.actions[rows], frames[rows]
            )
        self._watch_tours(episodes)
        actions = self.policy.get_action(info_dict, **kwargs)
        self._last = _Step(episodes, views, np.asarray(actions))
        return actions

    def _watch_tours(self, episodes: np.ndarray) -> None:
        """Writes what was shown before every episode that is new."""
        old = None if self._last is None else self._last.episodes
        for row, episode in enumerate(episodes):
            if self.tour_of is None or (old is not None and old[row] == episode):
                continue
            view, steps = self.tour_of(row)
            for action, frames in steps:
                done = np.asarray([action])
                self._write(episodes[row : row + 1], view[None], done, frames[None])
                view = frames[-1]

    def _write(
        self,
        episodes: np.ndarray,
        views: np.ndarray,
        actions: np.ndarray,
        frames: np.ndarray,
    ) -> None:
        """One chunk in the slot of every one of these episodes."""
        if not len(episodes):
            return
        slots = list(self.slots.of(episodes.tolist()))
        done = self._read(actions)

        def spread(x: Tensor) -> Tensor:
            out = x.new_zeros(self.slots.num_episodes, *x.shape[1:])
            out[slots] = x
            return out

        past = spread(to_model(views))[:, None]
        chosen = spread(done)
        context = Context(chosen.new_zeros(len(past), 0, *done.shape[1:]), frames=past)
        active = spread(torch.ones(len(slots), dtype=torch.bool))
        chunk = Chunk(context, chosen, spread(to_model(frames)), active)
        self.slots.memory.write(chunk)

    def _read(self, actions: np.ndarray) -> Tensor:
        """What was done, as models are told it."""
        values, space = torch.as_tensor(actions), self.action_space
        if not isinstance(space, PhraseSpace):
            assert isinstance(space, gymnasium.spaces.Box)
            # Environments do what their bounds allow.
            low, high = torch.as_tensor(space.low), torch.as_tensor(space.high)
            return values.float().clamp(low, high)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 1:
            return values.long()
        count = len(space.phrases)
        if values.shape[-1] != count:
            raise ValueError(
                f"Actions must be numbers of phrases, or scores of all {count}, got "
                f"shape {tuple(values.shape)}: correct the policy."
            )
        return values.argmax(dim=-1)
