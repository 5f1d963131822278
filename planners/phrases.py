"""Which phrase may follow which: sequences never directly undo themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from world_model.phrase_space import PhraseSpace


def may_follow(space: PhraseSpace) -> Tensor:
    """Which action (column) may follow which (row), (n, n) bool.

    All but the inverse; where nothing else is left, the inverse too.
    """
    table = torch.ones(len(space.phrases), len(space.phrases), dtype=torch.bool)
    for action, inverse in enumerate(space.inverses):
        if inverse is not None:
            table[action, inverse] = False
    return table | ~table.any(dim=1, keepdim=True)


def continuations(prefixes: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """All ways to continue action sequences by one action.

    Batches are rectangular: where only some actions have an inverse, the sequences
    that end in one of these are also continued by it.

    Args:
        prefixes: Sequences (B, N, t) of equal length.
        table: Of `may_follow`.

    Returns:
        The prefix (B, M) that each continuation belongs to, and its action (B, M).
    """
    num_episodes, size, num_steps = prefixes.shape
    num_actions = len(table)
    if num_steps == 0:
        actions = torch.arange(num_actions).expand(num_episodes, -1)
        return torch.zeros_like(actions), actions
    order = table.float().argsort(dim=-1, descending=True, stable=True)
    count = int(table.sum(dim=1).max())
    actions = order[prefixes[:, :, -1], :count].flatten(1)
    parents = torch.arange(size).repeat_interleave(count)
    return parents.expand(num_episodes, -1), actions
