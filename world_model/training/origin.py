"""What a folder's files were made with: nobody continues another's work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from world_model.training.loop import checkpoints
from world_model.whole_file import write_text

_NOTE = "origin.json"
"""Beside checkpoints: what these were begun with."""


def claim(path: Path, origin: Mapping[str, object], *, what: str) -> None:
    """Notes what is about to be made with what, or compares with what was noted.

    Args:
        path: The note.
        origin: JSON values.
        what: Is made, for the error, e.g. "snapshots".

    Raises:
        ValueError: If it was begun with something else.
    """
    text = json.dumps(origin, indent=1, sort_keys=True) + "\n"
    if not path.exists():
        write_text(path, text)
    made, found = json.loads(text), json.loads(path.read_text())
    _compare(path, made, found, what=what)


def claim_checkpoints(output: Path, origin: Mapping[str, object]) -> None:
    """Lets nobody continue checkpoints that were begun with something else.

    Raises:
        ValueError: If those in `output` were.
    """
    path = output / _NOTE
    if not checkpoints(output):
        path.unlink(missing_ok=True)  # nothing was made of it
    claim(path, origin, what="checkpoints")


def check_checkpoints(output: Path, origin: Mapping[str, object]) -> None:
    """Foretells that they will not be claimed, as far as is known yet.

    Args:
        output: Where checkpoints are or will be.
        origin: What is already known of theirs.

    Raises:
        ValueError: If those in `output` were begun with something else.
    """
    path = output / _NOTE
    if checkpoints(output) and path.exists():
        known = json.loads(json.dumps(origin))
        noted = json.loads(path.read_text())
        both = known.keys() & noted.keys()
        pair = ({k: x[k] for k in both} for x in (known, noted))
        _compare(path, *pair, what="checkpoints")


def _compare(
    path: Path, made: Mapping[str, object], found: Mapping[str, object], *, what: str
) -> None:
    other = [key for key in {**found, **made} if found.get(key) != made.get(key)]
    if other:
        raise ValueError(
            f"`output` must hold no {what} that were made otherwise, got other values "
            f"of {', '.join(sorted(other))} in {path}: choose another output=."
        )
