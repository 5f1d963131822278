"""`WordsSpace`: instructions as observations."""

from __future__ import annotations

from typing import Any, NoReturn

from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory


class WordsSpace(spaces.Text):
    """A `Text` that gymnasium's `AsyncVectorEnv` cannot get wrong.

    Read from shared memory, gymnasium (1.4.0) shows a text as it was before the first
    reset, for ever. Asked for shared memory, this space says so instead.
    """


WORDS = WordsSpace(max_length=160, charset="abcdefghijklmnopqrstuvwxyz ")
"""Instructions of all tasks."""


@create_shared_memory.register(WordsSpace)
def _refuse_shared_memory(*arguments: Any, **options: Any) -> NoReturn:
    raise TypeError(
        "Instructions cannot be shared between processes, got `shared_memory=True` "
        "(gymnasium's default): pass vector_kwargs={'shared_memory': False}."
    )
