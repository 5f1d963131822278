"""What is said where the package `miniworld` is not installed."""

from __future__ import annotations

import importlib
import sys

import pytest

from envs.domains import make_domain
from world_model.errors import MachineError


def test_a_missing_package_is_one_clear_error(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("envs.miniworld")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "miniworld", None)
    monkeypatch.setitem(sys.modules, "pyglet", None)
    importlib.invalidate_caches()
    with pytest.raises(
        MachineError,
        match=r"`domain=miniworld` needs the package `.*`, which is not installed: "
        r"pip install 'slowfast-bench\[miniworld\]'",
    ):
        make_domain("miniworld")
