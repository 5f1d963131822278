"""`Example`: one small situation in which laws are tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """What a law is called with. Examples come from the smallest to the largest.

    Attributes:
        text: Says all that distinguishes it, e.g. "1 episode, horizon 1".
        arguments: Of the law.
    """

    text: str
    arguments: tuple[Any, ...]
