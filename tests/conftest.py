"""Settings of all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy machine is slow, not wrong: time limits per example would be flaky.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def fresh_precision() -> Iterator[None]:
    """Every test trains in a precision of its own, as a process does.

    accelerate keeps the first one, and which that is by default says the processor.
    """
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)
