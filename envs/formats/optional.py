"""Packages that only some formats need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(package: str, extra: str) -> Any:
    """Imports a package that an extra installs.

    Raises:
        ModuleNotFoundError: If it is not there; says how to get it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The format {extra} needs the package {package.split('.')[0]}, which is "
            f"not installed: pip install 'slowfast-bench[{extra}]'."
        ) from error
