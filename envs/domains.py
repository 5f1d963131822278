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


def has_vectors(name: str) -> bool:
    """Whether the actions of a domain are vectors; False if there is no such domain."""
    if "." in name:
        return issubclass(_class_at(name), _contracts()[1])
    return name in GOAL_DOMAINS


def domain_class(name: str) -> type[Domain]:
    """The class of a domain whose actions are phrases.

    Args:
        name: One of `DOMAINS`, or where a `Domain` of one's own is,
            "package.module.Class".

    Raises:
        ValueError: If there is no such domain of that name.
    """
    if has_vectors(name):
        raise ValueError(
            f"This needs actions that are phrases, got the vectors of domain={name}: "
            f"choose one of {', '.join(DOMAINS)}."
        )
    return _import(name, DOMAINS)


def goal_domain_class(name: str) -> type[GoalDomain]:
    """The class of a domain whose actions are vectors.

    Args:
        name: One of `GOAL_DOMAINS`, or where a `GoalDomain` of one's own is.

    Raises:
        ValueError: If there is no such domain of that name.
    """
    if "." in name and not has_vectors(name):
        raise ValueError(
            f"This needs actions that are vectors, got the phrases of domain={name}: "
            f"choose one of {', '.join(GOAL_DOMAINS)}."
        )
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
    if "." in name:
        return _class_at(name)
    if name not in known:
        raise unknown_name("domain", name, known)
    module, attribute = known[name].split(":")
    return getattr(import_module(module), attribute)


def _class_at(path: str) -> type:
    """A domain of somebody else's, "package.module.Class".

    Raises:
        ValueError: If there is none.
    """
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:  # whatever a plug-in's module may raise
        raise _no_domain(path, f"{type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, _contracts())):
        raise _no_domain(path, f"{found!r}")
    return found


def _contracts() -> tuple[type[Domain], type[GoalDomain]]:
    from envs.api import Domain
    from envs.goal_domain import GoalDomain

    return Domain, GoalDomain


def _no_domain(path: str, found: str) -> ValueError:
    return ValueError(
        f"`domain={path}` must be the path of a class that derives from "
        f"`envs.api.Domain` or `envs.goal_domain.GoalDomain`, got {found}: correct the "
        "YAML file that names it or install its package again."
    )
