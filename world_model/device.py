"""Where models run."""

from __future__ import annotations

import torch


def require_device(name: str) -> None:
    """Refuses a device that torch cannot work on here.

    Raises:
        ValueError: With what torch says.
    """
    try:
        torch.empty(1, device=name)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f"`world_model.device` must be one that this torch has, got {name} "
            f"({str(error).splitlines()[0]}): leave it away to take what is there."
        ) from error


def default_device() -> torch.device:
    """Where models run unless they are told to run elsewhere: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
