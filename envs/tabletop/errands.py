"""Errands: what an arm that has nothing to do does, to show all primitives."""

from __future__ import annotations

import numpy as np

from envs.tabletop.arrangement import HAND, Arrangement, covering
from envs.tabletop.grid import CELLS, CUBES, CUPS, NUM_CUPS, Cell
from envs.tabletop.vocabulary import PRIMITIVES, Primitive, action

CARELESS = 0.1
"""Share of placements onto any cell, taken ones too: they fail now and then."""

_SWAPS = tuple(p for p in PRIMITIVES if p.verb == "swap")


def errand(arrangement: Arrangement, rng: np.random.Generator) -> list[int]:
    """A few primitives that make sense in an arrangement.

    Args:
        arrangement: What lies where.
        rng: Draws the errand.
    """
    spots = dict(arrangement)
    held = next((name for name, spot in spots.items() if spot == HAND), None)
    if held in CUPS:
        plan = [Primitive("lower")]
    elif held is not None:
        plan = [_to_some_cell(arrangement, rng)]
    elif any(cup in spots for cup in CUPS):
        plan = _with_cups(arrangement, rng)
    else:
        cube = _some([name for name in CUBES if name in spots], rng)
        plan = [Primitive("pick", cube=cube), _to_some_cell(arrangement, rng)]
    return [action(primitive) for primitive in plan]


def _with_cups(arrangement: Arrangement, rng: np.random.Generator) -> list[Primitive]:
    """Covers what is seen first; then swaps cups, or looks under one."""
    spots = dict(arrangement)
    seen = [c for c in CUBES if c in spots and covering(spots, c) is None]
    if seen:
        return [Primitive("cover", cube=_some(seen, rng))]
    if rng.random() < 0.5:
        return [_SWAPS[rng.integers(len(_SWAPS))]]
    lift = Primitive("lift", cups=(int(rng.integers(NUM_CUPS)),))
    return [lift, Primitive("lower")]


def _to_some_cell(arrangement: Arrangement, rng: np.random.Generator) -> Primitive:
    taken = [spot.number for _, spot in arrangement if spot.kind == "cell"]
    options = [cell for i, cell in enumerate(CELLS) if i not in taken]
    if rng.random() < CARELESS:
        options = list(CELLS)
    cell: Cell = options[rng.integers(len(options))]
    return Primitive("place", cell=cell)


def _some(names: list[str], rng: np.random.Generator) -> str:
    return names[rng.integers(len(names))]
