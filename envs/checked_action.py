"""What an environment takes for an action."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


def checked_action(space: spaces.Space[Any], action: Any) -> Any:
    """The action itself, if it is one; vectors may lie beyond their bounds.

    Raises:
        ValueError: If it is none.
    """
    is_action = _is_vector(space, action) if space.shape else space.contains(action)
    if not is_action:
        raise ValueError(
            f"`action` must be one of {space}, got {action!r}: correct the policy."
        )
    return action


def _is_vector(space: spaces.Space[Any], action: Any) -> bool:
    try:
        vector = np.asarray(action, dtype=float)
    except (TypeError, ValueError):  # words, ragged lists
        return False
    return vector.shape == space.shape and bool(np.isfinite(vector).all())
