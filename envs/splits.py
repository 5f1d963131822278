"""Seeds of episodes: training, validation and test never share one."""

from __future__ import annotations

import numpy as np

SPLITS = ("train", "val", "test")


def check_split(split: str) -> None:
    """Refuses what is no split.

    Raises:
        ValueError: If it is none.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}, got {split!r}.")


def episode_rng(split: str, seed: int, attempt: int = 0) -> np.random.Generator:
    """The source of everything random in an episode.

    Splits are disjoint by construction: the split is part of the seed sequence.

    Raises:
        ValueError: If `split` is unknown or `seed` negative.
    """
    check_split(split)
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, got {seed}.")
    return np.random.default_rng([SPLITS.index(split), seed, attempt])
