"""The domains, by name; imported only when one is made."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from world_model.errors import unknown_name

if TYPE_CHECKING:  # importing it loads torch
    from envs.api import Domain

DOMAINS = {
    "miniworld": "envs.miniworld.domain:MiniWorldDomain",
    "rooms": "envs.rooms.domain:RoomsDomain",
    "scroll": "envs.scroll.domain:ScrollDomain",
    "tabletop": "envs.tabletop.domain:TabletopDomain",
}


def domain_class(name: str) -> type[Domain]:
    """The class of a domain.

    Raises:
        ValueError: If there is no domain of that name.
    """
    if name not in DOMAINS:
        raise unknown_name("domain", name, DOMAINS)
    module, attribute = DOMAINS[name].split(":")
    return getattr(import_module(module), attribute)


def make_domain(name: str) -> Domain:
    """A fresh simulator of the named domain."""
    return domain_class(name)()
