"""Where models run."""

from __future__ import annotations

import os
import shutil

import torch

from world_model.errors import MachineError


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


def use_threads(threads: object, workers: int = 1) -> None:
    """Lets torch use so many threads, or as many as it chooses.

    Args:
        threads: Of each process, as configured; None lets several share the cores.
        workers: Processes.

    Raises:
        ValueError: If there would be none.
    """
    if threads is None and workers == 1:
        return
    if threads is None:
        threads = max(1, (os.cpu_count() or 1) // workers)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"`threads` must be at least 1 or null, got {threads}.")
    torch.set_num_threads(threads)


def require_compiler() -> None:
    """Refuses to compile a network where torch finds no compiler to do it with.

    Raises:
        MachineError: If there is none.
    """
    compiler = os.environ.get("CXX", "g++")  # what torch takes
    if shutil.which(compiler) is None:
        raise MachineError(
            f"`slow.compile=true` needs a C++ compiler, got none at {compiler}: "
            "install one (g++), or say slow.compile=false."
        )
