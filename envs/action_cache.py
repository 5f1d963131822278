"""`ActionCache`: what actions did in the real simulator, kept on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from envs.api import Domain
from world_model.phrase_space import Motion

_LIBRARIES = ("numpy", "scipy", "mujoco", "robosuite")
_DRAWING = ("MUJOCO_GL", "MUJOCO_EGL_DEVICE_ID", "LIBGL_ALWAYS_SOFTWARE")
"""What chooses who draws the images."""


@dataclass(frozen=True)
class Outcome:
    """What one action did.

    Attributes:
        frames: Its chunk (F, H, W, C) uint8.
        seen: `Domain.segment_chunk` of it, if that was asked for.
        state: The simulator's state after it.
    """

    frames: np.ndarray
    seen: list[dict[str, int]] | None
    state: Any


class ActionCache:
    """Executes actions, or returns to where they led before.

    All rows of a comparison see the same tours, and many do the same in the test:
    where an action is hundreds of steps of physics, only the first row pays for it.
    What is kept is found by the state before the action, bit for bit, the action, the
    sources of `envs`, the libraries' versions and the machine; `Domain.set_state` is
    exact, so that an episode is the same with and without. Only real environments
    use it: planners that simulate pay, their seconds are measured.

    Args:
        folder: Where it is kept, may be deleted at any time; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._keeps = folder is not None
        place = None if folder is None else folder / fingerprint()
        memory = joblib.Memory(place, verbose=0, compress=1)
        self._execute = memory.cache(_execute, ignore=["domain"])

    def execute(self, domain: Domain, action: int, *, segment: bool = False) -> Outcome:
        """Lets the domain carry an action out; afterwards it stands where that led.

        Args:
            domain: Carries it out, from where it stands.
            action: Number of the phrase.
            segment: Whether `Outcome.seen` is needed; it is drawn anew for it.
        """
        before = domain.get_state()
        outcome: Outcome = self._execute(
            domain, domain.id, domain.look_offset, before, action, segment
        )
        if self._keeps:
            domain.set_state(outcome.state)
        return outcome


def _execute(
    domain: Domain,
    name: str,
    offset: Motion | None,
    before: Any,
    action: int,
    segment: bool,
) -> Outcome:
    """All arguments but the domain, which stands at `before`, are what decides."""
    frames = domain.execute(action)
    seen = domain.segment_chunk() if segment else None
    return Outcome(frames, seen, domain.get_state())


def fingerprint() -> str:
    """Digest of all but state and action that decides what an action does and shows."""
    digest = hashlib.sha256(b"\n".join(_machine()))
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".xml"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _machine() -> Iterator[bytes]:
    for name in _LIBRARIES:
        yield f"{name} {importlib.metadata.version(name)}".encode()
    # Images are drawn by the machine's own driver.
    chosen = [os.environ.get(name) for name in _DRAWING]
    yield f"{platform.node()} {chosen}".encode()
