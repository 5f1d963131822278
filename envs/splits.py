"""Seeds of episodes: training, validation and test never share one."""

from __future__ import annotations

import numpy as np

from world_model.errors import at_least, unknown_name

SPLITS = ("train", "val", "test")


def check_split(split: str) -> None:
    """Refuses what is no split.

    Raises:
        ValueError: If it is none.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)


def episode_rng(split: str, seed: int, attempt: int = 0) -> np.random.Generator:
    """The source of everything random in an episode.

    Splits are disjoint by construction: the split is part of the seed sequence.

    Raises:
        ValueError: If `split` is unknown or `seed` negative.
    """
    check_split(split)
    at_least(0, seed=seed)
    return np.random.default_rng([SPLITS.index(split), seed, attempt])
