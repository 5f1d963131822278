"""The console script `slowfast`: `python -m eval.run` from any directory.

It is a module of its own because `eval` is a common name: if another project's
`eval` came first on the path, an entry point inside `eval` would run that one.
"""

from __future__ import annotations

import runpy
from pathlib import Path


def main() -> None:
    """Checks that our packages are the ones that get imported, then runs."""
    shadowing = Path(__file__).resolve().parent / "eval" / "shadowing.py"
    runpy.run_path(str(shadowing))["require_packages"]()
    # As `__main__`, so that hydra finds configs/ beside the file either way.
    runpy.run_module("eval.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
