"""Which code of others a configuration names, and what state it is in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eval.shadowing import PACKAGES


def plugin_code(config: Mapping[str, Any]) -> dict[str, str]:
    """The packages outside this project whose classes a configuration names.

    Args:
        config: Plain values.

    Returns:
        Per package its version (empty if it is not installed) and a digest of its
        Python files: two states of a package under development differ.
    """
    tops = {name.split(".")[0] for name in _classes(config)} - {*PACKAGES}
    return {top: f"{_version(top)} {_digest(top)}".strip() for top in sorted(tops)}


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
            return sorted(path for root in roots for path in root.rglob("*.py"))
        if spec and spec.origin:
            return [Path(spec.origin)]
    return []
