"""`SimulatorModel`: the true simulator as a world model, the ceiling of every table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

import joblib
import numpy as np
import torch
from torch import Tensor

from envs.domains import DOMAINS, any_domain_class, domain_class
from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading
from world_model.frames import to_model
from world_model.phrase_space import phrase_space_of

_MOST_KNOWN = 4096
"""Chunks that are kept: more than one decision of eight episodes asks for."""


class SimulatorModel(WorldModel):
    """Imagines by simulating: same candidates, horizon and objective, no error.

    Where physics is slow, what an action does in a state is computed once: most of what
    a search asks for it has asked before, on another way to the same state.

    Told a goal in words (`GoalTold`), it goes the domain's own way there
    (`Domain.toward`); of words that name no goal it imagines that nothing happens.

    Args:
        domain: Name of the domain.
        codec: World model whose latents objectives read; None uses images.
    """

    privileged: ClassVar[bool] = True

    def __init__(self, domain: str, *, codec: WorldModel | None = None) -> None:
        self.simulator: Any = any_domain_class(domain)()
        self.codec = codec
        self.action_space = self.simulator.action_space
        self.chunk_length = self.simulator.chunk_length
        self.num_context_frames = 1
        # What others' states are made of, and whether it can be told apart, is unknown.
        self._is_slow = domain in DOMAINS and domain_class(domain).slow
        self._known: OrderedDict[Any, tuple[np.ndarray, Any]] = OrderedDict()
        self._goals: list[str] = []

    def goal_numbers(self, goals: Sequence[str]) -> Tensor:
        """See `GoalTold.goal_numbers`; they follow those of actions.

        Raises:
            ValueError: If the domain's actions are vectors.
        """
        space = phrase_space_of(
            self.action_space, "goal_numbers", instead="tell it what to do"
        )
        self._goals = list(dict.fromkeys([*self._goals, *goals]))
        numbers = [len(space.phrases) + self._goals.index(goal) for goal in goals]
        return torch.tensor(numbers, dtype=torch.int64)

    def encode(self, frames: Tensor) -> Tensor:
        """The codec's latents, or the images themselves."""
        return frames if self.codec is None else self.codec.encode(frames)

    def decode(self, latents: Tensor) -> Tensor:
        """Inverse of `encode`, as far as the codec has one."""
        return latents if self.codec is None else self.codec.decode(latents)

    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """Simulates every candidate from its own state.

        Raises:
            ValueError: If a memory says something: there is nothing to add to truth.
        """
        if reading is not None:
            raise ValueError(
                "`world_model=simulator` needs no memory and takes none: "
                "use memory=none."
            )
        assert context.state is not None
        rows = [
            [self._simulate(s, a, all_frames) for s, a in zip(ss, aa, strict=True)]
            for ss, aa in zip(context.state, actions.tolist(), strict=True)
        ]
        frames = torch.stack(
            [torch.stack([to_model(images) for images, _ in row]) for row in rows]
        )
        states = tuple(tuple(s for _, s in row) for row in rows)
        return Prediction(self.encode(frames), states)

    def _simulate(
        self, state: Any, action: Any, all_frames: bool
    ) -> tuple[np.ndarray, Any]:
        if not self._is_slow:
            return self._executed(state, action, all_frames)
        key = joblib.hash(state), action, all_frames
        if key not in self._known:
            self._known[key] = self._executed(state, action, all_frames)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return self._known[key]

    def _executed(
        self, state: Any, action: Any, all_frames: bool
    ) -> tuple[np.ndarray, Any]:
        self.simulator.set_state(state)
        action = self._meant(action)
        if action is None:
            still = self.simulator.render()[None]
            return still.repeat(self.chunk_length if all_frames else 1, axis=0), state
        chunk = self.simulator.execute(action, render=all_frames)
        images = chunk if all_frames else self.simulator.render()[None]
        return images, self.simulator.get_state()

    def _meant(self, action: Any) -> Any:
        """The action itself, or the next one towards a goal that was told."""
        if not self._goals or action in self.action_space:
            return action
        told = action - len(self.simulator.action_space.phrases)
        return self.simulator.toward(self._goals[told])
