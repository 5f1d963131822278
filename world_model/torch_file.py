"""Files that torch has saved, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def load_kept(path: Path, *, what: str, remedy: str, weights_only: bool = True) -> Any:
    """What `torch.save` left in a file.

    Args:
        path: The file.
        what: It must hold, for the error.
        remedy: What to do if it is damaged.
        weights_only: False for data classes of this project.

    Raises:
        ValueError: If it is damaged.
        OSError: If it cannot be read.
    """
    try:
        return torch.load(path, weights_only=weights_only)
    except (MemoryError, OSError, torch.OutOfMemoryError):
        raise  # the file may be whole: nobody is told to delete it
    except Exception as error:  # whatever torch makes of torn bytes
        raise ValueError(
            f"{path} must hold {what}, but is damaged ({error}): {remedy}."
        ) from error
