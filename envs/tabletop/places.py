"""Where objects may lie when an episode begins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from envs.tabletop.grid import CUBE_SIZE, CUPS, Point
from envs.tabletop.simulation import CUP_HALF_WIDTH

REACH = np.array([[-0.2, -0.25, 0.015], [0.2, 0.25, 0.25]])
"""Where the finger tips may be driven: least and most (x, y, height) [m]."""
_PLAY = 0.005
"""How far from a cup's middle a cube has room below it [m]."""


def check_places(places: Mapping[str, Point]) -> None:
    """Refuses places where objects cannot be picked up.

    Args:
        places: Where each one is to lie (x, y) [m].

    Raises:
        ValueError: If the fingers cannot reach one, or two overlap.
    """
    (x0, y0, _), (x1, y1, _) = REACH.tolist()
    for name, (x, y) in places.items():
        if not (x0 <= x <= x1 and y0 <= y <= y1):
            raise ValueError(
                f"Objects must lie where the fingers reach, x in [{x0}, {x1}] m and y "
                f"in [{y0}, {y1}] m, got the {name} at ({x:g}, {y:g}): move it."
            )
    for (one, here), (other, there) in combinations(places.items(), 2):
        gap, least = math.dist(here, there), _half_width(one) + _half_width(other)
        is_covered = (one in CUPS) != (other in CUPS) and gap <= _PLAY
        if gap < least and not is_covered:
            raise ValueError(
                f"Objects must lie at least {least:g} m apart, got the {one} and the "
                f"{other} {gap:.3f} m apart: move one."
            )


def _half_width(name: str) -> float:
    return CUP_HALF_WIDTH if name in CUPS else CUBE_SIZE / 2
