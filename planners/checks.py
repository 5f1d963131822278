"""What constructors of planners refuse."""

from __future__ import annotations

import gymnasium
import numpy as np

from world_model.phrase_space import PhraseSpace, phrase_space_of


def phrases_of(space: gymnasium.Space, asker: str) -> PhraseSpace:
    """The space, if its actions are phrases.

    Args:
        space: Any action space.
        asker: Which planner needs phrases, for the error.

    Raises:
        ValueError: If its actions are something else.
    """
    instead = "use planner/optimizer=icem, which takes vectors too"
    return phrase_space_of(space, asker, instead=instead)


def box_of(space: gymnasium.Space, asker: str, *, instead: str) -> gymnasium.spaces.Box:
    """The space, if its actions are bounded vectors of shape (A,).

    Args:
        space: Any action space.
        asker: Which planner needs vectors, for the error.
        instead: What to do otherwise, for the error.

    Raises:
        ValueError: If its actions are something else.
    """
    if isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
        if np.isfinite([space.low, space.high]).all():
            return space
    raise ValueError(
        f"`{asker}` needs a `Box` of vectors with finite bounds, got a world model "
        f"with action space {space}: {instead}."
    )
