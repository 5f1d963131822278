"""A domain of one's own: collected, checked and played in without a line of ours."""

import pytest

from envs.collect import collect
from envs.domains import any_domain_class, domain_class, goal_domain_class, has_vectors
from envs.make_task_env import make_task_env
from eval.check import check
from eval.record import RunRecord
from eval.run_spec import provenance
from world_model.shards import read_meta

WORLD = """

from envs.point.domain import PointDomain
from envs.scroll.domain import ScrollDomain


class World(ScrollDomain):
    id = "{name}.World"

    def execute(self, action, *, render=True):
        frames = super().execute(action, render=render)
        {fault}
        return frames


class Plane(PointDomain):
    pass
"""


@pytest.fixture
def world(install, tmp_path):
    """Installs a task in a domain of its own; returns the package's name."""

    def make(fault="pass"):
        name = install("task", base="FindSeen", fault="pass")
        package = tmp_path / name
        with (package / "__init__.py").open("a") as file:
            file.write(WORLD.format(name=name, fault=fault))
        path = package / "configs" / "task" / f"{name}.yaml"
        path.write_text(path.read_text().replace("scroll", f"{name}.World"))
        return name

    return make


def test_it_is_played_in(world, run, tmp_path):
    name = world()
    words = [f"task={name}", "planner=random", "memory=none", "episodes=2"]
    assert run(*words, f"outputs={tmp_path}/outputs") is None
    (path,) = tmp_path.glob("outputs/[!.]*")
    assert RunRecord(path).remaining_seeds() == ()
    assert name in RunRecord(path).run()["provenance"]["plugins"]


def test_it_is_collected(world, tmp_path):
    path = f"{world()}.World"
    counts = {"episodes": 2, "actions": 3, "shard_size": 2, "workers": 1}
    collect(path, tmp_path / "data", **counts)
    meta = read_meta(tmp_path / "data")
    assert (meta.domain, meta.chunk_length) == (path, 2)


def test_it_is_checked_where_its_task_is(world):
    assert not [v for v in check("task", world()) if v.problem]


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("frames = frames.astype(float)", "An action ends on `successor`, and shows F"),
        ("frames[:] = np.random.randint(255)", "`set_state` returns exactly to what"),
        ("super().execute(action)", "An action ends on `successor`, and shows F"),
    ],
)
def test_a_broken_law_is_named(world, fault, law):
    name = world(f"import numpy as np; {fault}")
    broken = [v.law for v in check("task", name) if v.problem]
    assert any(found.startswith(law) for found in broken), broken


def test_its_code_is_part_of_what_a_run_is(world, tmp_path):
    name = world()
    config = {"task": {"domain": f"{name}.World", "kind": "find_seen"}}
    assert provenance(device="cpu", config=config)["plugins"].keys() == {name}


def test_both_kinds_are_told_apart(world):
    name = world()
    assert not has_vectors(f"{name}.World")
    assert has_vectors(f"{name}.Plane")
    assert domain_class(f"{name}.World").__name__ == "World"
    assert goal_domain_class(f"{name}.Plane").__name__ == "Plane"
    with pytest.raises(ValueError, match="needs actions that are phrases, got the v"):
        domain_class(f"{name}.Plane")
    with pytest.raises(ValueError, match="needs actions that are vectors, got the p"):
        goal_domain_class(f"{name}.World")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("no_such_package.World", "ModuleNotFoundError: No module named 'no_such_"),
        ("envs.scroll.domain.Word", "AttributeError: .* has no attribute 'Word'"),
        ("envs.scroll.domain.Cell", "<class 'envs.scroll.domain.Cell'>"),
    ],
)
def test_what_is_no_domain_is_refused(path, found):
    rule = f"`domain={path}` must be the path of a class that derives from "
    with pytest.raises(ValueError, match=f"{rule}.* got {found}.*: correct the YAML"):
        any_domain_class(path)


def test_what_actions_did_is_kept_for_our_domains_only(world, tmp_path):
    name = world()
    domain_class(f"{name}.World").slow = True
    env = make_task_env(f"{name}.World", "find_seen", kept=tmp_path / "kept")
    env.reset(seed=0)
    env.close()
    assert not (tmp_path / "kept").exists()
