"""`TempLoraMemory`: fast weights, a LoRA trained on every executed chunk."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel, generators, is_adaptable
from world_model.core import Chunk, Context, Reading
from world_model.errors import at_least, positive, within
from world_model.memory.write_rule import WriteRule


@dataclass(frozen=True)
class LoraState:
    """Everything that survives between writes, all slots; `rule` is its `state()`."""

    vectors: tuple[Tensor, ...]
    optimizers: tuple[dict[str, Any], ...]
    generators: tuple[Tensor, ...]
    rule: dict[int, Any]
    is_written: bool


@dataclass
class _Slot:
    """The fast weights of one episode, as one vector, and what trains them."""

    vector: Tensor
    optimizer: torch.optim.Adam
    generator: torch.Generator


class TempLoraMemory(Memory):
    """A LoRA per episode slot, trained during the episode, dropped at reset.

    SlowFast-VGen section 3.2 and Algorithm 1b. What a gradient step trains on is the
    `rule`; the paper's is `PaperRule`. The adapter carries over from chunk to chunk
    and is never merged into the slow weights. Layers, alpha, optimiser state and the
    number of steps are not stated in the paper: we adapt all linear layers, use
    alpha = rank and keep Adam's moments within the episode.

    Args:
        world_model: Must be `Adaptable`.
        rule: What a write trains on.
        rank: Rank of the adapter (32 in the paper).
        learning_rate: Adam's rate (1e-4 in the paper).
        num_steps: Gradient steps per chunk.
        guidance: Contrastive weight of reading (see `Reading.guidance`).
        layers: Only layers whose name contains one of these; None for all.
    """

    def __init__(
        self,
        world_model: WorldModel,
        rule: WriteRule,
        *,
        rank: int = 16,
        learning_rate: float = 5e-3,
        num_steps: int = 8,
        guidance: float = 0.0,
        layers: Sequence[str] | None = None,
    ) -> None:
        at_least(1, rank=rank, num_steps=num_steps)
        positive(learning_rate=learning_rate)
        within(-math.inf, math.inf, guidance=guidance)
        if not is_adaptable(world_model):
            raise ValueError(
                "`temp_lora` writes into a world model's weights, but "
                f"{type(world_model).__name__} has none to adapt: "
                "use memory=none, or another world model."
            )
        self._adaptable = world_model
        self._device = world_model.device
        self.rule = rule
        self.rank = rank
        self.learning_rate = learning_rate
        self.num_steps = num_steps
        self.guidance = guidance
        self._shapes = {
            name: shape
            for name, shape in world_model.attach_adapter().items()
            if layers is None or any(part in name for part in layers)
        }
        if not self._shapes:
            raise ValueError(
                f"`layers` must be parts of layer names, got {layers} and none fits: "
                "use None for all layers."
            )
        self._slots: list[_Slot] = []
        self._is_written = False

    @property
    def stores_frames(self) -> bool:  # type: ignore[override]
        """True if the rule replays latents."""
        return self.rule.stores_latents

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Fresh adapters: A random, B zero, so that they say nothing yet."""
        self.rule.load({})
        self._slots = [self._slot(self._initial(g), g) for g in generators(seeds)]
        self._is_written = False

    def write(self, chunk: Chunk) -> None:
        """Trains each active slot's adapter on what the rule makes of the chunk."""
        active = chunk.active.nonzero()[:, 0].tolist()
        if not active:
            return
        self.rule.add(chunk)
        for step in range(self.num_steps):
            for slots in self.rule.groups(step, active):
                self._step(step, slots)
        self.rule.load(self.rule.state())  # only its state outlives the write
        self._is_written = True

    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """The adapter of each episode, for all its candidates."""
        if not self._is_written:
            return None
        asked = [self._slots[i].vector.detach() for i in context.memory_slots]
        adapter = self._adapter(asked)
        return Reading(adapter=adapter, guidance=self.guidance)

    def snapshot(self) -> LoraState:
        """See `Memory.snapshot`."""
        return LoraState(
            tuple(slot.vector.detach().clone() for slot in self._slots),
            tuple(copy.deepcopy(slot.optimizer.state_dict()) for slot in self._slots),
            tuple(slot.generator.get_state() for slot in self._slots),
            self.rule.state(),
            self._is_written,
        )

    def restore(self, state: LoraState) -> None:
        """See `Memory.restore`."""
        self._slots = []
        for vector, optimizer, randomness in zip(
            state.vectors, state.optimizers, state.generators, strict=True
        ):
            slot = self._slot(vector.clone(), torch.Generator())
            # Copied: the optimiser would go on to change the snapshot's tensors.
            slot.optimizer.load_state_dict(copy.deepcopy(optimizer))
            slot.generator.set_state(randomness)
            self._slots.append(slot)
        self.rule.load(state.rule)
        self._is_written = state.is_written

    @property
    def num_bytes(self) -> int:
        """Adapter, Adam's two moments and what the rule keeps of the fullest slot."""
        adapter = max((slot.vector.nbytes for slot in self._slots), default=0)
        return 3 * adapter + self.rule.num_bytes

    def _initial(self, generator: torch.Generator) -> Tensor:
        """The vector of a fresh adapter: per layer A, then B."""
        parts = []
        for num_in, num_out in self._shapes.values():
            bound = 1 / math.sqrt(num_in)  # peft's default initialisation of A
            a = torch.empty(self.rank * num_in)
            parts += [a.uniform_(-bound, bound, generator=generator)]
            parts += [torch.zeros(num_out * self.rank)]
        return torch.cat(parts).to(self._device)

    def _slot(self, vector: Tensor, generator: torch.Generator) -> _Slot:
        # A large eps keeps Adam's first step from being sign(gradient), which
        # rounding flips: "same seed, same record" would break between layouts.
        optimizer = torch.optim.Adam(
            [vector.requires_grad_()],
            lr=self.learning_rate,
            betas=(0.9, 0.95),
            eps=1e-5,
        )
        return _Slot(vector, optimizer, generator)

    def _adapter(self, vectors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Vectors of S slots -> "<layer>.A" (S, r, in) and "<layer>.B" (S, out, r)."""
        sizes = [self.rank * n for shape in self._shapes.values() for n in shape]
        parts = iter(torch.stack(list(vectors)).split(sizes, dim=1))
        adapter = {}
        for name, (num_in, num_out) in self._shapes.items():
            adapter[f"{name}.A"] = next(parts).unflatten(1, (self.rank, num_in))
            adapter[f"{name}.B"] = next(parts).unflatten(1, (num_out, self.rank))
        return adapter

    @torch.enable_grad()
    def _step(self, step: int, indices: Sequence[int]) -> None:
        """One gradient step of the slots `indices`; the others stay as they are."""
        slots = [self._slots[i] for i in indices]
        generators = [slot.generator for slot in slots]
        batch = self.rule.batch(step, indices, generators).to(self._device)
        shape = batch.latents.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=g) for g in generators])
        loss = self._adaptable.write_loss(
            batch.latents,
            batch.actions,
            batch.times,
            batch.noise_levels,
            noise.to(self._device),
            self._adapter([slot.vector for slot in slots]),
            batch.num_past,
        )
        weights = batch.loss_frames / batch.loss_frames.sum()
        # The sum over slots keeps each slot's gradient independent of their number.
        (loss * weights).sum(dim=2).mean(dim=1).sum().backward()
        for slot in slots:
            slot.optimizer.step()
            slot.optimizer.zero_grad()
