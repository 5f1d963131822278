"""Errors as a user of the command line sees them: one line."""

from __future__ import annotations

import traceback
from pathlib import Path

from hydra.errors import HydraException

USER_ERRORS = (ValueError, OSError, RuntimeError, HydraException)
"""What bad input raises; anything else is a bug and keeps its traceback."""


class PluginError(ValueError):
    """An error of a plug-in, whose message names it."""


def described(error: BaseException) -> str:
    """What went wrong first, and where, e.g. "KeyError: 'x' (at planner.py:12)".

    For errors of others' code, whose message alone may say little. The message of a
    broken law says enough.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    if isinstance(error, AssertionError) and text.startswith("Broken law"):
        return text
    said = f"{type(error).__name__}: {text}"
    # A cause that was made and not raised comes from nowhere.
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    places = [f" (at {Path(x.filename).name}:{x.lineno})" for x in frames]
    return said + "".join(places)
