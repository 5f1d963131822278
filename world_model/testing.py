"""The laws that every world model and memory must keep, as checks.

For one's own implementation, in a test:

    chunks = random_chunks(model, image_shape=(3, 64, 64))
    check_world_model(model, chunks)
    check_memory(lambda: MyMemory(model), model, chunks)

A broken law raises an `AssertionError` that names it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from world_model.api import Memory, WorldModel, generators
from world_model.core import Chunk, Context

ACROSS_LAYOUTS = 1e-4
"""Largest difference that another number of slots or candidates may make."""
SLACK_BYTES = 16 * 1024
"""Per episode, what a snapshot may hold besides `num_bytes` (states of generators)."""

MakeMemory = Callable[[], Memory]


def random_actions(model: WorldModel, *shape: int, seed: int = 0) -> Tensor:
    """Actions of the given shape, (*shape,) or (*shape, A)."""
    space = copy.deepcopy(model.action_space)
    space.seed(seed)
    flat = np.stack([space.sample() for _ in range(int(np.prod(shape)))])
    return torch.from_numpy(flat).unflatten(0, shape)


def random_chunks(
    model: WorldModel,
    *,
    image_shape: tuple[int, int, int] = (3, 8, 8),
    num_episodes: int = 4,
    num_chunks: int = 3,
    seed: int = 0,
) -> list[Chunk]:
    """Chunks of noise, one after the other, all slots active.

    Models and memories that are `privileged` need real ones instead, with states.
    """
    generator = torch.Generator().manual_seed(seed)
    length = model.chunk_length
    size = (num_episodes, 1 + num_chunks * length, *image_shape)
    frames = torch.rand(size, generator=generator) * 2 - 1
    actions = random_actions(model, num_episodes, num_chunks, seed=seed)
    ends = frames[:, ::length]
    return [
        Chunk(
            context=Context(actions=actions[:, :t], frames=ends[:, : t + 1]).last(
                model.num_context_frames
            ),
            actions=actions[:, t],
            frames=frames[:, t * length + 1 : (t + 1) * length + 1],
            active=torch.ones(num_episodes, dtype=torch.bool),
        )
        for t in range(num_chunks)
    ]


def check_world_model(model: WorldModel, chunks: Sequence[Chunk]) -> None:
    """Checks `WORLD_MODEL_LAWS` on predictions from the last chunk's context."""
    for law in WORLD_MODEL_LAWS:
        law(model, chunks[-1].context)


def check_memory(make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]) -> None:
    """Checks `MEMORY_LAWS`.

    Args:
        make: Makes the memory, always the same.
        model: The world model that reads it.
        chunks: At least three consecutive chunks of at least two episodes, all
            active, with more than one context frame in all but the first.
    """
    for law in MEMORY_LAWS:
        law(make, model, chunks)


def shapes_and_values(model: WorldModel, context: Context) -> None:
    """A rollout has the promised shapes and finite values in the promised range."""
    law = "a rollout is finite, of shape (B, N, T, F, c, h, w), frames in [-1, 1]"
    batch = context.actions.shape[0]
    for all_frames, length in ((False, 1), (True, model.chunk_length)):
        out = _rollout(model, context, all_frames=all_frames)
        require(out.latents.shape[:4] == (batch, 3, 2, length), law)
        require(bool(out.frames.isfinite().all()), law)
        require(bool((out.frames.abs() <= 1).all()), law)
        require(model.encode(out.frames).shape == out.latents.shape, law)


def same_noise_same_rollout(model: WorldModel, context: Context) -> None:
    """Two rollouts with equal generators are bit-identical."""
    a, b = _rollout(model, context), _rollout(model, context)
    require(equal(a.latents, b.latents), "same generator, same rollout")


def rollouts_change_nothing(model: WorldModel, context: Context) -> None:
    """Weights, context and the rollout that is extended stay bit-identical."""
    first = _rollout(model, context)
    before = copy.deepcopy([_weights(model), _values(context), first.latents])
    actions = random_actions(model, *first.latents.shape[:2], seed=3)
    model.extend(first, actions, generator=generators(range(len(actions))))
    after = [_weights(model), _values(context), first.latents]
    require(equal(before, after), "a rollout changes nothing")


def candidates_are_isolated(model: WorldModel, context: Context) -> None:
    """What one candidate imagines is invisible to the others."""
    together = _rollout(model, context).latents
    actions = random_actions(model, len(context.actions), 3, 2)
    for n in range(3):
        alone = _rollout(model, context, actions=actions[:, n : n + 1]).latents
        same = equal(alone[:, 0], together[:, n], ACROSS_LAYOUTS)
        require(same, "forked rollouts are isolated")


def episodes_are_isolated(model: WorldModel, context: Context) -> None:
    """What one episode imagines is invisible to the others."""
    together = _rollout(model, context).latents
    for row in range(len(together)):
        alone = _rollout_of(row, model, context).latents
        same = equal(alone[0], together[row], ACROSS_LAYOUTS)
        require(same, "episodes of a batch are independent")


def states_are_for_the_privileged(model: WorldModel, context: Context) -> None:
    """A model that does not say it is privileged ignores simulator states."""
    if model.privileged:
        return
    junk = replace(context, state=tuple(object() for _ in context.actions))
    a, b = _rollout(model, context), _rollout(model, junk)
    law = "only privileged models read simulator state"
    require(equal(a.latents, b.latents) and b.states is None, law)


def planning_never_writes(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """A rollout leaves memory and slow weights bit-identical."""
    memory = _written(make, chunks)
    before = copy.deepcopy([_weights(model), memory.snapshot()])
    first = _effect(memory, model, chunks)
    require(equal(before, [_weights(model), memory.snapshot()]), "planning writes")
    law = "planning never writes memory: the same rollout twice"
    require(equal(first, _effect(memory, model, chunks)), law)


def slow_weights_stay(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """Writing leaves the world model bit-identical, with and without memory."""
    law = "fast weights never reach slow weights"
    context = chunks[-1].context
    before = copy.deepcopy([_weights(model), _rollout(model, context).latents])
    _effect(_written(make, chunks), model, chunks)
    after = [_weights(model), _rollout(model, context).latents]
    require(equal(before, after), law)


def reset_forgets(make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]) -> None:
    """An episode's result does not depend on the episodes before it."""
    count = len(chunks[0].active)
    others = [_rows(chunk, [*range(1, count), 0]) for chunk in chunks]
    fresh, used = _written(make, chunks, 0), _written(make, others)
    used.reset(count, seeds=_seeds(chunks))
    for written in (False, True):
        if written:
            fresh.write(chunks[0])
            used.write(chunks[0])
        same = equal(_effect(fresh, model, chunks), _effect(used, model, chunks))
        require(same, "`reset` forgets")
        same = used.num_bytes == fresh.num_bytes
        require(same, "`reset` forgets, also for num_bytes")


def snapshots_are_exact(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """`restore` returns to the very state, as often as wanted."""
    for num_written in (0, 1):
        memory = _written(make, chunks, num_written)
        saved, before = memory.snapshot(), _effect(memory, model, chunks)
        kept = copy.deepcopy(saved)
        outcomes = []
        for _ in range(2):
            for chunk in chunks[num_written:]:
                memory.write(chunk)
            outcomes.append(_effect(memory, model, chunks))
            require(equal(kept, saved), "a snapshot is independent of later writes")
            memory.restore(saved)
            same = equal(before, _effect(memory, model, chunks))
            require(same, "`restore` returns to the very state of `snapshot`")
        require(
            equal(outcomes[0], outcomes[1]),
            "a restored memory goes on as if nothing happened",
        )


def inactive_slots_stay(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """A slot that rests is not touched, not even in what it will do later."""
    law = "`write` leaves inactive slots as they are"
    first, second, third = chunks[:3]
    resting = torch.arange(len(first.active)) == 1
    garbage = torch.where(resting[:, None, None, None, None], 0.5, second.frames)
    partly = replace(second, active=~resting, frames=garbage)
    rested, skipped = _written(make, [first, partly]), _written(make, [first])
    for chunk in (None, third):
        if chunk is not None:
            rested.write(chunk)
            skipped.write(chunk)
        a, b = _effect(rested, model, chunks), _effect(skipped, model, chunks)
        require(equal(a[1], b[1], ACROSS_LAYOUTS), law)


def slots_are_independent(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """A slot holds the same whether alone or among others, whatever they do."""
    count = len(chunks[0].active)
    all_along = _effect(_written(make, chunks), model, chunks)
    for slot in (0, count - 1):
        own = [_rows(chunk, [slot]) for chunk in chunks]
        memory = _written(make, own, first=slot)
        alone = _rollout_of(slot, model, chunks[-1].context, memory=memory).latents
        late = replace(chunks[0], active=torch.arange(count) == slot)
        others_late = _effect(_written(make, [late, *chunks[1:]]), model, chunks)
        for together in (all_along, others_late):
            same = equal(alone[0], together[slot], ACROSS_LAYOUTS)
            require(same, "slots are independent of each other")


def readers_choose_their_slots(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """Episodes that are read in another order read their own slots."""
    memory, context = _written(make, chunks), chunks[-1].context
    last = len(context.actions) - 1
    actions = random_actions(model, last + 1, 3, 2)
    generator = [torch.Generator().manual_seed(last)]
    alone = model.rollout(
        context.rows([last]), actions[last:], memory=memory, generator=generator
    )
    together = _effect(memory, model, chunks)
    law = "`read` answers for `context.memory_slots`"
    require(equal(alone.latents[0], together[last], ACROSS_LAYOUTS), law)


def num_bytes_is_honest(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """`num_bytes` counts all that survives, which does not grow without frames."""
    sizes = []
    for num_written in range(1, len(chunks) + 1):
        memory = _written(make, chunks, num_written)
        held = sum(x.nbytes for x in _tensors(memory.snapshot()))
        allowed = memory.num_bytes + SLACK_BYTES
        law = "`num_bytes` counts everything that survives between writes"
        require(held <= allowed * len(chunks[0].active), law)
        sizes.append(memory.num_bytes)
    if not memory.stores_frames:
        require(len(set(sizes)) == 1, "a memory without frames does not grow")


def memory_stays_finite(
    make: MakeMemory, model: WorldModel, chunks: Sequence[Chunk]
) -> None:
    """Neither the state nor what is imagined with it holds NaN or infinity."""
    memory = _written(make, chunks)
    tensors = [*_tensors(memory.snapshot()), _effect(memory, model, chunks)]
    require(all(bool(x.isfinite().all()) for x in tensors), "memory stays finite")


WORLD_MODEL_LAWS = (
    shapes_and_values,
    same_noise_same_rollout,
    rollouts_change_nothing,
    candidates_are_isolated,
    episodes_are_isolated,
    states_are_for_the_privileged,
)
MEMORY_LAWS = (
    planning_never_writes,
    slow_weights_stay,
    reset_forgets,
    snapshots_are_exact,
    inactive_slots_stay,
    slots_are_independent,
    readers_choose_their_slots,
    num_bytes_is_honest,
    memory_stays_finite,
)


def require(holds: bool, law: str, found: object = "") -> None:
    """Raises an `AssertionError` that names the broken law, and what was found."""
    if not holds:
        got = "" if found == "" else f", got {found}"
        raise AssertionError(f"Broken law: {law}{got}.")


def _rollout(model: WorldModel, context: Context, **options: Any) -> Any:
    """A rollout of 3 candidates and 2 steps with the same noise every time."""
    batch = len(context.actions)
    options.setdefault("actions", random_actions(model, batch, 3, 2))
    options.setdefault("generator", generators(range(batch)))
    return model.rollout(context, **options)


def _rollout_of(row: int, model: WorldModel, context: Context, **options: Any) -> Any:
    """What `_rollout` asks of one episode, alone."""
    count = len(context.actions)
    options["actions"] = random_actions(model, count, 3, 2)[row : row + 1]
    options["generator"] = generators(range(count))[row : row + 1]
    return _rollout(model, _rows(context, [row]), **options)


def _effect(memory: Memory, model: WorldModel, chunks: Sequence[Chunk]) -> Tensor:
    """What is imagined with a memory, (B, N, T, 1, c, h, w)."""
    return _rollout(model, chunks[-1].context, memory=memory).latents


def _written(
    make: MakeMemory, chunks: Sequence[Chunk], count: int | None = None, first: int = 0
) -> Memory:
    """A new memory after `count` chunks (default: all) of episodes from `first` on."""
    memory = make()
    memory.reset(len(chunks[0].active), seeds=_seeds(chunks, first))
    for chunk in chunks[:count]:
        memory.write(chunk)
    return memory


def _seeds(chunks: Sequence[Chunk], first: int = 0) -> list[int]:
    return [100 + first + i for i in range(len(chunks[0].active))]


def _rows(value: Any, index: list[int]) -> Any:
    """Episodes of a context or chunk, as if there were no others."""
    if value is None or isinstance(value, Tensor):
        return None if value is None else value[index]
    if isinstance(value, tuple):
        return tuple(value[i] for i in index) if value else ()
    return replace(value, **{k: _rows(v, index) for k, v in _values(value).items()})


def _values(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _weights(model: WorldModel) -> list[dict[str, Tensor]]:
    """State dicts of all networks of a model, and of the model it may wrap."""
    parts = vars(model).values()
    inner = [x for m in parts if isinstance(m, WorldModel) for x in _weights(m)]
    return [*inner, *(m.state_dict() for m in parts if isinstance(m, nn.Module))]


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors inside nested containers and data classes."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        yield from _tensors(_values(value))
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def equal(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """True if all tensors inside `a` and `b` agree."""
    pairs = list(_tensors(a)), list(_tensors(b))
    return len(pairs[0]) == len(pairs[1]) and all(
        x.shape == y.shape and bool(((x - y).abs() <= tolerance).all())
        if x.is_floating_point()
        else torch.equal(x, y)
        for x, y in zip(*pairs, strict=True)
    )
