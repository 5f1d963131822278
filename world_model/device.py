"""Where models run."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """Where models run unless they are told to run elsewhere: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
