"""`PhraseSpace`: actions that are phrases of language."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium

Motion = tuple[float, float, float]
"""Forward [m], left [m], counter-clockwise turn [degrees], as the robot sees it."""
NO_ACTION = -1
"""Stands where an index of an action is expected and there is no action."""


class PhraseSpace(gymnasium.spaces.Discrete):
    """A discrete action space whose actions are phrases of language.

    Args:
        phrases: What each action is called, e.g. ("forward", "turn left").
        inverses: For each action, the index of the action that undoes it, or
            None. Planners never try an action directly followed by its inverse.
        motions: How each action moves the robot unless it is blocked, see `Motion`;
            None where actions do not move alike everywhere. Planners may count with
            it where sequences of actions lead.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        inverses: Sequence[int | None] | None = None,
        motions: Sequence[Motion] | None = None,
    ) -> None:
        if not phrases:
            raise ValueError("`phrases` must name an action, got none: add one.")
        super().__init__(len(phrases))
        self.phrases = tuple(phrases)
        self.inverses = tuple(inverses or [None] * len(phrases))
        if len(self.inverses) != len(self.phrases):
            raise ValueError(
                f"`inverses` must name one action (or None) per phrase, got "
                f"{len(self.inverses)} for {len(self.phrases)} phrases."
            )
        self.motions: tuple[Motion, ...] | None = (
            None if motions is None else tuple((x, y, turn) for x, y, turn in motions)
        )
        if self.motions is not None and len(self.motions) != len(self.phrases):
            raise ValueError(
                "`motions` must say how each phrase moves, got "
                f"{len(self.motions)} for {len(self.phrases)} phrases."
            )

    @property
    def inverse_indices(self) -> tuple[int, ...]:
        """`inverses` for tensors: `NO_ACTION` where nothing undoes an action."""
        return tuple(NO_ACTION if i is None else i for i in self.inverses)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhraseSpace) and self.phrases == other.phrases

    def __repr__(self) -> str:
        return f"PhraseSpace({list(self.phrases)})"


def phrase_space_of(space: gymnasium.Space, asker: str, *, instead: str) -> PhraseSpace:
    """The space itself, if its actions are phrases.

    Args:
        space: Any action space.
        asker: Who needs phrases, for the error.
        instead: What to do otherwise, for the error.

    Raises:
        ValueError: If its actions are something else.
    """
    if not isinstance(space, PhraseSpace):
        raise ValueError(
            f"`{asker}` needs actions that are phrases, got {space}: {instead}."
        )
    return space


def motions_of(
    space: gymnasium.Space, asker: str, *, instead: str
) -> tuple[Motion, ...]:
    """How the actions of a space move the robot.

    Args:
        space: Any action space.
        asker: Who needs to know, for the error.
        instead: What to do otherwise, for the error.

    Raises:
        ValueError: If the space does not say.
    """
    motions = space.motions if isinstance(space, PhraseSpace) else None
    if motions is None:
        raise ValueError(
            f"`{asker}` needs actions that say how they move, got {_few(space)}: "
            f"{instead}, or give `PhraseSpace.motions`."
        )
    return motions


def _few(space: gymnasium.Space) -> str:
    """A space in few words."""
    if not isinstance(space, PhraseSpace) or len(space.phrases) < 5:
        return str(space)
    return f"{len(space.phrases)} phrases like {space.phrases[0]!r}"
