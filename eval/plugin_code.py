"""Which code and files of others a configuration names, and what state they are in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slowfast_bench import PACKAGES

_NAMES = ("_target_", "name", "kind", "domain")
"""Keys whose values name classes and rows, also where a folder is called alike."""


def plugin_code(config: Mapping[str, Any]) -> dict[str, str]:
    """What of others decides a run: packages whose classes are named, and their files.

    Args:
        config: Plain values.

    Returns:
        Per package its version (empty if it is not installed) and a digest of what it
        holds, and a digest per option of its classes that names a file or a folder, a
        checkpoint say: two states of what is under development differ.
    """
    tops = packages_of_others(config)
    found = {top: f"{_version(top)} {_digest(top)}".strip() for top in sorted(tops)}
    paths = sorted({*_paths(config)})
    return found | {f"{key}={path}": _state(Path(path)) for key, path in paths}


def packages_of_others(config: Mapping[str, Any]) -> set[str]:
    """The packages outside this project whose classes plain values name."""
    return {name.split(".")[0] for name in _classes(config)} - {*PACKAGES}


def _paths(
    node: Any, key: str = "", *, theirs: bool = False
) -> Iterator[tuple[str, str]]:
    """Options of others' classes that name what is on disk."""
    if isinstance(node, Mapping):
        target = {"_target_": node.get("_target_", "")}
        theirs = theirs or bool(packages_of_others(target))
        for name, value in node.items():
            if name not in _NAMES:
                yield from _paths(value, str(name), theirs=theirs)
    elif isinstance(node, list):
        for value in node:
            yield from _paths(value, key, theirs=theirs)
    elif theirs and isinstance(node, str) and node:
        with suppress(OSError, ValueError):  # what is no path at all
            if Path(node).exists():
                yield key, node


def _state(path: Path) -> str:
    """A digest of a file, or of what a folder holds: names, sizes, times."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    held = [(x.name, x.stat()) for x in sorted(path.iterdir())]
    text = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in held])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _classes(node: Any) -> Iterator[str]:
    """All dotted names under `_target_` and the task's `kind` and `domain`."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("_target_", "kind", "domain") and "." in str(value):
                yield value
            yield from _classes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _classes(value)


def _version(package: str) -> str:
    names = packages_distributions().get(package, [])
    return version(names[0]) if names else ""


def _digest(package: str) -> str:
    digest = hashlib.sha256()
    for path in _sources(package):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _sources(package: str) -> list[Path]:
    with suppress(ImportError, ValueError):
        spec = find_spec(package)
        if spec and spec.submodule_search_locations:
            roots = map(Path, spec.submodule_search_locations)
            files = (x for root in roots for x in root.rglob("*") if x.is_file())
            return sorted(x for x in files if x.suffix != ".pyc")
        if spec and spec.origin:
            return [Path(spec.origin)]
    return []
