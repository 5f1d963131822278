"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is slow, not wrong: time limits per example would be flaky.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
