"""Instructions -> subgoals: what has to hold, one after the other, and since when."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

When = Literal["first", "shown"]
"""When the past that a subgoal speaks of was: at first, or when the tour had ended."""


@dataclass(frozen=True)
class Subgoal:
    """One thing that has to hold.

    Attributes:
        words: What, of the present view and of a goal image alone.
        when: The moment whose view is the goal image; None if words are enough.
    """

    words: str
    when: When | None = None


Grammar = Callable[[str], tuple[Subgoal, ...]]
"""Takes an instruction apart; put a language model of your own in its place."""

ALL_AS_SHOWN = "put every cube where it is in the image"
"""Words of a goal image in which everything is where it belongs."""
AS_OTHER = "put the {} where the {} is in the image"
"""Words of one object that gets another's place."""

_RULES: tuple[tuple[str, tuple[tuple[str, When], ...]], ...] = (
    (
        r"put every cube back to where it was at first",
        ((ALL_AS_SHOWN, "first"),),
    ),
    (
        r"return both cubes to where they started then "
        r"put the (.+) where the (.+) had been in the green area",
        ((ALL_AS_SHOWN, "first"), (AS_OTHER, "shown")),
    ),
)


def of_goal_view(words: str) -> str:
    """What a subgoal says of an image in which it has already been reached."""
    # There the one object is where it belongs, no longer where the other one is.
    return ALL_AS_SHOWN if re.fullmatch(AS_OTHER.format(".+", ".+"), words) else words


def plain_grammar(instruction: str) -> tuple[Subgoal, ...]:
    """The instructions of our own tasks; any other one is its own subgoal."""
    for pattern, parts in _RULES:
        match = re.fullmatch(pattern, instruction)
        if match:
            return tuple(Subgoal(w.format(*match.groups()), when) for w, when in parts)
    return (Subgoal(instruction),)
