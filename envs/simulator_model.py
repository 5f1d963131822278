"""`SimulatorModel`: the true simulator as a world model, the ceiling of every table."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from envs.domains import any_domain_class
from world_model.api import Generators, WorldModel
from world_model.core import Context, Prediction, Reading
from world_model.frames import to_model


class SimulatorModel(WorldModel):
    """Imagines by simulating: same candidates, horizon and objective, no error.

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
        frames = torch.stack([torch.stack([f for f, _ in row]) for row in rows])
        states = tuple(tuple(s for _, s in row) for row in rows)
        return Prediction(self.encode(frames), states)

    def _simulate(
        self, state: Any, action: Any, all_frames: bool
    ) -> tuple[Tensor, Any]:
        self.simulator.set_state(state)
        chunk = self.simulator.execute(action, render=all_frames)
        images = chunk if all_frames else self.simulator.render()[None]
        return to_model(images), self.simulator.get_state()
