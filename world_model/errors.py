"""Error texts that several packages share: the rule, the value, the remedy."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def unknown_name(kind: str, name: str, available: Iterable[str]) -> ValueError:
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
    nearest = difflib.get_close_matches(name.lower(), list(lowered), n=1)
    hint = f" Did you mean '{lowered[nearest[0]]}'?" if nearest else ""
    known = ", ".join(names) or "none"
    return ValueError(f"Unknown {kind} '{name}'.{hint} Available: {known}.")


def at_least(minimum: float, **values: float) -> None:
    """Refuses values below `minimum`.

    Raises:
        ValueError: If one is smaller, or no number.
    """
    for name, value in values.items():
        if not value >= minimum:
            raise ValueError(f"`{name}` must be at least {minimum}, got {value}.")


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the process with one line where input is bad; bugs keep their traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
