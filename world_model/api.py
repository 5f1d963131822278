"""The contracts: `WorldModel`, `Memory` and `Adaptable`.

Everything that environments, planners and third parties share is here, in
`world_model.core` or in `world_model.phrase_space`. Implementations live in
sub-packages and are never imported by `envs` or `planners`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeGuard

import gymnasium
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from world_model.core import Chunk, Context, Moment, Prediction, Reading, Rollout

Generators = Sequence[torch.Generator]


def generators(seeds: Iterable[int]) -> list[torch.Generator]:
    """One source of noise per seed."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class WorldModel(abc.ABC):
    """Predicts the frames that follow a context under candidate actions.

    `predict` is the one method a new model must write: one chunk for B x N
    contexts. `rollout` and `extend` are built on it and compute common prefixes
    once. Nothing here changes weights or memory.

    Attributes:
        action_space: `PhraseSpace` or `gymnasium.spaces.Box`.
        chunk_length: F, frames per executed action.
        num_context_frames: K, context frames the model wants.
        num_sampling_steps: Denoiser steps per chunk (1 for one-shot models).
        min_change: Mean squared latent change below which the views before and after
            an action are one view: the robot was blocked.
        privileged: True if the model reads simulator state (`Context.state`).
    """

    action_space: gymnasium.Space
    chunk_length: int
    num_context_frames: int
    num_sampling_steps: int = 1
    min_change: float = 0.5
    privileged: ClassVar[bool] = False

    @abc.abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """Maps frames (..., C, H, W) in [-1, 1] to latents (..., c, h, w)."""

    @abc.abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Maps latents (..., c, h, w) to frames (..., C, H, W) in [-1, 1]."""

    @abc.abstractmethod
    def predict(
        self,
        context: Context,
        actions: Tensor,
        *,
        reading: Reading | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Prediction:
        """Imagines one chunk for every candidate.

        Args:
            context: Imagined contexts, batch (B, N), with latents.
            actions: (B, N) or (B, N, A).
            reading: What the memory says, or None.
            generator: B sources of noise, one per episode. All candidates of an
                episode share their noise (common random numbers).
            all_frames: True asks for all F frames of the chunk; False only for
                its last one (the key-frame form: cheaper, used for planning).

        Returns:
            Latents (B, N, F or 1, c, h, w).
        """

    def start(self, context: Context) -> Rollout:
        """The rollout of zero chunks and one candidate that begins a search."""
        context = with_latents(self, context.last(self.num_context_frames))
        latents = context.latents
        assert latents is not None
        num_episodes = latents.shape[0]
        shape = (num_episodes, 1, 0, 1, *latents.shape[2:])
        action_shape = (num_episodes, 1, 0, *context.actions.shape[2:])
        states = context.state
        return Rollout(
            context=context,
            actions=context.actions.new_zeros(action_shape),
            latents=latents.new_zeros(shape),
            decode=self.decode,
            recalled=torch.zeros(num_episodes, 1, 0, dtype=torch.bool),
            states=tuple((s,) for s in states) if self.privileged and states else None,
        )

    def extend(
        self,
        rollout: Rollout,
        actions: Tensor,
        *,
        memory: Memory | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Rollout:
        """Adds one imagined chunk to every candidate.

        Args:
            rollout: Candidates to continue, N of them.
            actions: The next action of each, (B, N) or (B, N, A).
            memory: Read once, with each candidate's own imagined context; not read by
                privileged models, which know the truth.
            generator: As in `predict`.
            all_frames: As in `predict`; must be the same for all chunks.

        Raises:
            ValueError: If there is not one source of noise per episode.
        """
        if len(generator) != len(actions):
            raise ValueError(
                f"`generator` must hold one source of noise per episode, got "
                f"{len(generator)} for {len(actions)}: pass a list of that length."
            )
        context = last_context(rollout, self.num_context_frames)
        reading = None
        if memory is not None and not self.privileged:
            reading = memory.read(context, actions)
        predicted = self.predict(
            context,
            actions,
            reading=reading,
            generator=generator,
            all_frames=all_frames,
        )
        past = rollout.latents
        if rollout.num_steps == 0:
            shape = (*past.shape[:3], predicted.latents.shape[2], *past.shape[4:])
            past = past.new_zeros(shape)
        return Rollout(
            context=rollout.context,
            actions=torch.cat([rollout.actions, actions[:, :, None]], dim=2),
            latents=torch.cat([past, predicted.latents[:, :, None]], dim=2),
            decode=rollout.decode,
            recalled=torch.cat([rollout.recalled, _recalled(reading, actions)], dim=2),
            states=predicted.states,
        )

    def rollout(
        self,
        context: Context,
        actions: Tensor,
        *,
        memory: Memory | None = None,
        generator: Generators,
        all_frames: bool = False,
    ) -> Rollout:
        """Imagines the frames that follow `context` under N action sequences.

        Args:
            context: What was really seen, batch (B,).
            actions: Candidate sequences (B, N, T) or (B, N, T, A).
            memory: The episodes' memory, only read.
            generator: B sources of noise.
            all_frames: False for the key-frame form.

        Returns:
            Latents (B, N, T, F, c, h, w).

        Raises:
            ValueError: If `actions` has no axis N or T.
        """
        if actions.ndim < 3:
            raise ValueError(
                "`actions` must have shape (B, N, T) or (B, N, T, A), got "
                f"{tuple(actions.shape)}: add the missing axes."
            )
        rollout = self.start(context)
        rows = torch.arange(len(actions))[:, None]
        # Where in `rollout` the prefix of each candidate stands, (B, N).
        place = torch.zeros(actions.shape[:2], dtype=torch.long)
        for t in range(actions.shape[2]):
            owner, next_place = _distinct_prefixes(actions[:, :, : t + 1])
            rollout = self.extend(
                rollout.select(place[rows, owner]),
                actions[:, :, t][rows, owner],
                memory=memory,
                generator=generator,
                all_frames=all_frames,
            )
            place = next_place
        return rollout.select(place)


class Memory(abc.ABC):
    """What is carried from chunk to chunk inside one episode.

    One slot per parallel episode. `write` is called once for every chunk that
    really happened and never while planning; `read` changes nothing.

    Attributes:
        stores_frames: True if frames or latents survive between writes. A pure
            fast-weight memory stores none and does not grow with the episode.
        privileged: True if it reads simulator state (the oracle).
    """

    stores_frames: ClassVar[bool] = False
    privileged: ClassVar[bool] = False

    @abc.abstractmethod
    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Forgets everything and opens `num_episodes` slots."""

    @abc.abstractmethod
    def write(self, chunk: Chunk) -> None:
        """Stores a chunk that really happened, in the slots that are active."""

    @abc.abstractmethod
    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """What the memory contributes to one imagined chunk.

        Args:
            context: Each candidate's own imagined context, batch (B, N); row b
                reads slot `context.memory_slots[b]`.
            actions: The action about to be imagined, (B, N) or (B, N, A).
        """

    def recall(self, slot: int, moment: Moment) -> Tensor | None:
        """What was seen at a moment of an episode, latents (c, h, w); None if unknown.

        A memory that cannot be asked for moments leaves this out and knows none.
        """
        return None

    @abc.abstractmethod
    def snapshot(self) -> Any:
        """A copy of the whole state, independent of later writes."""

    @abc.abstractmethod
    def restore(self, state: Any) -> None:
        """Returns to a state made by `snapshot`."""

    @property
    @abc.abstractmethod
    def num_bytes(self) -> int:
        """Bytes per episode of everything that survives between writes."""


class GoalTold(Protocol):
    """Optional: a world model that can be told a goal in words instead of an action.

    It then imagines a chunk on the way there, as the text-to-video models of UniPi
    (Du et al. 2023, arXiv 2302.00111) do.
    """

    def goal_numbers(self, goals: Sequence[str]) -> Tensor:
        """Numbers (M,) that `predict` takes where it takes those of actions."""


class Adaptable(Protocol):
    """Optional: a world model that takes fast weights.

    A memory that writes into weights needs this; any other pair is refused.

    Attributes:
        device: Where the weights are, and fast weights must be.
    """

    @property
    def device(self) -> torch.device:
        """See the class."""

    def attach_adapter(self) -> dict[str, tuple[int, int]]:
        """Makes the network ready for fast weights; inert until a reading has some.

        Returns:
            (in, out) features of every layer that can be adapted, by name. An adapter
            is a dict with "<layer>.A" (S, r, in) and "<layer>.B" (S, out, r).
        """

    def write_loss(
        self,
        latents: Tensor,
        actions: Tensor | None,
        times: Tensor,
        noise_levels: Tensor,
        noise: Tensor,
        adapter: dict[str, Tensor],
        num_past: int,
    ) -> Tensor:
        """Denoising loss per frame under an adapter, differentiable in the adapter.

        Args:
            latents: Clean clips (S, M, L, c, h, w): S slots, M clips, L frames.
            actions: Action that led to each frame but the first, (S, M, L-1) or
                (S, M, L-1, A); None for the action-free form.
            times: (S, M, L) position inside the chunk, 0 for past frames.
            noise_levels: (S, M, L) in [0, 1]; 0 keeps a frame clean.
            noise: Like `latents`.
            adapter: Fast weights of every slot.
            num_past: How many of the L frames are past.

        Returns:
            Loss (S, M, L).
        """


def is_adaptable(model: object) -> TypeGuard[Adaptable]:
    """True if `model`, or the model it passes everything on to, is `Adaptable`.

    Not `isinstance`: from Python 3.12 on it does not look through `__getattr__`.
    """
    names = ("device", "attach_adapter", "write_loss")
    return all(hasattr(model, name) for name in names)


def device_of(model: WorldModel) -> torch.device:
    """Where a model's latents are; models that do not say stay on the CPU."""
    return torch.device(getattr(model, "device", "cpu"))


def with_latents(model: WorldModel, context: Context) -> Context:
    """The context with its frames encoded, unless it has latents already."""
    if context.latents is not None:
        return context
    if context.frames is None:
        raise ValueError(
            "A Context needs `frames` or `latents`, got neither: pass one."
        )
    return replace(context, latents=model.encode(context.frames))


def last_context(rollout: Rollout, num_frames: int) -> Context:
    """The context (B, N) after the last imagined chunk of every candidate."""
    root = rollout.context
    assert root.latents is not None
    num_candidates = rollout.latents.shape[1]

    def spread(x: Tensor) -> Tensor:
        return x[:, None].expand(x.shape[0], num_candidates, *x.shape[1:])

    latents = torch.cat([spread(root.latents), rollout.latents[:, :, :, -1]], dim=2)
    actions = torch.cat([spread(root.actions), rollout.actions], dim=2)
    context = Context(
        actions=actions,
        latents=latents,
        imagined=rollout.actions,
        state=rollout.states if rollout.states is not None else root.state,
        slots=root.slots,
        root=root.latents[:, -1],
    )
    return context.last(num_frames)


def _recalled(reading: Reading | None, actions: Tensor) -> Tensor:
    """Which chunk ends a memory claims to know, (B, N, 1), of actions (B, N)."""
    if reading is None or not reading.frames_recalled:
        return torch.zeros(*actions.shape[:2], 1, dtype=torch.bool)
    assert reading.frames_valid is not None
    return reading.frames_valid.cpu()[:, :, None]


def _distinct_prefixes(prefixes: Tensor) -> tuple[Tensor, Tensor]:
    """Finds equal action sequences among the candidates of each episode.

    Args:
        prefixes: (B, N, t) or (B, N, t, A).

    Returns:
        For each of M distinct prefixes the first candidate that has it, (B, M), and
        for each candidate the index of its prefix, (B, N). Episodes with fewer than
        M name candidate 0 again: batches are rectangular.
    """
    rows = [_distinct(x) for x in prefixes.flatten(2).cpu()]
    owners = pad_sequence([owner for owner, _ in rows], batch_first=True)
    return owners, torch.stack([place for _, place in rows])


def _distinct(sequences: Tensor) -> tuple[Tensor, Tensor]:
    """First candidate of each distinct row of (N, D), and the index of each row's."""
    _, place = torch.unique(sequences, dim=0, return_inverse=True)
    num_candidates = len(sequences)
    owner = place.new_full((int(place.max()) + 1,), num_candidates)
    return owner.scatter_reduce(0, place, torch.arange(num_candidates), "amin"), place
