import json
import subprocess

import pytest
import torch

from world_model.provenance import code_state, provenance


def test_provenance_is_plain_json_with_the_machine():
    made = provenance()
    assert json.loads(json.dumps(made)) == made
    assert made["device"].startswith("cpu (")
    assert made["device"].endswith(f", {torch.backends.cpu.get_cpu_capability()})")
    assert made["libraries"]["torch"]


@pytest.fixture
def checkout(tmp_path):
    """A repository with one committed source file."""
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "run.py").write_text("x = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path.resolve()


def git(root, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(root), *names, *arguments], check=True)


def test_a_clean_checkout_has_a_revision_and_no_changes(checkout):
    state = code_state(checkout)
    assert len(state["revision"]) == 40
    assert (state["dirty"], state["changes"]) == (False, None)


def test_changed_code_is_dirty_and_two_changes_differ(checkout):
    (checkout / "eval" / "run.py").write_text("x = 2\n")
    first = code_state(checkout)
    (checkout / "eval" / "run.py").write_text("x = 3\n")
    second = code_state(checkout)
    assert first["dirty"]
    assert second["dirty"]
    assert first["changes"] != second["changes"]


def test_a_new_source_file_is_dirty_but_a_promoted_row_is_not(checkout):
    (checkout / "results").mkdir()
    (checkout / "results" / "leaderboard.csv").touch()
    assert not code_state(checkout)["dirty"]
    (checkout / "eval" / "new.py").touch()
    assert code_state(checkout)["dirty"]


def test_a_folder_inside_someone_elses_checkout_has_no_revision(checkout):
    state = code_state(checkout / "eval")
    assert state == {"revision": None, "dirty": None, "changes": None}
