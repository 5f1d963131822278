"""The phrases that shipped world models understand, with their paraphrases.

Training draws from `PARAPHRASES`; `UNSEEN` is kept for the test that a model
executes words it has never read.
"""

from __future__ import annotations

PARAPHRASES: dict[str, tuple[str, ...]] = {
    "forward": (
        "forward",
        "go forward",
        "move forward",
        "drive ahead",
        "go straight ahead",
        "advance",
        "keep going forward",
        "roll forward one step",
        "step forward",
        "proceed straight",
        "head straight on",
        "move ahead",
    ),
    "backward": (
        "backward",
        "go backward",
        "move backward",
        "reverse",
        "back up",
        "go back a step",
        "drive in reverse",
        "roll backwards",
        "step back",
        "retreat",
        "move back",
        "back off",
    ),
    "turn left": (
        "turn left",
        "rotate left",
        "turn to the left",
        "spin left",
        "look left",
        "rotate counterclockwise",
        "swing to the left",
        "make a left turn",
        "veer left",
        "face left",
        "pivot left",
        "turn anticlockwise",
    ),
    "turn right": (
        "turn right",
        "rotate right",
        "turn to the right",
        "spin right",
        "look right",
        "rotate clockwise",
        "swing to the right",
        "make a right turn",
        "veer right",
        "face right",
        "pivot right",
        "turn clockwise",
    ),
    "up": (
        "up",
        "go up",
        "move up",
        "scroll up",
        "upward",
        "move to the top",
        "shift up",
        "go north",
        "climb",
        "move upwards",
        "head up",
        "pan up",
    ),
    "down": (
        "down",
        "go down",
        "move down",
        "scroll down",
        "downward",
        "move to the bottom",
        "shift down",
        "go south",
        "descend",
        "move downwards",
        "head down",
        "pan down",
    ),
    "left": (
        "left",
        "go left",
        "move left",
        "scroll left",
        "leftward",
        "move to the left side",
        "shift left",
        "go west",
        "slide left",
        "move leftwards",
        "head left",
        "pan left",
    ),
    "right": (
        "right",
        "go right",
        "move right",
        "scroll right",
        "rightward",
        "move to the right side",
        "shift right",
        "go east",
        "slide right",
        "move rightwards",
        "head right",
        "pan right",
    ),
}
"""Canonical phrase -> wordings seen in training, the canonical one first."""

MIRROR = {
    "turn left": "turn right",
    "turn right": "turn left",
    "left": "right",
    "right": "left",
}
"""Canonical phrase -> what it looks like in a mirror; the others look the same."""

UNSEEN: dict[str, tuple[str, ...]] = {
    "forward": (
        "drive forward",
        "carry on straight ahead",
        "travel forwards",
        "push ahead",
        "continue forward",
    ),
    "backward": (
        "drive backward",
        "move in reverse",
        "travel backwards",
        "go backwards",
        "reverse one step",
    ),
    "turn left": (
        "turn yourself left",
        "rotate to the left",
        "take a left turn",
        "turn leftward",
        "spin to the left",
    ),
    "turn right": (
        "turn yourself right",
        "rotate to the right",
        "take a right turn",
        "turn rightward",
        "spin to the right",
    ),
}
"""Wordings never used in training (20 of them)."""

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
