"""What a folder's files were made with: nobody continues another's work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from world_model.training.loop import checkpoints
from world_model.whole_file import write_text


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
    other = [key for key in {**found, **made} if found.get(key) != made.get(key)]
    if other:
        raise ValueError(
            f"`output` must hold no {what} that were made otherwise, got other values "
            f"of {', '.join(sorted(other))} in {path}: choose another output=."
        )


def claim_checkpoints(output: Path, origin: Mapping[str, object]) -> None:
    """Lets nobody continue checkpoints that were begun with something else.

    Raises:
        ValueError: If those in `output` were.
    """
    path = output / "origin.json"
    if not checkpoints(output):
        path.unlink(missing_ok=True)  # nothing was made of it
    claim(path, origin, what="checkpoints")
