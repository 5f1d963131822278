import os
import subprocess
import sys

import pytest

from slowfast_bench import PACKAGES, PROJECT_ROOT, check_packages

COMMANDS = {
    "envs.collect": "world_model",
    "envs.convert": "world_model",
    "world_model.train": "envs",
    "eval.calibrate": "envs",
    "eval.certificate": "world_model",
    "eval.check": "planners",
    "eval.compare": "world_model",
    "eval.compare_arms": "world_model",
    "eval.leaderboard": "world_model",
    "eval.new": "world_model",
    "eval.readme": "world_model",
    "eval.run": "planners",
}
"""Per command a package of another project that it would import for ours."""
REWRITE_FILES_OF_OURS = {"envs.reference.open_loop", "world_model.text.encoder"}
"""Modules of the library that write what lies beside them when they are run."""


def test_our_own_packages_are_in_order():
    check_packages()
    assert (PROJECT_ROOT / "eval" / "run.py").exists()


def test_another_projects_package_is_named_with_both_paths(tmp_path, monkeypatch):
    other = tmp_path / "shadowing_other"
    other.mkdir()
    (other / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    expected = (
        f"The package `shadowing_other` must come from {PROJECT_ROOT}/shadowing_other, "
        f"got {other}: run from another directory"
    )
    with pytest.raises(ImportError) as caught:
        check_packages([*PACKAGES, "shadowing_other"])
    assert str(caught.value).startswith(expected)


def test_a_module_or_nothing_in_the_packages_place_is_named(tmp_path, monkeypatch):
    (tmp_path / "shadowing_file.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"got .*shadowing_file\.py: run"):
        check_packages(["shadowing_file"])
    with pytest.raises(ImportError, match="got None: run"):
        check_packages(["shadowing_nowhere"])


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_says_so_before_it_imports_another_projects_package(
    module, tmp_path
):
    package = tmp_path / COMMANDS[module]
    package.mkdir()
    (package / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path,  # which comes first on the path
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    message = f"error: The package `{COMMANDS[module]}` must come from {PROJECT_ROOT}"
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def test_every_command_of_ours_is_among_those_tried():
    modules = {
        ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
        for package in PACKAGES
        for path in (PROJECT_ROOT / package).rglob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    }
    assert modules == {*COMMANDS} | REWRITE_FILES_OF_OURS
