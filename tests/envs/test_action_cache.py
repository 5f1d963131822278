"""What actions did is kept on disk: episodes are the same with and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest

from envs import action_cache
from envs.action_cache import ActionCache
from envs.make_task_env import make_task_env
from envs.memory_task_env import MemoryTaskEnv
from envs.scroll.domain import ScrollDomain
from envs.task_env import TaskEnv


def episode(env: TaskEnv, seed: int = 3) -> dict[str, object]:
    """Everything that can be seen of an episode that follows the shortest path."""
    start, _ = env.reset(seed=seed)
    infos = [env.step(action)[4] for action in env.path()]
    return {
        "image": start["image"],
        "tour": [step.frames for step in env.tour],
        "states": [joblib.hash(state) for state in env.tour_states],
        "chunks": [info["chunk"] for info in infos],
        "measures": env.measure(),
        "end": env.domain.render(),
    }


@pytest.mark.sim
def test_an_episode_on_the_table_is_the_same_computed_or_read(tmp_path: Path) -> None:
    cases = {"anew": None, "first": tmp_path, "again": tmp_path}
    seen = {}
    for name, kept in cases.items():
        env = MemoryTaskEnv("tabletop", "shell_game", "val", kept=kept)
        seen[name] = episode(env)
        env.close()
    np.testing.assert_equal(seen["first"], seen["anew"])
    np.testing.assert_equal(seen["again"], seen["anew"])


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The actions that a `scroll` world really carried out."""
    actions: list[int] = []
    execute: Callable = ScrollDomain.execute

    def count(self: ScrollDomain, action: int, **kwargs) -> np.ndarray:
        actions.append(action)
        return execute(self, action, **kwargs)

    monkeypatch.setattr(ScrollDomain, "execute", count)
    return actions


def test_what_was_computed_once_is_only_read(
    tmp_path: Path, executed: list[int]
) -> None:
    first = episode(MemoryTaskEnv("scroll", "find_seen", kept=tmp_path))
    assert executed
    executed.clear()
    again = episode(MemoryTaskEnv("scroll", "find_seen", kept=tmp_path))
    np.testing.assert_equal(again, first)
    assert not executed


def test_another_state_or_action_is_computed(
    tmp_path: Path, executed: list[int]
) -> None:
    cache, domain = ActionCache(tmp_path), ScrollDomain()
    for seed, action in [(0, 1), (0, 2), (1, 1), (0, 1)]:
        domain.reset(np.random.default_rng(seed))
        cache.execute(domain, action)
    assert executed == [1, 2, 1]  # the last one had been seen


def test_other_sources_libraries_or_machines_do_not_share(
    tmp_path: Path, executed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        domain = ScrollDomain()
        domain.reset(np.random.default_rng(0))
        ActionCache(tmp_path).execute(domain, 1)

    run()
    monkeypatch.setenv("MUJOCO_GL", "another driver")
    run()
    monkeypatch.setattr(action_cache.platform, "node", lambda: "another machine")
    run()
    assert len(executed) == 3


def test_only_slow_physics_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_task_env("scroll", "find_seen", kept=tmp_path).reset(seed=0)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(ScrollDomain, "slow", True)
    make_task_env("scroll", "find_seen", kept=tmp_path).reset(seed=0)
    assert list(tmp_path.iterdir())
