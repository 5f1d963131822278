"""Who may import whom, and how large things may grow; nothing is imported here."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("envs", "planners", "world_model", "eval")
CONTRACTS = tuple(
    f"world_model.{name}"
    for name in (
        "api",
        "core",
        "errors",
        "frames",
        "names",
        "odometry",
        "phrase_space",
        "plugins",
        "policy_api",
        "provenance",
        "shards",
    )
)
MAY_IMPORT = {
    "world_model": ("world_model",),
    "envs": ("envs", *CONTRACTS),
    "planners": ("planners", *CONTRACTS),
    "eval": PACKAGES,
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST, module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, lazily or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{x.name}") for x in node.names)


def is_allowed(name: str, package: str) -> bool:
    """True for foreign packages and for ours that `package` may know."""
    if name.split(".")[0] not in PACKAGES:
        return True
    return any(name == x or name.startswith(f"{x}.") for x in MAY_IMPORT[package])


def forbidden_imports(source: str, module: str) -> list[str]:
    package = module.split(".")[0]
    found = imported(ast.parse(source), module)
    return [f"{i}: {name}" for i, name in found if not is_allowed(name, package)]


def public(node: ast.AST) -> bool:
    return not getattr(node, "name", "_").startswith("_")


def undocumented(tree: ast.Module) -> list[str]:
    """Public names without a docstring.

    Methods of a class with a base may override a documented contract, and are
    not asked for one of their own.
    """
    missing = []
    for node in filter(public, tree.body):
        if isinstance(node, Function | ast.ClassDef) and not ast.get_docstring(node):
            missing.append(node.name)
        if isinstance(node, ast.ClassDef) and has_no_contract(node):
            methods = [x for x in filter(public, node.body) if isinstance(x, Function)]
            names = [x.name for x in methods if not ast.get_docstring(x)]
            missing += [f"{node.name}.{name}" for name in names]
    return missing


def has_no_contract(node: ast.ClassDef) -> bool:
    roots = {"ABC", "abc.ABC", "Protocol", "object"}
    return all(ast.unparse(base) in roots for base in node.bases)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    wrong = [
        f"{path.relative_to(ROOT)}:{found}"
        for path in sources(package)
        for found in forbidden_imports(path.read_text(), module_name(path))
    ]
    assert not wrong, f"{package} may import only {', '.join(MAY_IMPORT[package])}"


@pytest.mark.parametrize("package", PACKAGES)
def test_files_stay_short(package):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources(package)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_nineteen_of_twenty_functions_stay_short():
    lengths = {}
    for path in (path for package in PACKAGES for path in sources(package)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                name = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                lengths[name] = (node.end_lineno or node.lineno) - node.lineno + 1
    long = [name for name, lines in lengths.items() if lines >= MAX_FUNCTION_LINES]
    assert len(long) <= 0.05 * len(lengths), "\n".join(long)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_documented(package):
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(package)
        for name in undocumented(ast.parse(path.read_text()))
    ]
    assert missing == []


def test_every_package_is_part_of_the_distribution():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(pyproject["tool"]["setuptools"]["packages"]) - {"configs"}
    folders = {path.parent for package in PACKAGES for path in sources(package)}
    assert listed == {".".join(x.relative_to(ROOT).parts) for x in folders}


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from eval.run import main", "planners.mpc"),
        ("import envs", "planners.mpc"),
        ("from world_model.memory.none import NoMemory", "planners.mpc"),
        ("from world_model import memory", "envs.tasks"),
        ("import world_model", "envs.tasks"),
        ("def f():\n    import planners.mpc", "world_model.diffusion.model"),
    ],
)
def test_a_wrong_import_is_noticed(source, module):
    assert forbidden_imports(source, module)


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from world_model.api import WorldModel", "planners.mpc"),
        ("from world_model import api, core", "envs.tasks"),
        ("from . import tasks", "envs.rooms"),
        ("from planners.mpc import MPCPolicy", "eval.run"),
        ("import evaluate, envsubst", "world_model.core"),
    ],
)
def test_a_right_import_is_left_alone(source, module):
    assert forbidden_imports(source, module) == []
