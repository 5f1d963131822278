"""`Plan`: what of a source is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIN_ACTIONS = 4
"""Actions of the longest past that slow learning shows."""
MAX_ACTIONS = 32


@dataclass(frozen=True)
class Plan:
    """What of a source is kept, decided before any frame is read.

    Attributes:
        num_actions: T of every piece; None keeps whole episodes.
        phrases: What is done in the pieces that are kept, in the order of appearance.
        num_episodes: In the source.
        num_pieces: In the target.
        num_kept: Actions in the target.
        num_found: Actions in the source.
    """

    num_actions: int | None
    phrases: tuple[str, ...]
    num_episodes: int
    num_pieces: int
    num_kept: int
    num_found: int

    def __str__(self) -> str:
        size = f"of {self.num_actions} actions" if self.num_actions else "as they are"
        return (
            f"{self.num_episodes} episodes -> {self.num_pieces} {size}; "
            f"{self.num_kept} of {self.num_found} actions kept, "
            f"{len(self.phrases)} different"
        )


def make_plan(
    texts: Sequence[tuple[str, ...]],
    source: Path,
    num_actions: int | None,
    *,
    is_cut: bool,
) -> Plan:
    """Decides what is kept.

    Args:
        texts: What is done in every episode.
        source: For errors.
        num_actions: T, asked for; None takes the length of the shortest episode, within
            `MIN_ACTIONS` and `MAX_ACTIONS`.
        is_cut: False keeps whole episodes.

    Raises:
        ValueError: If too little is left.
    """
    lengths = [len(x) for x in texts]
    if not lengths:
        raise ValueError(f"{source} must hold episodes, got none: add some.")
    if not is_cut:
        size, pieces, kept = None, len(texts), list(texts)
    else:
        size = num_actions or min(max(min(lengths), MIN_ACTIONS), MAX_ACTIONS)
        if size < MIN_ACTIONS:
            raise ValueError(
                f"`--actions` must be at least {MIN_ACTIONS}, which slow learning "
                f"needs, got {size}: give more."
            )
        pieces = sum(n // size for n in lengths)
        kept = [x[: len(x) // size * size] for x in texts]
        if pieces < 2:
            raise ValueError(
                f"A data set must hold at least 2 episodes of {size} actions, got "
                f"{pieces} in {source} ({max(lengths)} actions in its longest one): "
                "add clips or cut them into shorter actions."
            )
    phrases = dict.fromkeys(phrase for x in kept for phrase in x)
    return Plan(
        num_actions=size,
        phrases=tuple(phrases),
        num_episodes=len(texts),
        num_pieces=pieces,
        num_kept=sum(map(len, kept)),
        num_found=sum(lengths),
    )
