"""Errors as a user of the command line sees them: one line."""

from __future__ import annotations

from hydra.errors import HydraException

USER_ERRORS = (ValueError, OSError, RuntimeError, HydraException)
"""What bad input raises; anything else is a bug and keeps its traceback."""


def one_line(error: BaseException) -> str:
    """The message of an error in one line.

    hydra wraps what a class raises when it is made from a configuration: the wrapped
    message is the one that names the rule, the value and the remedy.
    """
    while isinstance(error, HydraException) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
