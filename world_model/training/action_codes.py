"""`ActionCodes`: what the denoiser reads of the actions of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from world_model.shards import ShardMeta
from world_model.text.encoder import embed_phrases
from world_model.text.phrases import goal_wordings, goals_of, vocabulary_of
from world_model.vector_code import VectorCode


@dataclass(frozen=True)
class ActionCodes:
    """Codes of numbered actions, several for one that has several wordings.

    Attributes:
        table: Codes of all wordings, (R, E), those of an action one after the other.
        first: Row of each action's first wording, (A,) int64.
        count: How many wordings each action has, (A,) int64.
        named: False where actions are vectors, each with a number of its own.
    """

    table: Tensor
    first: np.ndarray
    count: np.ndarray
    named: bool = True

    @classmethod
    def of_wordings(cls, wordings: Sequence[Tensor]) -> ActionCodes:
        """From the codes (P, E) of each action's wordings."""
        count = np.array([len(table) for table in wordings])
        return cls(torch.cat(list(wordings)), np.cumsum(count) - count, count)

    @classmethod
    def of(
        cls, meta: ShardMeta, vectors: Tensor | None, *, goals: bool = False
    ) -> ActionCodes:
        """Of a data set's phrases and their paraphrases, or of its vectors.

        Args:
            meta: Names the phrases, or the bounds of vectors.
            vectors: All of them (A, D); None where actions are phrases.
            goals: Whether goals follow: those of the vocabulary, or one per nameable
                object.

        Raises:
            ValueError: If there are no goals to tell.
        """
        check_goals(meta, goals)
        if meta.bounds is None:
            words = vocabulary_of(meta.phrases)
            texts = [words.paraphrases.get(p, (p,)) for p in meta.phrases]
            if goals:
                objects = [goal_wordings(name) for name in meta.objects]
                texts += list(goals_of(meta.phrases).values()) or objects
            return cls.of_wordings([embed_phrases(group, words) for group in texts])
        assert vectors is not None
        table = VectorCode(meta.bounds)(vectors)
        rows = np.arange(len(table))
        return cls(table, rows, np.ones_like(rows), named=False)

    @property
    def first_only(self) -> ActionCodes:
        """Without paraphrases."""
        return replace(self, count=np.ones_like(self.count))

    def pick(self, ids: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Codes (M, L, E) of actions (M, L), zeros for -1.

        Of an action that appears in a clip several times one wording is picked, so
        that the frames of a chunk agree.
        """
        share = rng.random((len(ids), 1))
        rows = self.first[ids] + (share * self.count[ids]).astype(np.int64)
        codes = self.table[torch.from_numpy(rows)]
        return codes * torch.from_numpy(ids >= 0)[..., None]


def check_goals(meta: ShardMeta, goals: bool) -> None:
    """Refuses goals in words where a data set knows none.

    Raises:
        ValueError: If there are no goals to tell.
    """
    if goals and (meta.bounds is not None or "found" not in meta.labels):
        raise ValueError(
            "`slow.mix.goal` needs actions that are phrases and episodes that know "
            f"what was found, got data of domain {meta.domain} without: use "
            "slow.mix.goal=0."
        )
