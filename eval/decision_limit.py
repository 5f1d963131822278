"""What a decision may take: a planner that hangs is named and ends its own run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from eval.time_limit import OutOfTime, time_limit

_MOST_SECONDS = 1_000_000
"""Timers of the operating system take no infinity."""


def check_limit(cfg: DictConfig) -> None:
    """Refuses a `decision_seconds` that no decision can keep.

    Raises:
        ValueError: With the rule, the value and the remedy.
    """
    seconds = cfg.decision_seconds
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 < seconds <= _MOST_SECONDS):
        raise ValueError(
            "`decision_seconds` must be a positive number of at most "
            f"{_MOST_SECONDS}, got {seconds}: null sets no limit."
        )


@contextmanager
def decision_limit(cfg: DictConfig, num_episodes: int) -> Iterator[None]:
    """Gives one decision of a batch `cfg.decision_seconds` for each of its episodes.

    Args:
        cfg: The resolved configuration of `python -m eval.run`.
        num_episodes: Episodes that are decided for at once.

    Raises:
        TimeoutError: Names the planner, the limit, where it was, and the remedy.
    """
    if cfg.decision_seconds is None:
        yield
        return
    try:
        with time_limit(cfg.decision_seconds * num_episodes):
            yield
    except OutOfTime as stopped:
        raise TimeoutError(
            f"`planner={cfg.planner.name}` must decide within decision_seconds="
            f"{cfg.decision_seconds:g} per episode, got no decision (it was at "
            f"{stopped}): let it search less, or raise the limit; null sets none."
        ) from None
