"""`PhraseScores`: phrases for policies that only know vectors."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from world_model.phrase_space import phrase_space_of


class PhraseScores(gymnasium.ActionWrapper[Any, Any, Any]):
    """Actions are one score per phrase, in [-1, 1]; the largest is executed.

    For libraries whose policies need a `Box`. `RescaleAction`, `ClipAction` and others
    of gymnasium's wrappers fit around it.

    Args:
        env: An environment whose actions are phrases.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        space = phrase_space_of(
            env.action_space, "PhraseScores", instead="use the environment as it is"
        )
        self.action_space = gymnasium.spaces.Box(-1, 1, (len(space.phrases),))

    def action(self, action: Any) -> np.int64:
        """The phrase of largest score, the first of several."""
        return np.int64(np.argmax(action))
