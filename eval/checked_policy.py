"""`checked_policy`: a plug-in's policy whose every action is checked."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gymnasium
import numpy as np

from eval.make_part import Naming
from world_model.policy_api import Observation, Policy
from world_model.testing import require


def checked_policy(policy: Policy, space: gymnasium.Space, naming: Naming) -> Policy:
    """The policy itself, whose errors name the plug-in; no wrapper: its class counts.

    Args:
        policy: The policy that does the work.
        space: Its actions.
        naming: Gives errors the plug-in's name.
    """
    act = policy.act

    def checked(obs: Observation) -> np.ndarray:
        actions = act(obs)
        check_actions(actions, obs.active, space)
        return actions

    policy.act = checked  # type: ignore[method-assign]
    for name in ("reset", "observe", "relocate", "act"):
        setattr(policy, name, _named(getattr(policy, name), naming))
    return policy


def check_actions(actions: Any, active: np.ndarray, space: gymnasium.Space) -> None:
    """Checks what `act` returned against the promises of `Policy`.

    Args:
        actions: One per episode, those that rest included.
        active: (B,) bool; which episodes run.
        space: The actions of the domain.

    Raises:
        AssertionError: With the broken promise and what was found.
    """
    law = "`act` returns an array"
    require(isinstance(actions, np.ndarray), law, type(actions).__name__)
    shape = (len(active), *(space.shape or ()))
    require(actions.shape == shape, f"`act` returns actions of {shape}", actions.shape)
    running = actions[active]
    if isinstance(space, gymnasium.spaces.Box):
        law = f"actions lie within {space.low.tolist()} and {space.high.tolist()}"
        valid = bool(((running >= space.low) & (running <= space.high)).all())
    else:
        assert isinstance(space, gymnasium.spaces.Discrete)
        law = f"actions are whole numbers from 0 to {space.n - 1}"
        valid = all(space.contains(action) for action in running)
    require(valid, law, running.tolist())


def _named(method: Callable[..., Any], naming: Naming) -> Callable[..., Any]:
    @wraps(method)
    def named(*arguments: Any, **options: Any) -> Any:
        with naming():
            return method(*arguments, **options)

    return named
