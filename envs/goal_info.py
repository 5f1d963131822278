"""`GoalInfo`: the goal image where stable-worldmodel looks for it."""

from __future__ import annotations

from typing import Any

import gymnasium


class GoalInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Puts the observed goal image into `info["goal"]`, at every reset and step.

    Args:
        env: Observes "goal_image", e.g. a task `ReturnHome`.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        space = env.observation_space
        if "goal_image" not in getattr(space, "keys", tuple)():
            raise ValueError(
                f"`GoalInfo` needs an environment that observes 'goal_image', got "
                f"{env.spec.id if env.spec else env}: use a task that shows its goal, "
                "or make it with goal='given_image'."
            )

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """See `gymnasium.Env.reset`."""
        obs, info = self.env.reset(**kwargs)
        return obs, info | {"goal": obs["goal_image"]}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See `gymnasium.Env.step`."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        goal = {"goal": obs["goal_image"]}
        return obs, reward, terminated, truncated, info | goal
