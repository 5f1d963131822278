"""What must be true before any of our packages is imported, and `slowfast`.

`envs`, `eval`, ... are common names: where another project's come first on the path,
commands say so in one line. The console script `slowfast` is `python -m eval.run` from
any directory. This file imports nothing of ours.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("envs", "planners", "world_model", "eval")
PROJECT_ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Checks that our packages are the ones that get imported, then runs."""
    require_packages()
    # As `__main__`, so that hydra finds configs/ beside the file either way.
    runpy.run_module("eval.run", run_name="__main__", alter_sys=True)


def require_packages() -> None:
    """Ends the process with one line if a package is not ours."""
    try:
        check_packages()
    except ImportError as error:
        sys.exit(f"error: {error}")


def check_packages(names: Iterable[str] = PACKAGES, root: Path = PROJECT_ROOT) -> None:
    """Checks that each package would be imported from this project.

    Args:
        names: Top-level packages.
        root: The directory they must live in.

    Raises:
        ImportError: If one is found elsewhere or nowhere.
    """
    for name in names:
        ours, found = root / name, _location(name)
        if found != ours:
            raise ImportError(
                f"The package `{name}` must come from {ours}, got {found}: run from "
                "another directory, remove the other one from PYTHONPATH, or "
                "install this project in an environment of its own."
            )


def _location(name: str) -> Path | None:
    """The directory a top-level package would be imported from, None if unknown."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None if spec is None or spec.origin is None else Path(spec.origin)
    return Path(next(iter(spec.submodule_search_locations))).resolve()


if __name__ == "__main__":
    main()
