"""The phrases that shipped world models understand.

Training draws from a vocabulary's paraphrases; its `unseen` wordings are kept for the
test that a model executes words it has never read.
"""

from __future__ import annotations

from collections.abc import Sequence

from world_model.text.arm_phrases import ARM
from world_model.text.motion_phrases import MOTIONS
from world_model.text.vocabulary import Vocabulary

VOCABULARIES = (MOTIONS, ARM)

UNRELATED: tuple[str, ...] = (
    "the soup is cold",
    "a treaty was signed",
    "seven purple violins",
    "interest rates fell",
    "my aunt likes poetry",
)
"""Texts that name no action: a model should execute them at chance."""

_GOALS = (
    "go to the {}",
    "find the {}",
    "drive to the {}",
    "return to the {}",
    "look for the {}",
    "approach the {}",
)


def goal_wordings(name: str) -> tuple[str, ...]:
    """How to ask for an object, the way tasks do it first."""
    return tuple(goal.format(name) for goal in _GOALS)


def vocabulary_of(phrases: Sequence[str]) -> Vocabulary:
    """The vocabulary in which actions are worded; for phrases of others `MOTIONS`."""
    known = (v for v in VOCABULARIES if phrases and set(phrases) <= set(v.paraphrases))
    return next(known, MOTIONS)


def goals_of(phrases: Sequence[str]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Goals of the vocabulary that these phrases can reach, see `Vocabulary.goals`."""
    goals = vocabulary_of(phrases).goals
    return {way: words for way, words in goals.items() if set(way) <= set(phrases)}
