"""`Vocabulary`: what the actions of a kind of domain are called, in many wordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Vocabulary:
    """Phrases and their wordings; its embeddings are kept in a table of its name.

    Attributes:
        name: Of the table beside this file.
        paraphrases: Canonical phrase -> wordings seen in training, the canonical one
            first.
        unseen: Canonical phrase -> wordings never used in training.
        mirror: Canonical phrase -> what it looks like in a mirror; the others look
            the same.
        goals: Phrases that, executed one after the other, reach a goal -> wordings of
            the goal, the canonical one first; without any, objects are the goals.
        num_directions: How many numbers stand for a text in the end: the directions in
            which different phrases differ most for how much wordings of one do; None
            keeps all. Where wordings vary more than meanings, a network hardly hears
            the meaning.
        num_pools: How many weighted means of its words stand for a text. One, the
            plain mean, hardly tells "row 3, column 4" from "row 4, column 3".
    """

    name: str
    paraphrases: Mapping[str, tuple[str, ...]]
    unseen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mirror: Mapping[str, str] = field(default_factory=dict)
    goals: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    num_directions: int | None = None
    num_pools: int = 1
