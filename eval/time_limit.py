"""A time limit for code of others, which a thread could not stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class OutOfTime(BaseException):
    """Where a plug-in was when its time was up, e.g. "planner.py:12".

    No `except Exception` of its own stops it.
    """


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stops what runs inside after so many seconds, by an alarm of the system.

    An alarm reaches Python code, sleeps and waits, wherever they are; compiled code
    that never returns to Python cannot be stopped by it.

    Raises:
        OutOfTime: If it was stopped.
        RuntimeError: Outside of the main thread of a process, which alone gets alarms.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise OutOfTime("unknown" if frame is None else _line(frame))

    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "A time limit must be set in the main thread, got "
            f"{threading.current_thread().name}: start runs in processes of their own."
        )
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _line(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
