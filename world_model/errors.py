"""Error texts that several packages share: the rule, the value, the remedy."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, TypeVar

from hydra.errors import HydraException


class MachineError(RuntimeError):
    """What this machine lacks: a library, a version of one, a driver."""


def unknown_name(kind: str, name: object, available: Iterable[str]) -> ValueError:
    """The error for a name that is not registered, with the nearest known one.

    Args:
        kind: What the name stands for, e.g. "planner".
        name: What was asked for.
        available: The names that exist.

    Returns:
        An error to raise, e.g. "Unknown planner 'cemm'. Did you mean 'cem'?
        Available: cem, icem."
    """
    names = sorted(available)
    lowered = {known.lower(): known for known in names}
    nearest = difflib.get_close_matches(str(name).lower(), list(lowered), n=1)
    hint = f" Did you mean '{lowered[nearest[0]]}'?" if nearest else ""
    known = ", ".join(names) or "none"
    return ValueError(f"Unknown {kind} '{name}'.{hint} Available: {known}.")


def at_least(minimum: int, **values: object) -> None:
    """Refuses counts below `minimum`.

    Raises:
        ValueError: If one is smaller, or no whole number.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"`{name}` must be a whole number, got {value!r}.")
        if value < minimum:
            raise ValueError(f"`{name}` must be at least {minimum}, got {value}.")


def within(low: float, high: float, **values: float) -> None:
    """Refuses numbers that are not in [low, high], or not finite.

    Raises:
        ValueError: If one is, or is no number.
    """
    rule = f"in [{low:g}, {high:g}]" if high < math.inf else f"at least {low:g}"
    rule = "a finite number" if low == -math.inf else rule
    for name, value in values.items():
        if not _is_finite(value) or not low <= value <= high:
            raise ValueError(f"`{name}` must be {rule}, got {value!r}.")


def positive(**values: float) -> None:
    """Refuses numbers that are not above 0, or not finite.

    Raises:
        ValueError: If one is not, or is no number.
    """
    for name, value in values.items():
        if not _is_finite(value) or value <= 0:
            raise ValueError(f"`{name}` must be positive, got {value!r}.")


def true_or_false(**values: object) -> None:
    """Refuses words such as "no", which every test takes for yes.

    Raises:
        ValueError: If a value is not a bool.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"`{name}` must be true or false, got {value!r}.")


_ACCEPTED: dict[type, Any] = {int: int, float: (int, float), str: str}
_KINDS = {int: "whole numbers", float: "numbers", str: "words"}
T = TypeVar("T", int, float, str)


def list_of(kind: type[T], name: str, values: object) -> list[T]:
    """An option's values as a plain list.

    Args:
        kind: int, float (whole ones, too) or str.
        name: Of the option.
        values: Of the option.

    Raises:
        ValueError: If it is no list, or holds something else.
    """
    items: list[Any] = list(values) if isinstance(values, Sequence) else [None]
    if isinstance(values, str) or any(
        isinstance(x, bool) or not isinstance(x, _ACCEPTED[kind]) for x in items
    ):
        raise ValueError(
            f"`{name}` must be a list of {_KINDS[kind]}, got {values!r}: write "
            f"'{name}=[...]'."
        )
    return items


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the process with one line where input is bad; bugs keep their traceback."""
    try:
        yield
    except (ValueError, OSError, MachineError) as error:
        sys.exit(f"error: {one_line(error)}")
    except HydraException as error:
        if not isinstance(error.__cause__, ValueError | OSError | MachineError):
            raise
        sys.exit(f"error: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The message of an error in one line.

    hydra wraps what a class raises when it is made from a configuration: the wrapped
    message is the one that names the rule, the value and the remedy.
    """
    while isinstance(error, HydraException) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
