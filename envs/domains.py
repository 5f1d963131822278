"""The domains, by name; imported only when one is made."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from world_model.errors import unknown_name

if TYPE_CHECKING:  # importing them loads torch
    from envs.api import Domain
    from envs.goal_domain import GoalDomain

DOMAINS = {
    "miniworld": "envs.miniworld.domain:MiniWorldDomain",
    "rooms": "envs.rooms.domain:RoomsDomain",
    "scroll": "envs.scroll.domain:ScrollDomain",
    "tabletop": "envs.tabletop.domain:TabletopDomain",
}
"""Those whose actions are phrases, on a lattice."""
GOAL_DOMAINS = {
    "arm": "envs.arm.domain:ArmDomain",
    "fetch": "envs.fetch.domain:FetchDomain",
    "point": "envs.point.domain:PointDomain",
}
"""Those whose actions are vectors."""


def domain_class(name: str) -> type[Domain]:
    """The class of a domain whose actions are phrases.

    Raises:
        ValueError: If there is no such domain of that name.
    """
    if name in GOAL_DOMAINS:
        raise ValueError(
            f"This needs actions that are phrases, got the vectors of domain={name}: "
            f"choose one of {', '.join(DOMAINS)}."
        )
    return _import(name, DOMAINS)


def goal_domain_class(name: str) -> type[GoalDomain]:
    """The class of a domain whose actions are vectors.

    Raises:
        ValueError: If there is no such domain of that name.
    """
    return _import(name, GOAL_DOMAINS)


def any_domain_class(name: str) -> type[Domain] | type[GoalDomain]:
    """The class of a domain of either kind.

    Raises:
        ValueError: If there is no domain of that name.
    """
    return _import(name, DOMAINS | GOAL_DOMAINS)


def make_domain(name: str) -> Domain:
    """A fresh simulator of the named domain."""
    return domain_class(name)()


def _import(name: str, known: dict[str, str]) -> Any:
    if name not in known:
        raise unknown_name("domain", name, known)
    module, attribute = known[name].split(":")
    return getattr(import_module(module), attribute)
