"""`WristView`: what the camera at the arm's wrist sees, beside the agent view."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium import spaces

from envs.tabletop.domain import TabletopDomain


class WristView(gymnasium.ObservationWrapper[dict[str, Any], Any, dict[str, Any]]):
    """Adds "wrist", uint8 (H, W, C), to observations: for policies of one's own.

    `WristView(gymnasium.make("SlowFast/ShellGame-v0"))`. Our world models see the agent
    view only, and so do the rows of the leaderboard.

    Args:
        env: A task of `tabletop`.

    Raises:
        ValueError: If its domain has no arm.
    """

    def __init__(self, env: gymnasium.Env[dict[str, Any], Any]) -> None:
        super().__init__(env)
        domain = getattr(env.unwrapped, "domain", None)
        if not isinstance(domain, TabletopDomain):
            raise ValueError(
                "`WristView` needs a task of the table, got an environment of "
                f"{getattr(domain, 'id', type(env.unwrapped).__name__)}: make "
                "SlowFast/ShellGame-v0, say."
            )
        self._domain = domain
        entries = dict(env.observation_space.spaces)  # type: ignore[attr-defined]
        self.observation_space = spaces.Dict({**entries, "wrist": entries["image"]})

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The observation with the present wrist view."""
        return {**observation, "wrist": self._domain.render_wrist()}
