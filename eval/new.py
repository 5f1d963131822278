"""Writes a plug-in package to start from: `python -m eval.new planner my_planner`.

The package in ./my_planner holds a small class that works, its YAML file, the entry
point by which it is found, tests and a README. Nothing of this project is edited.
"""

from __future__ import annotations

from slowfast_bench import require_packages

require_packages()

import argparse
import keyword
import re
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from string import Template

from omegaconf import OmegaConf

from world_model.names import choices
from world_model.plugins import GROUPS, find_plugins

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("planner", "memory", "world_model", "objective", "task", "metric")
RUNS = {
    "planner": "planner=$name",
    "memory": "memory=$name",
    # Its latents are its own: the shipped classifier does not know them.
    "world_model": "world_model=$name task=rooms_return_home memory=none",
    "objective": "objective=$name memory=none",
    "task": "task=$name memory=none",
    "metric": "metric=$name memory=none",
}
"""Per kind, the options of `python -m eval.run` that try it."""


def new(kind: str, name: str, parent: Path) -> Path:
    """Writes a package and returns its folder, `parent`/`name`.

    Args:
        kind: One of `KINDS`.
        name: Of the package, of its choice on the command line and of its row.
        parent: Where the folder is made.

    Raises:
        ValueError: If the name cannot be used.
        FileExistsError: If there is such a folder.
        OSError: If it cannot be written.
    """
    folder = parent / name
    _check_name(kind, name)
    if folder.exists():
        raise FileExistsError(
            f"`python -m eval.new` must write a new folder, got {folder}, which is "
            "there: choose another name or move it away."
        )
    _check_free(name)
    with tempfile.TemporaryDirectory(prefix=".", dir=parent) as temporary:
        root = Path(temporary) / name
        for path, text in _files(kind, name).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        root.rename(folder)
    return folder


def _files(kind: str, name: str) -> dict[str, str]:
    """The texts of a package by their paths in it."""
    values = {
        "name": name,
        "project": name.replace("_", "-"),
        "Class": name.title().replace("_", ""),
        "kind": kind,
        "words": kind.replace("_", " "),
        "group": GROUPS[kind],
        "run": Template(RUNS[kind]).substitute(name=name),
    }
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{name}/__init__.py": "__init__.py",
        f"src/{name}/{kind}.py": f"{kind}/part.py",
        f"src/{name}/configs/{kind}/{name}.yaml": f"{kind}/config.yaml",
        f"tests/test_{name}.py": f"{kind}/test.py",
    }
    return {
        path: Template((TEMPLATES / f"{source}.txt").read_text()).substitute(values)
        for path, source in sources.items()
    }


def _check_name(kind: str, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(
            "The name of a package must be lower-case letters, digits and _, start "
            f"with a letter and be no word of Python, got {name!r}: take another, "
            f"e.g. my_{kind}."
        )
    if (meant := OmegaConf.from_dotlist([f"name={name}"]).name) != name:
        raise ValueError(
            "The name of a package must be text in YAML files and on the command line, "
            f"got {name!r}, which is {meant} there: take another, e.g. my_{name}."
        )
    taken = {*choices(kind), *(p.name for p in find_plugins() if p.kind == kind)}
    if name in taken:
        raise ValueError(
            f"The name of a {kind} must be new, got {name!r}, which exists: take "
            "another."
        )


def _check_free(name: str) -> None:
    """Refuses a name that would hide a module, e.g. torch."""
    if find_spec(name) is not None:
        raise ValueError(
            f"The name of a package must be free, got {name!r}, which Python can "
            f"import already: take another, e.g. my_{name}."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.new", description="Writes a plug-in package to start from."
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", help="of the package and in planner=<name>")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Writes ./<name>; returns 1 after printing the reason if it is refused."""
    arguments = _parser().parse_args(argv)
    kind, name = arguments.kind, arguments.name
    try:
        folder = new(kind, name, Path())
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{folder}: a {kind.replace('_', ' ')} that works. Next:")
    print(f"  pip install -e ./{folder}")
    print(f"  python -m eval.check {kind} {name}")
    print(f"  python -m eval.run {Template(RUNS[kind]).substitute(name=name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
