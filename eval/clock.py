"""The clock that costs are read from."""

from __future__ import annotations

import time

import torch


def now() -> float:
    """Seconds, read when all work that a GPU was given is done.

    Calls of torch return before a GPU has finished: without waiting, one part's work
    would be charged to whoever asks for a value next.
    """
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
